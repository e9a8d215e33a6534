package sqlqueue_test

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/queue"
	"github.com/tokenring-ai/tokenring-go/queue/sqlqueue"
)

// crashLease is short, so that what a killed consumer held comes back soon, and
// long beside anything that a living one does.
const crashLease = 2 * time.Second

var crashOptions = sqlqueue.Options{Options: queue.Options{Lease: crashLease, MaxAttempts: -1}, Poll: 5 * time.Millisecond}

// child is the program of the processes that are killed. It says in one line
// each what it knows to be done.
func child(args []string) int {
	q, err := sqlqueue.Open(args[1], crashOptions)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	say := func(what, id string) { fmt.Fprintf(os.Stdout, "%s %s %d\n", what, id, time.Now().UnixNano()) }
	if args[0] == "consume" {
		say("open", "-")
	}
	ctx := context.Background()
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := 0; ; i++ {
				if args[0] == "produce" {
					id := fmt.Sprintf("%s.%d/%d", args[2], g, i)
					it := queue.Item{ID: id, Key: id[:strings.IndexByte(id, '/')], Payload: make([]byte, i%3*1500)}
					if g == 3 { // these share statements with their neighbours
						it.ID, it.Key = "", ""
					}
					ids, err := q.Enqueue(ctx, it)
					if err != nil {
						fmt.Fprintln(os.Stderr, err)
						os.Exit(1)
					}
					say("acked", ids[0])
					continue
				}
				d, err := q.Receive(ctx)
				if err == nil {
					say("got", d.Item.ID)
					if err = q.Ack(ctx, d.Lease); err == nil {
						say("done", d.Item.ID)
					}
				}
				if err != nil {
					fmt.Fprintln(os.Stderr, err)
					os.Exit(1)
				}
			}
		})
	}
	wg.Wait()
	return 0
}

// journal collects what all children said.
type journal struct {
	mu     sync.Mutex
	events []said
}

type said struct {
	what, id string
	at       int64
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

// TestKill kills producers and consumers at random moments. Every acknowledged
// item is handled, none is handed out after its Ack returned, and the items of
// a key come in order.
func TestKill(t *testing.T) {
	kills := 8
	if os.Getenv("TOKENRING_LONG") != "" {
		kills = 200
	}
	path := filepath.Join(t.TempDir(), "queue.db")
	j := &journal{}
	var wg sync.WaitGroup
	for slot := range 4 {
		wg.Go(func() {
			for life := range kills / 4 {
				role := []string{"produce", "consume"}[slot%2]
				cmd := exec.CommandContext(t.Context(), os.Args[0], role, path, fmt.Sprintf("p%d.%d", slot, life))
				cmd.Env = append(os.Environ(), "SQLQUEUE_CHILD=1")
				cmd.Stderr = os.Stderr
				begun, drained := j.read(t, cmd)
				if !assert.NoError(t, cmd.Start()) {
					return
				}
				if life%4 != 3 { // that one may be killed while it opens the file
					<-begun
				}
				kill := time.AfterFunc(rand.N(400*time.Millisecond), func() { _ = cmd.Process.Kill() })
				drained()
				assert.ErrorContains(t, cmd.Wait(), "killed")
				kill.Stop()
			}
		})
	}
	wg.Wait()

	// The rest is handled here.
	q, err := sqlqueue.Open(path, crashOptions)
	require.NoError(t, err)
	defer q.Close()
	w := queue.NewWorker(q, func(_ context.Context, it queue.Item) error {
		j.mu.Lock()
		j.events = append(j.events, said{"got", it.ID, time.Now().UnixNano()})
		j.mu.Unlock()
		return nil
	}, queue.WorkerOptions{Concurrency: 8})
	require.NoError(t, w.RunUntilEmpty(t.Context()))

	slices.SortStableFunc(j.events, func(a, b said) int { return cmp.Compare(a.at, b.at) })
	got, done := map[string]int{}, map[string]bool{}
	lastOfKey := map[string]int{}
	acked, redelivered := 0, 0
	for _, e := range j.events {
		switch e.what {
		case "got":
			assert.False(t, done[e.id], "%s came again after its Ack returned", e.id)
			if got[e.id]++; got[e.id] > 1 {
				redelivered++
				continue
			}
			key, number, keyed := strings.Cut(e.id, "/")
			if !keyed {
				continue
			}
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
	t.Logf("%d kills: %d acknowledged, %d handled, %d of them again", kills, acked, len(got), redelivered)
}
