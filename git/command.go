package git

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// Help describes the /git command.
func (s *Service) Help() string {
	return `/git status                      what differs from the last commit
/git diff [path…]                uncommitted changes
/git log [count]                 the last commits
/git commit [message]            commit everything; without a message one is written
/git rollback [count]            take back the last commits, keeping uncommitted work
/git undo [backup]               bring back the state before the last rollback
/git snapshot [reason]           save the whole working state
/git snapshots                   list saved states and backups
/git restore <id> [path…]        bring back the files of a saved state
/git branch                      list branches
/git switch [-c] <name>          switch to a branch; -c makes it first`
}

// Command runs the /git command, for a person. What it does is what the tools of
// the same names do, except that commit commits everything, the person's own
// changes too.
func (s *Service) Command(ctx context.Context, args string) (string, error) {
	verb, rest, _ := strings.Cut(strings.TrimSpace(args), " ")
	rest = strings.TrimSpace(rest)
	switch verb {
	case "", "help":
		return s.Help(), nil
	case "status":
		return s.statusText(ctx, nil)
	case "diff":
		return s.toolDiff(ctx, diffArgs{Paths: strings.Fields(rest)})
	case "log":
		n, err := count(rest, 20)
		if err != nil {
			return "", err
		}
		return s.toolLog(ctx, logArgs{Limit: n})
	case "commit":
		return s.commitText(ctx, commitArgs{Message: rest})
	case "rollback":
		n, err := count(rest, 1)
		if err != nil {
			return "", err
		}
		return s.toolRollback(ctx, rollbackArgs{Commits: n})
	case "undo":
		return s.toolUndo(ctx, undoArgs{Backup: rest})
	case "snapshot":
		snap, err := s.Snapshot(ctx, rest)
		if err != nil {
			return "", err
		}
		return "Saved as " + snap.ID + ".", nil
	case "snapshots":
		return s.snapshotText(ctx)
	case "restore":
		fields := strings.Fields(rest)
		if len(fields) == 0 {
			return "", fmt.Errorf("git: restore needs the ID of a saved state; /git snapshots lists them")
		}
		now, err := s.RestoreSnapshot(ctx, fields[0], fields[1:]...)
		if err != nil {
			return "", err
		}
		return fmt.Sprintf("The files of %s are back. Backup %s holds the state before.", fields[0], now.ID), nil
	case "branch", "branches":
		return s.branchText(ctx)
	case "switch":
		name, create := strings.CutPrefix(rest, "-c ")
		if name == "" {
			return "", fmt.Errorf("git: switch needs the name of a branch")
		}
		return s.toolBranch(ctx, branchArgs{Name: strings.TrimSpace(name), Create: create})
	default:
		return "", fmt.Errorf("git: unknown command %q; these exist:\n%s", verb, s.Help())
	}
}

func count(arg string, otherwise int) (int, error) {
	if arg == "" {
		return otherwise, nil
	}
	n, err := strconv.Atoi(arg)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("git: %q is not a count of 1 or more", arg)
	}
	return n, nil
}

func (s *Service) snapshotText(ctx context.Context) (string, error) {
	var b strings.Builder
	for _, list := range []func(context.Context) ([]Snapshot, error){s.Snapshots, s.Backups} {
		saved, err := list(ctx)
		if err != nil {
			return "", err
		}
		for _, snap := range saved {
			kind := "snapshot"
			if snap.Backup {
				kind = "backup"
			}
			fmt.Fprintf(&b, "%s %s %s %s\n", snap.ID, kind, snap.Time.UTC().Format("2006-01-02 15:04:05"), snap.Reason)
		}
	}
	if b.Len() == 0 {
		return "No saved states.", nil
	}
	return b.String(), nil
}
