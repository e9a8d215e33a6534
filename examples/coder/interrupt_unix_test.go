//go:build unix

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestInterruptBeforeTheWork interrupts it while it asks git, which here is a program
// that waits.
func TestInterruptBeforeTheWork(t *testing.T) {
	t.Parallel()
	p, bin := newProgram(t), t.TempDir()
	began, end := filepath.Join(bin, "began"), filepath.Join(bin, "end")
	for _, pipe := range []string{began, end} {
		require.NoError(t, syscall.Mkfifo(pipe, 0o600))
	}
	script := "#!/bin/sh\n: > " + began + "\nread line < " + end + "\n"
	require.NoError(t, os.WriteFile(filepath.Join(bin, "git"), []byte(script), 0o755))
	cmd := p.command()
	cmd.Env = append(cmd.Env, "PATH="+bin+string(filepath.ListSeparator)+os.Getenv("PATH"))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	require.NoError(t, cmd.Start())
	_, err := os.ReadFile(began)
	require.NoError(t, err)
	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	require.Error(t, cmd.Wait())
	assert.Equal(t, exitInterrupted, cmd.ProcessState.ExitCode())
	assert.Contains(t, stderr.String(), "coder: interrupted")
	left, err := os.ReadDir(p.tmp)
	require.NoError(t, err)
	assert.Empty(t, left, "half of a repository")
}
