package timing_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/utility/timing"
)

const ms = time.Millisecond

// log notes runs as "argument@milliseconds".
type log struct {
	mu    sync.Mutex
	start time.Time
	runs  []string
	takes time.Duration
	now   atomic.Int32
}

func (l *log) run(v int) {
	if l.now.Add(1) != 1 {
		panic("two runs at once")
	}
	l.mu.Lock()
	l.runs = append(l.runs, fmt.Sprintf("%d@%d", v, time.Since(l.start)/ms))
	l.mu.Unlock()
	if l.takes > 0 {
		time.Sleep(l.takes)
	}
	l.now.Add(-1)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.runs, " ")
}

type limiter interface {
	Call(int)
	Flush()
	Cancel()
	Close()
}

// script plays calls at the given milliseconds, with these as arguments, and
// returns the runs. Negative times flush, times above 10,000 cancel.
func script(t *testing.T, takes time.Duration, make func(fn func(int)) limiter, at ...int) (runs string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l := &log{start: time.Now(), takes: takes}
		target := make(l.run)
		var calls sync.WaitGroup
		for _, at := range at {
			do := func() { target.Call(at) }
			when := at
			if at < 0 {
				when, do = -at, target.Flush
			} else if at > 10_000 {
				when, do = at-10_000, target.Cancel
			}
			time.Sleep(time.Duration(when)*ms - time.Since(l.start))
			calls.Go(do)
			synctest.Wait()
		}
		calls.Wait()
		time.Sleep(time.Hour)
		synctest.Wait()
		runs = l.String()
		target.Close()
		target.Call(1)
		target.Flush()
		time.Sleep(time.Hour)
		assert.Equal(t, runs, l.String(), "nothing after Close")
	})
	return runs
}

func TestThrottle(t *testing.T) {
	for _, tc := range []struct {
		name  string
		edge  timing.Edge
		takes time.Duration
		at    []int
		want  string
	}{
		{"both", timing.Both, 0, []int{0, 10, 20, 110, 150, 250, 290, 1000}, "0@0 20@100 150@200 290@300 1000@1000"},
		{"both, single call", timing.Both, 0, []int{5}, "5@5"},
		{"both, interval begins at each run", timing.Both, 0, []int{0, 50, 199, 201, 301}, "0@0 50@100 199@200 201@300 301@400"},
		{"leading", timing.Leading, 0, []int{0, 10, 99, 101, 150, 300}, "0@0 101@101 300@300"},
		{"trailing", timing.Trailing, 0, []int{0, 10, 99, 150, 310, 340}, "99@100 150@200 340@410"},
		{"run longer than the interval", timing.Both, 250 * ms, []int{0, 10, 50, 260, 270}, "0@0 50@250 270@500"},
		{"run longer than the interval, leading", timing.Leading, 250 * ms, []int{0, 10, 200, 260}, "0@0 260@260"},
		{"flush", timing.Both, 0, []int{0, 10, -20, 30, 121}, "0@0 10@20 30@120 121@220"},
		{"flush of nothing", timing.Both, 0, []int{-1, 5, -10, 20}, "5@5 20@105"},
		{"flush waits for a run", timing.Both, 250 * ms, []int{0, 10, -20}, "0@0 10@250"},
		{"cancel", timing.Both, 0, []int{0, 10, 10_020, 101}, "0@0 101@101"},
		{"cancel keeps the interval", timing.Both, 0, []int{0, 10, 10_020, 50}, "0@0 50@100"},
		{"cancel, trailing", timing.Trailing, 0, []int{0, 10_020, 50}, "50@100"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := script(t, tc.takes, func(fn func(int)) limiter {
				return timing.NewThrottle(fn, 100*ms, timing.ThrottleOptions{Edge: tc.edge})
			}, tc.at...)
			assert.Equal(t, tc.want, got)
		})
	}
}

