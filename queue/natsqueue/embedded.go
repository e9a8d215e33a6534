package natsqueue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

const (
	// embeddedPayload bounds a message of an embedded server.
	embeddedPayload = 8 << 20

	// A server that meets a full disk stops for good. So an embedded one gets no
	// items when less than itemReserve is free, and nothing below reserve, which it
	// needs to compact its files when the log is purged.
	itemReserve = 64 << 20
	reserve     = 24 << 20
)

// Embedded runs a server inside the process, without a network port, that keeps
// the stream in a folder, which it makes if it is not there. One process can
// have it at a time ([ErrLocked]). Everything is synced to disk before it is
// acknowledged unless Options.SyncInterval says otherwise. When the disk has less
// than 64 MiB left, Enqueue fails with [ErrNoSpace], and work can go on.
func Embedded(ctx context.Context, dir string, opts Options) (*Queue, error) {
	opts.free = func() int64 { return diskFree(dir) }
	return embedded(ctx, dir, opts)
}

func embedded(ctx context.Context, dir string, opts Options) (*Queue, error) {
	fail := func(err error) (*Queue, error) { return nil, fmt.Errorf("natsqueue: server in %s: %w", dir, err) }
	if err := ctx.Err(); err != nil {
		return fail(err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fail(fmt.Errorf("%w: %w", ErrReadOnly, err))
	}
	lock, err := lockFile(filepath.Join(dir, "queue.lock"))
	if err != nil {
		if !errors.Is(err, ErrLocked) {
			err = fmt.Errorf("%w: %w", ErrReadOnly, err)
		}
		return fail(err)
	}
	s, err := server.NewServer(serverOptions(dir, opts.SyncInterval))
	if err != nil {
		_ = lock.Close()
		return fail(err)
	}
	log := &serverLog{to: opts.Options.WithDefaults().Logger}
	s.SetLogger(log, false, false)
	stop := func() {
		s.Shutdown()
		s.WaitForShutdown()
		_ = lock.Close()
	}
	started := make(chan struct{})
	go func() { defer close(started); s.Start() }()
	select {
	case <-started: // with much to recover it takes its time
	case <-ctx.Done():
		go func() { <-started; stop() }()
		return fail(context.Cause(ctx))
	}
	if why := log.last(); why != "" || !s.ReadyForConnections(30*time.Second) || !s.JetStreamEnabled() {
		stop()
		return fail(fmt.Errorf("%w: %s", ErrUnavailable, why))
	}
	nc, err := nats.Connect("", nats.InProcessServer(s), nats.MaxReconnects(-1), logErrors(&opts))
	if err != nil {
		stop()
		return fail(err)
	}
	q, err := Open(ctx, nc, opts)
	if err != nil {
		nc.Close()
		stop()
		return nil, err
	}
	free := q.free
	q.free = func() { free(); nc.Close(); stop() }
	return q, nil
}

func serverOptions(dir string, sync time.Duration) *server.Options {
	return &server.Options{
		ServerName: "queue", DontListen: true, JetStream: true, StoreDir: dir, NoLog: true, NoSigs: true,
		MaxPayload: embeddedPayload, JetStreamMaxStore: storeLimit, SyncAlways: sync <= 0, SyncInterval: sync,
	}
}

// serverLog passes on what goes wrong in an embedded server.
type serverLog struct {
	to    *slog.Logger
	mu    sync.Mutex
	fatal string
}

func (l *serverLog) Errorf(format string, v ...any) {
	l.to.Error("natsqueue: the embedded server reports an error", "error", fmt.Sprintf(format, v...))
}

// Fatalf keeps why the server cannot start.
func (l *serverLog) Fatalf(format string, v ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fatal = fmt.Sprintf(format, v...)
}

func (l *serverLog) last() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.fatal
}

func (l *serverLog) Noticef(string, ...any) {}
func (l *serverLog) Warnf(string, ...any)   {}
func (l *serverLog) Debugf(string, ...any)  {}
func (l *serverLog) Tracef(string, ...any)  {}
