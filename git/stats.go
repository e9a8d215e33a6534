package git

import (
	"sync/atomic"
	"time"
)

// Stats counts what a service did since it was opened. Times are totals, in JSON
// in nanoseconds.
type Stats struct {
	Commands       int64         `json:"commands"`       // git processes that ran
	CommandsFailed int64         `json:"commandsFailed"` // of these, ended by a signal or an exit code above 1, by which git says no
	CommandTime    time.Duration `json:"commandTime"`

	LockWaits    int64         `json:"lockWaits"` // pauses because of another process's lock
	LockWaitTime time.Duration `json:"lockWaitTime"`

	Commits       int64         `json:"commits"`       // made
	CommitsFailed int64         `json:"commitsFailed"` // not made, other than for want of a change
	CommitTime    time.Duration `json:"commitTime"`    // of both, with the time that messages took

	Snapshots       int64         `json:"snapshots"` // working states saved, backups included
	SnapshotsFailed int64         `json:"snapshotsFailed"`
	SnapshotTime    time.Duration `json:"snapshotTime"` // of both

	Messages       int64         `json:"messages"`       // questions to Options.Message
	MessagesFailed int64         `json:"messagesFailed"` // of these, without a message
	MessageTime    time.Duration `json:"messageTime"`
	CacheHits      int64         `json:"cacheHits"` // messages that were known already
}

// counters are Stats as they grow.
type counters struct {
	commands, lockWaits, commits, snapshots, messages meter
	cacheHits                                         atomic.Int64
}

// meter counts actions of one kind.
type meter struct{ done, failed, nanos atomic.Int64 }

// add counts an action that took so long.
func (m *meter) add(took time.Duration, failed bool) {
	if failed {
		m.failed.Add(1)
	} else {
		m.done.Add(1)
	}
	m.nanos.Add(int64(took))
}

func (m *meter) all() int64 { return m.done.Load() + m.failed.Load() }

func (m *meter) time() time.Duration { return time.Duration(m.nanos.Load()) }

// Stats returns the counters of the service.
func (s *Service) Stats() Stats {
	c := &s.stats
	return Stats{
		Commands: c.commands.all(), CommandsFailed: c.commands.failed.Load(), CommandTime: c.commands.time(),
		LockWaits: c.lockWaits.all(), LockWaitTime: c.lockWaits.time(),
		Commits: c.commits.done.Load(), CommitsFailed: c.commits.failed.Load(), CommitTime: c.commits.time(),
		Snapshots: c.snapshots.done.Load(), SnapshotsFailed: c.snapshots.failed.Load(), SnapshotTime: c.snapshots.time(),
		Messages: c.messages.all(), MessagesFailed: c.messages.failed.Load(), MessageTime: c.messages.time(),
		CacheHits: c.cacheHits.Load(),
	}
}
