package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/tokenring-ai/tokenring-go/agent"
	"github.com/tokenring-ai/tokenring-go/aiclient/aitest"
	"github.com/tokenring-ai/tokenring-go/git"
)

// newRepository makes a repository with a few files.
func newRepository(ctx context.Context, dir string) (*git.Service, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	repo, err := git.Init(ctx, dir, "main", git.Options{Identity: git.Identity{Name: "Swarm", Email: "swarm@example.com"}})
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"hello", "bye", "thanks"} {
		if err := os.WriteFile(filepath.Join(dir, name+".txt"), []byte(name+"\n"), 0o644); err != nil {
			return nil, err
		}
	}
	_, err = repo.Commit(ctx, git.CommitOptions{Message: "Say a few things"})
	return repo, err
}

func configString(config agent.Config) (s string, err error) {
	if err := json.Unmarshal(config, &s); err != nil {
		return "", fmt.Errorf("configuration: %w", err)
	}
	return s, nil
}

var german = map[string]string{"hello": "hallo", "bye": "tschüss", "thanks": "danke"}

// script reads the file that the task names, as the tools ask for, and rewrites
// it.
func script(req aitest.Request) aitest.Reply {
	verb, path, _ := strings.Cut(req.LastUser(), " ")
	switch {
	case len(req.Calls("read")) == 0:
		args, _ := json.Marshal(map[string]string{"path": path}) // of strings
		return aitest.Call("read", string(args))
	case len(req.Calls("write")) > 0:
		return aitest.Text("Done.")
	}
	word := strings.TrimSuffix(path, ".txt")
	changed := german[word]
	if verb == "shout" {
		changed = strings.ToUpper(word) + "!"
	}
	args, _ := json.Marshal(map[string]string{"path": path, "content": changed + "\n"}) // of strings
	return aitest.Call("write", string(args))
}
