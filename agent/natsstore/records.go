package natsstore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tokenring-ai/tokenring-go/agent"
)

// tail is the end of an agent's subject.
type tail struct {
	at   uint64 // stream sequence of the last message, 0 for none
	last uint64 // highest complete record
	head head
	// from is the stream sequence of the first message of the last write. It is
	// known after read only: messages of other agents may lie in between.
	from uint64
}

// tail reads the end of a subject from the stream's leader.
func (s *Store) tail(ctx context.Context, subject string) (tail, error) {
	msg, err := s.stream.GetLastMsgForSubject(ctx, subject)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return tail{}, nil
	}
	if err != nil {
		return tail{}, err
	}
	h, err := parseHead(msg.Header)
	if err != nil {
		return tail{}, fmt.Errorf("message %d: %w", msg.Sequence, err)
	}
	return tail{at: msg.Sequence, last: h.last(), head: h}, nil
}

// errMoved says that another message came first, or is about to.
var errMoved = errors.New("the subject has moved on")

// moved reports whether the server refused a message because its subject's last
// message is not the expected one. A replicated stream answers with the second
// code while another message of the subject waits for its majority, such as the
// one of an earlier attempt whose answer was lost.
func moved(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) && (api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence ||
		api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant)
}

// publish writes data as the messages of one write behind t. It returns the
// stream sequence of the first. However many messages there are, each may take as
// long as one.
func (s *Store) publish(ctx context.Context, subject string, t tail, h head, data []byte) (first uint64, err error) {
	h.prev = t.last
	chunk := int(min(max(s.js.Conn().MaxPayload()-4096, 1024), 512<<10)) // room for the head of the message
	h.parts = max(1, (len(data)+chunk-1)/chunk)
	at := t.at
	for i := range h.parts {
		h.part = i + 1
		piece := data[i*chunk : min(len(data), (i+1)*chunk)]
		try, cancel := context.WithTimeout(ctx, tryTimeout)
		ack, err := s.js.PublishMsg(try, &nats.Msg{Subject: subject, Header: h.header(), Data: piece},
			jetstream.WithExpectLastSequencePerSubject(at))
		cancel()
		if moved(err) {
			return 0, errMoved
		}
		if err != nil {
			return 0, err
		}
		if i == 0 {
			first = ack.Sequence
		}
		at = ack.Sequence
	}
	return first, nil
}

// Append implements [agent.Store].
func (s *Store) Append(ctx context.Context, agentID string, rec agent.Record) error {
	if rec.Seq == 0 {
		return fmt.Errorf("natsstore: agent %s: append checkpoint: number 0 is not one", agentID)
	}
	subject := s.subject(agentID)
	h := head{kind: kindRecord, seq: rec.Seq, write: rand.Text()}
	err := s.again(ctx, func(try context.Context) error {
		t, err := s.tail(try, subject)
		if err != nil {
			return err
		}
		if t.head.write == h.write && t.last == rec.Seq {
			return nil // written by an attempt whose answer was lost
		}
		if t.last >= rec.Seq {
			return fmt.Errorf("the newest is %d: %w", t.last, agent.ErrConflict)
		}
		_, err = s.publish(ctx, subject, t, h, rec.Data)
		return err
	})
	if err != nil {
		return fmt.Errorf("natsstore: agent %s: append checkpoint %d: %w", agentID, rec.Seq, err)
	}
	return nil
}

// Records implements [agent.Store].
func (s *Store) Records(ctx context.Context, agentID string) iter.Seq2[agent.Record, error] {
	return func(yield func(agent.Record, error) bool) {
		var recs []agent.Record
		err := s.again(ctx, func(context.Context) (err error) {
			recs, _, err = s.read(ctx, s.subject(agentID))
			return err
		})
		if err != nil {
			yield(agent.Record{}, fmt.Errorf("natsstore: agent %s: read checkpoints: %w", agentID, err))
			return
		}
		for _, rec := range recs {
			if ctx.Err() != nil {
				yield(agent.Record{}, context.Cause(ctx))
				return
			}
			if !yield(rec, nil) {
				return
			}
		}
	}
}

