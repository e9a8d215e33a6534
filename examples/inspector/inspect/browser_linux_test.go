package inspect_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/examples/inspector/inspect"
)

// TestTheBrowserOutlivesTheServer has an xdg-open that stays, as it does when it
// becomes the browser.
func TestTheBrowserOutlivesTheServer(t *testing.T) {
	dir := t.TempDir()
	began, end := filepath.Join(dir, "began"), filepath.Join(dir, "end")
	for _, pipe := range []string{began, end} {
		require.NoError(t, syscall.Mkfifo(pipe, 0o600))
	}
	script := "#!/bin/sh\necho $$ $1 > " + began + "\nread line < " + end + "\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, "xdg-open"), []byte(script), 0o755))
	t.Setenv("PATH", dir)

	m, _ := host(t)
	s := start(t, inspect.Options{Manager: m})
	require.NoError(t, s.Open())
	said, err := os.ReadFile(began)
	require.NoError(t, err)
	pid, address, _ := strings.Cut(strings.TrimSpace(string(said)), " ")
	assert.Equal(t, s.URL, address)
	n, err := strconv.Atoi(pid)
	require.NoError(t, err)
	group, err := syscall.Getpgid(n)
	require.NoError(t, err)
	assert.NotEqual(t, syscall.Getpgrp(), group, "Ctrl-C does not end it")

	closed := make(chan error, 1)
	go func() { closed <- s.Close(t.Context()) }()
	select {
	case err := <-closed:
		assert.NoError(t, err)
	case <-time.After(20 * time.Second):
		t.Error("Close waits for the browser")
	}
	require.NoError(t, os.WriteFile(end, []byte("\n"), 0))
	if t.Failed() {
		<-closed
	}
}
