package main

import (
	"bytes"
	"flag"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func ids(out, what string) []string {
	var found []string
	for line := range strings.Lines(out) {
		if id, ok := strings.CutPrefix(strings.TrimSpace(line), what+" "); ok {
			found = append(found, id)
		}
	}
	slices.Sort(found)
	return found
}

func TestProduceAndConsume(t *testing.T) {
	for _, engine := range []string{"sqlite", "nats"} {
		t.Run(engine, func(t *testing.T) { produceAndConsume(t, engine) })
	}
}

func produceAndConsume(t *testing.T, engine string) {
	path := filepath.Join(t.TempDir(), "q.db")
	call := func(args ...string) string {
		var out bytes.Buffer
		require.NoError(t, run(t.Context(), append([]string{"-engine", engine, "-path", path}, args...), &out, io.Discard))
		return out.String()
	}
	acked := ids(call("produce", "-n", "50", "-size", "100", "-producers", "4", "-keys", "3", "-v"), "acked")
	require.Len(t, acked, 50)
	assert.Contains(t, call("stats"), "ready 3, delayed 0, blocked 47")
	assert.Contains(t, call("list"), acked[0])
	assert.Equal(t, acked, ids(call("consume", "-workers", "4", "-v"), "done"))
	assert.Contains(t, call("stats"), "ready 0")

	var out bytes.Buffer
	require.NoError(t, run(t.Context(), []string{"-engine", "memory", "bench", "-n", "20", "-v"}, &out, io.Discard))
	assert.Equal(t, ids(out.String(), "acked"), ids(out.String(), "done"))
	for _, bad := range [][]string{{}, {"nonsense"}, {"-engine", "x", "stats"}, {"produce", "-n", "-1"}, {"produce", "1000"}, {"-engine", "memory", "-capacity", "2", "bench", "-n", "3"}, {"-x"}, {"produce", "-x"}, {"-path", "/no/such/folder/q.db", "stats"}, {"-engine", "nats", "-url", "nats://127.0.0.1:1", "stats"}} {
		var errs bytes.Buffer
		require.Error(t, run(t.Context(), bad, io.Discard, &errs), bad)
		assert.Empty(t, errs.String(), "main prints the error")
	}
	for _, help := range [][]string{{"-h"}, {"produce", "-h"}} {
		var errs bytes.Buffer
		require.ErrorIs(t, run(t.Context(), help, io.Discard, &errs), flag.ErrHelp)
		assert.Equal(t, 1, strings.Count(errs.String(), "sage"))
	}
}
