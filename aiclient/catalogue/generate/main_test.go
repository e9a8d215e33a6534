package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestCachePrices(t *testing.T) {
	for name, test := range map[string]struct {
		m           model
		read, write float64
	}{
		"write and read":       {model{In: 10, Out: 50, InCached: 12.5, OutCached: 1}, 1, 12.5},
		"read alone":           {model{In: 5, Out: 30, InCached: 0.5}, 0.5, 0},
		"read in the second":   {model{In: 1.5, Out: 7.5, OutCached: 0.15}, 0.15, 0},
		"the price of output":  {model{In: 0.75, Out: 3.75, InCached: 0.075, OutCached: 3.75}, 0.075, 0},
		"twice the same":       {model{In: 1.25, Out: 10, InCached: 0.25, OutCached: 0.25}, 0.25, 0},
		"nothing":              {model{In: 1, Out: 2}, 0, 0},
		"a model that is free": {model{InCached: 1}, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			read, write := test.m.cachePrices()
			assert.Equal(t, test.read, read)
			assert.Equal(t, test.write, write)
		})
	}
}

func TestGenerate(t *testing.T) {
	dir := t.TempDir()
	_, err := generate(dir)
	require.Error(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "g.json"), []byte(`{"id":"gemini","name":"G","api_key":"$KEY","api_endpoint":"$URL",
		"models":[{"id":"m","name":"M\tm","context_window":1000,"can_reason":true,"reasoning_levels":["low","high"],"cost_per_1m_in":0.1}]}`), 0o644))
	table, err := generate(dir)
	require.NoError(t, err)
	lines := strings.Split(string(table), "\n")
	assert.Equal(t, "@google\tG\tKEY", lines[1])
	assert.Equal(t, "m\tM m\t1000\t\t0.1\t\t\t\tr\tlow,high", lines[2])
	require.NoError(t, os.WriteFile(filepath.Join(dir, "h.json"), []byte(`{`), 0o644))
	_, err = generate(dir)
	require.ErrorContains(t, err, "h.json")
}
