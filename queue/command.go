package queue

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Command is the slash command of a queue, for a person.
type Command struct {
	queue  Queue
	worker *Worker
}

// NewCommand returns the command of a queue. The worker serves "run" and may be
// nil.
func NewCommand(q Queue, w *Worker) *Command { return &Command{q, w} }

// Command runs the queue's slash command, without "run"; [NewCommand] has that.
func (m *Memory) Command(ctx context.Context, args string) (string, error) {
	return NewCommand(m, nil).Command(ctx, args)
}

// Help describes the slash command.
func (m *Memory) Help() string { return NewCommand(m, nil).Help() }

// Help describes the command.
func (c *Command) Help() string {
	return `The work queue:
  list [STATE]    list tasks: all, or those that are ready, delayed, blocked, leased or dead
  add TEXT        add a task
  show ID         show one task in full
  remove ID...    remove tasks
  clear [dead]    remove all tasks that nobody is working on, or the dead ones
  run             handle tasks until the queue is empty
  pause, resume   stop and go on handing out tasks
  retry dead      send all dead tasks back into the queue
  retry ID...     send these dead tasks back
  stats           show counters`
}

// Command runs one command line such as "list dead" and returns what to show.
// Errors say what is wrong with the line or what the queue answered.
func (c *Command) Command(ctx context.Context, args string) (string, error) {
	verb, rest := strings.TrimSpace(args), ""
	if i := strings.IndexFunc(verb, unicode.IsSpace); i >= 0 {
		verb, rest = verb[:i], strings.TrimSpace(verb[i:])
	}
	fields := strings.Fields(rest)
	switch verb {
	case "", "list":
		filter := Filter{Limit: 100}
		for _, f := range fields {
			state, err := parseState(f)
			if err != nil {
				return "", err
			}
			filter.States = append(filter.States, state)
		}
		return listText(ctx, c.queue, filter)
	case "add":
		if rest == "" {
			return "", errors.New("add: say what to do, as in: add update the changelog")
		}
		ids, err := c.queue.Enqueue(ctx, Item{Payload: []byte(rest)})
		if err != nil {
			return "", err
		}
		return "added " + ids[0], nil
	case "show":
		if rest == "" {
			return "", errors.New("show: name one ID, as list gives it")
		}
		item, err := c.queue.Get(ctx, rest)
		if err != nil {
			return "", err
		}
		return describe(&item), nil
	case "remove":
		if len(fields) == 0 {
			return "", errors.New("remove: name at least one ID, as list gives it")
		}
		if err := c.queue.Remove(ctx, fields...); err != nil {
			return "", err
		}
		return fmt.Sprintf("removed %d", len(fields)), nil
	case "clear":
		return c.clear(ctx, rest)
	case "run":
		return c.run(ctx)
	case "pause":
		return "paused", c.queue.Pause(ctx)
	case "resume":
		return "resumed", c.queue.Resume(ctx)
	case "retry":
		if rest == "dead" { // which is all that can be retried
			fields = nil
		}
		n, err := c.queue.Redrive(ctx, fields...)
		if err != nil {
			return "", err
		}
		return fmt.Sprintf("sent %d dead tasks back", n), nil
	case "stats":
		return c.stats(ctx)
	default:
		return "", fmt.Errorf("unknown command %q\n%s", verb, c.Help())
	}
}

func (c *Command) run(ctx context.Context) (string, error) {
	if c.worker == nil {
		return "", errors.New("run: this program attached no worker to the command")
	}
	before := c.queue.Stats()
	if err := c.worker.RunUntilEmpty(ctx); err != nil {
		return "", fmt.Errorf("run: %w", err)
	}
	after := c.queue.Stats()
	return fmt.Sprintf("done %d, dead %d", after.Acked-before.Acked, after.DeadLettered-before.DeadLettered), nil
}

func (c *Command) clear(ctx context.Context, what string) (string, error) {
	states := []State{Ready, Delayed, Blocked}
	switch what {
	case "":
	case "dead":
		states = []State{Dead}
	default:
		return "", fmt.Errorf("clear: want nothing or dead, not %q", what)
	}
	var ids []string
	for item, err := range c.queue.List(ctx, Filter{States: states}) {
		if err != nil {
			return "", err
		}
		ids = append(ids, item.ID)
	}
	removed := 0
	for some := range slices.Chunk(ids, 100) {
		n, err := c.remove(ctx, some)
		removed += n
		if err != nil {
			return "", fmt.Errorf("clear: removed %d of %d: %w", removed, len(ids), err)
		}
	}
	return fmt.Sprintf("removed %d", removed), nil
}

