// Package natsstore keeps agents' checkpoints in a NATS JetStream stream, so
// that any machine of a cluster can bring an agent back.
//
// Each agent has a subject of its own in the stream. A record is one message, or
// several when it is larger than a message may be; it counts once its last
// message is there. Every write states what it believes the subject's last
// message to be, so that of two processes that write one agent only one wins.
//
// An acknowledged record is held by a majority of the stream's replicas. A
// server writes to its disk at once and syncs it every two minutes unless it is
// configured with "sync_interval: always". Reads are answered by the stream's
// leader; one that is cut off from the others and does not know yet that they
// have a new one answers with what it has.
package natsstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tokenring-ai/tokenring-go/agent"
)

// Options adjust a [Store].
type Options struct {
	// Stream is the name of the stream, which is made if it does not exist, and
	// the first token of its subjects. Empty means "TOKENRING-CHECKPOINTS".
	Stream string
	// Replicas is how many servers hold the stream when it is made: 1, 3 or 5.
	// 0 means 1.
	Replicas int
	// Memory keeps the stream in the servers' memory when it is made.
	Memory bool
	// Wait is how long an operation is repeated while the cluster has no
	// leader. 0 means 20 seconds; the caller's context may end it earlier.
	Wait time.Duration
}

const (
	defaultStream = "TOKENRING-CHECKPOINTS"
	defaultWait   = 20 * time.Second
	// tryTimeout bounds a single attempt.
	tryTimeout = 3 * time.Second
)

// Store is an [agent.Store] in JetStream. It is safe for concurrent use.
type Store struct {
	js     jetstream.JetStream
	stream jetstream.Stream
	name   string
	wait   time.Duration
}

var _ agent.Store = (*Store)(nil)

// Open uses or makes the stream. The connection stays the caller's.
func Open(ctx context.Context, nc *nats.Conn, opts Options) (*Store, error) {
	s := &Store{name: opts.Stream, wait: opts.Wait}
	if s.name == "" {
		s.name = defaultStream
	}
	if s.wait <= 0 {
		s.wait = defaultWait
	}
	if strings.ContainsAny(s.name, " .*>/\\\t\r\n") {
		return nil, fmt.Errorf("natsstore: stream name %q: want no space, '.', '*', '>' and slash", s.name)
	}
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, fmt.Errorf("natsstore: %w", err)
	}
	s.js = js
	storage := jetstream.FileStorage
	if opts.Memory {
		storage = jetstream.MemoryStorage
	}
	err = s.again(ctx, func(ctx context.Context) error {
		stream, err := js.Stream(ctx, s.name)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			stream, err = js.CreateStream(ctx, jetstream.StreamConfig{
				Name: s.name, Subjects: []string{s.name + ".>"}, Storage: storage, Replicas: max(1, opts.Replicas),
				Description: "checkpoints of agents", Discard: jetstream.DiscardNew,
			})
			if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
				return errBehind
			}
		}
		s.stream = stream
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("natsstore: open stream %s: %w", s.name, err)
	}
	return s, nil
}

// again repeats fn while the cluster cannot answer or another write comes first.
// The context of fn is for a single request to the server.
func (s *Store) again(ctx context.Context, fn func(context.Context) error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	deadline := time.Now().Add(s.wait)
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		try, cancel := context.WithTimeout(ctx, tryTimeout)
		err := fn(try)
		cancel()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil && (passing(err) || errors.Is(err, context.Canceled)) {
			return context.Cause(ctx)
		}
		if !passing(err) {
			return err
		}
		if time.Now().Add(pause).After(deadline) {
			return fmt.Errorf("no success within %s: %w", s.wait, err)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// errBehind says that the server that answered does not know the stream yet.
var errBehind = errors.New("a server is behind")

// passing reports whether an error is one of a cluster that is looking for a
// leader or learns of a stream, of a connection that is being made again or of a
// write that lost to another.
func passing(err error) bool {
	for _, known := range []error{
		errMoved, errBehind, context.DeadlineExceeded, nats.ErrTimeout, nats.ErrNoResponders, nats.ErrNoStreamResponse, nats.ErrDisconnected,
		nats.ErrConnectionReconnecting, nats.ErrReconnectBufExceeded, jetstream.ErrNoStreamResponse, jetstream.ErrJetStreamNotEnabled,
	} {
		if errors.Is(err, known) {
			return true
		}
	}
	var api *jetstream.APIError
	return errors.As(err, &api) && api.Code >= 500
}

// subject returns the subject of an agent. IDs may hold what subjects may not.
func (s *Store) subject(agentID string) string { return s.name + "." + escape(agentID) }

func escape(id string) string {
	var b strings.Builder
	for i := range len(id) {
		switch c := id[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_':
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02x", c)
		}
	}
	return b.String()
}

func unescape(token string) (string, bool) {
	var b strings.Builder
	for i := 0; i < len(token); i++ {
		if token[i] != '%' {
			b.WriteByte(token[i])
			continue
		}
		var c byte
		if i+2 >= len(token) {
			return "", false
		}
		if _, err := fmt.Sscanf(token[i+1:i+3], "%02x", &c); err != nil {
			return "", false
		}
		b.WriteByte(c)
		i += 2
	}
	return b.String(), true
}
