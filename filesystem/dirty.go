package filesystem

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"slices"
)

// dirt knows what changed and when. It is guarded by Service.mu.
type dirt struct {
	generation uint64            // of the latest change
	paths      map[string]uint64 // generation of the latest change of each path
}

func (d *dirt) mark(path string) uint64 {
	d.generation++
	if d.paths == nil {
		d.paths = make(map[string]uint64)
	}
	d.paths[path] = d.generation
	return d.generation
}

// wrote records a change of a file.
func (s *Service) wrote(ctx context.Context, name string) {
	s.writes.Add(1)
	var stamp fileStamp
	tracking := s.tracking.Load() > 0
	if tracking {
		if info, err := s.tree().provider.Lstat(ctx, name); err == nil {
			stamp = stampOf(info)
		}
	}
	s.mu.Lock()
	if tracking {
		s.own[name] = stamp
	}
	gen := s.dirt.mark(name)
	s.state++
	s.mu.Unlock()
	if s.opts.Trace.Wrote != nil {
		s.opts.Trace.Wrote(ctx, name, gen)
	}
}

// MarkDirty records that a file was changed by somebody else, such as a program
// that was run. The name need not exist.
func (s *Service) MarkDirty(name string) error {
	clean, err := s.clean(name)
	if err != nil {
		return err
	}
	s.wrote(context.Background(), clean)
	return nil
}

// Dirty reports whether anything changed since [Service.MarkClean].
func (s *Service) Dirty() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.dirt.paths) > 0
}

// WriteGeneration returns the generation of the latest change. It grows with
// each change and never goes back.
func (s *Service) WriteGeneration() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dirt.generation
}

// MarkClean says that what changed up to a generation is taken care of. Take
// the generation before the work that takes care of it begins, such as a test
// run: what is changed meanwhile stays dirty.
func (s *Service) MarkClean(generation uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := len(s.dirt.paths)
	maps.DeleteFunc(s.dirt.paths, func(_ string, gen uint64) bool { return gen <= generation })
	if len(s.dirt.paths) != before {
		s.state++
	}
}

// Changed returns the paths that changed since [Service.MarkClean], sorted.
func (s *Service) Changed() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.dirt.paths))
}

// hashContent identifies a content, also in a later process.
func hashContent(data []byte) uint64 {
	sum := sha256.Sum256(data)
	return binary.LittleEndian.Uint64(sum[:])
}

// know records that the model knows this content of a file.
func (s *Service) know(name string, data []byte) {
	hash := hashContent(data)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seen[name] != hash {
		s.seen[name] = hash
		s.state++
	}
}

// known says whether the model has seen the file, and whether it still has the
// content that it saw.
func (s *Service) known(name string, data []byte) (seen, same bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	hash, ok := s.seen[name]
	return ok, ok && hash == hashContent(data)
}
