package agent

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
)

// Store keeps checkpoints. It need not understand them: for each agent it keeps
// a list of records in ascending order of their sequence numbers, each an
// opaque, checksummed piece of bytes that mostly holds only what changed since
// the record before it.
//
// [MemoryStore] and [FileStore] are implementations; agent/sqlstore and
// agent/natsstore are modules of their own. The package agent/storetest proves
// an implementation. All methods are safe for concurrent use.
type Store interface {
	// Append adds a record. When it returns nil the record survives the end of
	// the process, and of the machine if the store is durable. It fails with an
	// error that wraps [ErrConflict], and changes nothing, unless rec.Seq is
	// higher than that of every record of the agent: another process writes
	// the same agent then.
	Append(ctx context.Context, agentID string, rec Record) error

	// Records yields the records of an agent from the oldest to the newest; none
	// for an agent that is not known. A record that cannot be read is yielded
	// as a [*CorruptError] and the sequence goes on; any other error ends it.
	Records(ctx context.Context, agentID string) iter.Seq2[Record, error]

	// Replace puts recs in the place of all records up to and including the
	// sequence number upTo, atomically: after a crash there are either the old
	// ones or the new ones. Records after upTo stay; when there are none and no
	// recs, it is as after Delete. The sequence numbers of recs rise and are not
	// above upTo.
	Replace(ctx context.Context, agentID string, upTo uint64, recs []Record) error

	// Delete removes all records of an agent. It is no error when there are none.
	Delete(ctx context.Context, agentID string) error

	// Agents yields the IDs of the agents that have records, in any order.
	Agents(ctx context.Context) iter.Seq2[string, error]
}

// Record is what a [Store] keeps.
type Record struct {
	Seq  uint64
	Data []byte
}

// ErrConflict says that a record was not appended because the store holds a
// newer one: two processes run the same agent.
var ErrConflict = errors.New("a newer checkpoint exists")

// CorruptError reports a part of a store that is damaged.
type CorruptError struct {
	Agent string
	// Seq is the damaged record's sequence number, or 0 when it is lost.
	Seq uint64
	// Where says where it is, for example a file and an offset.
	Where string
	// Reason says what is wrong with it.
	Reason string
}

func (e *CorruptError) Error() string {
	text := "agent " + e.Agent + ": damaged checkpoint"
	if e.Seq != 0 {
		text += fmt.Sprintf(" %d", e.Seq)
	}
	if e.Where != "" {
		text += " in " + e.Where
	}
	return text + ": " + e.Reason
}

// MemoryStore keeps records in memory. Its zero value is ready for use.
type MemoryStore struct {
	mu     sync.Mutex
	agents map[string][]Record
}

var _ Store = (*MemoryStore)(nil)

// Append implements [Store].
func (s *MemoryStore) Append(ctx context.Context, agentID string, rec Record) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	list := s.agents[agentID]
	if n := len(list); n > 0 && list[n-1].Seq >= rec.Seq {
		return fmt.Errorf("agent %s: append checkpoint %d behind %d: %w", agentID, rec.Seq, list[n-1].Seq, ErrConflict)
	}
	if s.agents == nil {
		s.agents = map[string][]Record{}
	}
	s.agents[agentID] = append(list, Record{Seq: rec.Seq, Data: slices.Clone(rec.Data)})
	return nil
}

// Records implements [Store].
func (s *MemoryStore) Records(ctx context.Context, agentID string) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		s.mu.Lock()
		list := slices.Clone(s.agents[agentID])
		s.mu.Unlock()
		for _, rec := range list {
			if ctx.Err() != nil {
				yield(Record{}, context.Cause(ctx))
				return
			}
			if !yield(Record{Seq: rec.Seq, Data: slices.Clone(rec.Data)}, nil) {
				return
			}
		}
	}
}

// Replace implements [Store].
func (s *MemoryStore) Replace(ctx context.Context, agentID string, upTo uint64, recs []Record) error {
	if err := checkReplacement(agentID, upTo, recs); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	next := make([]Record, 0, len(recs))
	for _, rec := range recs {
		next = append(next, Record{Seq: rec.Seq, Data: slices.Clone(rec.Data)})
	}
	for _, rec := range s.agents[agentID] {
		if rec.Seq > upTo {
			next = append(next, rec)
		}
	}
	if len(next) == 0 {
		delete(s.agents, agentID)
		return nil
	}
	if s.agents == nil {
		s.agents = map[string][]Record{}
	}
	s.agents[agentID] = next
	return nil
}

// Delete implements [Store].
func (s *MemoryStore) Delete(ctx context.Context, agentID string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.agents, agentID)
	return nil
}

// Agents implements [Store].
func (s *MemoryStore) Agents(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		s.mu.Lock()
		ids := make([]string, 0, len(s.agents))
		for id := range s.agents {
			ids = append(ids, id)
		}
		s.mu.Unlock()
		slices.Sort(ids)
		for _, id := range ids {
			if !yield(id, nil) {
				return
			}
		}
	}
}

// checkReplacement reports a call of Replace that breaks its contract.
func checkReplacement(agentID string, upTo uint64, recs []Record) error {
	last := uint64(0)
	for _, rec := range recs {
		if rec.Seq <= last || rec.Seq > upTo {
			return fmt.Errorf("agent %s: replace checkpoints up to %d: number %d after %d is out of order", agentID, upTo, rec.Seq, last)
		}
		last = rec.Seq
	}
	return nil
}
