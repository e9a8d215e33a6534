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
/git diff [path…]                uncommitted changes; quote a path with a space
/git log [count]                 the last commits
/git commit [message]            commit everything; without a message one is written
/git rollback [count|revision]   take back the last commits, or all since a revision, keeping uncommitted work
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
		paths, err := words(rest)
		if err != nil {
			return "", err
		}
		return s.toolDiff(ctx, diffArgs{Paths: paths})
	case "log":
		n, err := count(rest, 20)
		if err != nil {
			return "", err
		}
		return s.toolLog(ctx, logArgs{Limit: n})
	case "commit":
		return s.commitText(ctx, commitArgs{Message: rest})
	case "rollback":
		if n, err := strconv.Atoi(rest); err == nil || rest == "" {
			if rest != "" && n < 1 {
				return "", fmt.Errorf("git: %q is not a count of 1 or more", rest)
			}
			return s.toolRollback(ctx, rollbackArgs{Commits: n})
		}
		return s.toolRollback(ctx, rollbackArgs{To: rest})
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
		fields, err := words(rest)
		if err != nil {
			return "", err
		}
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

// words splits the arguments of a command. Paths with spaces are quoted, with '
// as for a shell or with " as status shows odd names.
func words(args string) ([]string, error) {
	var list []string
	for args = strings.TrimSpace(args); args != ""; args = strings.TrimSpace(args) {
		word, rest, _ := strings.Cut(args, " ")
		var err error
		switch args[0] {
		case '"':
			var quoted string
			if quoted, err = strconv.QuotedPrefix(args); err == nil {
				rest = args[len(quoted):]
				word, err = strconv.Unquote(quoted)
			}
		case '\'':
			end := strings.IndexByte(args[1:], '\'')
			if end < 0 {
				err = strconv.ErrSyntax
				break
			}
			word, rest = args[1:1+end], args[2+end:]
		}
		if err != nil {
			return nil, fmt.Errorf("git: the quotes in %q do not match", args)
		}
		list, args = append(list, word), rest
	}
	return list, nil
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
