package git

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What the scan of an index says is what git says of it, in every form that an
// index has.
func TestScanIndexAgreesWithGit(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("long/", 300) + "name" // entries of every padding, and a name of 1.5 kB
	for _, version := range []string{"2", "3", "4"} {
		for _, format := range []string{"sha1", "sha256"} {
			t.Run(version+" "+format, func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				runIn(t, dir, "init", "-q", "--object-format="+format)
				s, err := Open(t.Context(), dir, testOptions())
				require.NoError(t, err)
				r := &repo{t, s.Root(), s}
				check := func(want indexMarks) {
					t.Helper()
					marks, ok := r.marks("")
					require.True(t, ok)
					assert.Equal(t, want, marks)
				}
				check(indexMarks{})
				for _, name := range []string{"a", "bb", "ccc", "dddd", "eeeee", "f/f", "g/ggggg", long} {
					r.file(name, name)
				}
				r.run("add", "-A")
				r.run("update-index", "--index-version", version)
				check(indexMarks{})
				r.run("commit", "-qm", "first")
				check(indexMarks{})

				r.run("update-index", "--assume-unchanged", "ccc")
				check(indexMarks{hidden: true})
				r.run("update-index", "--no-assume-unchanged", "ccc")
				r.run("update-index", "--skip-worktree", "g/ggggg")
				check(indexMarks{hidden: true})
				r.run("update-index", "--no-skip-worktree", "g/ggggg")
				r.file("new", "")
				r.run("add", "--intent-to-add", "new") // an extended entry
				check(indexMarks{})

				r.run("update-index", "--add", "--cacheinfo", "160000,"+r.run("rev-parse", "HEAD")+",sub")
				check(indexMarks{submodules: true})
				r.run("update-index", "--force-remove", "sub")

				blob := r.run("rev-parse", "HEAD:a")
				cmd := call{args: []string{"update-index", "--index-info"}, stdin: []byte("100644 " + blob + " 2\tdir/conflict\n"), writes: true}
				_, err = r.git(t.Context(), cmd)
				require.NoError(t, err)
				check(indexMarks{unmerged: true})
				list, err := r.unmerged(t.Context(), "")
				require.NoError(t, err)
				assert.Equal(t, []string{"dir/conflict"}, list)
				_, err = r.Commit(t.Context(), CommitOptions{Paths: []string{"dir"}, Message: "m"})
				require.ErrorIs(t, err, ErrConflict)
				_, err = r.Commit(t.Context(), CommitOptions{Paths: []string{"f"}, Message: "m"})
				require.NotErrorIs(t, err, ErrConflict)
			})
		}
	}
}

// An index that this package does not read in full is left to git.
func TestScanIndexLeavesTheRestToGit(t *testing.T) {
	t.Parallel()
	r := withCommit(t)
	r.run("update-index", "--split-index")
	_, ok := r.marks("")
	assert.False(t, ok)
	r.file("a.txt", "x\n")
	_, err := r.Commit(t.Context(), CommitOptions{Message: "with a split index"})
	require.NoError(t, err)

	index, err := os.ReadFile(withCommit(t).path(".git/index"))
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "index")
	for cut := range len(index) {
		require.NoError(t, os.WriteFile(file, index[:cut], 0o666))
		marks, _ := scanIndex(file, 20)
		require.Zero(t, marks, "after %d bytes", cut)
	}
}

func FuzzScanIndex(f *testing.F) {
	for version := range uint32(5) {
		index := binary.BigEndian.AppendUint32([]byte("DIRC"), version)
		index = binary.BigEndian.AppendUint32(index, 1)
		index = append(index, make([]byte, 61)...)
		f.Add(append(index, "\x01a\x00\x00\x00link\x00\x00\x00\x00"...))
	}
	f.Fuzz(func(t *testing.T, index []byte) {
		file := filepath.Join(t.TempDir(), "index")
		if err := os.WriteFile(file, index, 0o666); err != nil {
			t.Fatal(err)
		}
		for _, size := range []int{20, 32} {
			if _, ok := scanIndex(file, size); ok && len(index) < 12 {
				t.Errorf("%q is not an index", index)
			}
		}
	})
}