func TestDebounce(t *testing.T) {
	for _, tc := range []struct {
		name  string
		opts  timing.DebounceOptions
		takes time.Duration
		at    []int
		want  string
	}{
		{"trailing", timing.DebounceOptions{}, 0, []int{0, 50, 149, 300}, "149@249 300@400"},
		{"quiet to the millisecond", timing.DebounceOptions{}, 0, []int{0, 99, 198, 299}, "198@298 299@399"},
		{"leading", timing.DebounceOptions{Leading: true}, 0, []int{0, 300, 350, 600}, "0@0 300@300 350@450 600@600"},
		{"leading, burst goes on", timing.DebounceOptions{Leading: true}, 0, []int{0, 90, 180}, "0@0 180@280"},
		{"max wait", timing.DebounceOptions{MaxWait: 250 * ms}, 0, []int{0, 90, 180, 240, 260, 340, 430, 520, 600}, "240@250 430@510 600@700"},
		{"max wait below the quiet time", timing.DebounceOptions{MaxWait: ms}, 0, []int{0, 50}, "50@100"},
		{"max wait for ever", timing.DebounceOptions{MaxWait: math.MaxInt64}, 0, []int{0, 200, 250}, "0@100 250@350"},
		{"max wait, leading", timing.DebounceOptions{Leading: true, MaxWait: 150 * ms}, 0, []int{0, 90, 180, 230, 300}, "0@0 230@240 300@400"},
		{"run longer than the burst", timing.DebounceOptions{}, 500 * ms, []int{0, 150, 200, 700}, "0@100 200@600 700@1100"},
		{"leading run longer than the burst", timing.DebounceOptions{Leading: true}, 500 * ms, []int{0, 150, 200}, "0@0 200@500"},
		{"flush", timing.DebounceOptions{}, 0, []int{0, 50, -60, 70}, "50@60 70@170"},
		{"flush of nothing", timing.DebounceOptions{Leading: true}, 0, []int{-1, 5, -10, 20}, "5@5 20@20"},
		{"cancel", timing.DebounceOptions{}, 0, []int{0, 10_050, 80}, "80@180"},
		{"cancel, leading", timing.DebounceOptions{Leading: true}, 0, []int{0, 20, 10_050, 80}, "0@0 80@80"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := script(t, tc.takes, func(fn func(int)) limiter {
				return timing.NewDebounce(fn, 100*ms, tc.opts)
			}, tc.at...)
			assert.Equal(t, tc.want, got)
		})
	}
}

// TestThrottleKeepsItsPromises calls at random times and checks what must hold
// whatever they are.
func TestThrottleKeepsItsPromises(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		synctest.Test(t, func(t *testing.T) {
			var last time.Time
			var latest, got int
			runs := 0
			throttle := timing.NewThrottle(func(v int) {
				if runs++; runs > 1 {
					assert.GreaterOrEqual(t, time.Since(last), 100*ms)
				}
				assert.Equal(t, latest, v, "the latest argument")
				last, got = time.Now(), v
			}, 100*ms, timing.ThrottleOptions{})
			start := time.Now()
			for i := range 50 {
				latest = i + 1
				throttle.Call(i + 1)
				time.Sleep(time.Duration(1+random.IntN(130))*ms + time.Microsecond)
				synctest.Wait()
			}
			time.Sleep(100 * ms)
			synctest.Wait()
			assert.Equal(t, 50, got, "the last call is never lost")
			assert.GreaterOrEqual(t, runs, int(last.Sub(start)/(230*ms)))
			throttle.Close()
		})
	}
}

func TestCallFromWithinTheFunction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		var throttle *timing.Throttle[int]
		throttle = timing.NewThrottle(func(v int) {
			if n++; n < 3 {
				throttle.Call(v + 1)
			}
		}, time.Second, timing.ThrottleOptions{})
		throttle.Call(1)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		assert.Equal(t, 3, n)
		throttle.Close()
	})
}

func TestPanicAtTheLeadingEdgeReachesTheCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		throttle := timing.NewThrottle(func(int) {
			if n++; n == 1 {
				panic("boom")
			}
		}, time.Second, timing.ThrottleOptions{})
		assert.PanicsWithValue(t, "boom", func() { throttle.Call(1) })
		throttle.Call(2)
		time.Sleep(time.Second)
		synctest.Wait()
		assert.Equal(t, 2, n, "and it works on")
		throttle.Close()
	})
}

