package filesystem

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/tokenring-ai/tokenring-go/utility/command"
)

// Defaults of [RunOptions].
const (
	DefaultRunTimeout = 2 * time.Minute
	DefaultRunOutput  = 32 << 10
)

// RunOptions bound the run tool.
type RunOptions struct {
	// Policy may refuse a command by an error, whose text the model reads. Nil
	// means [RefuseDangerous]. It is a safety net beside the approval of tool
	// calls, not a sandbox.
	Policy func(ctx context.Context, argv []string) error

	// Timeout is the longest a command may run and the default of the tool's
	// own argument. 0 means DefaultRunTimeout.
	Timeout time.Duration

	// MaxOutput bounds the output that is kept, in bytes per stream. 0 means
	// DefaultRunOutput.
	MaxOutput int

	// Env and InheritEnv are those of [command.Options].
	Env, InheritEnv []string

	// Disabled leaves the run tool out.
	Disabled bool
}

// Run runs a program in a directory below the root, by the options of
// Options.Run. The result is complete also when the error is not nil. Files
// that the program changed and that are not ignored count as dirty, and when
// there are more than 200,000, which are not compared, the root does.
func (s *Service) Run(ctx context.Context, argv []string, dir string, timeout time.Duration) (r command.Result, err error) {
	began, program := s.begin(), ""
	if len(argv) > 0 {
		program = argv[0]
	}
	defer func() { s.done(ctx, began, "run", program, 0, err) }()
	if len(argv) == 0 || argv[0] == "" {
		return command.Result{}, errors.New("run: no program given")
	}
	t := s.tree()
	exec, ok := t.provider.(Executor)
	if !ok {
		return command.Result{}, errors.New("run: this file tree cannot run programs")
	}
	clean := "."
	if dir != "" {
		var err error
		if clean, err = s.clean(dir); err != nil {
			return command.Result{}, err
		}
	}
	policy := s.opts.Run.Policy
	if policy == nil {
		policy = RefuseDangerous
	}
	if err := policy(ctx, argv); err != nil {
		return command.Result{}, fmt.Errorf("run %s: %w", argv[0], err)
	}
	limit := s.opts.Run.Timeout
	if limit <= 0 {
		limit = DefaultRunTimeout
	}
	if timeout <= 0 || timeout > limit {
		timeout = limit
	}
	output := s.opts.Run.MaxOutput
	if output == 0 {
		output = DefaultRunOutput
	}
	before := t.stamps(ctx)
	if err := ctx.Err(); err != nil {
		return command.Result{}, fmt.Errorf("run %s: %w", argv[0], err)
	}
	result, err := exec.Execute(ctx, argv, command.Options{
		Dir: clean, Timeout: timeout, MaxOutput: output,
		Env: s.opts.Run.Env, InheritEnv: s.opts.Run.InheritEnv,
	})
	s.markChanges(context.WithoutCancel(ctx), t, before)
	if t.exists != nil {
		t.exists.runs.Add(1)
	}
	return result, err
}

// commandStarts are the words of a shell line behind which a command begins.
var commandStarts = []string{";", "&", "|", "(", ")", "{", "}", "!", "then", "else", "do"}

// RefuseDangerous refuses commands that can hardly be meant and that no
// approval in passing should let through: removing the file system's root or
// the home directory, writing to devices, making file systems, stopping the
// machine, gaining rights, and feeding a download to a shell. Shell lines are
// looked at word by word.
func RefuseDangerous(_ context.Context, argv []string) error {
	words := argv
	if len(argv) >= 3 && isShell(argv[0]) && strings.HasPrefix(argv[1], "-") && strings.Contains(argv[1], "c") {
		words = strings.Fields(strings.NewReplacer(";", " ; ", "&", " & ", "|", " | ", "\n", " ; ", "(", " ( ", ")", " ) ", "`", " ", "$(", " ( ", "'", "", `"`, "").Replace(argv[2]))
	}
	start := true
	fetched := false
	for i, w := range words {
		if slices.Contains(commandStarts, w) {
			if w == ";" || w == "&" {
				fetched = false
			}
			start = true
			continue
		}
		if !start {
			continue
		}
		if strings.Contains(w, "=") && !strings.HasPrefix(w, "-") {
			continue // an assignment before the command
		}
		start = false
		end := i + 1
		for end < len(words) && !slices.Contains(commandStarts, words[end]) {
			end++
		}
		if err := dangerous(path.Base(w), words[i+1:end], fetched); err != nil {
			return err
		}
		fetched = fetched || path.Base(w) == "curl" || path.Base(w) == "wget"
	}
	return nil
}

