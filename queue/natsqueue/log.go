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
	nc       *nats.Conn
	js       jetstream.JetStream
	stream   jetstream.Stream
	config   jetstream.StreamConfig // of a stream that must be made
	name     string
	wait     time.Duration
	replicas int
	made     time.Time // when the stream was, by which another one of its name is told apart
	applied  uint64    // the last message that the state has seen
	purged   uint64    // the log begins after it
	sizes    int       // bytes in the log, about
	offset   int64     // the stream's clock minus ours
	started  time.Time
}

// now is the time by the stream's clock.
func (l *eventlog) now() int64 { return int64(time.Since(l.started)) + l.offset }

// observe sets the clock by a timestamp that was made just now or before.
func (l *eventlog) observe(at time.Time) {
	l.offset = max(l.offset, at.UnixNano()-int64(time.Since(l.started)))
}

// open finds the stream or makes it.
func (l *eventlog) open(ctx context.Context) error { return l.again(ctx, l.find) }

// find is one attempt of open.
func (l *eventlog) find(ctx context.Context) error {
	stream, err := l.js.Stream(ctx, l.name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		stream, err = l.js.CreateStream(ctx, l.config)
		if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
			return errBehind // the server that answered first did not know it yet
		}
	}
	if err == nil {
		l.stream, l.made = stream, stream.CachedInfo().Created
		err = suitable(stream.CachedInfo().Config)
	}
	return err
}

// suitable reports why a stream that somebody made cannot keep what it acknowledged.
func suitable(c jetstream.StreamConfig) error {
	why := ""
	switch {
	case !c.AllowDirect:
		why = "it must allow direct access"
	case c.DenyPurge:
		why = "it must allow purging"
	case c.Retention != jetstream.LimitsPolicy || c.MaxAge > 0 || c.MaxMsgsPerSubject > 0 ||
		c.Discard != jetstream.DiscardNew && (c.MaxMsgs > 0 || c.MaxBytes > 0):
		why = "it must not drop messages by itself"
	default:
		return nil
	}
	return fmt.Errorf("%s is not made for a queue: %s; use another Options.Stream", c.Name, why)
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
		if errors.Is(err, ErrLost) && !passing(err) {
			return err
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

// answer is what became of a transaction.
type answer struct {
	seq   uint64 // its number; 0: something follows its predecessor already
	at    end    // then: the end of the log
	doubt bool   // then: that may be the transaction itself
}

// append adds a transaction behind the last one applied. It is repeated as it is
// until its fate is known: since it names its predecessor, it cannot take effect
// twice. A refusal does not decide it while nothing follows the predecessor: a
// leader also refuses for what it has only proposed to the others. That may be this
// transaction, from a try without an answer, and may come to nothing.
func (l *eventlog) append(ctx context.Context, data []byte) (a answer, err error) {
	err = l.again(ctx, func(ctx context.Context) error {
		msg := nats.NewMsg(l.name + ".log")
		msg.Data = data
		ack, err := l.js.PublishMsg(ctx, msg, jetstream.WithExpectLastSequence(l.applied))
		switch {
		case err == nil:
			a.seq = ack.Sequence
			return nil
		case moved(err):
			at, err := l.look(ctx)
			if err == nil && at.last == l.applied {
				err = errUndecided
			}
			a.at = at
			return err
		case errors.Is(err, jetstream.ErrNoStreamResponse): // which may be gone
			if _, gone := l.look(ctx); gone != nil {
				return gone
			}
		}
		a.doubt = true
		return err
	})
	return a, err
}

// end is where the log ends.
type end struct {
	first, last uint64 // numbers of messages
	bytes       uint64
}

// look asks once for the end of the log. An error that wraps ErrLost says that it
// is not the log that was read.
func (l *eventlog) look(ctx context.Context) (end, error) {
	made := l.made
	info, err := l.stream.Info(ctx)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		// Or the server that answered does not know it yet: then find does.
		if err = l.find(ctx); err == nil && made.Equal(l.made) {
			err = errBehind
		}
	} else if err == nil {
		l.made = info.Created
	}
	if err == nil && !made.Equal(l.made) {
		if err = errBehind; l.applied > 0 {
			err = fmt.Errorf("%w: it was made anew at %v", ErrLost, l.made)
		}
	}
	if err != nil {
		return end{}, err
	}
	if info.Cluster != nil && info.Cluster.Leader == "" {
		return end{}, errBehind // while there is no leader others answer
	}
	at := end{info.State.FirstSeq, info.State.LastSeq, info.State.Bytes}
	if at.last < l.applied {
		err = fmt.Errorf("%w: it ends at %d instead of %d", ErrLost, at.last, l.applied)
		if info.Config.Replicas > 1 { // so may a server say that leads no more, or not yet
			err = errors.Join(errBehind, err)
		}
		return end{}, err
	}
	l.observe(info.TimeStamp)
	l.replicas = info.Config.Replicas
	l.sizes = int(at.bytes)
	return at, nil
}

// last returns the end of the log.
func (l *eventlog) last(ctx context.Context) (at end, err error) {
	err = l.again(ctx, func(ctx context.Context) (err error) {
		at, err = l.look(ctx)
		return err
	})
	return at, err
}

// message is one message of the log.
type message struct {
	seq  uint64
	data []byte
}

// read returns some of the messages after the last one applied, of which there
// must be one. They follow each other; what is missing before the first was purged.
func (l *eventlog) read(ctx context.Context) ([]message, error) {
	var found []message
	err := l.again(ctx, func(ctx context.Context) error {
		found = nil
		inbox := l.nc.NewInbox()
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
			if err != nil && len(found) > 0 {
				return nil // the rest comes next
			} else if err != nil {
				return err
			}
			switch msg.Header.Get("Status") {
			case "":
			case "204": // the end of the batch
				if len(found) == 0 {
					return errBehind
				}
				return nil
			case "404": // a replica that is behind, or damaged, or another log
				if at, err := l.look(ctx); err != nil {
					return err
				} else if at.first > at.last {
					return fmt.Errorf("%w: all were purged", ErrLost)
				}
				return errHole
			case "503":
				return nats.ErrNoResponders
			default:
				return fmt.Errorf("read %s: %s", msg.Header.Get("Status"), msg.Header.Get("Description"))
			}
			seq, err := strconv.ParseUint(msg.Header.Get(jetstream.SequenceHeader), 10, 64)
			if err != nil {
				return fmt.Errorf("%w: number of a message: %w", ErrCorrupt, err)
			}
			switch {
			case len(found) > 0 && seq != found[len(found)-1].seq+1:
				return nil // what is missing comes next
			case len(found) == 0 && seq != l.applied+1:
				// Purged, or got lost when the connection broke and was made again.
				if at, err := l.look(ctx); err != nil {
					return err
				} else if at.first < seq {
					return errHole
				}
			}
			if at, err := time.Parse(time.RFC3339Nano, msg.Header.Get(jetstream.TimeStampHeaer)); err == nil {
				l.observe(at)
			}
			found = append(found, message{seq, msg.Data})
		}
	})
	if errors.Is(err, errHole) && l.replicas <= 1 { // there is no other one to ask
		err = fmt.Errorf("%w: message %d: %w", ErrCorrupt, l.applied+1, err)
	}
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
