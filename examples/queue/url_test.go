package main

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) {
	if os.Getenv("QUEUE_CHILD") != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// TestManyProcesses has a producer and a consumer on a server, each a process of
// its own, and kills both: what was acknowledged is handled by the next one.
func TestManyProcesses(t *testing.T) {
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, JetStream: true, StoreDir: t.TempDir(), NoLog: true, NoSigs: true})
	require.NoError(t, err)
	go s.Start()
	require.True(t, s.ReadyForConnections(20*time.Second))
	defer func() { s.Shutdown(); s.WaitForShutdown() }()
	flags := []string{"-engine", "nats", "-url", s.ClientURL(), "-lease", "1s"}
	killed := func(lines int, args ...string) string {
		cmd := exec.CommandContext(t.Context(), os.Args[0], append(flags, args...)...)
		cmd.Env = append(os.Environ(), "QUEUE_CHILD=1")
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		var text bytes.Buffer
		for buf := make([]byte, 4096); bytes.Count(text.Bytes(), []byte("\n")) < lines; {
			n, err := out.Read(buf)
			require.NoError(t, err)
			text.Write(buf[:n])
		}
		require.NoError(t, cmd.Process.Kill())
		rest, _ := io.ReadAll(out)
		text.Write(rest)
		require.Error(t, cmd.Wait())
		return text.String()
	}
	acked := ids(killed(40, "produce", "-n", "1000000", "-producers", "4", "-keys", "5", "-v"), "acked")
	done := ids(killed(10, "consume", "-workers", "4", "-wait", "-v"), "done")
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), append(flags, "consume", "-workers", "4", "-v"), &out, io.Discard))
	rest := ids(out.String(), "done")
	missing := 0 // those of which the killed consumer could not say yet that they are done
	for _, id := range acked {
		if !slices.Contains(done, id) && !slices.Contains(rest, id) {
			missing++
		}
	}
	assert.LessOrEqual(t, missing, 4, "one for each worker")
	for _, id := range done {
		assert.NotContains(t, rest, id, "handled again after it was acknowledged")
	}
}