func isShell(name string) bool {
	return slices.Contains([]string{"sh", "bash", "dash", "zsh", "ksh"}, path.Base(name))
}

func dangerous(name string, args []string, fetched bool) error {
	refuse := func(why string) error { return fmt.Errorf("refused: %s", why) }
	switch {
	case name == "sudo" || name == "su" || name == "doas":
		return refuse("it gains rights that the agent does not have")
	case name == "shutdown" || name == "reboot" || name == "halt" || name == "poweroff":
		return refuse("it stops the machine")
	case strings.HasPrefix(name, "mkfs") || name == "fdisk" || name == "wipefs" || name == "parted":
		return refuse("it overwrites a file system")
	case fetched && isShell(name):
		return refuse("it runs a download unseen; save it to a file and read it first")
	case name == "dd" && slices.ContainsFunc(args, func(a string) bool { return strings.HasPrefix(a, "of=/dev/") && a != "of=/dev/null" }):
		return refuse("it writes to a device")
	case name == "rm" || name == "chmod" || name == "chown":
		recursive := slices.ContainsFunc(args, func(a string) bool {
			return a == "--recursive" || strings.HasPrefix(a, "-") && !strings.HasPrefix(a, "--") && strings.ContainsAny(a, "rR")
		})
		for _, a := range args {
			if recursive && slices.Contains([]string{"/", "/*", "~", "~/", "~/*", "$HOME", "${HOME}", "$HOME/", "$HOME/*", "..", "../", "../*"}, a) {
				return refuse(fmt.Sprintf("it changes all of %s", a))
			}
		}
	}
	return nil
}

// maxStamped bounds the files that are compared before and after a command.
const maxStamped = 200_000

// stamps takes the state of all files that are not ignored. It returns nil when
// there are too many or the root cannot be read.
func (t *tree) stamps(ctx context.Context) map[string]fileStamp {
	out := make(map[string]fileStamp)
	results := make([]map[string]fileStamp, workers(0))
	for i := range results {
		results[i] = make(map[string]fileStamp)
	}
	var count atomic.Int64
	sc := &scan{tree: t}
	sc.visit = func(w int, dir dirNode, e Entry) bool {
		if !e.IsRegular() {
			return true
		}
		if stamp, err := dir.stat(e.Name()); err == nil {
			stamp.CTime = 0 // a new mode or link is no new content
			results[w][e.Path] = stamp
		}
		return count.Add(1) <= maxStamped
	}
	sc.fail = func(int, Entry, error) bool { return true }
	if err := sc.run(ctx, "."); err != nil || sc.stopped.Load() {
		return nil
	}
	for _, r := range results {
		for name, stamp := range r {
			out[name] = stamp
		}
	}
	return out
}

// markChanges marks what differs from an earlier state, or the root when nobody
// knows.
func (s *Service) markChanges(ctx context.Context, t *tree, before map[string]fileStamp) {
	var after map[string]fileStamp
	if before != nil {
		after = t.stamps(ctx)
	}
	if after == nil {
		s.wrote(ctx, ".")
		return
	}
	var changed []string
	for name, stamp := range after {
		if old, ok := before[name]; !ok || old != stamp {
			changed = append(changed, name)
		}
	}
	for name := range before {
		if _, ok := after[name]; !ok {
			changed = append(changed, name)
		}
	}
	slices.Sort(changed)
	for _, name := range changed {
		s.wrote(ctx, name)
	}
}
