package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// FileStore keeps the records of each agent in one append-only file of a
// directory. Appending writes the new record behind the others and syncs it to
// the disk; replacing writes a new file, syncs it, and puts it in the old one's
// place. A record that was torn by a crash was never acknowledged: it is
// reported, and cut off by the next append.
//
// Several processes may use one directory: they lock the file that they change.
// On Windows a file system is needed that replaces open files, as NTFS does since
// Windows 10.
type FileStore struct {
	dir  *os.Root
	opts FileStoreOptions

	mu    sync.Mutex
	known map[string]*fileState // what the last change of each file left
	limit int                   // of known; a file that is not in it is read before it is appended to
}

// FileStoreOptions adjust a [FileStore].
type FileStoreOptions struct {
	// Logger receives a warning when a torn or damaged record is met. Nil means
	// slog.Default().
	Logger *slog.Logger
	// NoSync leaves it to the operating system when data reaches the disk: a
	// crash of the process loses nothing, one of the machine may.
	NoSync bool
}

// fileState is what lets an append go without reading the file: as long as
// nobody else changed it.
type fileState struct {
	mu   sync.Mutex // one writer of a file in this process
	info fs.FileInfo
	size int64
	last uint64
}

const (
	fileSuffix   = ".ckpt"
	besideSuffix = ".new"
)

var _ Store = (*FileStore)(nil)

// NewFileStore opens or makes the store in a directory.
func NewFileStore(dir string, opts FileStoreOptions) (*FileStore, error) {
	if opts.Logger == nil {
		opts.Logger = slog.Default()
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("checkpoint store %s: %w", dir, err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("checkpoint store %s: %w", dir, err)
	}
	return &FileStore{dir: root, opts: opts, known: map[string]*fileState{}, limit: 1 << 16}, nil
}

// fileName returns the name of an agent's file.
func fileName(agentID string) string { return escapeName(agentID) + fileSuffix }

func (s *FileStore) state(agentID string) *fileState {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.known[agentID]
	if st == nil {
		for id := range s.known { // any one will do
			if len(s.known) < s.limit {
				break
			}
			delete(s.known, id)
		}
		st = &fileState{}
		s.known[agentID] = st
	}
	return st
}

// Append implements [Store].
func (s *FileStore) Append(ctx context.Context, agentID string, rec Record) error {
	if err := checkName("agent", agentID); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if rec.Seq == 0 {
		return fmt.Errorf("agent %s: append checkpoint: number 0 is not one", agentID)
	}
	frame, err := appendFrame(nil, rec)
	if err != nil {
		return fmt.Errorf("agent %s: %w", agentID, err)
	}
	st := s.state(agentID)
	st.mu.Lock()
	defer st.mu.Unlock()

	f, err := openLocked(s.dir, fileName(agentID), os.O_CREATE)
	if err != nil {
		return fmt.Errorf("checkpoint store: %w", err)
	}
	defer f.Close() // also gives the lock back
	strange := st.info == nil
	if err := s.refresh(st, f, agentID); err != nil {
		return err
	}
	if rec.Seq <= st.last {
		return fmt.Errorf("agent %s: append checkpoint %d behind %d: %w", agentID, rec.Seq, st.last, ErrConflict)
	}
	if st.size == 0 {
		frame = append([]byte(fileMagic), frame...)
	}
	// From here on the cached state is not true until all has worked.
	size := st.size
	st.info = nil
	if _, err := f.WriteAt(frame, size); err != nil {
		_ = f.Truncate(size) // best effort: a torn record is cut off by the next append anyway
		return fmt.Errorf("checkpoint store: write %s: %w", f.Name(), err)
	}
	if err := s.sync(f); err != nil {
		return err
	}
	if strange { // whoever made it may have died before its name was durable
		if err := s.syncDir(); err != nil {
			return err
		}
	}
	return st.update(f, size+int64(len(frame)), rec.Seq)
}

func (st *fileState) update(f *os.File, size int64, last uint64) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	st.info, st.size, st.last = info, size, last
	return nil
}

// refresh brings st in step with the open, locked file, and cuts off what a
// crash tore.
func (s *FileStore) refresh(st *fileState, f *os.File, agentID string) error {
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("checkpoint store: %w", err)
	}
	if st.info != nil && os.SameFile(st.info, info) && info.Size() == st.size && info.ModTime().Equal(st.info.ModTime()) {
		return nil
	}
	st.info = nil
	data, err := io.ReadAll(io.NewSectionReader(f, 0, info.Size()))
	if err != nil {
		return fmt.Errorf("checkpoint store: read %s: %w", f.Name(), err)
	}
	var last uint64
	end := scanFrames(data, func(fr frame) bool {
		last = max(last, fr.rec.Seq)
		return true
	})
	if end < len(data) {
		s.opts.Logger.Warn("cutting off a torn checkpoint that was never acknowledged",
			"agent", agentID, "file", f.Name(), "offset", end, "bytes", len(data)-end)
		if err := f.Truncate(int64(end)); err != nil {
			return fmt.Errorf("checkpoint store: cut off torn end of %s: %w", f.Name(), err)
		}
	}
	return st.update(f, int64(end), last)
}

