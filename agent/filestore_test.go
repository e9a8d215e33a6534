package agent

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What died while it replaced a file leaves nothing that stays.
func TestHalfWrittenReplacementsAreSwept(t *testing.T) {
	dir := t.TempDir()
	s, err := NewFileStore(dir, FileStoreOptions{Logger: quiet})
	require.NoError(t, err)
	names := func() []string {
		entries, err := os.ReadDir(dir)
		require.NoError(t, err)
		var list []string
		for _, e := range entries {
			list = append(list, e.Name())
		}
		return list
	}
	half := filepath.Join(dir, "a"+besideSuffix)
	require.NoError(t, s.Append(t.Context(), "a", Record{Seq: 1, Data: []byte("one")}))
	require.NoError(t, os.WriteFile(half, []byte(fileMagic+"half of a file that is longer than the next one"), 0o600))
	for id, err := range s.Agents(t.Context()) {
		require.NoError(t, err)
		assert.Equal(t, "a", id)
	}
	require.NoError(t, s.Replace(t.Context(), "a", 1, []Record{{Seq: 1, Data: []byte("1")}}))
	assert.Equal(t, []string{"a.ckpt"}, names())
	for rec, err := range s.Records(t.Context(), "a") {
		require.NoError(t, err)
		assert.Equal(t, "1", string(rec.Data))
	}
	require.NoError(t, os.WriteFile(half, nil, 0o600))
	require.NoError(t, s.Delete(t.Context(), "a"))
	assert.Empty(t, names())
	assert.Empty(t, s.known)
}

// A link that something else put into the directory leads nowhere.
func TestFilesOutsideOfTheDirectoryAreNotTouched(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "precious")
	require.NoError(t, os.WriteFile(outside, []byte("precious"), 0o600))
	dir := t.TempDir()
	s, err := NewFileStore(dir, FileStoreOptions{Logger: quiet})
	require.NoError(t, err)
	if err := os.Symlink(outside, filepath.Join(dir, "a.ckpt")); err != nil {
		t.Skip("no symbolic links here:", err)
	}
	require.Error(t, s.Append(t.Context(), "a", Record{Seq: 1}))
	for _, err := range s.Records(t.Context(), "a") {
		require.Error(t, err)
	}
	data, err := os.ReadFile(outside)
	require.NoError(t, err)
	assert.Equal(t, "precious", string(data))
}

// What is known of files that are not written any more is forgotten.
func TestFilesAreForgotten(t *testing.T) {
	s, err := NewFileStore(t.TempDir(), FileStoreOptions{Logger: quiet})
	require.NoError(t, err)
	s.limit = 2
	for seq := range uint64(3) {
		for i := range 5 {
			require.NoError(t, s.Append(t.Context(), fmt.Sprint(i), Record{Seq: seq + 1, Data: []byte("x")}))
		}
	}
	assert.Len(t, s.known, 2)
	for i := range 5 {
		n := 0
		for _, err := range s.Records(t.Context(), fmt.Sprint(i)) {
			require.NoError(t, err)
			n++
		}
		assert.Equal(t, 3, n)
	}
}
