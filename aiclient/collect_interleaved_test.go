package aiclient_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/tokenring-ai/tokenring-go/aiclient"
)

func TestCollectorTakesInterleavedCalls(t *testing.T) {
	c := aiclient.Collector{}
	for i := range int32(5) {
		c.Add(aiclient.Part{Kind: aiclient.KindToolCallStart, Index: i, Call: &aiclient.ToolCall{ID: string('a' + i), Name: "f"}})
	}
	for _, piece := range []string{`{"a"`, `:1`, `}`} {
		for i := range int32(5) {
			c.Add(aiclient.Part{Kind: aiclient.KindToolCallDelta, Index: i, Text: piece})
		}
	}
	for _, call := range c.Response().Calls() {
		assert.Equal(t, `{"a":1}`, call.Arguments)
	}
	assert.Len(t, c.Response().Calls(), 5)
}
