package aiclient

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"
)

// RouteOptions configure [Fallback], [Balance] and [Hedge].
type RouteOptions struct {
	// Switch decides which errors lead to the next Chat. Nil means all but
	// those of class [ClassContentFilter].
	Switch func(error) bool

	// Unhealthy says how long a Chat is passed over after an error. Nil means:
	// as long as the provider asks to wait, or else 30 s, for errors that are
	// the provider's and not the request's.
	Unhealthy func(error) time.Duration

	// OnSwitch sees each error that leads to the next Chat.
	OnSwitch func(ctx context.Context, from, to Model, err error)
}

const unhealthyFor = 30 * time.Second

// route is a Chat that passes requests on to one of several.
type route struct {
	opts    RouteOptions
	members []*member
	balance bool
	next    atomic.Uint64
}

type member struct {
	chat     Chat
	inFlight atomic.Int64
	ill      atomic.Int64 // until when it is passed over, in Unix nanoseconds
}

func newRoute(opts RouteOptions, balance bool, chats []Chat) *route {
	if len(chats) == 0 {
		panic("aiclient: a route needs at least one Chat")
	}
	if opts.Switch == nil {
		opts.Switch = func(err error) bool { return ClassOf(err) != ClassContentFilter }
	}
	if opts.Unhealthy == nil {
		opts.Unhealthy = func(err error) time.Duration {
			api, ok := errors.AsType[*APIError](err)
			if !ok {
				return 0
			}
			switch api.Class {
			case ClassBadRequest, ClassContextLength, ClassContentFilter:
				return 0
			}
			return max(api.RetryAfter, unhealthyFor)
		}
	}
	r := &route{opts: opts, balance: balance}
	for _, c := range chats {
		r.members = append(r.members, &member{chat: c})
	}
	return r
}

// Fallback returns a Chat that sends each request to the first of chats and,
// when that fails before the first part of its reply, to the next. A Chat that
// failed is passed over for a while, and tried last.
func Fallback(opts RouteOptions, chats ...Chat) Chat { return newRoute(opts, false, chats) }

// WithFallback returns a middleware that makes [Fallback] of a Chat and others.
func WithFallback(opts RouteOptions, others ...Chat) Middleware {
	return func(next Chat) Chat { return Fallback(opts, append([]Chat{next}, others...)...) }
}

// Balance returns a Chat that sends each request to the one of chats with the
// fewest requests under way, by turns among equals, and otherwise does what
// [Fallback] does.
func Balance(opts RouteOptions, chats ...Chat) Chat { return newRoute(opts, true, chats) }

// order returns the members in the order in which a request tries them.
func (r *route) order() []*member {
	list := slices.Clone(r.members)
	if r.balance {
		n := int(r.next.Add(1)-1) % len(list)
		list = append(list[n:len(list):len(list)], list[:n]...)
		slices.SortStableFunc(list, func(a, b *member) int { return int(a.inFlight.Load() - b.inFlight.Load()) })
	}
	now := time.Now().UnixNano()
	slices.SortStableFunc(list, func(a, b *member) int { return b2i(a.ill.Load() > now) - b2i(b.ill.Load() > now) })
	return list
}

// each calls try with one member after the other until it succeeds or an error
// forbids to switch.
func (r *route) each(ctx context.Context, try func(c Chat) error) error {
	var errs []error
	list := r.order()
	for i, m := range list {
		err := m.try(try)
		if err == nil {
			m.ill.Store(0)
			return nil
		}
		errs = append(errs, err)
		if ctx.Err() != nil {
			break
		}
		m.mark(r.opts.Unhealthy(err))
		if !r.opts.Switch(err) {
			break
		}
		if i+1 < len(list) && r.opts.OnSwitch != nil {
			r.opts.OnSwitch(ctx, m.chat.Model(), list[i+1].chat.Model(), err)
		}
	}
	if len(errs) == 1 {
		return errs[0]
	}
	return fmt.Errorf("%d models failed: %w", len(errs), errors.Join(errs...))
}

func (m *member) try(try func(c Chat) error) error {
	m.inFlight.Add(1)
	defer m.inFlight.Add(-1) // also when the reader panics
	return try(m.chat)
}

func (m *member) mark(d time.Duration) {
	if d > 0 {
		m.ill.Store(time.Now().Add(d).UnixNano())
	}
}

