package git_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/tokenring-ai/tokenring-go/git"
)

// project makes a repository with one commit and returns it with its directory.
func project(ctx context.Context) (*git.Service, string) {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		panic(err)
	}
	repo, err := git.Init(ctx, dir, "main", git.Options{Identity: git.Identity{Name: "Agent", Email: "agent@example.org"}})
	if err != nil {
		panic(err)
	}
	write(dir, "main.go", "package main\n")
	if _, err := repo.Commit(ctx, git.CommitOptions{Message: "Begin"}); err != nil {
		panic(err)
	}
	return repo, dir
}

func write(dir, name, content string) {
	if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o666); err != nil {
		panic(err)
	}
}

func Example() {
	ctx := context.Background()
	repo, dir := project(ctx)
	defer os.RemoveAll(dir)

	write(dir, "main.go", "package main\n\nfunc main() {}\n")
	commit, err := repo.Commit(ctx, git.CommitOptions{}) // no message: one is written
	if err != nil {
		panic(err)
	}
	fmt.Println(commit.Subject)

	back, err := repo.Rollback(ctx, git.RollbackOptions{N: 1})
	if err != nil {
		panic(err)
	}
	fmt.Println("took back", back.Commits[0].Subject)
	if _, err := repo.Undo(ctx, back.Backup.ID); err != nil {
		panic(err)
	}
	log, err := repo.Log(ctx, git.LogOptions{Limit: 1})
	if err != nil {
		panic(err)
	}
	fmt.Println("again at", log[0].Subject)
	// Output:
	// Update main.go
	// took back Update main.go
	// again at Update main.go
}

// An agent's work is committed after its tests, a person's is not.
func ExampleAutoCommit() {
	ctx := context.Background()
	repo, dir := project(ctx)
	defer os.RemoveAll(dir)
	write(dir, "notes.txt", "a person's draft\n")

	auto := git.NewAutoCommit(repo, git.AutoCommitOptions{Passed: func() bool { return true }})
	if err := auto.Begin(ctx); err != nil {
		panic(err)
	}
	write(dir, "agent.go", "package main\n")
	if err := auto.AfterTesting(ctx); err != nil {
		panic(err)
	}
	commit, _ := auto.Last()
	fmt.Println(commit.Subject)
	status, err := repo.Status(ctx, git.StatusOptions{})
	if err != nil {
		panic(err)
	}
	fmt.Println(status.Entries[0])
	// Output:
	// Add agent.go
	// ?? notes.txt
}

// A snapshot brings back work that was never committed.
func ExampleService_Snapshot() {
	ctx := context.Background()
	repo, dir := project(ctx)
	defer os.RemoveAll(dir)
	write(dir, "draft.txt", "never committed\n")

	snapshot, err := repo.Snapshot(ctx, "before the agent")
	if err != nil {
		panic(err)
	}
	if err := os.Remove(filepath.Join(dir, "draft.txt")); err != nil {
		panic(err)
	}
	if _, err := repo.RestoreSnapshot(ctx, snapshot.ID); err != nil {
		panic(err)
	}
	draft, err := os.ReadFile(filepath.Join(dir, "draft.txt"))
	fmt.Print(string(draft), err, "\n")
	// Output:
	// never committed
	// <nil>
}
