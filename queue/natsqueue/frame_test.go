package natsqueue

import (
	"runtime"
	"testing"
	"time"
	"weak"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/queue"
)

func sample() (head, []record) {
	item := &queue.Item{
		ID: "an id", Name: "näme", Key: "k", Dedupe: "d", Priority: -7, NotBefore: time.Unix(5, 6), EnqueuedAt: time.Unix(7, 8),
		Payload: []byte{0, 255}, Checkpoint: []byte("c"), Headers: map[string]string{"a": "", "ü": "☃"},
	}
	return head{prefix: "abc", lastSeq: 9, lastToken: 4, paused: true}, []record{
		{kind: recPut, seq: 9, body: item, meta: meta{state: leased, attempts: 2, token: 4, due: 1, available: 2, received: 3, first: 4, lastError: "e"}},
		{kind: recMeta, seq: 3, meta: meta{state: delayed, due: 1 << 62}},
		{kind: recMove, seq: 2, to: 10, meta: meta{state: ready}},
		{kind: recDelete, seq: 1, meta: meta{state: none}},
		{kind: recDedupe, dedupe: dedupe{key: "d", id: "an id", expires: 77}},
	}
}

func TestFrame(t *testing.T) {
	h, recs := sample()
	data := encode("me", &h, recs)
	id, gotHead, gotRecs, err := decode(data)
	require.NoError(t, err)
	assert.Equal(t, "me", id)
	assert.Equal(t, h, gotHead)
	assert.Equal(t, recs, gotRecs)
	_, _, _, err = decode(append([]byte{frameVersion + 1}, data[1:]...))
	require.ErrorIs(t, err, errFrame)
	_, _, _, err = decode(nil)
	require.ErrorIs(t, err, errFrame)
}

// TestItemsDoNotHoldTheirMessage: of a message of many items, few may stay for long.
func TestItemsDoNotHoldTheirMessage(t *testing.T) {
	h, recs := sample()
	data := encode("me", &h, recs)
	message := weak.Make(&data[0])
	_, _, recs, err := decode(data)
	require.NoError(t, err)
	runtime.GC()
	assert.Nil(t, message.Value())
	assert.Equal(t, []byte("c"), recs[0].body.Checkpoint)
}

// FuzzDecode feeds what lies in a stream, whatever wrote it, to a state: no
// input may bring it down.
func FuzzDecode(f *testing.F) {
	h, recs := sample()
	f.Add(encode("me", &h, recs))
	f.Add([]byte{frameVersion})
	f.Fuzz(func(t *testing.T, data []byte) {
		_, h, recs, err := decode(data)
		if err != nil {
			require.ErrorIs(t, err, errFrame)
			return
		}
		s := newState()
		s.apply(h, recs, 1)
		s.apply(h, recs, 2)
		total := 0
		for _, n := range s.n {
			total += n
		}
		require.Equal(t, len(s.entries), total)
	})
}
