package natsregistry_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/registry"
	"github.com/tokenring-ai/tokenring-go/registry/natsregistry"
)

// service is what the members of these tests are.
type service struct {
	Addr  string `json:"addr"`
	Load  int    `json:"load,omitempty"`
	Extra []string
}

type options = natsregistry.Options[service]

const (
	ttl  = 3 * time.Second
	soon = 30 * time.Second
)

func open(t testing.TB, nc *nats.Conn, opts options) *natsregistry.Registry[service] {
	t.Helper()
	if opts.TTL == 0 {
		opts.TTL = ttl
	}
	if opts.Heartbeat == 0 {
		opts.Heartbeat = opts.TTL / 6 // a busy machine is not a silent one
	}
	opts.Kind, opts.Logger = "service", slog.New(slog.DiscardHandler)
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	r, err := natsregistry.Open(ctx, nc, opts)
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		_ = r.Close(ctx) // the server may be gone
	})
	return r
}

// until waits for a change that makes ok true.
func until(t testing.TB, r *natsregistry.Registry[service], what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	if ok() {
		return
	}
	for range r.Members().Watch(ctx) {
		if ok() {
			return
		}
	}
	require.True(t, ok(), "%s; there are %q", what, slices.Collect(r.Members().Names()))
}

func has(r *natsregistry.Registry[service], name string) func() bool {
	return func() bool { _, ok := r.Members().Get(name); return ok }
}

func hasNot(r *natsregistry.Registry[service], name string) func() bool {
	return func() bool { _, ok := r.Members().Get(name); return !ok }
}

func TestMembersAreSeenEverywhere(t *testing.T) {
	t.Parallel()
	s := alone(t)
	a, b := open(t, connect(t, s.ClientURL()), options{}), open(t, connect(t, s.ClientURL()), options{})

	waited := make(chan error, 1)
	go func() {
		v, err := b.Members().Wait(t.Context(), "chat/eu west.1")
		if err == nil && v.Addr != "10.0.0.1" {
			err = fmt.Errorf("got %+v", v)
		}
		waited <- err
	}()
	const name = "chat/eu west.1" // with what a key may not have
	m, err := a.Register(t.Context(), name, service{Addr: "10.0.0.1"})
	require.NoError(t, err)
	require.True(t, has(a, name)(), "in the own mirror at once")
	require.NoError(t, <-waited)

	_, err = b.Register(t.Context(), name, service{})
	require.ErrorIs(t, err, registry.ErrExists)
	_, err = a.Register(t.Context(), name, service{})
	require.ErrorIs(t, err, registry.ErrExists)

	require.NoError(t, m.Update(t.Context(), service{Addr: "10.0.0.1", Load: 7}))
	until(t, b, "the new value", func() bool { v, _ := b.Members().Get(name); return v.Load == 7 })
	require.NoError(t, m.Err())

	require.NoError(t, m.Leave(t.Context()))
	require.NoError(t, m.Leave(t.Context()))
	require.False(t, has(a, name)())
	until(t, b, "left", hasNot(b, name))
	<-m.Done()
	require.ErrorIs(t, m.Err(), natsregistry.ErrClosed)
	require.ErrorIs(t, m.Update(t.Context(), service{}), natsregistry.ErrClosed)

	again, err := b.Register(t.Context(), name, service{Addr: "b"})
	require.NoError(t, err, "the name is free")
	until(t, a, "registered again", has(a, name))
	require.Equal(t, name, again.Name())
	require.NoError(t, b.Close(t.Context()))
	require.NoError(t, b.Close(t.Context()))
	until(t, a, "closed", hasNot(a, name))
	_, err = b.Register(t.Context(), "x", service{})
	require.ErrorIs(t, err, natsregistry.ErrClosed)
}

func TestWatchSeesNoHeartbeats(t *testing.T) {
	t.Parallel()
	s := alone(t)
	nc := connect(t, s.ClientURL())
	opts := options{TTL: time.Minute, Heartbeat: 20 * time.Millisecond}
	a, b := open(t, nc, opts), open(t, connect(t, s.ClientURL()), opts)
	_, err := a.Register(t.Context(), "x", service{Addr: "1"})
	require.NoError(t, err)
	beats, err := bucket(t, nc).Watch(t.Context(), "x", jetstream.UpdatesOnly())
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	go func() {
		for range 20 {
			<-beats.Updates()
		}
		_, err := a.Register(t.Context(), "y", service{})
		assert.NoError(t, err)
	}()
	var changes []string
	for c := range b.Members().Watch(ctx) {
		if changes = append(changes, fmt.Sprint(c.Kind, c.Name)); c.Name == "y" {
			break
		}
	}
	require.Equal(t, []string{fmt.Sprint(registry.Added, "x"), fmt.Sprint(registry.Added, "y")}, changes, "twenty heartbeats are no changes")
	require.NoError(t, beats.Stop())
}

