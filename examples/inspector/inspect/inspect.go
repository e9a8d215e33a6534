package inspect

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/tokenring-ai/tokenring-go/agent"
)

// Options say what to show. Only Manager is required.
type Options struct {
	// Manager owns the agents.
	Manager *agent.Manager

	// Sections and Series are what the host has to show beside its agents.
	Sections []Section
	Series   []Series

	// Addr is where to listen; its host must be a loopback address. Empty means
	// a free port of 127.0.0.1.
	Addr string

	// Interval is how often the overview is brought up to date. 0 or less means a
	// second.
	Interval time.Duration

	// Logger receives what goes wrong. Nil means slog.Default().
	Logger *slog.Logger
}

// Server is a running inspector. It is safe for concurrent use.
type Server struct {
	// URL is the page's address, the token included.
	URL string

	opts    Options
	host    string // as the Host header must say
	token   string
	http    *http.Server
	history *history

	end     context.CancelFunc
	running sync.WaitGroup
	close   sync.Once
	closed  error
}

// Start opens the port and serves until Close.
func Start(opts Options) (*Server, error) {
	if opts.Manager == nil {
		return nil, errors.New("inspector: no manager: there is nothing to look into")
	}
	if opts.Interval <= 0 {
		opts.Interval = time.Second
	}
	if opts.Logger == nil {
		opts.Logger = slog.Default()
	}
	listener, err := listen(cmp.Or(opts.Addr, "127.0.0.1:0"))
	if err != nil {
		return nil, err
	}
	s := &Server{opts: opts, host: listener.Addr().String(), token: strings.ToLower(rand.Text())}
	s.URL = "http://" + s.host + "/" + s.token + "/"
	s.history = newHistory(append(ownSeries(opts.Manager), opts.Series...))
	ctx, cancel := context.WithCancel(context.Background())
	s.end = cancel
	s.http = &http.Server{
		Handler:           s.guard(s.routes()),
		ReadHeaderTimeout: 10 * time.Second,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ErrorLog:          slog.NewLogLogger(opts.Logger.Handler(), slog.LevelDebug),
	}
	s.running.Go(func() { s.history.follow(ctx, opts.Interval) })
	s.running.Go(func() {
		if err := s.http.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			opts.Logger.Error("the inspector has stopped", "error", err)
		}
	})
	return s, nil
}

// listen opens a port that only this machine can reach.
func listen(addr string) (net.Listener, error) {
	resolved, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("inspector: address %s: %w", addr, err)
	}
	if !resolved.IP.IsLoopback() {
		return nil, fmt.Errorf("inspector: address %s: want a loopback address such as 127.0.0.1:0, because the page can answer and abort", addr)
	}
	listener, err := net.ListenTCP("tcp", resolved)
	if err != nil {
		return nil, fmt.Errorf("inspector: %w", err)
	}
	return listener, nil
}

// Close ends all streams and returns when nothing of the server runs any more,
// or with the context's error.
func (s *Server) Close(ctx context.Context) error {
	s.close.Do(func() {
		s.end() // the streams never end by themselves
		s.closed = s.http.Shutdown(ctx)
		if s.closed != nil {
			s.closed = errors.Join(s.closed, s.http.Close())
		}
		ended := make(chan struct{})
		go func() { s.running.Wait(); close(ended) }()
		select {
		case <-ended:
		case <-ctx.Done(): // a series of the host does not come back
			s.closed = errors.Join(s.closed, ctx.Err())
		}
	})
	return s.closed
}
