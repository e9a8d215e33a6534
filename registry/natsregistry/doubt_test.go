package natsregistry_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/registry/natsregistry"
)

// leaders stands between registries and their bucket and answers as the leaders of
// a cluster do while they change: it stores without saying so, refuses what nothing
// conflicts with, stores later what it refused meanwhile, or never does, and reads
// what is not there any more.
type leaders struct {
	nc     *nats.Conn
	faults atomic.Int64

	mu       sync.Mutex
	rng      *rand.Rand
	proposed *nats.Msg // neither stored nor forgotten yet
	refusals int       // until its fate is decided
	stale    map[string][]byte
}

const bucketName = "TOKENRING-REGISTRY"

// startLeaders returns the address at which registries find the bucket.
func startLeaders(t *testing.T) (string, *leaders) {
	s := alone(t)
	nc := connect(t, s.ClientURL())
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{
		Name: "KV_" + bucketName, Subjects: []string{"stored.*"}, MaxMsgsPerSubject: 1, AllowDirect: true, AllowRollup: true, DenyDelete: true,
		SubjectTransform: &jetstream.SubjectTransformConfig{Source: "stored.*", Destination: "$KV." + bucketName + ".{{wildcard(1)}}"},
	})
	require.NoError(t, err)
	l := &leaders{nc: nc, rng: rand.New(rand.NewPCG(1, 2)), stale: map[string][]byte{}}
	_, err = nc.Subscribe("$KV."+bucketName+".*", l.write)
	require.NoError(t, err)
	account, err := s.LookupAccount("$G")
	require.NoError(t, err)
	require.NoError(t, account.AddMapping("$JS.API.STREAM.MSG.GET.KV_"+bucketName, "asked"))
	_, err = nc.Subscribe("asked", func(m *nats.Msg) { l.read(t, m) })
	require.NoError(t, err)
	require.NoError(t, nc.Flush())
	return s.ClientURL(), l
}

// answer stands for none where its code says that the service is unavailable: the
// client must repeat what it asked, and needs not wait for that.
func answer(m *nats.Msg, code, errCode int) {
	_ = m.Respond(fmt.Appendf(nil, `{"error":{"code":%d,"err_code":%d,"description":"wrong last sequence"}}`, code, errCode))
}

// store passes a write to the bucket and returns what that says.
func (l *leaders) store(m *nats.Msg) []byte {
	to := nats.NewMsg("stored" + m.Subject[strings.LastIndexByte(m.Subject, '.'):])
	to.Header, to.Data = m.Header, m.Data
	reply, err := l.nc.RequestMsg(to, 20*time.Second)
	if err != nil {
		return nil
	}
	return reply.Data
}

func (l *leaders) write(m *nats.Msg) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.proposed != nil && l.proposed.Subject == m.Subject {
		if l.refusals--; l.refusals >= 0 {
			answer(m, 400, 10164)
			return
		}
		if l.rng.IntN(2) == 0 {
			l.store(l.proposed)
		}
		l.proposed = nil
	}
	fault := l.rng.IntN(10)
	if fault < 5 {
		l.faults.Add(1)
	}
	switch {
	case fault < 2 && l.proposed == nil: // its fate is open; others are refused for it meanwhile
		l.proposed, l.refusals = m, l.rng.IntN(4)
		answer(m, 503, 10008)
	case fault == 2: // the answer is lost
		l.store(m)
		answer(m, 503, 10008)
	case fault == 3:
		answer(m, 400, 10071)
	case fault == 4:
		answer(m, 400, 10164)
	default:
		_ = m.Respond(l.store(m))
	}
}

// read answers what a key has; sometimes as a server that leads no more.
func (l *leaders) read(t *testing.T, m *nats.Msg) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var req struct {
		Subject string `json:"last_by_subj"`
	}
	assert.NoError(t, json.Unmarshal(m.Data, &req))
	old := l.stale[req.Subject]
	if old != nil && l.rng.IntN(3) == 0 {
		_ = m.Respond(old)
		return
	}
	data := []byte(`{"error":{"code":404,"err_code":10037,"description":"no message found"}}`)
	reply, err := l.nc.Request("$JS.API.DIRECT.GET.KV_"+bucketName+"."+req.Subject, nil, 20*time.Second)
	if !assert.NoError(t, err) {
		return
	}
	if reply.Header.Get("Status") == "" {
		var seq uint64
		_, err = fmt.Sscan(reply.Header.Get(jetstream.SequenceHeader), &seq)
		assert.NoError(t, err)
		header := "NATS/1.0\r\n"
		if op := reply.Header.Get("KV-Operation"); op != "" {
			header += "KV-Operation: " + op + "\r\n"
		}
		data, err = json.Marshal(map[string]any{"message": map[string]any{
			"subject": req.Subject, "seq": seq, "data": reply.Data, "hdrs": []byte(header + "\r\n"), "time": time.Now(),
		}})
		assert.NoError(t, err)
	}
	if reply.Header.Get("Status") == "" && (old == nil || l.rng.IntN(3) == 0) {
		l.stale[req.Subject] = data
	}
	_ = m.Respond(data)
}

// TestAnswersThatDecideNothing has members come, change and go through changes of
// the leader: none loses its name, and none stays behind.
func TestAnswersThatDecideNothing(t *testing.T) {
	t.Parallel()
	url, l := startLeaders(t)
	opts := options{TTL: 30 * time.Second, Heartbeat: 50 * time.Millisecond}
	watcher := open(t, connect(t, url), opts)
	const machines, each = 3, 12
	var wg sync.WaitGroup
	for p := range machines {
		r := open(t, connect(t, url), opts)
		wg.Go(func() {
			var last *natsregistry.Member[service]
			for i := range each {
				name := fmt.Sprintf("%d-%d", p, i%2) // a name that was left is free at once
				m, err := r.Register(t.Context(), name, service{Addr: name})
				if !assert.NoError(t, err) || !assert.NoError(t, m.Update(t.Context(), service{Addr: name, Load: i})) {
					return
				}
				if last = m; i < each-1 {
					assert.NoError(t, m.Leave(t.Context()))
					assert.ErrorIs(t, m.Err(), natsregistry.ErrClosed)
				}
			}
			assert.NoError(t, last.Err())
		})
	}
	wg.Wait()
	until(t, watcher, "the last of each machine", func() bool {
		n := 0
		for _, v := range watcher.Members().All() {
			if v.Load == each-1 {
				n++
			}
		}
		return n == machines && watcher.Members().Len() == machines
	})
	assert.Greater(t, l.faults.Load(), int64(machines*each/2))
}
