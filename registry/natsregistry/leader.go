package natsregistry

import (
	"context"
	"errors"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// errStale is the answer of a server that does not lead the bucket any more, or
// not yet.
var errStale = errors.New("answer of a server that does not lead")

// led refuses a status that another server than the leader gave.
func led(status jetstream.KeyValueStatus, err error) (*jetstream.StreamInfo, error) {
	if err != nil {
		return nil, err
	}
	s, ok := status.(*jetstream.KeyValueBucketStatus)
	if !ok {
		return nil, errStale
	}
	if c := s.StreamInfo().Cluster; c != nil && c.Leader == "" {
		return nil, errStale
	}
	return s.StreamInfo(), nil
}

// remade reports whether the bucket is another one of the same name, whose
// revisions count from 1 again.
func (r *Registry[T]) remade(status *jetstream.StreamInfo) bool {
	made := status.Created // only ever compared with itself
	r.mu.Lock()
	defer r.mu.Unlock()
	before := r.made
	r.made = made
	if before.IsZero() || before.Equal(made) {
		return false
	}
	r.anew++
	for _, h := range r.heard {
		h.revision = 0
	}
	clear(r.gone)
	return true
}

// stored is a state of a key of the bucket.
type stored struct {
	key      string
	revision uint64
	deleted  bool
	data     []byte
}

// read returns what the leader of the bucket has under a name: not what was there
// before a revision that is known to have been. Get of a key-value store asks any
// replica, and one that was restarted may lag behind for seconds: long enough to
// make the living look silent. So may one that still believes it leads.
func (r *Registry[T]) read(ctx context.Context, name string, known uint64) (stored, error) {
	msg, err := r.leader.GetLastMsg("KV_"+r.opts.Bucket, "$KV."+r.opts.Bucket+"."+key(name), nats.Context(ctx))
	if errors.Is(err, nats.ErrMsgNotFound) {
		status, err := led(r.store().Status(ctx))
		if err == nil && status.State.LastSeq < known {
			err = errStale
		}
		if err != nil {
			return stored{}, err
		}
		return stored{}, jetstream.ErrKeyNotFound
	}
	if err != nil {
		return stored{}, err
	}
	if msg.Sequence < known {
		return stored{}, errStale
	}
	if msg.Header.Get("KV-Operation") != "" || msg.Header.Get(jetstream.MarkerReasonHeader) != "" {
		return stored{}, jetstream.ErrKeyNotFound
	}
	return stored{key: key(name), revision: msg.Sequence, data: msg.Data}, nil
}

func storedAs(e jetstream.KeyValueEntry) stored {
	return stored{e.Key(), e.Revision(), e.Operation() != jetstream.KeyValuePut, e.Value()}
}
