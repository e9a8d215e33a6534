package git

import (
	"context"
	"fmt"
	"strings"
)

// CheckpointTrailer is the trailer that names the checkpoint of a commit, for
// CommitOptions.Trailers: CheckpointTrailer + ": " + id.
const CheckpointTrailer = "Tokenring-Checkpoint"

const checkpointNotes = "refs/notes/tokenring"

// NoteCheckpoint notes on a commit, without changing it, which checkpoint of an
// agent belongs to it. A later note replaces an earlier one.
func (s *Service) NoteCheckpoint(ctx context.Context, rev, checkpoint string) error {
	hash, err := s.resolve(ctx, rev)
	if err != nil {
		return fmt.Errorf("git: note checkpoint: %w", err)
	}
	if checkpoint == "" || strings.ContainsAny(checkpoint, "\n\r\x00") {
		return fmt.Errorf("git: note checkpoint %q: %w", checkpoint, ErrInvalidName)
	}
	if err := s.write.lock(ctx); err != nil {
		return fmt.Errorf("git: note checkpoint on %s: %w", rev, err)
	}
	defer s.write.unlock()
	c := call{args: []string{"notes", "--ref=" + checkpointNotes, "add", "--force", "--file=-", hash}, stdin: []byte(checkpoint + "\n"),
		writes: true, noHooks: true, env: append(s.reflogIdentity(), "GIT_AUTHOR_NAME=TokenRing", "GIT_AUTHOR_EMAIL=tokenring@localhost")}
	if _, err := s.git(ctx, c); err != nil {
		return fmt.Errorf("git: note checkpoint on %s: %w", rev, err)
	}
	return nil
}

// Checkpoint returns the checkpoint that is noted on a commit, by
// NoteCheckpoint or by its trailer; "" when there is none.
func (s *Service) Checkpoint(ctx context.Context, rev string) (string, error) {
	hash, err := s.resolve(ctx, rev)
	if err != nil {
		return "", fmt.Errorf("git: checkpoint: %w", err)
	}
	checkpoint, err := s.checkpointOf(ctx, hash)
	if err != nil {
		return "", fmt.Errorf("git: checkpoint of %s: %w", rev, err)
	}
	return checkpoint, nil
}

func (s *Service) checkpointOf(ctx context.Context, hash string) (string, error) {
	note, err := s.line(ctx, "notes", "--ref="+checkpointNotes, "show", hash)
	if err == nil {
		return strings.TrimSpace(note), nil
	}
	if exitCode(err) != 1 { // 1: there is none
		return "", err
	}
	body, err := s.line(ctx, "log", "-1", "--format=%(trailers:key="+CheckpointTrailer+",valueonly)", hash)
	if err != nil {
		return "", err
	}
	lines := strings.Split(strings.TrimSpace(body), "\n")
	return lines[len(lines)-1], nil
}
