package natsqueue_test

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/queue"
	"github.com/tokenring-ai/tokenring-go/queue/natsqueue"
)

// crashOptions have a short lease, so that what a killed consumer held comes back
// soon, and a long one beside anything that a living one does.
var crashOptions = natsqueue.Options{Options: queue.Options{Lease: 2 * time.Second, MaxAttempts: -1}, Wait: time.Minute}

// child is the program of the processes that are killed: a server with producers
// and consumers. It says in one line each what it knows to be done.
func child(args []string) int {
	ctx := context.Background()
	q, err := natsqueue.Embedded(ctx, args[0], crashOptions)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	say := func(what, id string) { fmt.Fprintf(os.Stdout, "%s %s %d\n", what, id, time.Now().UnixNano()) }
	work(ctx, q, args[1], say, func(err error) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	})
	return 0
}

// work has producers and consumers on a queue until ctx ends.
func work(ctx context.Context, q queue.Queue, name string, say func(what, id string), fail func(error)) {
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				id := fmt.Sprintf("%s.%d/%d", name, g, i)
				_, err := q.Enqueue(ctx, queue.Item{ID: id, Key: id[:strings.IndexByte(id, '/')], Payload: make([]byte, i%3*1500)})
				if err == nil {
					say("acked", id)
				} else if ctx.Err() == nil {
					fail(err)
					return
				}
			}
		})
		wg.Go(func() {
			for ctx.Err() == nil {
				d, err := q.Receive(ctx)
				if err == nil {
					say("got", d.Item.ID)
					if err = q.Ack(context.WithoutCancel(ctx), d.Lease); err == nil {
						say("done", d.Item.ID)
					}
				}
				if err != nil && ctx.Err() == nil {
					fail(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// journal collects what was said to be done.
type journal struct {
	mu     sync.Mutex
	events []said
}

type said struct {
	what, id string
	at       int64
}

func (j *journal) say(what, id string) {
	j.mu.Lock()
	j.events = append(j.events, said{what, id, time.Now().UnixNano()})
	j.mu.Unlock()
}

// read collects what a process says. begun is closed once it has said something,
// or ended.
func (j *journal) read(t *testing.T, cmd *exec.Cmd) (begun <-chan struct{}, wait func()) {
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	first := make(chan struct{})
	begin := sync.OnceFunc(func() { close(first) })
	var ended sync.WaitGroup
	ended.Go(func() {
		defer begin()
		for lines := bufio.NewScanner(out); lines.Scan(); {
			f := strings.Fields(lines.Text())
			if len(f) != 3 {
				continue // cut off by the kill
			}
			at, err := strconv.ParseInt(f[2], 10, 64)
			if err != nil || at < 1e18 {
				continue
			}
			j.mu.Lock()
			j.events = append(j.events, said{f[0], f[1], at})
			j.mu.Unlock()
			begin()
		}
	})
	return first, ended.Wait
}

// finish handles what is left and checks that every acknowledged item was
// handled, none after its Ack returned, and those of a key in order.
func (j *journal) finish(t *testing.T, q queue.Queue) {
	w := queue.NewWorker(q, func(_ context.Context, it queue.Item) error {
		j.say("got", it.ID)
		return nil
	}, queue.WorkerOptions{Concurrency: 8})
	require.NoError(t, w.RunUntilEmpty(t.Context()))
	slices.SortStableFunc(j.events, func(a, b said) int { return cmp.Compare(a.at, b.at) })
	got, done, lastOfKey := map[string]int{}, map[string]bool{}, map[string]int{}
	acked, redelivered := 0, 0
	for _, e := range j.events {
		switch e.what {
		case "got":
			assert.False(t, done[e.id], "%s came again after its Ack returned", e.id)
			if got[e.id]++; got[e.id] > 1 {
				redelivered++
				continue
			}
			key, number, _ := strings.Cut(e.id, "/")
			n, err := strconv.Atoi(number)
			require.NoError(t, err)
			assert.GreaterOrEqual(t, n, lastOfKey[key], "out of order: %s", e.id)
			lastOfKey[key] = n
		case "done":
			done[e.id] = true
		}
	}
	for _, e := range j.events {
		if e.what == "acked" {
			acked++
			assert.Positive(t, got[e.id], "%s was acknowledged and is lost", e.id)
		}
	}
	assert.Positive(t, acked)
	t.Logf("%d acknowledged, %d handled, %d of them again", acked, len(got), redelivered)
}

// TestKill kills a process with server, producers and consumers at random
// moments, again and again on the same folder.
func TestKill(t *testing.T) {
	t.Parallel()
	kills := 4
	if os.Getenv("TOKENRING_LONG") != "" {
		kills = 200
	}
	dir := t.TempDir()
	j := &journal{}
	for life := range kills {
		cmd := exec.CommandContext(t.Context(), os.Args[0], dir, fmt.Sprint("p", life))
		cmd.Env = append(os.Environ(), "NATSQUEUE_CHILD=1")
		cmd.Stderr = os.Stderr
		begun, drained := j.read(t, cmd)
		require.NoError(t, cmd.Start())
		<-begun
		kill := time.AfterFunc(rand.N(400*time.Millisecond), func() { _ = cmd.Process.Kill() })
		drained()
		require.ErrorContains(t, cmd.Wait(), "killed")
		kill.Stop()
	}
	q, err := natsqueue.Embedded(t.Context(), dir, crashOptions)
	require.NoError(t, err)
	defer q.Close()
	j.finish(t, q)
}
