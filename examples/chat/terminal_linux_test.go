package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/tokenring-ai/tokenring-go/aiclient/aitest"
)

// terminal is a pseudo-terminal in which the program runs, so that Ctrl-C is a
// key press that the kernel turns into a signal.
type terminal struct {
	t    *testing.T
	keys *os.File
	cmd  *exec.Cmd

	mu     sync.Mutex
	screen bytes.Buffer
	grew   chan struct{} // gets a value when the screen has changed
	closed chan struct{} // the program has ended
}

func openTerminal(t *testing.T, cmd *exec.Cmd) *terminal {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	require.NoError(t, err)
	t.Cleanup(func() { master.Close() })
	raw := int(master.Fd())
	require.NoError(t, unix.IoctlSetPointerInt(raw, unix.TIOCSPTLCK, 0))
	number, err := unix.IoctlGetInt(raw, unix.TIOCGPTN)
	require.NoError(t, err)
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	require.NoError(t, err)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	require.NoError(t, cmd.Start())
	slave.Close()

	x := &terminal{t: t, keys: master, cmd: cmd, grew: make(chan struct{}, 1), closed: make(chan struct{})}
	go func() {
		defer close(x.closed)
		_, _ = io.Copy(x, master) // until the program has closed its end
	}()
	return x
}

// Write takes what the program prints.
func (x *terminal) Write(p []byte) (int, error) {
	x.mu.Lock()
	x.screen.Write(p)
	x.mu.Unlock()
	select {
	case x.grew <- struct{}{}:
	default:
	}
	return len(p), nil
}

func (x *terminal) press(keys string) {
	x.t.Helper()
	_, err := io.WriteString(x.keys, keys)
	require.NoError(x.t, err)
}

// see waits until text has appeared since the last call, and returns what came up
// to its end.
func (x *terminal) see(text string) string {
	x.t.Helper()
	deadline := time.After(2 * time.Minute) // far more than a loaded machine takes
	for {
		x.mu.Lock()
		if i := strings.Index(x.screen.String(), text); i >= 0 {
			seen := string(x.screen.Next(i + len(text)))
			x.mu.Unlock()
			return seen
		}
		sofar := x.screen.String()
		x.mu.Unlock()
		select {
		case <-x.grew:
		case <-deadline:
			require.FailNow(x.t, "the terminal does not show "+text, "it shows %q", sofar)
		}
	}
}

// status waits for the end of the program.
func (x *terminal) status() int {
	_ = x.cmd.Wait()
	<-x.closed
	return x.cmd.ProcessState.ExitCode()
}

const ctrlC, ctrlD = "\x03", "\x04"

// TestConversationInATerminal cancels a reply with Ctrl-C and goes on: what was
// said before stays, the words of the cancelled reply included.
func TestConversationInATerminal(t *testing.T) {
	eachWire(t, func(t *testing.T, _ aitest.Format, start func(aitest.Script) (*aitest.Server, []string)) {
		server, flags := start(func(r aitest.Request) aitest.Reply {
			if r.LastUser() == "hang" {
				return aitest.Reply{Text: strings.Repeat("word ", 100), Fault: aitest.Fault{Kind: aitest.Hang, After: 8}}
			}
			return aitest.Text("You said: " + r.LastUser() + "\x1b]0;title\x07.")
		})
		x := openTerminal(t, program(t, []string{"TERM=xterm"}, flags...))
		x.see("> ")
		x.press("first\n")
		x.see("You said: first]0;title.") // the escape is gone
		x.see("tokens in")
		x.see("> ")
		x.press("hang\n")
		x.see("word ")
		x.press(ctrlC)
		x.see("cancelled")
		x.see("> ")
		x.press("half a line" + ctrlC)
		x.see("Ctrl-D or /exit ends")
		x.see("> ")
		x.press("\n/help\n")
		x.see("/new begins anew")
		x.press("last\n")
		x.see("You said: last")
		x.see("> ")
		x.press("/new\n")
		x.see("> ")
		x.press("anew\n")
		x.see("You said: anew")
		x.see("> ")
		x.press(ctrlD)
		assert.Zero(t, x.status())

		requests := server.Requests()
		require.Len(t, requests, 4)
		var said []string
		for _, m := range requests[2].Messages {
			said = append(said, m.Role+" "+m.Text)
		}
		require.Len(t, said, 5, "%q", said)
		assert.Equal(t, "user first", said[0])
		assert.Contains(t, said[1], "assistant You said: first")
		assert.Equal(t, "user hang", said[2])
		assert.Contains(t, said[3], "assistant word")
		assert.Equal(t, "user last", said[4])
		assert.Len(t, requests[3].Messages, 1)
	})
}

// TestTerminalShowsFailuresAndGoesOn checks that a failed turn ends nothing, and
// that SIGTERM does.
func TestTerminalShowsFailuresAndGoesOn(t *testing.T) {
	server := aitest.NewServer(t, func(r aitest.Request) aitest.Reply {
		if r.LastUser() == "fail" {
			return aitest.Fail(401, "wrong key")
		}
		return aitest.Reply{Reasoning: "Let me think.", Text: "fine"}
	})
	x := openTerminal(t, program(t, nil, "-base-url", server.URL+"/v1", "-model", "m"))
	x.see("> ")
	x.press("fail\n")
	x.see("wrong key")
	x.see("> ")
	x.press("go on\n")
	x.see("Let me think.")
	x.see("fine")
	x.see("> ")
	require.NoError(t, x.cmd.Process.Signal(syscall.SIGTERM))
	assert.Equal(t, exitInterrupted, x.status())
}
