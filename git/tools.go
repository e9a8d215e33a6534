package git

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/tokenring-ai/tokenring-go/utility/tool"
)

// Tools returns what a model may do with the repository: git_status, git_diff,
// git_log, git_show, git_commit, git_rollback, git_undo and git_branch.
func (s *Service) Tools() []tool.Tool {
	readOnly := tool.Options{Annotations: tool.Annotations{ReadOnly: true, Idempotent: true}, Logger: s.opts.Logger}
	writes := func(line string, destructive bool) tool.Options {
		return tool.Options{
			Annotations: tool.Annotations{Exclusive: true, Destructive: destructive},
			Effects:     func(json.RawMessage) []tool.Effect { return []tool.Effect{{Kind: tool.Exec, Target: line}} },
			Logger:      s.opts.Logger,
		}
	}
	commit := writes("git commit", false)
	commit.Preview = s.previewCommit
	branch := writes("git switch", false)
	branch.Effects = branchEffects
	return []tool.Tool{
		tool.New("git_status", "Shows the current branch and every file that differs from the last commit.", s.toolStatus, readOnly),
		tool.New("git_diff", "Shows uncommitted changes as a unified diff, or the changes between two revisions. Large diffs are cut; give paths to see one file in full.", s.toolDiff, readOnly),
		tool.New("git_log", "Lists commits, the newest first.", s.toolLog, readOnly),
		tool.New("git_show", "Shows one commit: its message and its diff.", s.toolShow, readOnly),
		tool.New("git_commit", "Commits your changes. Without paths it commits everything that you changed, untracked files included; what a person had changed before you began is left alone. Without a message one is written from the diff.", s.toolCommit, commit),
		tool.New("git_rollback", "Takes back the last commits. Uncommitted work stays; git_undo brings the commits back.", s.toolRollback, writes("git reset", true)),
		tool.New("git_undo", "Brings back the state before the last git_rollback, or the state with the given backup ID.", s.toolUndo, writes("git reset", true)),
		tool.New("git_branch", "Lists branches, or with a name switches to that branch; create makes it first.", s.toolBranch, branch),
	}
}

type statusArgs struct {
	Paths []string `json:"paths,omitempty" jsonschema:"limit to these files or directories, relative to the repository's top directory"`
}

func (s *Service) toolStatus(ctx context.Context, in statusArgs) (string, error) {
	paths, err := s.checkPaths(in.Paths)
	if err != nil {
		return "", err
	}
	return s.statusText(ctx, paths)
}

func (s *Service) statusText(ctx context.Context, paths []string) (string, error) {
	st, err := s.Status(ctx, StatusOptions{Paths: paths})
	if err != nil {
		return "", err
	}
	var b strings.Builder
	switch {
	case st.Unborn():
		fmt.Fprintf(&b, "On branch %s, no commit yet", st.Branch)
	case st.Detached():
		fmt.Fprintf(&b, "HEAD detached at %s", st.Head[:10])
	default:
		fmt.Fprintf(&b, "On branch %s at %s", st.Branch, st.Head[:10])
	}
	if st.Upstream != "" && !st.Gone {
		fmt.Fprintf(&b, ", %d ahead and %d behind %s", st.Ahead, st.Behind, st.Upstream)
	}
	b.WriteByte('\n')
	if len(st.Entries) == 0 {
		b.WriteString("Nothing differs from the last commit.\n")
		return b.String(), nil
	}
	b.WriteString("First letter: staged, second: not staged (M modified, A added, D deleted, R renamed, ? untracked).\n")
	const shown = 500
	for i, e := range st.Entries {
		if i == shown {
			fmt.Fprintf(&b, "… and %d more; give paths to see them\n", len(st.Entries)-shown)
			break
		}
		b.WriteString(e.String() + "\n")
	}
	return b.String(), nil
}

type diffArgs struct {
	Paths  []string `json:"paths,omitempty" jsonschema:"limit to these files or directories"`
	From   string   `json:"from,omitempty" jsonschema:"revision to compare from, default HEAD"`
	To     string   `json:"to,omitempty" jsonschema:"revision to compare to, default the files as they are now"`
	Staged bool     `json:"staged,omitempty" jsonschema:"compare with what is staged"`
	Stat   bool     `json:"stat,omitempty" jsonschema:"only list the files and how many lines changed"`
}

const toolDiffBytes = 32 << 10

func (s *Service) toolDiff(ctx context.Context, in diffArgs) (string, error) {
	paths, err := s.checkPaths(in.Paths)
	if err != nil {
		return "", err
	}
	d, err := s.Diff(ctx, DiffOptions{From: in.From, To: in.To, Staged: in.Staged, StatOnly: in.Stat, Paths: paths,
		Untracked: in.To == "" && !in.Staged, MaxBytes: toolDiffBytes})
	if err != nil {
		return "", err
	}
	if len(d.Files) == 0 {
		return "Nothing differs.", nil
	}
	return d.render(toolDiffBytes), nil
}

type logArgs struct {
	Limit int      `json:"limit,omitempty" jsonschema:"how many commits, default 20, at most 200"`
	From  string   `json:"from,omitempty" jsonschema:"revision to start at, default HEAD"`
	Grep  string   `json:"grep,omitempty" jsonschema:"only commits whose message holds this text"`
	Paths []string `json:"paths,omitempty" jsonschema:"only commits that touch these files or directories"`
}

func (s *Service) toolLog(ctx context.Context, in logArgs) (string, error) {
	if in.Limit <= 0 {
		in.Limit = 20
	}
	commits, err := s.Log(ctx, LogOptions{Limit: min(in.Limit, 200), From: in.From, Grep: in.Grep, Paths: in.Paths})
	if err != nil {
		return "", err
	}
	if len(commits) == 0 {
		return "No commits.", nil
	}
	var b strings.Builder
	for _, c := range commits {
		fmt.Fprintf(&b, "%s %s %s: %s\n", c.Short(), c.Time.UTC().Format("2006-01-02"), c.Author.Name, c.Subject)
	}
	return b.String(), nil
}

