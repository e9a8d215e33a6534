package natsqueue_test

import (
	"encoding/json"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/queue"
	"github.com/tokenring-ai/tokenring-go/queue/natsqueue"
)

// between lets a function answer the requests to a subject of the server.
func between(t *testing.T, s *server.Server, subject string, fn nats.MsgHandler) *nats.Conn {
	nc, err := nats.Connect(s.ClientURL())
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	account, err := s.LookupAccount("$G")
	require.NoError(t, err)
	require.NoError(t, account.AddMapping(subject, "asked"))
	_, err = nc.Subscribe("asked", fn)
	require.NoError(t, err)
	require.NoError(t, nc.Flush())
	return nc
}

// TestLookIntoABusyQueue asks about a queue to which another handle adds an item
// whenever somebody asks where its log ends.
func TestLookIntoABusyQueue(t *testing.T) {
	t.Parallel()
	s := newServer(t, server.Options{})
	busy, q := connect(t, s.ClientURL(), natsqueue.Options{}), connect(t, s.ClientURL(), natsqueue.Options{})
	var js jetstream.JetStream
	var asked atomic.Int64
	nc := between(t, s, "$JS.API.STREAM.INFO."+streamName, func(m *nats.Msg) {
		if asked.Add(1) < 100 {
			_, err := busy.Enqueue(t.Context(), queue.Item{})
			assert.NoError(t, err)
		}
		for info := range js.ListStreams(t.Context()).Info() {
			data, err := json.Marshal(info)
			assert.NoError(t, err)
			_ = m.Respond(data)
		}
	})
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	depth, err := q.Depth(t.Context())
	require.NoError(t, err)
	assert.Positive(t, depth.Ready)
	assert.Less(t, asked.Load(), int64(10), "what came after the call need not be known")
}

// TestAnswerWithAHole has an answer of many messages lose the first one, one in the
// middle, and its end, as when the connection breaks and is made again meanwhile.
func TestAnswerWithAHole(t *testing.T) {
	t.Parallel()
	s := newServer(t, server.Options{})
	const n = 5
	a := connect(t, s.ClientURL(), natsqueue.Options{})
	for i := range n {
		_, err := a.Enqueue(t.Context(), queue.Item{Name: fmt.Sprint(i)})
		require.NoError(t, err)
	}
	var answers atomic.Int64
	var nc *nats.Conn
	nc = between(t, s, "$JS.API.DIRECT.GET."+streamName, func(m *nats.Msg) {
		var request struct{ Seq uint64 }
		assert.NoError(t, json.Unmarshal(m.Data, &request))
		hole := uint64(0)
		nth := answers.Add(1)
		if nth < 3 {
			hole = request.Seq + uint64(nth) - 1
		}
		for seq := request.Seq; seq <= n; seq++ {
			if seq == hole {
				continue
			}
			reply, err := nc.Request("$JS.API.STREAM.MSG.GET."+streamName, fmt.Appendf(nil, `{"seq":%d}`, seq), nats.DefaultTimeout*10)
			if !assert.NoError(t, err) {
				return
			}
			var stored struct {
				Message struct{ Data []byte }
			}
			assert.NoError(t, json.Unmarshal(reply.Data, &stored))
			answer := nats.NewMsg(m.Reply)
			answer.Header.Set(jetstream.SequenceHeader, fmt.Sprint(seq))
			answer.Data = stored.Message.Data
			assert.NoError(t, nc.PublishMsg(answer))
		}
		if nth == 3 {
			return
		}
		end := nats.NewMsg(m.Reply)
		end.Header.Set("Status", "204")
		assert.NoError(t, nc.PublishMsg(end))
	})
	b := connect(t, s.ClientURL(), natsqueue.Options{})
	var got []string
	for it, err := range b.List(t.Context(), queue.Filter{}) {
		require.NoError(t, err)
		got = append(got, it.Name)
	}
	assert.Equal(t, []string{"0", "1", "2", "3", "4"}, got)
	assert.EqualValues(t, 3, answers.Load(), "what came of the last one is used")
}
