package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/tokenring-ai/tokenring-go/utility/command"
)

// DefaultInheritEnv lists the variables of the parent that git and the hooks it
// runs see unless Options.InheritEnv says otherwise: what a program needs to
// find its home, its keys and a person's identity, and nothing that changes
// which repository git works on.
var DefaultInheritEnv = []string{
	"PATH", "HOME", "USER", "LOGNAME", "SHELL", "TMPDIR", "TMP", "TEMP", "TZ",
	"XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR",
	"SSH_AUTH_SOCK", "SSH_AGENT_PID", "GNUPGHOME", "GPG_TTY",
	"GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL",
	"GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM", "GIT_EXEC_PATH",
	"GIT_CEILING_DIRECTORIES", "GIT_SSH", "GIT_SSH_COMMAND",
	"SystemRoot", "SYSTEMROOT", "USERPROFILE", "APPDATA", "LOCALAPPDATA", "ComSpec", "PATHEXT",
}

// fixedEnv makes git speak English, never wait for a person, and read the
// arguments it is given as what they are.
var fixedEnv = []string{
	"LC_MESSAGES=C", "LANGUAGE=",
	"GIT_TERMINAL_PROMPT=0", "GIT_ASKPASS=", "SSH_ASKPASS=", "SSH_ASKPASS_REQUIRE=never", "GCM_INTERACTIVE=never",
	"GIT_EDITOR=:", "GIT_SEQUENCE_EDITOR=:", "GIT_MERGE_AUTOEDIT=no",
	"GIT_PAGER=cat", "PAGER=cat", "GIT_ADVICE=0",
}

// fixedConfig makes output what this package reads, and messages UTF-8.
var fixedConfig = []string{
	"-c", "core.quotePath=false", "-c", "color.ui=false", "-c", "log.showSignature=false",
	"-c", "i18n.commitEncoding=UTF-8", "-c", "i18n.logOutputEncoding=UTF-8",
}

// environment builds the whole environment of the git program.
func environment(opts Options) []string {
	patterns := opts.InheritEnv
	if patterns == nil {
		patterns = DefaultInheritEnv
	}
	var env []string
	locale := ""
	for _, kv := range os.Environ() {
		name, value, _ := strings.Cut(kv, "=")
		switch {
		case name == "LC_ALL" && value != "",
			name == "LC_CTYPE" && value != "" && locale == "",
			name == "LANG" && value != "" && locale == "":
			locale = value
		case strings.HasPrefix(name, "LC_") || name == "LANG" || name == "LANGUAGE" || name == "":
		case slices.ContainsFunc(patterns, func(p string) bool {
			if p == "*" {
				// Everything else may pass, but what redirects git must be named.
				return !strings.HasPrefix(name, "GIT_") || slices.Contains(DefaultInheritEnv, name)
			}
			ok, _ := path.Match(p, name)
			return ok || p == name
		}):
			env = append(env, kv)
		}
	}
	if locale != "" {
		// Only the character set: hooks want UTF-8, and messages stay English.
		env = append(env, "LC_CTYPE="+locale)
	}
	env = append(env, fixedEnv...)
	if opts.Untrusted {
		env = append(env, untrustedEnv...)
	}
	return append(env, opts.Env...)
}

// call is one run of the git program.
type call struct {
	args       []string
	stdin      []byte
	env        []string
	index      string       // a file to use in place of the index
	config     []string     // "key=value" settings
	noHooks    bool         // do not run hooks
	notLiteral bool         // for commands that refuse literal pathspecs
	writes     bool         // may take locks; others leave even the index's stat data alone
	onStdout   func([]byte) // receives stdout instead of it being kept
}

// lockMessages are how git says that another process holds a lock. Waiting
// helps with these, and only with these.
var lockMessages = []string{
	".lock': File exists",
	"Another git process seems to be running",
	"is at 0000000000000000000000000000000000000000 but expected",
}

