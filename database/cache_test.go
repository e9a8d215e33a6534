package database

import (
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestResultCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newResultCache(8, time.Minute)
		p, other := &Provider{Name: "a", known: new(known)}, &Provider{Name: "a", known: new(known)}
		keep := func(p *Provider, sql string, args ...any) *Result {
			r := &Result{}
			key, writes, hit := c.get(p, sql, args)
			require.Nil(t, hit)
			c.put(key, writes, r)
			return r
		}
		cached := func(p *Provider, sql string, args ...any) *Result {
			_, _, r := c.get(p, sql, args)
			return r
		}
		kept := []*Result{keep(p, "a", int64(1)), keep(p, "a", "1"), keep(p, "a", []byte("1")), keep(p, "a", nil), keep(p, "a 1")}
		for i, r := range []*Result{cached(p, "a", int64(1)), cached(p, "a", "1"), cached(p, "a", []byte("1")), cached(p, "a", nil), cached(p, "a 1")} {
			require.Same(t, kept[i], r, "%d", i)
		}
		require.Nil(t, cached(p, "a", 1), "an int is no int64")
		require.Nil(t, cached(p, "a", 1.0))
		require.Nil(t, cached(p, "a"))
		require.Nil(t, cached(other, "a 1"), "a provider is not its name")
		type odd struct{ A *int }
		keep(p, "b", odd{})
		require.Nil(t, cached(p, "b", odd{}), "what cannot be told apart is not kept")

		key, writes, _ := c.get(p, "slow", nil)
		p.wrote()
		c.put(key, writes, &Result{})
		require.Nil(t, cached(p, "slow"), "a write came after it began")
		require.Nil(t, cached(p, "a", int64(1)), "a write ends them all")

		r := keep(p, "a", int64(1))
		other.wrote()
		time.Sleep(time.Minute - 1) // of the bubble's clock
		require.Same(t, r, cached(p, "a", int64(1)))
		time.Sleep(time.Nanosecond)
		require.Nil(t, cached(p, "a", int64(1)), "its time is up")
		for i := range int64(100) {
			keep(p, "c", i)
		}
		require.Equal(t, 8, c.results.Len())
	})
}

func TestValuesOfModels(t *testing.T) {
	var v values
	require.NoError(t, json.Unmarshal([]byte(`[null,true,false,"a\u00e9",1,-9007199254740993,9223372036854775807,9223372036854775808,0.5,0.1,-2.50,1e3,
		123456789012345678901234567890.0123456789,{"a":[1]},[1,2]]`), &v))
	require.Equal(t, []any{nil, true, false, "a\u00e9", int64(1), int64(-9007199254740993), int64(9223372036854775807), "9223372036854775808",
		0.5, 0.1, -2.5, 1e3, "123456789012345678901234567890.0123456789", `{"a":[1]}`, `[1,2]`}, v.list())
}
