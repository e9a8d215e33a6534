package natsqueue_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/queue"
	"github.com/tokenring-ai/tokenring-go/queue/natsqueue"
)

// leaders stands between queues and their stream and answers as the leaders of a
// cluster do while they change: it stores without saying so, refuses what nothing
// conflicts with, stores later what it refused meanwhile, or never does, and tells
// of an end of the stream that was passed long ago.
type leaders struct {
	nc     *nats.Conn
	js     jetstream.JetStream
	faults atomic.Int64

	mu       sync.Mutex
	rng      *rand.Rand
	proposed *nats.Msg // neither stored nor forgotten yet
	refusals int       // until its fate is decided
	stale    []byte    // an old answer about the stream
}

const streamName = "TOKENRING-QUEUE"

// startLeaders returns the address at which queues find the stream.
func startLeaders(t *testing.T) (string, *leaders) {
	s := newServer(t, server.Options{})
	nc, err := nats.Connect(s.ClientURL())
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{
		Name: streamName, Subjects: []string{"stored"}, AllowDirect: true,
		RePublish: &jetstream.RePublish{Source: "stored", Destination: streamName + ".news", HeadersOnly: true},
	})
	require.NoError(t, err)
	l := &leaders{nc: nc, js: js, rng: rand.New(rand.NewPCG(1, 2))}
	_, err = nc.Subscribe(streamName+".log", l.publish)
	require.NoError(t, err)
	account, err := s.LookupAccount("$G")
	require.NoError(t, err)
	require.NoError(t, account.AddMapping("$JS.API.STREAM.INFO."+streamName, "asked"))
	_, err = nc.Subscribe("asked", func(m *nats.Msg) { l.info(t, m) })
	require.NoError(t, err)
	require.NoError(t, nc.Flush())
	return s.ClientURL(), l
}

// answer stands for none where its code says that the service is unavailable: the
// client must repeat what it asked, and needs not wait for that.
func answer(m *nats.Msg, code, errCode int) {
	_ = m.Respond(fmt.Appendf(nil, `{"error":{"code":%d,"err_code":%d,"description":"wrong last sequence"}}`, code, errCode))
}

// store passes a transaction to the stream and returns what that says.
func (l *leaders) store(m *nats.Msg) *nats.Msg {
	to := nats.NewMsg("stored")
	to.Header, to.Data = m.Header, m.Data
	reply, err := l.nc.RequestMsg(to, 20*time.Second)
	if err != nil {
		return &nats.Msg{}
	}
	return reply
}

func (l *leaders) publish(m *nats.Msg) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.proposed != nil {
		if l.refusals--; l.refusals >= 0 {
			answer(m, 400, 10164)
			return
		}
		if l.rng.IntN(2) == 0 {
			l.store(l.proposed)
		}
		l.proposed = nil
	}
	fault := l.rng.IntN(8)
	if fault < 5 {
		l.faults.Add(1)
	}
	switch fault {
	case 0, 1: // its fate is open; others are refused for it meanwhile
		l.proposed, l.refusals = m, l.rng.IntN(4)
		answer(m, 503, 10008)
	case 2: // the answer is lost
		l.store(m)
		answer(m, 503, 10008)
	case 3:
		answer(m, 400, 10071)
	case 4:
		answer(m, 400, 10164)
	default:
		_ = m.Respond(l.store(m).Data)
	}
}

// info answers where the stream ends; sometimes as a server that leads no more.
func (l *leaders) info(t *testing.T, m *nats.Msg) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fault := l.rng.IntN(4)
	switch {
	case fault == 0 && l.stale != nil:
		_ = m.Respond(l.stale)
		return
	case fault == 1 && l.stale != nil: // or was started just now and knows nothing yet
		answer(m, 404, 10059)
		return
	}
	for info := range l.js.ListStreams(t.Context()).Info() {
		info.Config.Replicas = 3
		data, err := json.Marshal(info)
		assert.NoError(t, err)
		if l.stale == nil || fault == 2 {
			l.stale = data
		}
		_ = m.Respond(data)
	}
}

// TestAnswersThatDecideNothing has several handles work through changes of the
// leader: every call takes effect once, and says so.
func TestAnswersThatDecideNothing(t *testing.T) {
	t.Parallel()
	url, l := startLeaders(t)
	producers, each := 3, 8
	if os.Getenv("TOKENRING_LONG") != "" {
		each = 100
	}
	var mu sync.Mutex
	got := map[string]int{}
	var wg sync.WaitGroup
	for p := range producers {
		q := connect(t, url, natsqueue.Options{Wait: time.Minute})
		wg.Go(func() {
			for i := range each {
				it := queue.Item{Name: fmt.Sprintf("%d/%d", p, i)}
				if i%2 == 0 {
					it.ID = it.Name // which a second try would find taken
				}
				if _, err := q.Enqueue(t.Context(), it); !assert.NoError(t, err) {
					return
				}
				d, err := q.Receive(t.Context())
				if !assert.NoError(t, err) || !assert.NoError(t, q.Extend(t.Context(), d.Lease)) || !assert.NoError(t, q.Ack(t.Context(), d.Lease)) {
					return
				}
				mu.Lock()
				got[d.Item.Name]++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	assert.Len(t, got, producers*each)
	for name, n := range got {
		assert.Equal(t, 1, n, name)
	}
	depth, err := connect(t, url, natsqueue.Options{Wait: time.Minute}).Depth(t.Context())
	require.NoError(t, err)
	assert.Equal(t, queue.Depth{}, depth)
	assert.Greater(t, l.faults.Load(), int64(producers*each/2))
}