func TestBalancerSkipsTheSilent(t *testing.T) {
	t.Parallel()
	s := alone(t)
	here := open(t, connect(t, s.ClientURL()), options{})
	dead := connect(t, s.ClientURL())
	there, doomed := open(t, connect(t, s.ClientURL()), options{}), open(t, dead, options{})
	_, err := there.Register(t.Context(), "alive", service{Addr: "1"})
	require.NoError(t, err)
	_, err = doomed.Register(t.Context(), "doomed", service{Addr: "2"})
	require.NoError(t, err)
	until(t, here, "both", func() bool { return here.Members().Len() == 2 })

	balancer := registry.NewBalancer(here.Members().All, registry.BalancerOptions[service]{})
	picked := func() map[string]int {
		counts := map[string]int{}
		for range 10 {
			p, err := balancer.Pick()
			require.NoError(t, err)
			p.Done(nil)
			counts[p.Name]++
		}
		return counts
	}
	require.Equal(t, map[string]int{"alive": 5, "doomed": 5}, picked())
	dead.Close() // as if its process had died
	until(t, here, "silent", hasNot(here, "doomed"))
	require.Equal(t, map[string]int{"alive": 10}, picked())
	require.EqualValues(t, 1, here.Stats().Silenced)

	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	_, err = here.Register(ctx, "doomed", service{Addr: "3"})
	require.NoError(t, err, "the name of a silent member may be taken")
	until(t, there, "taken", func() bool { v, _ := there.Members().Get("doomed"); return v.Addr == "3" })
}

func bucket(t testing.TB, nc *nats.Conn) jetstream.KeyValue {
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	kv, err := js.KeyValue(t.Context(), "TOKENRING-REGISTRY")
	require.NoError(t, err)
	return kv
}

type rejections struct {
	mu   sync.Mutex
	keys []string
}

func (r *rejections) add(key string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keys = append(r.keys, key)
}

func TestHostileEntriesAreReportedAndSkipped(t *testing.T) {
	t.Parallel()
	s := alone(t)
	nc := connect(t, s.ClientURL())
	open(t, nc, options{}) // makes the bucket
	kv := bucket(t, nc)
	hostile := map[string]string{
		"nojson":                 "\x00\xff{",
		"empty":                  "",
		"list":                   "[]",
		"noinstance":             `{"value":{"addr":"x"}}`,
		"novalue":                `{"instance":"i"}`,
		"wrongtype":              `{"instance":"i","value":{"addr":7}}`,
		"deep":                   `{"instance":"i","value":` + strings.Repeat("[", 20000) + strings.Repeat("]", 20000) + `}`,
		"refused":                `{"instance":"i","value":{"addr":"refused"}}`,
		"bad=zzescape":           `{"instance":"i","value":{}}`,
		"=41":                    `{"instance":"i","value":{}}`, // "A" written in another way
		"dotted.key":             `{"instance":"i","value":{}}`,
		strings.Repeat("n", 300): `{"instance":"i","value":{}}`,
	}
	for k, v := range hostile {
		_, err := kv.PutString(t.Context(), k, v)
		require.NoError(t, err, k)
	}
	_, err := kv.PutString(t.Context(), "good", `{"instance":"i","value":{"addr":"ok"},"more":1}`)
	require.NoError(t, err)

	var rejected rejections
	opts := options{Rejected: rejected.add, MaxMembers: 2, Check: func(name string, v service) error {
		if v.Addr == "refused" {
			return errors.New("refused")
		}
		return nil
	}}
	r := open(t, nc, opts)
	require.Equal(t, []string{"good"}, slices.Collect(r.Members().Names()))
	require.EqualValues(t, len(hostile), r.Stats().Rejected)
	rejected.mu.Lock()
	require.Len(t, rejected.keys, len(hostile))
	rejected.mu.Unlock()

	m, err := r.Register(t.Context(), "mine", service{Addr: "1"})
	require.NoError(t, err)
	_, err = r.Register(t.Context(), "third", service{Addr: "1"})
	require.ErrorContains(t, err, "more than 2 members")

	// Garbage over a member neither ends it nor changes what others see.
	before := r.Stats().Rejected
	_, err = kv.PutString(t.Context(), "mine", "garbage")
	require.NoError(t, err)
	require.NoError(t, m.Update(t.Context(), service{Addr: "2"}))
	v, err := r.Members().Require("mine")
	require.NoError(t, err)
	require.Equal(t, "2", v.Addr)
	require.NoError(t, m.Err())
	require.GreaterOrEqual(t, r.Stats().Rejected, before)

	for _, bad := range []struct {
		name string
		v    service
	}{{"", service{}}, {strings.Repeat("x", 257), service{}}, {"big", service{Addr: strings.Repeat("x", 70<<10)}}} {
		_, err = r.Register(t.Context(), bad.name, bad.v)
		require.Error(t, err)
	}
}