func TestCloseWaitsForTheRun(t *testing.T) {
	for name, target := range map[string]func(fn func(int)) limiter{
		"throttle": func(fn func(int)) limiter {
			return timing.NewThrottle(fn, 10*ms, timing.ThrottleOptions{Edge: timing.Trailing})
		},
		"debounce": func(fn func(int)) limiter { return timing.NewDebounce(fn, 10*ms, timing.DebounceOptions{}) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := &log{start: time.Now(), takes: time.Second}
				x := target(l.run)
				x.Call(1)
				time.Sleep(20 * ms)
				x.Call(2)
				x.Close()
				assert.Equal(t, 1010*ms, time.Since(l.start))
				time.Sleep(time.Hour)
				assert.Equal(t, "1@10", l.String())
			})
		})
	}
}

func TestConcurrentUse(t *testing.T) {
	for _, x := range []func(fn func(int)) limiter{
		func(fn func(int)) limiter {
			return timing.NewThrottle(fn, 50*time.Microsecond, timing.ThrottleOptions{})
		},
		func(fn func(int)) limiter {
			return timing.NewDebounce(fn, 50*time.Microsecond, timing.DebounceOptions{Leading: true, MaxWait: 100 * time.Microsecond})
		},
	} {
		l := &log{start: time.Now()}
		target := x(l.run)
		var wg sync.WaitGroup
		for g := range 8 {
			wg.Go(func() {
				for i := range 5000 {
					target.Call(g*5000 + i)
					switch {
					case i%97 == 0:
						target.Flush()
					case i%193 == 0:
						target.Cancel()
					}
				}
			})
		}
		wg.Wait()
		target.Call(-1)
		target.Flush()
		target.Close()
		require.Zero(t, l.now.Load())
		runs := strings.Fields(l.String())
		assert.Contains(t, runs[len(runs)-1]+runs[max(0, len(runs)-2)], "-1@", "the last call is not lost")
	}
}

func TestCallsDoNotAllocate(t *testing.T) {
	throttle := timing.NewThrottle(func(int) {}, time.Minute, timing.ThrottleOptions{})
	debounce := timing.NewDebounce(func(int) {}, time.Minute, timing.DebounceOptions{})
	throttle.Call(0)
	debounce.Call(0)
	assert.Zero(t, testing.AllocsPerRun(1000, func() {
		throttle.Call(1)
		debounce.Call(1)
	}))
	throttle.Close()
	debounce.Close()
}

func BenchmarkCall(b *testing.B) {
	throttle := timing.NewThrottle(func(int) {}, time.Second, timing.ThrottleOptions{})
	debounce := timing.NewDebounce(func(int) {}, time.Second, timing.DebounceOptions{MaxWait: time.Minute})
	for name, x := range map[string]limiter{"Throttle": throttle, "Debounce": debounce} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				x.Call(1)
			}
		})
		b.Run(name+"Parallel", func(b *testing.B) {
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					x.Call(1)
				}
			})
		})
		x.Close()
	}
}

func ExampleThrottle() {
	progress := timing.NewThrottle(func(percent int) {
		fmt.Println(percent, "%")
	}, time.Minute, timing.ThrottleOptions{})
	for percent := range 100 {
		progress.Call(percent) // shows 0 at once
	}
	progress.Flush() // and the latest without waiting for the minute to end
	progress.Close()
	// Output:
	// 0 %
	// 99 %
}

func ExampleDebounce() {
	saved := make(chan string)
	save := timing.NewDebounce(func(text string) { saved <- text },
		10*time.Millisecond, timing.DebounceOptions{MaxWait: time.Second})
	for _, text := range []string{"d", "dr", "draft"} {
		save.Call(text)
	}
	fmt.Println(<-saved)
	save.Close()
	// Output: draft
}
