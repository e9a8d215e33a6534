package natsqueue

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	tryTimeout = 3 * time.Second // of one attempt
	readBatch  = 256             // messages of one direct get
)

// eventlog is the stream. Only the goroutine of the writer uses it.
type eventlog struct {
	nc      *nats.Conn
	js      jetstream.JetStream
	stream  jetstream.Stream
	name    string
	wait    time.Duration
	applied uint64 // the last message that the state has seen
	purged  uint64 // the log begins after it
	sizes   int    // bytes in the log, about
	offset  int64  // the stream's clock minus ours
	started time.Time
}

// now is the time by the stream's clock.
func (l *eventlog) now() int64 { return int64(time.Since(l.started)) + l.offset }

// observe sets the clock by a timestamp that was made just now or before.
func (l *eventlog) observe(at time.Time) {
	l.offset = max(l.offset, at.UnixNano()-int64(time.Since(l.started)))
}

func (l *eventlog) open(ctx context.Context, opts *Options) error {
	storage := jetstream.FileStorage
	if opts.Memory {
		storage = jetstream.MemoryStorage
	}
	return l.again(ctx, func(ctx context.Context) error {
		stream, err := l.js.Stream(ctx, l.name)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			stream, err = l.js.CreateStream(ctx, jetstream.StreamConfig{
				Name: l.name, Subjects: []string{l.name + ".log"}, Storage: storage, Replicas: max(1, opts.Replicas),
				Description: "work queue", Discard: jetstream.DiscardNew, AllowDirect: true, DenyDelete: true,
				RePublish: &jetstream.RePublish{Source: l.name + ".log", Destination: l.name + ".news", HeadersOnly: true},
			})
		}
		l.stream = stream
		return err
	})
}

// again repeats fn while the cluster cannot answer.
func (l *eventlog) again(ctx context.Context, fn func(context.Context) error) error {
	deadline := time.Now().Add(l.wait)
	for pause := 5 * time.Millisecond; ; pause = min(2*pause, 500*time.Millisecond) {
		try, cancel := context.WithTimeout(ctx, tryTimeout)
		err := fn(try)
		cancel()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if !passing(err) {
			if full(err) {
				return fmt.Errorf("%w: %w", ErrNoSpace, err)
			}
			return err
		}
		if time.Now().Add(pause).After(deadline) {
			return fmt.Errorf("%w: no answer within %v: %w", ErrUnavailable, l.wait, err)
		}
		t := time.NewTimer(pause)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return context.Cause(ctx)
		}
	}
}

// append adds a transaction behind the last one applied. It is repeated as it
// is until there is a definite answer: since it names its predecessor, it cannot
// take effect twice.
func (l *eventlog) append(ctx context.Context, data []byte) (uint64, error) {
	var seq uint64
	err := l.again(ctx, func(ctx context.Context) error {
		msg := nats.NewMsg(l.name + ".log")
		msg.Data = data
		ack, err := l.js.PublishMsg(ctx, msg, jetstream.WithExpectLastSequence(l.applied))
		if err == nil {
			seq = ack.Sequence
		}
		return err
	})
	return seq, err
}

// last asks for the number of the last message.
func (l *eventlog) last(ctx context.Context) (uint64, error) {
	var last uint64
	err := l.again(ctx, func(ctx context.Context) error {
		info, err := l.stream.Info(ctx)
		if err == nil {
			last = info.State.LastSeq
			l.observe(info.TimeStamp)
			if l.applied == 0 && last > 0 {
				l.purged = info.State.FirstSeq - 1
			}
			l.sizes = int(info.State.Bytes)
		}
		return err
	})
	return last, err
}

// message is one message of the log.
type message struct {
	seq  uint64
	data []byte
}

// read returns some of the messages after the last one applied, of which there
// must be one.
func (l *eventlog) read(ctx context.Context) ([]message, error) {
	var found []message
	err := l.again(ctx, func(ctx context.Context) error {
		found = nil
		inbox := nats.NewInbox()
		sub, err := l.nc.SubscribeSync(inbox)
		if err != nil {
			return err
		}
		defer func() { _ = sub.Unsubscribe() }()
		request, err := json.Marshal(map[string]any{"seq": l.applied + 1, "batch": readBatch, "max_bytes": 8 << 20})
		if err != nil {
			return err
		}
		if err := l.nc.PublishRequest("$JS.API.DIRECT.GET."+l.name, inbox, request); err != nil {
			return err
		}
		for {
			msg, err := sub.NextMsgWithContext(ctx)
			if err != nil {
				return err
			}
			switch msg.Header.Get("Status") {
			case "":
			case "204": // the end of the batch
				if len(found) == 0 {
					return errBehind
				}
				return nil
			case "404": // a replica that is behind
				return errBehind
			case "503":
				return nats.ErrNoResponders
			default:
				return fmt.Errorf("read %s: %s", msg.Header.Get("Status"), msg.Header.Get("Description"))
			}
			seq, err := strconv.ParseUint(msg.Header.Get(jetstream.SequenceHeader), 10, 64)
			if err != nil {
				return fmt.Errorf("%w: number of a message: %w", ErrCorrupt, err)
			}
			if at, err := time.Parse(time.RFC3339Nano, msg.Header.Get(jetstream.TimeStampHeaer)); err == nil {
				l.observe(at)
			}
			found = append(found, message{seq, msg.Data})
		}
	})
	return found, err
}

// purge frees what is before a position.
func (l *eventlog) purge(ctx context.Context, before uint64) error {
	err := l.stream.Purge(ctx, jetstream.WithPurgeSequence(before))
	if err == nil {
		l.purged = before - 1
	}
	return err
}

func newID() string { return rand.Text()[:13] }