// panicky is a type whose decoding fails as badly as it can.
type panicky struct{ N int }

func (p *panicky) UnmarshalJSON(data []byte) error {
	if string(data) == "13" {
		panic("unlucky")
	}
	return nil
}

func TestDecodingThatPanics(t *testing.T) {
	t.Parallel()
	s := alone(t)
	nc := connect(t, s.ClientURL())
	open(t, nc, options{})
	_, err := bucket(t, nc).PutString(t.Context(), "x", `{"instance":"i","value":13}`)
	require.NoError(t, err)
	r, err := natsregistry.Open(t.Context(), nc, natsregistry.Options[panicky]{Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	require.EqualValues(t, 1, r.Stats().Rejected)
	require.NoError(t, r.Close(t.Context()))
}

func TestNameThatWasTakenIsLost(t *testing.T) {
	t.Parallel()
	s := alone(t)
	nc := connect(t, s.ClientURL())
	r := open(t, nc, options{})
	m, err := r.Register(t.Context(), "x", service{Addr: "1"})
	require.NoError(t, err)
	_, err = bucket(t, nc).PutString(t.Context(), "x", `{"instance":"other","value":{"addr":"2"}}`)
	require.NoError(t, err)
	<-m.Done()
	require.ErrorIs(t, m.Err(), natsregistry.ErrLost)
	require.NoError(t, m.Leave(t.Context()), "and does not delete the other's")
	v, ok := r.Members().Get("x")
	require.True(t, ok)
	require.Equal(t, "2", v.Addr)
}

func TestDeletedBucketIsMadeAgain(t *testing.T) {
	t.Parallel()
	s := alone(t)
	nc := connect(t, s.ClientURL())
	a, b := open(t, nc, options{}), open(t, connect(t, s.ClientURL()), options{})
	_, err := a.Register(t.Context(), "x", service{Addr: "1"})
	require.NoError(t, err)
	until(t, b, "x", has(b, "x"))
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	require.NoError(t, js.DeleteKeyValue(t.Context(), "TOKENRING-REGISTRY"))
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	_, err = a.Register(ctx, "y", service{Addr: "2"})
	require.NoError(t, err)
	until(t, b, "y", has(b, "y"))
	until(t, b, "x", has(b, "x"))
}

func TestReconnect(t *testing.T) {
	t.Parallel()
	dir, port := t.TempDir(), freePorts(t, 1)[0]
	s := startAt(t, dir, port)
	t.Cleanup(func() { stop(s) }) // after the registries have closed
	a, b := open(t, connect(t, s.ClientURL()), options{}), open(t, connect(t, s.ClientURL()), options{})
	_, err := a.Register(t.Context(), "x", service{Addr: "1"})
	require.NoError(t, err)
	until(t, b, "x", has(b, "x"))
	stop(s)

	// For longer than the TTL nobody can be heard, and so nobody is silent.
	ctx, cancel := context.WithTimeout(t.Context(), 2*ttl)
	defer cancel()
	for c := range b.Members().Watch(ctx) {
		require.NotEqual(t, registry.Removed, c.Kind)
	}
	s = startAt(t, dir, port)
	registering, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	_, err = a.Register(registering, "y", service{Addr: "2"})
	require.NoError(t, err)
	until(t, b, "y", has(b, "y"))
	require.True(t, has(b, "x")())
	require.Zero(t, b.Stats().Silenced)
}

// TestLeaderKilled kills and restarts the leader of the bucket, again and again,
// while members come, change, go and fall silent.
func TestLeaderKilled(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	wide := options{Replicas: 3, TTL: 6 * time.Second}
	nc := connect(t, c.urls()...)
	a := open(t, nc, wide)
	b := open(t, connect(t, c.urls()...), wide)
	_, err := a.Register(t.Context(), "steady", service{Addr: "1"})
	require.NoError(t, err)
	until(t, b, "steady", has(b, "steady"))
	balancer := registry.NewBalancer(b.Members().All, registry.BalancerOptions[service]{})

	rounds := 1
	if os.Getenv("TOKENRING_LONG") == "1" {
		rounds = 30
	}
	for i := range rounds {
		name, doomed := fmt.Sprint("round", i), fmt.Sprint("doomed", i)
		dead := connect(t, c.urls()...)
		_, err = open(t, dead, wide).Register(t.Context(), doomed, service{Addr: "2"})
		require.NoError(t, err)
		until(t, b, "doomed", has(b, doomed))
		dead.Close()

		n := c.leader(nc)
		stop(c.nodes[n])
		ctx, cancel := context.WithTimeout(t.Context(), 2*soon)
		m, err := a.Register(ctx, name, service{Addr: name})
		require.NoError(t, err, "with one of three servers down")
		_, err = b.Members().Wait(ctx, name)
		require.NoError(t, err)
		c.up(n)
		require.NoError(t, m.Update(ctx, service{Addr: name, Load: 1}))
		until(t, b, "updated", func() bool { v, _ := b.Members().Get(name); return v.Load == 1 })
		require.NoError(t, m.Leave(ctx))
		until(t, b, "left", hasNot(b, name))
		cancel()
		until(t, b, "silent", hasNot(b, doomed))
		p, err := balancer.Pick()
		require.NoError(t, err)
		p.Done(nil)
		require.Equal(t, "steady", p.Name)
	}
	require.EqualValues(t, rounds, b.Stats().Silenced, "none but those that were")
}

func TestOpenFailures(t *testing.T) {
	t.Parallel()
	s := alone(t)
	nc := connect(t, s.ClientURL())
	_, err := natsregistry.Open(t.Context(), nc, options{Bucket: "no.dots allowed"})
	require.ErrorIs(t, err, jetstream.ErrInvalidBucketName)
	_, err = natsregistry.Open(t.Context(), nc, options{Replicas: 2})
	require.ErrorContains(t, err, "2 replicas")
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("enough")
	cancel(cause)
	_, err = natsregistry.Open(ctx, nc, options{})
	require.ErrorIs(t, err, cause)
	stop(s)
	short, cancelShort := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancelShort()
	_, err = natsregistry.Open(short, nc, options{})
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

func TestLimitsThatAreNone(t *testing.T) {
	t.Parallel()
	s := alone(t)
	opts := options{TTL: math.MaxInt64, MaxBytes: math.MaxInt, MaxMembers: math.MaxInt}
	a, b := open(t, connect(t, s.ClientURL()), opts), open(t, connect(t, s.ClientURL()), opts)
	_, err := a.Register(t.Context(), "x", service{Addr: "1"})
	require.NoError(t, err)
	until(t, b, "x", has(b, "x"))
	require.Zero(t, b.Stats().Rejected)
}

func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	s := alone(t)
	nc := connect(t, s.ClientURL())
	a, b := open(t, nc, options{}), open(t, connect(t, s.ClientURL()), options{})
	var wg sync.WaitGroup
	won := make(chan int, 8)
	for i := range 8 {
		wg.Go(func() {
			if _, err := a.Register(t.Context(), "one of eight", service{Load: i}); err == nil {
				won <- i
			}
			m, err := b.Register(t.Context(), fmt.Sprint("own", i), service{Load: i})
			if err != nil {
				t.Error(err)
				return
			}
			for j := range 10 {
				if err := m.Update(t.Context(), service{Load: j}); err != nil {
					t.Error(err)
				}
			}
			if i%2 == 0 {
				if err := m.Leave(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	require.Len(t, won, 1, "a name has one owner")
	for _, r := range []*natsregistry.Registry[service]{a, b} {
		until(t, r, "five", func() bool {
			n := 0
			for name, v := range r.Members().All() {
				if strings.HasPrefix(name, "own") && v.Load == 9 {
					n++
				}
			}
			return n == 4 && r.Members().Len() == 5
		})
	}
}
