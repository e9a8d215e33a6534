package main

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// demoTask is what the user would have typed.
const demoTask = "The tests of this module fail. Find out why and repair the code, not the tests."

// demoFiles is a small module that prices a shopping basket, with two real bugs
// and the tests that show them. The suffix .txt keeps the go command from
// taking it for a part of this module.
//
//go:embed all:demo
var demoFiles embed.FS

// writeDemo creates the demonstration's repository in a new directory below
// parent, "" being that for temporary files, and returns its path. It is kept,
// so that the user can look at the result.
func writeDemo(ctx context.Context, parent string) (dir string, err error) {
	made, err := os.MkdirTemp(parent, "tokenring-coder-")
	if err != nil {
		return "", fmt.Errorf("demonstration repository: %w", err)
	}
	defer func() {
		if err != nil {
			_ = os.RemoveAll(made) // nobody needs half of it
		}
	}()
	// A symlinked temporary directory (as on macOS) would otherwise be shown
	// under two names.
	if dir, err = filepath.EvalSymlinks(made); err != nil {
		return "", fmt.Errorf("demonstration repository: %w", err)
	}
	err = fs.WalkDir(demoFiles, "demo", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := demoFiles.ReadFile(name)
		if err != nil {
			return err
		}
		target := filepath.Join(dir, strings.TrimSuffix(strings.TrimPrefix(name, "demo/"), ".txt"))
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return err
		}
		return os.WriteFile(target, data, 0o644)
	})
	if err != nil {
		return "", fmt.Errorf("demonstration repository: %w", err)
	}
	for _, args := range [][]string{
		{"init", "--quiet", "--initial-branch=main"},
		{"config", "user.name", "TokenRing demo"},
		{"config", "user.email", "demo@tokenring.invalid"},
		{"config", "commit.gpgsign", "false"},
		{"add", "--all"},
		{"commit", "--quiet", "--no-verify", "--message", "Price a basket"},
	} {
		cmd := exec.CommandContext(ctx, "git", args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("demonstration repository: git %s: %w\n%s", strings.Join(args, " "), err, out)
		}
	}
	return dir, nil
}