// Model returns the first model that is not passed over now.
func (r *route) Model() Model {
	now := time.Now().UnixNano()
	for _, m := range r.members {
		if m.ill.Load() <= now {
			return m.chat.Model()
		}
	}
	return r.members[0].chat.Model()
}

// Rules returns the rules of the first Chat.
func (r *route) Rules() Rules { return RulesOf(r.members[0].chat) }

func (r *route) Stream(ctx context.Context, req *Request) iter.Seq2[Part, error] {
	return func(yield func(Part, error) bool) {
		if err := r.each(ctx, func(c Chat) error { return pass(c.Stream(ctx, req), yield) }); err != nil {
			yield(Part{}, err)
		}
	}
}

func (r *route) Generate(ctx context.Context, req *Request) (reply *Response, err error) {
	err = r.each(ctx, func(c Chat) error {
		reply, err = c.Generate(ctx, req)
		return err
	})
	return reply, err
}

// Hedge returns a Chat that sends a request to the first of chats and, as long
// as no part of a reply has come, after each delay to one more, or at once when
// one fails. The first reply wins; the others are cancelled, and may be
// charged for.
func Hedge(delay time.Duration, opts RouteOptions, chats ...Chat) Chat {
	return &hedge{newRoute(opts, false, chats), delay}
}

type hedge struct {
	*route
	delay time.Duration
}

// attempt is a stream that has been started and its first part.
type attempt struct {
	m        *member
	first    Part
	err      error
	empty    bool
	panicked any // by what the stream panicked
	next     func() (Part, error, bool)
	stop     func()
	cancel   context.CancelFunc
}

func (h *hedge) Generate(ctx context.Context, req *Request) (*Response, error) {
	return Collect(h.Stream(ctx, req))
}

func (h *hedge) Stream(ctx context.Context, req *Request) iter.Seq2[Part, error] {
	return func(yield func(Part, error) bool) {
		won, err := h.race(ctx, req)
		if err != nil {
			yield(Part{}, err)
			return
		}
		defer won.cancel()
		defer won.stop()
		if won.empty || !yield(won.first, nil) {
			return
		}
		for {
			p, err, ok := won.next()
			if !ok || !yield(p, err) || err != nil {
				return
			}
		}
	}
}

// race starts attempts until one has its first part.
func (h *hedge) race(ctx context.Context, req *Request) (*attempt, error) {
	list := h.order()
	results := make(chan *attempt)
	done := make(chan struct{}) // closed when somebody has won, or nobody can
	defer close(done)
	racing, cancels := 0, make(map[*member]context.CancelFunc)
	defer func() {
		for _, cancel := range cancels {
			cancel()
		}
	}()
	start := func() {
		m := list[0]
		list = list[1:]
		attemptCtx, cancel := context.WithCancel(ctx)
		cancels[m] = cancel
		racing++
		go func() {
			a := &attempt{m: m, cancel: cancel, stop: func() {}, err: errors.New("the Chat ended its goroutine")}
			defer func() {
				a.panicked = recover()
				select {
				case results <- a:
				case <-done: // too late
					if a.panicked != nil {
						slog.ErrorContext(attemptCtx, "a Chat that lost a race panicked", "model", m.chat.Model().String(), "panic", a.panicked)
					}
					a.stop()
					cancel()
				}
			}()
			a.next, a.stop = iter.Pull2(m.chat.Stream(attemptCtx, req))
			var ok bool
			a.first, a.err, ok = a.next()
			a.empty = !ok
		}()
	}
	start()
	timer := time.NewTimer(h.delay)
	defer timer.Stop()
	var errs []error
	for {
		select {
		case a := <-results:
			racing--
			if a.panicked != nil {
				panic(a.panicked) // where the caller can recover
			}
			if a.err == nil {
				delete(cancels, a.m)
				return a, nil
			}
			a.stop()
			errs = append(errs, a.err)
			if ctx.Err() != nil || !h.opts.Switch(a.err) {
				return nil, errors.Join(errs...)
			}
			a.m.mark(h.opts.Unhealthy(a.err))
			if len(list) > 0 {
				start()
				timer.Reset(h.delay)
			} else if racing == 0 {
				return nil, fmt.Errorf("%d models failed: %w", len(errs), errors.Join(errs...))
			}
		case <-timer.C:
			if len(list) > 0 {
				start()
				timer.Reset(h.delay)
			}
		case <-ctx.Done():
			return nil, ended(ctx)
		}
	}
}
