package stats_test

import (
	"encoding/json"
	"expvar"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/utility/stats"
)

type counters struct {
	Hits int `json:"hits"`
}

func TestGroupIsOneObject(t *testing.T) {
	var g stats.Group
	require.Equal(t, "{}", g.String())
	hits := 1
	remove, err := stats.Add(&g, "cache", func() counters { return counters{hits} })
	require.NoError(t, err)
	_, err = stats.Add(&g, `odd "name"`, func() []int { return []int{1, 2} })
	require.NoError(t, err)
	require.JSONEq(t, `{"cache":{"hits":1},"odd \"name\"":[1,2]}`, g.String())
	hits = 2
	require.JSONEq(t, `{"cache":{"hits":2},"odd \"name\"":[1,2]}`, g.String(), "read anew each time")

	_, err = stats.Add(&g, "cache", func() int { return 0 })
	require.ErrorContains(t, err, "one of that name")
	_, err = stats.Add(&g, "", func() int { return 0 })
	require.Error(t, err)
	_, err = stats.Add[int](&g, "none", nil)
	require.Error(t, err)
	remove()
	remove()
	require.JSONEq(t, `{"odd \"name\"":[1,2]}`, g.String())
}

type explosive struct{}

func (explosive) MarshalJSON() ([]byte, error) { panic("boom") }

func TestWhatCannotBeReadHarmsNothingElse(t *testing.T) {
	var g stats.Group
	add := func(name string, read func() any) {
		_, err := stats.Add(&g, name, read)
		require.NoError(t, err)
	}
	add("panics", func() any { panic("closed") })
	add("nan", func() any { return math.NaN() })
	add("explosive", func() any { return explosive{} })
	add("nil", func() any { return nil })
	add("good", func() any { return 1 })
	var got map[string]any
	require.NoError(t, json.Unmarshal([]byte(g.String()), &got))
	for _, bad := range []string{"panics", "nan", "explosive"} {
		require.Contains(t, got[bad], "error", bad)
	}
	require.Nil(t, got["nil"])
	require.EqualValues(t, 1, got["good"])
}

func TestPublish(t *testing.T) {
	var g stats.Group
	name := t.Name()
	require.NoError(t, g.Publish(name))
	require.ErrorContains(t, g.Publish(name), "taken")
	require.Error(t, g.Publish(""))
	_, err := stats.Add(&g, "x", func() int { return 7 })
	require.NoError(t, err)
	require.JSONEq(t, `{"x":7}`, expvar.Get(name).String())
}

func TestConcurrentUse(t *testing.T) {
	var g stats.Group
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 100 {
				remove, err := stats.Add(&g, fmt.Sprint(i), func() int { return i })
				if err != nil || !json.Valid([]byte(g.String())) {
					t.Error(err, g.String())
					return
				}
				remove()
			}
		})
	}
	wg.Wait()
	require.Equal(t, "{}", g.String())
}

func TestProcess(t *testing.T) {
	before := stats.ReadProcess()
	require.Positive(t, before.Goroutines)
	require.Positive(t, before.HeapBytes)
	require.GreaterOrEqual(t, before.TotalBytes, before.HeapBytes)
	if runtime.GOOS != "linux" {
		return
	}
	for i := range 5 {
		f, err := os.Create(filepath.Join(t.TempDir(), fmt.Sprint(i)))
		require.NoError(t, err)
		defer f.Close()
	}
	require.GreaterOrEqual(t, stats.ReadProcess().FileDescriptors, before.FileDescriptors+5)
}

func Example() {
	var group stats.Group
	if _, err := stats.Add(&group, "cache", func() counters { return counters{Hits: 3} }); err != nil {
		fmt.Println(err)
	}
	if err := group.Publish("example"); err != nil {
		fmt.Println(err)
	}
	fmt.Println(expvar.Get("example"))
	// Output: {"cache":{"hits":3}}
}