// read reads all complete records of a subject, and its end. Messages are asked
// of the leader one by one, so that what was acknowledged is there; each may take
// as long as one.
func (s *Store) read(ctx context.Context, subject string) ([]agent.Record, tail, error) {
	var recs []agent.Record
	var end tail
	var open head // of the write that is being put together
	var data []byte
	for next := uint64(1); ; {
		try, cancel := context.WithTimeout(ctx, tryTimeout)
		msg, err := s.stream.GetMsg(try, next, jetstream.WithGetMsgSubject(subject))
		cancel()
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return recs, end, nil
		}
		if err != nil {
			return nil, tail{}, err
		}
		h, err := parseHead(msg.Header)
		if err != nil {
			return nil, tail{}, fmt.Errorf("message %d: %w", msg.Sequence, err)
		}
		next = msg.Sequence + 1
		end = tail{at: msg.Sequence, last: h.last(), head: h, from: end.from}
		switch {
		case h.part == 1:
			data = msg.Data
			end.from = msg.Sequence
		case open.write == h.write && open.part+1 == h.part:
			data = append(data, msg.Data...)
		default: // the rest of a write whose beginning was purged, or never was
			open = head{}
			continue
		}
		open = h
		if h.part < h.parts {
			continue
		}
		if h.kind == kindRecord {
			recs = append(recs, agent.Record{Seq: h.seq, Data: data})
			continue
		}
		if recs, err = unpack(data); err != nil {
			return nil, tail{}, fmt.Errorf("message %d: %w", msg.Sequence, err)
		}
	}
}

// Replace implements [agent.Store]. It writes the new records as one, which
// takes effect with its last message, and then purges what was before.
func (s *Store) Replace(ctx context.Context, agentID string, upTo uint64, recs []agent.Record) error {
	last := uint64(0)
	for _, rec := range recs {
		if rec.Seq <= last || rec.Seq > upTo {
			return fmt.Errorf("natsstore: agent %s: replace checkpoints up to %d: number %d after %d is out of order", agentID, upTo, rec.Seq, last)
		}
		last = rec.Seq
	}
	subject := s.subject(agentID)
	h := head{kind: kindAll, write: rand.Text()}
	var first uint64
	err := s.again(ctx, func(context.Context) error {
		old, t, err := s.read(ctx, subject)
		if err != nil {
			return err
		}
		if t.head.write == h.write && t.head.part == t.head.parts {
			first = t.from // an attempt whose answer was lost
			return nil
		}
		all := slices.Clone(recs)
		for _, rec := range old {
			if rec.Seq > upTo {
				all = append(all, rec)
			}
		}
		if len(all) == 0 {
			first = t.at + 1 // nothing stays
			return nil
		}
		h.seq = all[len(all)-1].Seq
		first, err = s.publish(ctx, subject, t, h, pack(all))
		return err
	})
	if err == nil {
		err = s.again(ctx, func(ctx context.Context) error {
			return s.stream.Purge(ctx, jetstream.WithPurgeSubject(subject), jetstream.WithPurgeSequence(first))
		})
	}
	if err != nil {
		return fmt.Errorf("natsstore: agent %s: replace checkpoints up to %d: %w", agentID, upTo, err)
	}
	return nil
}

// Delete implements [agent.Store].
func (s *Store) Delete(ctx context.Context, agentID string) error {
	err := s.again(ctx, func(ctx context.Context) error {
		return s.stream.Purge(ctx, jetstream.WithPurgeSubject(s.subject(agentID)))
	})
	if err != nil {
		return fmt.Errorf("natsstore: agent %s: delete checkpoints: %w", agentID, err)
	}
	return nil
}

// Agents implements [agent.Store].
func (s *Store) Agents(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		var subjects map[string]uint64
		err := s.again(ctx, func(ctx context.Context) error {
			info, err := s.stream.Info(ctx, jetstream.WithSubjectFilter(s.name+".>"))
			if err == nil {
				subjects = info.State.Subjects
			}
			return err
		})
		if err != nil {
			yield("", fmt.Errorf("natsstore: list agents: %w", err))
			return
		}
		for subject := range subjects {
			if id, ok := unescape(strings.TrimPrefix(subject, s.name+".")); ok && !yield(id, nil) {
				return
			}
		}
	}
}