// remove takes out what a receiver has not taken meanwhile and returns how many.
func (c *Command) remove(ctx context.Context, ids []string) (n int, err error) {
	err = c.queue.Remove(ctx, ids...)
	switch {
	case err == nil:
		return len(ids), nil
	case !errors.Is(err, ErrLeased) && !errors.Is(err, ErrNotFound):
		return 0, err
	case len(ids) == 1:
		return 0, nil
	}
	for i := range ids {
		one, err := c.remove(ctx, ids[i:i+1])
		n += one
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

func (c *Command) stats(ctx context.Context) (string, error) {
	d, err := c.queue.Depth(ctx)
	if err != nil {
		return "", err
	}
	s := c.queue.Stats()
	in, _, out := s.Rate(Stats{})
	return fmt.Sprintf(`ready %d, delayed %d, blocked %d, leased %d, dead %d
enqueued %d (%.1f/s), done %d (%.1f/s), retried %d, redelivered %d, leases run out %d
dead-lettered %d, dropped %d, duplicates %d
mean wait %v, mean run %v`,
		d.Ready, d.Delayed, d.Blocked, d.Leased, d.Dead,
		s.Enqueued, in, s.Acked, out, s.Retried, s.Redelivered, s.Expired,
		s.DeadLettered, s.Dropped, s.Deduplicated,
		s.MeanWait().Round(time.Microsecond), s.MeanRun().Round(time.Microsecond)), nil
}

func parseState(s string) (State, error) {
	states := []State{Ready, Delayed, Blocked, Leased, Dead}
	if i := slices.Index(states, State(s)); i >= 0 {
		return states[i], nil
	}
	return "", fmt.Errorf("unknown state %q: want ready, delayed, blocked, leased or dead", s)
}

func listText(ctx context.Context, q Queue, filter Filter) (string, error) {
	d, err := q.Depth(ctx)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	n := 0
	for item, err := range q.List(ctx, filter) {
		if err != nil {
			return "", err
		}
		n++
		fmt.Fprintf(&b, "%s  %-7s", oneLine([]byte(item.ID), 256), item.State)
		if item.Name != "" {
			fmt.Fprintf(&b, "  %s", oneLine([]byte(item.Name), 80))
		}
		if item.Key != "" {
			fmt.Fprintf(&b, "  key=%s", oneLine([]byte(item.Key), 80))
		}
		if item.Attempts > 0 {
			fmt.Fprintf(&b, "  attempt %d", item.Attempts)
		}
		fmt.Fprintf(&b, "  %s\n", oneLine(item.Payload, 80))
		if item.LastError != "" {
			fmt.Fprintf(&b, "    last error: %s\n", oneLine([]byte(item.LastError), 160))
		}
	}
	if n == 0 {
		b.WriteString("no tasks")
		if len(filter.States) > 0 {
			b.WriteString(" in that state")
		}
		b.WriteByte('\n')
	}
	fmt.Fprintf(&b, "%d shown; the queue holds %d to do and %d dead", n, d.Len(), d.Dead)
	return b.String(), nil
}

func describe(i *Item) string {
	var b strings.Builder
	line := func(label, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%-14s %s\n", label, visible(value))
		}
	}
	number := func(label string, n int) {
		if n != 0 {
			line(label, strconv.Itoa(n))
		}
	}
	stamp := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return t.Format(time.RFC3339)
	}
	line("id", i.ID)
	line("name", i.Name)
	line("state", string(i.State))
	line("key", i.Key)
	line("dedupe", i.Dedupe)
	number("priority", i.Priority)
	line("enqueued", stamp(i.EnqueuedAt))
	line("not before", stamp(i.NotBefore))
	line("first received", stamp(i.FirstReceivedAt))
	number("attempts", i.Attempts)
	line("last error", i.LastError)
	line("checkpoint", oneLine(i.Checkpoint, 200))
	for _, k := range slices.Sorted(maps.Keys(i.Headers)) {
		line("header", k+": "+i.Headers[k])
	}
	fmt.Fprintf(&b, "payload (%d bytes)\n%s", len(i.Payload), fullText(i.Payload))
	return b.String()
}

// oneLine shows the beginning of data on one line.
func oneLine(data []byte, limit int) string {
	cut := len(data) > limit
	if cut {
		data = data[:limit]
		for len(data) > 0 && !utf8.RuneStart(data[len(data)-1]) {
			data = data[:len(data)-1]
		}
	}
	s := visible(strings.Join(strings.Fields(strings.ToValidUTF8(string(data), "\uFFFD")), " "))
	if cut {
		s += " …"
	}
	return s
}

func fullText(data []byte) string {
	if !utf8.Valid(data) {
		return fmt.Sprintf("%.200x", data)
	}
	return visible(string(data))
}

// visible replaces the characters by which a text could act on a terminal.
func visible(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return unicode.ReplacementChar
		}
		return r
	}, s)
}
