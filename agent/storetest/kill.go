package storetest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/agent"
)

// killPlace tells a child process where its store is.
const killPlace = "TOKENRING_STORETEST_PLACE"

// Kill proves that a durable store loses nothing when its process is killed. It
// starts the test binary again and again as a child that takes checkpoints as
// fast as it can, by itself and through automatic ones around inputs, kills it
// with SIGKILL at a random moment, and restores: the state must be one that was
// saved, and none older than the last one that the child reported as
// acknowledged. An input that the child saw finish must not be unfinished, and
// one that was begun must be. There are 12 kills, and 1,000 with
// TOKENRING_LONG=1.
//
// The calling test must be a top-level test function and do nothing before it
// that the child must not do.
func Kill(t *testing.T, opts Options) {
	if place := os.Getenv(killPlace); place != "" {
		err := victim(opts, place)
		fmt.Fprintln(os.Stderr, err)
		os.Exit(3)
	}
	kills := 12
	if os.Getenv("TOKENRING_LONG") == "1" {
		kills = 1000
	}
	place := t.TempDir()
	var acked, restored uint64
	unacked, unfinished := 0, 0
	for i := range kills {
		n := strike(t, place)
		acked = max(acked, n)
		s, err := opts.Open(place)
		require.NoError(t, err)
		m, err := newManager(s, killManager)
		require.NoError(t, err)
		a, err := m.Restore(t.Context(), "victim")
		if acked == 0 && errors.Is(err, agent.ErrNotFound) {
			closeStore(t, s)
			continue
		}
		require.NoError(t, err, "kill %d", i)
		n, err = check(a)
		require.NoError(t, err, "kill %d", i)
		require.GreaterOrEqual(t, n, acked, "kill %d: an acknowledged checkpoint is lost", i)
		require.LessOrEqual(t, n, acked+1, "kill %d: at most one was under way", i)
		for _, in := range a.Unfinished() {
			require.Equal(t, inputID(n+1), in.ID, "kill %d: an input that took effect is unfinished", i)
			unfinished++
		}
		if n > acked {
			unacked++
		}
		acked, restored = n, restored+1
		require.NoError(t, m.Shutdown(t.Context()))
		closeStore(t, s)
	}
	t.Logf("%d kills, %d restores, %d states acknowledged, %d times the last one was stored but not acknowledged yet, %d times an input was cut short",
		kills, restored, acked, unacked, unfinished)
	require.NotZero(t, acked)
}

// killManager folds often, so that kills hit that too.
var killManager = agent.ManagerOptions{Retention: agent.Retention{Last: 4}}

// strike runs a child, kills it and returns the last checkpoint it reported.
func strike(t *testing.T, place string) uint64 {
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.count=1")
	cmd.Env = append(os.Environ(), killPlace+"="+place)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	lines := bufio.NewScanner(out)
	require.True(t, lines.Scan(), "the child ended before its first word: %s", &stderr) // "ready"
	timer := time.AfterFunc(time.Duration(rand.Int64N(int64(60*time.Millisecond))), func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	last := uint64(0)
	for lines.Scan() { // to the end: what the child wrote before it died counts
		if n, err := strconv.ParseUint(lines.Text(), 10, 64); err == nil {
			last = n
		}
	}
	err = cmd.Wait()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	require.False(t, exit.Exited(), "the child ended by itself: %s", &stderr)
	return last
}

// victim takes checkpoints until it is killed.
func victim(opts Options, place string) error {
	s, err := opts.Open(place)
	if err != nil {
		return err
	}
	m, err := newManager(s, killManager)
	if err != nil {
		return err
	}
	ctx := context.Background()
	a, err := m.Restore(ctx, "victim")
	if errors.Is(err, agent.ErrNotFound) {
		a, err = m.Spawn(ctx, typeName, agent.SpawnOptions{ID: "victim"})
	}
	if err != nil {
		return err
	}
	// One write each, so that a line is whole or not there.
	fmt.Fprintln(os.Stdout, "ready")
	for {
		n, err := advance(ctx, a)
		if err != nil {
			return err
		}
		if failed := m.Stats().CheckpointErrors; failed > 0 {
			return fmt.Errorf("%d automatic checkpoints failed", failed)
		}
		fmt.Fprintln(os.Stdout, n)
	}
}

// advance brings the agent to its next state and has that saved: through the
// input that was cut short, if there is one, or else as chance has it.
func advance(ctx context.Context, a *agent.Agent) (uint64, error) {
	size := 100
	if rand.IntN(3) == 0 {
		size = rand.IntN(200_000)
	}
	var run *agent.Run
	var err error
	if open := a.Unfinished(); len(open) > 0 {
		run, err = a.Resume(ctx, open[0].ID)
	} else if rand.IntN(2) == 0 {
		return step(ctx, a, size)
	} else {
		n := a.Slice("ledger").(*ledger).count()
		run, err = a.Submit(ctx, agent.Input{ID: inputID(n + 1), Text: strconv.Itoa(size)})
	}
	if err == nil {
		err = run.Wait(ctx)
	}
	return a.Slice("ledger").(*ledger).count(), err
}
