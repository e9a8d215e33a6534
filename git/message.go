package git

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"path"
	"regexp"
	"strings"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
)

// MessageSource says where the message of a commit came from.
type MessageSource string

const (
	MessageGiven   MessageSource = "given"   // CommitOptions.Message
	MessageModel   MessageSource = "model"   // Options.Message
	MessageCached  MessageSource = "cached"  // Options.Message, asked before about equal changes
	MessageSummary MessageSource = "summary" // the changed paths
	MessageKept    MessageSource = "kept"    // that of the amended commit
)

const (
	defaultMessageDiff = 24 << 10
	maxMessage         = 16 << 10
	cachedMessages     = 64
)

type messageKey [sha256.Size]byte

// messageCache remembers messages by what they describe.
type messageCache struct {
	once  sync.Once
	cache *lru.Cache[messageKey, string]
}

func (c *messageCache) get() *lru.Cache[messageKey, string] {
	c.once.Do(func() { c.cache, _ = lru.New[messageKey, string](cachedMessages) })
	return c.cache
}

// keyOf identifies a change by the modes and content hashes on both sides: two
// changes with the same key lead from the same tree entries to the same ones.
func keyOf(files []FileDiff) messageKey {
	h := sha256.New()
	for _, f := range files {
		fmt.Fprintf(h, "%c %o %o %s %s %q %q\n", f.Status, f.OldMode, f.NewMode, f.OldHash, f.NewHash, f.From, f.Path)
	}
	return messageKey(h.Sum(nil))
}

// messageFor writes the message of a commit of what d describes. It never fails:
// the summary of the paths serves when nothing better does.
func (s *Service) messageFor(ctx context.Context, d *Diff) (string, MessageSource) {
	summary := summarize(d.Files, s.opts.Conventional)
	if s.opts.Message == nil {
		return summary, MessageSummary
	}
	key := keyOf(d.Files)
	if message, ok := s.messages.get().Get(key); ok {
		s.stats.cacheHits.Add(1)
		s.traceMessage(ctx, MessageCached, nil)
		return message, MessageCached
	}
	message, err := s.askMessage(ctx, d)
	if err != nil {
		s.opts.Logger.WarnContext(ctx, "git: no commit message from Options.Message, using a summary of the paths", "repository", s.root, "error", err)
		s.traceMessage(ctx, MessageSummary, err)
		return summary, MessageSummary
	}
	s.messages.get().Add(key, message)
	s.traceMessage(ctx, MessageModel, nil)
	return message, MessageModel
}

func (s *Service) traceMessage(ctx context.Context, source MessageSource, err error) {
	if s.opts.Trace.Message != nil {
		s.opts.Trace.Message(ctx, source, err)
	}
}

func (s *Service) askMessage(ctx context.Context, d *Diff) (string, error) {
	prompt := d.render(s.maxMessageDiff())
	message, err := s.callMessage(ctx, prompt)
	if err != nil || !s.opts.Conventional {
		return message, err
	}
	bad := CheckConventional(message)
	if bad == nil {
		return message, nil
	}
	message, err = s.callMessage(ctx, fmt.Sprintf("%s\n\nThe message %q was refused: %v. Write a Conventional Commits message, such as \"fix(parser): accept empty input\".\n", prompt, subject(message), bad))
	if err != nil {
		return "", err
	}
	return message, CheckConventional(message)
}

// callMessage asks once. A panic in the host's function is an error like any
// other: there is a fallback, and a commit under way.
func (s *Service) callMessage(ctx context.Context, prompt string) (message string, err error) {
	began := time.Now()
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("Options.Message panicked: %v", p)
		}
		s.stats.messages.add(time.Since(began), err != nil)
	}()
	message, err = s.opts.Message(ctx, prompt)
	if err != nil {
		return "", err
	}
	if message = cleanMessage(message); message == "" {
		return "", errors.New("the message is empty")
	}
	if len(message) > maxMessage {
		message = strings.ToValidUTF8(message[:maxMessage], "")
	}
	return message, nil
}

func (s *Service) maxMessageDiff() int {
	if s.opts.MaxDiff > 0 {
		return s.opts.MaxDiff
	}
	return defaultMessageDiff
}