// Records implements [Store].
func (s *FileStore) Records(ctx context.Context, agentID string) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		if err := checkName("agent", agentID); err != nil {
			yield(Record{}, err)
			return
		}
		data, err := readShared(s.dir, fileName(agentID))
		if errors.Is(err, fs.ErrNotExist) {
			return
		}
		if err != nil {
			yield(Record{}, fmt.Errorf("checkpoint store: %w", err))
			return
		}
		path := filepath.Join(s.dir.Name(), fileName(agentID))
		stopped := false
		end := scanFrames(data, func(fr frame) bool {
			if ctx.Err() != nil {
				stopped = true
				yield(Record{}, context.Cause(ctx))
				return false
			}
			var err error
			if fr.problem != "" {
				err = &CorruptError{Agent: agentID, Seq: fr.rec.Seq, Where: fmt.Sprintf("%s at byte %d", path, fr.offset), Reason: fr.problem}
			}
			stopped = !yield(fr.rec, err)
			return !stopped
		})
		if !stopped && end < len(data) {
			yield(Record{}, &CorruptError{Agent: agentID, Where: fmt.Sprintf("%s at byte %d", path, end),
				Reason: fmt.Sprintf("the last %d bytes are torn", len(data)-end)})
		}
	}
}

// Replace implements [Store].
func (s *FileStore) Replace(ctx context.Context, agentID string, upTo uint64, recs []Record) error {
	if err := errors.Join(checkName("agent", agentID), checkReplacement(agentID, upTo, recs)); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	st := s.state(agentID)
	st.mu.Lock()
	defer st.mu.Unlock()
	old, err := openLocked(s.dir, fileName(agentID), os.O_CREATE)
	if err != nil {
		return fmt.Errorf("checkpoint store: %w", err)
	}
	defer old.Close()
	info, err := old.Stat()
	if err != nil {
		return fmt.Errorf("checkpoint store: %w", err)
	}
	data, err := io.ReadAll(io.NewSectionReader(old, 0, info.Size()))
	if err != nil {
		return fmt.Errorf("checkpoint store: read %s: %w", old.Name(), err)
	}
	scanFrames(data, func(fr frame) bool {
		if fr.problem == "" && fr.rec.Seq > upTo {
			recs = append(recs[:len(recs):len(recs)], fr.rec)
		}
		return true
	})
	st.info = nil
	if len(recs) == 0 {
		return s.remove(agentID)
	}
	out := []byte(fileMagic)
	var last uint64
	for _, rec := range recs {
		if out, err = appendFrame(out, rec); err != nil {
			return fmt.Errorf("agent %s: %w", agentID, err)
		}
		last = rec.Seq
	}
	f, err := s.writeBeside(agentID, out)
	if err != nil {
		return fmt.Errorf("checkpoint store: replace %s: %w", old.Name(), err)
	}
	defer f.Close()
	return st.update(f, int64(len(out)), last)
}

// writeBeside writes a file under another name, syncs it and moves it to the
// agent's. The other name is always the same one, so that nothing is left for
// long by those that died in the middle; the caller has the agent's file locked.
func (s *FileStore) writeBeside(agentID string, data []byte) (*os.File, error) {
	beside := escapeName(agentID) + besideSuffix
	f, err := s.dir.OpenFile(beside, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	_, err = f.Write(data)
	if err == nil {
		err = s.sync(f)
	}
	if err == nil {
		err = s.dir.Rename(beside, fileName(agentID))
	}
	if err == nil {
		err = s.syncDir()
	}
	if err != nil {
		f.Close()
		_ = s.dir.Remove(beside) // or the next one overwrites it
		return nil, err
	}
	return f, nil
}

// Delete implements [Store].
func (s *FileStore) Delete(ctx context.Context, agentID string) error {
	if err := checkName("agent", agentID); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	st := s.state(agentID)
	st.mu.Lock()
	defer st.mu.Unlock()
	st.info = nil
	defer func() {
		s.mu.Lock()
		delete(s.known, agentID)
		s.mu.Unlock()
	}()
	f, err := openLocked(s.dir, fileName(agentID), 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("checkpoint store: %w", err)
	}
	defer f.Close()
	return s.remove(agentID)
}

// remove removes an agent's file, which the caller has locked.
func (s *FileStore) remove(agentID string) error {
	for _, name := range []string{escapeName(agentID) + besideSuffix, fileName(agentID)} {
		if err := s.dir.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("checkpoint store: %w", err)
		}
	}
	return s.syncDir()
}

// Agents implements [Store].
func (s *FileStore) Agents(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		entries, err := fs.ReadDir(s.dir.FS(), ".")
		if err != nil {
			yield("", fmt.Errorf("checkpoint store: %w", err))
			return
		}
		for _, e := range entries {
			if ctx.Err() != nil {
				yield("", context.Cause(ctx))
				return
			}
			name, ok := strings.CutSuffix(e.Name(), fileSuffix)
			if !ok || e.IsDir() {
				continue
			}
			if id, ok := unescapeName(name); ok && !yield(id, nil) {
				return
			}
		}
	}
}

func (s *FileStore) sync(f *os.File) error {
	if s.opts.NoSync {
		return nil
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("checkpoint store: sync %s: %w", f.Name(), err)
	}
	return nil
}

// syncDir makes a new or renamed file's name durable.
func (s *FileStore) syncDir() error {
	if s.opts.NoSync {
		return nil
	}
	if err := syncDirectory(s.dir); err != nil {
		return fmt.Errorf("checkpoint store: sync directory %s: %w", s.dir.Name(), err)
	}
	return nil
}