// git runs the program and returns its stdout. While another process holds a
// lock it tries again, up to Options.LockWait.
func (s *Service) git(ctx context.Context, c call) (string, error) {
	var waited time.Duration
	off, err := s.drivers(ctx, c)
	if err != nil {
		return "", err
	}
	c.env = slices.Concat(c.env, off)
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, 500*time.Millisecond) {
		out, err := s.gitOnce(ctx, c)
		var failed *CommandError
		if err == nil || ctx.Err() != nil || !errors.As(err, &failed) || !lockedOut(failed.Stderr) {
			return out, err
		}
		jittered := pause/2 + rand.N(pause)
		if waited+jittered > s.lockWait() {
			return out, fmt.Errorf("another git process holds a lock, waited %v for it (if none runs, a killed one left the .lock file that is named here): %w", waited.Round(time.Millisecond), err)
		}
		if err := s.pause(ctx, jittered); err != nil {
			return out, fmt.Errorf("while another git process held a lock: %w", err)
		}
		waited += jittered
	}
}

func (s *Service) lockWait() time.Duration {
	if s.opts.LockWait == 0 {
		return DefaultLockWait
	}
	return s.opts.LockWait
}

func lockedOut(stderr string) bool {
	return slices.ContainsFunc(lockMessages, func(m string) bool { return strings.Contains(stderr, m) })
}

// pause waits for another process to release a lock.
func (s *Service) pause(ctx context.Context, d time.Duration) error {
	if s.opts.Trace.LockWait != nil {
		s.opts.Trace.LockWait(ctx, d)
	}
	s.stats.lockWaits.add(d, false)
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ended(ctx)
	}
}

func (s *Service) gitOnce(ctx context.Context, c call) (string, error) {
	argv := []string{s.opts.Program, "--no-pager"}
	if !c.notLiteral {
		argv = append(argv, "--literal-pathspecs")
	}
	argv = append(argv, fixedConfig...)
	if s.opts.Untrusted {
		argv = append(argv, untrustedConfig...)
	}
	if c.noHooks {
		argv = append(argv, "-c", "core.hooksPath="+os.DevNull)
	}
	for _, kv := range c.config {
		argv = append(argv, "-c", kv)
	}
	argv = append(argv, c.args...)

	env := slices.Concat(s.env, c.env)
	if c.index != "" {
		env = append(env, "GIT_INDEX_FILE="+c.index)
	}
	if !c.writes {
		env = append(env, "GIT_OPTIONAL_LOCKS=0")
	}
	opts := command.Options{
		Dir:        s.root,
		Env:        env,
		InheritEnv: []string{},
		MaxOutput:  -1,
		// git removes its lock files on SIGTERM, but a hook may take its time.
		KillDelay: 5 * time.Second,
	}
	if c.stdin != nil {
		opts.Stdin = bytes.NewReader(c.stdin)
	}
	if c.onStdout != nil {
		opts.MaxOutput = 64 << 10
		opts.OnOutput = func(stream command.Stream, data []byte) {
			if stream == command.Stdout {
				c.onStdout(data)
			}
		}
	}
	start := time.Now()
	res, err := command.Run(ctx, argv, opts)
	took := time.Since(start)
	s.stats.commands.add(took, res.ExitCode < 0 || res.ExitCode > 1)
	if s.opts.Trace.Command != nil {
		s.opts.Trace.Command(ctx, CommandInfo{Args: c.args, Dir: s.root, Duration: took, ExitCode: res.ExitCode, Err: err})
	}
	if err != nil {
		code := res.ExitCode
		if code == 0 {
			code = -1
		}
		return res.Stdout.String(), &CommandError{Args: c.args, Dir: s.root, ExitCode: code, Stderr: bounded(res.Stderr.String()), Err: err}
	}
	if c.onStdout != nil {
		return "", nil
	}
	return string(res.Stdout.Bytes()), nil
}

// bounded keeps the beginning and the end of a long message.
func bounded(said string) string {
	const limit = 8 << 10
	if len(said) <= limit {
		return said
	}
	return said[:limit/2] + "\n[…]\n" + said[len(said)-limit/2:]
}

// exitCode returns the exit code of a failed git, or -1.
func exitCode(err error) int {
	var failed *CommandError
	if errors.As(err, &failed) {
		return failed.ExitCode
	}
	return -1
}

func stderrOf(err error) string {
	var failed *CommandError
	if errors.As(err, &failed) {
		return failed.Stderr
	}
	return ""
}

// line is the output of a command that prints one value.
func (s *Service) line(ctx context.Context, args ...string) (string, error) {
	out, err := s.git(ctx, call{args: args})
	return strings.TrimSuffix(out, "\n"), err
}