type showArgs struct {
	Rev string `json:"rev" jsonschema:"the commit, such as HEAD or a hash"`
}

func (s *Service) toolShow(ctx context.Context, in showArgs) (string, error) {
	c, err := s.Show(ctx, in.Rev)
	if err != nil {
		return "", err
	}
	from := ""
	if len(c.Parents) > 0 {
		from = c.Parents[0]
	} else if from, err = s.emptyTree(ctx); err != nil {
		return "", err
	}
	d, err := s.Diff(ctx, DiffOptions{From: from, To: c.Hash, MaxBytes: toolDiffBytes})
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("commit %s\nAuthor: %s\nDate: %s\n\n%s\n\n%s", c.Hash, c.Author, c.Time.UTC().Format("2006-01-02 15:04:05 MST"), c.Message, d.render(toolDiffBytes)), nil
}

type commitArgs struct {
	Message string   `json:"message,omitempty" jsonschema:"the commit message; leave it out to have one written from the diff"`
	Paths   []string `json:"paths,omitempty" jsonschema:"commit only these files or directories"`
}

// modelPaths limits a commit that a model asks for to the agent's own changes,
// where an AutoCommit knows them.
func (s *Service) modelPaths(ctx context.Context, paths []string) ([]string, error) {
	paths, err := s.checkPaths(paths)
	if err != nil {
		return nil, err
	}
	if guard := s.guard.Load(); guard != nil {
		return guard.agentPaths(ctx, paths)
	}
	return paths, nil
}

func (s *Service) toolCommit(ctx context.Context, in commitArgs) (string, error) {
	paths, err := s.modelPaths(ctx, in.Paths)
	if err != nil {
		return "", err
	}
	in.Paths = paths
	return s.commitText(ctx, in)
}

func (s *Service) commitText(ctx context.Context, in commitArgs) (string, error) {
	c, err := s.Commit(ctx, CommitOptions{Message: cleanMessage(in.Message), Paths: in.Paths})
	if err != nil {
		return "", err
	}
	return describe(c), nil
}

func describe(c Commit) string {
	files := "files"
	if len(c.Files) == 1 {
		files = "file"
	}
	return fmt.Sprintf("Committed %s: %d %s changed, %d lines added, %d removed.\n%s", c.Short(), len(c.Files), files, c.Added, c.Removed, c.Message)
}

func (s *Service) previewCommit(ctx context.Context, args json.RawMessage) (string, error) {
	var in commitArgs
	if err := json.Unmarshal(args, &in); err != nil {
		return "", fmt.Errorf("git: preview commit: %w", err)
	}
	paths, err := s.modelPaths(ctx, in.Paths)
	if err != nil {
		return "", err
	}
	text, err := s.CommitDiff(ctx, CommitOptions{Paths: paths})
	if err != nil {
		return "", err
	}
	if in.Message != "" {
		text = in.Message + "\n\n" + text
	}
	return text, nil
}

type rollbackArgs struct {
	Commits int    `json:"commits,omitempty" jsonschema:"how many commits to take back, default 1"`
	To      string `json:"to,omitempty" jsonschema:"instead: the earlier commit to go back to, such as a hash"`
}

func (s *Service) toolRollback(ctx context.Context, in rollbackArgs) (string, error) {
	r, err := s.Rollback(ctx, RollbackOptions{N: in.Commits, To: in.To})
	if err != nil {
		return "", err
	}
	return r.describe(), nil
}

func (r Rollback) describe() string {
	var b strings.Builder
	fmt.Fprintf(&b, "HEAD is at %s. Taken back:\n", r.To[:10])
	for _, c := range r.Commits {
		b.WriteString("- " + c.String() + "\n")
	}
	fmt.Fprintf(&b, "Backup %s holds the state before.", r.Backup.ID)
	return b.String()
}

type undoArgs struct {
	Backup string `json:"backup,omitempty" jsonschema:"ID of the backup, default the newest"`
}

func (s *Service) toolUndo(ctx context.Context, in undoArgs) (string, error) {
	now, err := s.Undo(ctx, in.Backup)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("The state is back. Backup %s holds the one before.", now.ID), nil
}

type branchArgs struct {
	Name   string `json:"name,omitempty" jsonschema:"branch to switch to; leave it out to list branches"`
	Create bool   `json:"create,omitempty" jsonschema:"make the branch at the current commit"`
}

func branchEffects(args json.RawMessage) []tool.Effect {
	var in branchArgs
	if json.Unmarshal(args, &in) == nil && in.Name == "" {
		return nil
	}
	return []tool.Effect{{Kind: tool.Exec, Target: "git switch"}}
}

func (s *Service) toolBranch(ctx context.Context, in branchArgs) (string, error) {
	if in.Name == "" {
		return s.branchText(ctx)
	}
	if _, err := s.SwitchBranch(ctx, in.Name, in.Create, DirtyCarry); err != nil {
		return "", err
	}
	return "On branch " + in.Name + ".", nil
}

func (s *Service) branchText(ctx context.Context) (string, error) {
	list, err := s.Branches(ctx)
	if err != nil {
		return "", err
	}
	if len(list) == 0 {
		return "No branches.", nil
	}
	var b strings.Builder
	for _, br := range list {
		mark := " "
		if br.Current {
			mark = "*"
		}
		fmt.Fprintf(&b, "%s %s %s %s\n", mark, br.Name, br.Hash[:10], br.Subject)
	}
	return b.String(), nil
}
