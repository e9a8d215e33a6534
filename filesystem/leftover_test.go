package filesystem

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestHalfWrittenFilesOfDeadProcessesAreRemoved(t *testing.T) {
	ended := exec.Command(os.Args[0], "-test.run=^$")
	require.NoError(t, ended.Run())
	dead := strconv.Itoa(ended.ProcessState.Pid())
	alive := strconv.Itoa(os.Getppid())
	own := strconv.Itoa(os.Getpid())

	dir := t.TempDir()
	kept := map[string]bool{
		".tokenring-" + dead + "-AAAAAAAA-B.tmp":               false,
		".tokenring-" + own + "-AAAAAAAA-B.tmp":                false, // an earlier process of the same ID
		".tokenring-" + own + "-AAAAAAAA-new.tmp":              true,  // or one with that ID in another container
		".tokenring-" + own + "-" + lifeToken() + "-B.tmp":     true,
		".tokenring-" + alive + "-AAAAAAAA-B.tmp":              true,
		".tokenring-" + dead + "-AAAAAAAA-B.txt":               true,
		".tokenring-" + dead + ".tmp":                          true,
		".tokenring--1-AAAAAAAA-B.tmp":                         true,
		".tokenring-99999999999999999999-AAAAAAAA-B.tmp":       true,
		"tokenring-" + dead + "-AAAAAAAA-B.tmp":                true,
		"file.txt":                                             true,
		".tokenring-" + dead + "-AAAAAAAA-a-directory.tmp/x":   true,
		".tokenring-" + dead + "-AAAAAAAA-B.tmp.d/ordinary.go": true,
	}
	for name := range kept {
		full := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(full), 0o755))
		require.NoError(t, os.WriteFile(full, nil, 0o644))
		if age := time.Now().Add(-time.Hour); !strings.HasSuffix(name, "-new.tmp") {
			require.NoError(t, os.Chtimes(full, age, age))
		}
	}
	local, err := NewLocal(dir)
	require.NoError(t, err)
	defer local.Close()
	require.NoError(t, local.WriteFile(t.Context(), "new.txt", []byte("x"), 0o644))
	for name, keep := range kept {
		_, err := os.Lstat(filepath.Join(dir, name))
		assert.Equal(t, keep, err == nil, name)
	}
	for i := range 3 * maxCleared / 2 {
		local.left.clear(local.root, "no-such-directory/"+strconv.Itoa(i))
		require.LessOrEqual(t, len(local.left.cleared), maxCleared)
	}
}
