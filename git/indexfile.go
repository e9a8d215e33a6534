package git

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// indexMarks are what some entries of an index are marked with, and few indexes
// have at all.
type indexMarks struct {
	unmerged   bool // a conflict that is not resolved
	hidden     bool // assume-unchanged or skip-worktree: git does not look at the file
	submodules bool
}

// scanIndex reads the marks from an index file, as gitformat-index(5) describes
// it, which saves a process for the usual answer: none. It is not ok when the
// file has a form that only git reads, such as a split index, or is damaged.
func scanIndex(file string, hashSize int) (marks indexMarks, ok bool) {
	f, err := os.Open(file)
	if errors.Is(err, os.ErrNotExist) {
		return marks, true // before the first git add
	}
	if err != nil {
		return marks, false
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return marks, false
	}
	r := bufio.NewReaderSize(f, 64<<10)
	header, err := r.Peek(12)
	if err != nil || string(header[:4]) != "DIRC" {
		return marks, false
	}
	version, count := binary.BigEndian.Uint32(header[4:]), binary.BigEndian.Uint32(header[8:])
	if version < 2 || version > 4 {
		return marks, false
	}
	at, _ := r.Discard(12)
	for range count {
		n, ok := scanEntry(r, version, hashSize, &marks)
		if !ok {
			return marks, false
		}
		at += n
	}
	// Extensions, then a checksum.
	for left := info.Size() - int64(at) - int64(hashSize); left > 0; {
		extension, err := r.Peek(8)
		if err != nil || string(extension[:4]) == "link" { // the other entries are in another file
			return marks, false
		}
		size := 8 + int64(binary.BigEndian.Uint32(extension[4:]))
		if size > left {
			return marks, false
		}
		if _, err := r.Discard(int(size)); err != nil {
			return marks, false
		}
		left -= size
	}
	return marks, true
}

// scanEntry reads one entry and returns its length.
func scanEntry(r *bufio.Reader, version uint32, hashSize int, marks *indexMarks) (length int, ok bool) {
	const stat, extended = 40, 0x4000
	fixed, err := r.Peek(stat + hashSize + 4)
	if err != nil {
		return 0, false
	}
	flags := binary.BigEndian.Uint16(fixed[stat+hashSize:])
	const typeMask, submodule = 0o170000, 0o160000
	mode := binary.BigEndian.Uint32(fixed[24:])
	marks.submodules = marks.submodules || mode&typeMask == submodule
	marks.unmerged = marks.unmerged || flags&0x3000 != 0
	marks.hidden = marks.hidden || flags&0x8000 != 0
	length = stat + hashSize + 2
	if flags&extended != 0 {
		marks.hidden = marks.hidden || binary.BigEndian.Uint16(fixed[length:])&0x4000 != 0
		length += 2
	}
	if version < 4 {
		name := int(flags & 0xfff)
		length = (length + name + 8) &^ 7 // at least one NUL, to a multiple of 8
		_, err := r.Discard(length)
		return length, err == nil && name < 0xfff
	}
	// How much of the entry before to keep, as a number of variable length, then
	// the rest of the name.
	_, _ = r.Discard(length)
	for {
		c, err := r.ReadByte()
		if err != nil {
			return 0, false
		}
		length++
		if c < 0x80 {
			break
		}
	}
	rest, err := r.ReadSlice(0)
	return length + len(rest), err == nil
}

// marks reads those of an index; "" means the real one.
func (s *Service) marks(index string) (indexMarks, bool) {
	if index == "" {
		index = filepath.Join(s.gitDir, "index")
	}
	return scanIndex(index, s.hashSize)
}

// unmerged lists the paths in an index that have unresolved conflicts.
func (s *Service) unmerged(ctx context.Context, index string) ([]string, error) {
	if marks, ok := s.marks(index); ok && !marks.unmerged {
		return nil, nil
	}
	out, err := s.git(ctx, call{args: []string{"ls-files", "--unmerged", "-z"}, index: index})
	if err != nil {
		return nil, err
	}
	var list []string
	for _, record := range splitNul(out) {
		if _, p, ok := strings.Cut(record, "\t"); ok && (len(list) == 0 || list[len(list)-1] != p) {
			list = append(list, p)
		}
	}
	return list, nil
}

// hidden lists the files that exist but that git does not look at, whatever is in
// them. git itself does not overwrite them when they differ.
func (s *Service) hidden(ctx context.Context) ([]string, error) {
	if marks, ok := s.marks(""); ok && !marks.hidden {
		return nil, nil
	}
	out, err := s.git(ctx, call{args: []string{"ls-files", "-v", "-z"}})
	if err != nil {
		return nil, err
	}
	var list []string
	for _, record := range splitNul(out) {
		tag, name, _ := strings.Cut(record, " ")
		if tag != "S" && tag != strings.ToLower(tag) {
			continue
		}
		if s.exists(name) {
			list = append(list, name)
		}
	}
	return list, nil
}

// unfinished are the files that git keeps in the git directory during operations
// that a later command concludes or aborts.
var unfinished = []struct{ file, operation string }{
	{"MERGE_HEAD", "merge"}, {"CHERRY_PICK_HEAD", "cherry-pick"}, {"REVERT_HEAD", "revert"},
	{"rebase-merge", "rebase"}, {"rebase-apply", "rebase"},
}

// refuseUnfinished is the guard of calls that move HEAD: under a merge and the
// like that is not concluded, resolved or not, the next commit would get parents
// that do not fit it.
func (s *Service) refuseUnfinished(ctx context.Context) error {
	unmerged, err := s.unmerged(ctx, "")
	if err != nil {
		return err
	}
	if len(unmerged) > 0 {
		return fmt.Errorf("%w in %s: resolve them and commit, or abort the merge, first", ErrConflict, strings.Join(unmerged, ", "))
	}
	for _, u := range unfinished {
		if _, err := os.Lstat(filepath.Join(s.gitDir, u.file)); err == nil {
			return fmt.Errorf("%w: a %s is not concluded: commit or abort it first", ErrConflict, u.operation)
		}
	}
	return nil
}