// plainMessage removes what git refuses or would remove.
func plainMessage(m string) string {
	m = strings.ToValidUTF8(strings.ReplaceAll(m, "\x00", ""), "\uFFFD")
	m = strings.ReplaceAll(strings.ReplaceAll(m, "\r\n", "\n"), "\r", "\n")
	return strings.TrimSpace(m)
}

// cleanMessage is plainMessage without what models put around a message.
func cleanMessage(m string) string {
	m = plainMessage(m)
	if inner, ok := strings.CutPrefix(m, "```"); ok {
		if _, body, ok := strings.Cut(inner, "\n"); ok {
			if body, ok := strings.CutSuffix(strings.TrimSpace(body), "```"); ok {
				m = strings.TrimSpace(body)
			}
		}
	}
	for _, q := range []string{`"`, "'", "`"} {
		if len(m) > 2 && strings.HasPrefix(m, q) && strings.HasSuffix(m, q) && strings.Count(m, q) == 2 {
			m = strings.TrimSpace(m[1 : len(m)-1])
		}
	}
	return m
}

func subject(message string) string {
	first, _, _ := strings.Cut(message, "\n")
	return first
}

// summarize writes a message from the changed paths alone. Equal changes get
// equal messages.
func summarize(files []FileDiff, conventional bool) string {
	prefix := ""
	if conventional {
		prefix = "chore: "
	}
	verb := func(f FileDiff) string {
		switch f.Status {
		case 'A', 'C':
			return "Add " + f.Path
		case 'D':
			return "Remove " + f.Path
		case 'R':
			return "Rename " + f.From + " to " + f.Path
		default:
			return "Update " + f.Path
		}
	}
	title := func(s string) string {
		if conventional {
			return prefix + strings.ToLower(s[:1]) + s[1:]
		}
		return s
	}
	switch len(files) {
	case 0:
		return title("Update")
	case 1:
		return title(oneLine(verb(files[0])))
	}
	common := path.Dir(files[0].Path)
	kinds := map[Code]bool{}
	for _, f := range files {
		for common != "." && common != path.Dir(f.Path) && !strings.HasPrefix(f.Path, common+"/") {
			common = path.Dir(common)
		}
		kinds[f.Status] = true
	}
	what := "Update"
	if len(kinds) == 1 {
		what, _, _ = strings.Cut(verb(files[0]), " ")
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %d files", what, len(files))
	if common != "." {
		b.WriteString(" in " + oneLine(common))
	}
	head := title(b.String())
	b.Reset()
	b.WriteString(head + "\n")
	const listed = 20
	for i, f := range files {
		if i == listed {
			fmt.Fprintf(&b, "\n- and %d more", len(files)-listed)
			break
		}
		b.WriteString("\n- " + oneLine(verb(f)))
	}
	return b.String()
}

// oneLine keeps a file name with a line break from breaking a message.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
}

var conventionalSubject = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9-]*(\([^()\n]+\))?!?: \S.*$`)

// CheckConventional reports why message is not a Conventional Commits message
// (conventionalcommits.org, 1.0.0), or nil.
func CheckConventional(message string) error {
	head, rest, more := strings.Cut(message, "\n")
	if !conventionalSubject.MatchString(head) {
		return fmt.Errorf("subject %q is not \"type(scope): description\"", head)
	}
	if more && strings.TrimSpace(rest) != "" && !strings.HasPrefix(rest, "\n") {
		return errors.New("a blank line must follow the subject")
	}
	return nil
}

// addTrailers appends "Key: value" lines to a message, joining a block of
// trailers that it ends with.
func addTrailers(message string, trailers []string) string {
	if len(trailers) == 0 {
		return message
	}
	message = strings.TrimRight(message, "\n ")
	last := message[strings.LastIndex(message, "\n\n")+1:]
	separator := "\n\n"
	if strings.Contains(message, "\n\n") && isTrailerBlock(last) {
		separator = "\n"
	}
	for _, t := range trailers {
		if isTrailerBlock(last) && strings.Contains(last+"\n", t+"\n") {
			continue
		}
		message += separator + t
		separator = "\n"
	}
	return message
}

var trailerLine = regexp.MustCompile(`^[A-Za-z0-9-]+: \S`)

func isTrailerBlock(paragraph string) bool {
	for line := range strings.SplitSeq(strings.TrimSpace(paragraph), "\n") {
		if !trailerLine.MatchString(line) {
			return false
		}
	}
	return true
}
