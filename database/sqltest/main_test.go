package sqltest

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	_ "modernc.org/sqlite"

	"github.com/tokenring-ai/tokenring-go/database"
)

func TestMain(m *testing.M) {
	code := m.Run()
	cluster.stop()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// engine opens a fresh database of one kind.
type engine struct {
	name    string
	dialect database.Dialect
	open    func(t testing.TB) *sql.DB
}

func engines() []engine {
	return []engine{
		{"sqlite", database.SQLite, openSQLite},
		{"postgres", database.Postgres, func(t testing.TB) *sql.DB { return cluster.open(t, "") }},
		{"postgres simple protocol", database.Postgres, func(t testing.TB) *sql.DB {
			return cluster.open(t, " default_query_exec_mode=simple_protocol")
		}},
	}
}

func openSQLite(t testing.TB) *sql.DB {
	db, err := sql.Open("sqlite", "file:"+filepath.Join(t.TempDir(), "test.db")+"?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

// cluster is a private PostgreSQL server, started by the first test that needs
// it.
var cluster postgres

type postgres struct {
	once sync.Once
	dir  string
	err  error // why it does not run
	cmd  *exec.Cmd
	log  bytes.Buffer
	n    int
}

// open creates a database and connects to it.
func (p *postgres) open(t testing.TB, options string) *sql.DB {
	t.Helper()
	p.once.Do(func() { p.err = p.start() })
	if p.err != nil {
		t.Skipf("no PostgreSQL: %v", p.err)
	}
	dsn := fmt.Sprintf("host=%s user=tokenring database=%%s%s", p.dir, options)
	admin, err := sql.Open("pgx", fmt.Sprintf(dsn, "postgres"))
	require.NoError(t, err)
	defer admin.Close()
	p.n++
	name := fmt.Sprintf("test%d", p.n)
	_, err = admin.Exec("CREATE DATABASE " + name)
	require.NoError(t, err)
	db, err := sql.Open("pgx", fmt.Sprintf(dsn, name))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

func (p *postgres) start() error {
	bin, err := binaries()
	if err != nil {
		return err
	}
	// The path of a socket is short, so the directory must be too.
	if p.dir, err = os.MkdirTemp("/tmp", "tr-pg"); err != nil {
		return err
	}
	var owner *syscall.SysProcAttr
	if os.Getuid() == 0 { // the server refuses to run as root
		if owner, err = unprivileged(p.dir); err != nil {
			return err
		}
	}
	data := filepath.Join(p.dir, "data")
	initdb := exec.Command(filepath.Join(bin, "initdb"), "-D", data, "-U", "tokenring", "-A", "trust", "-E", "UTF8", "--no-sync", "--locale=C")
	initdb.SysProcAttr, initdb.Dir = owner, p.dir
	if out, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	p.cmd = exec.Command(filepath.Join(bin, "postgres"), "-D", data, "-k", p.dir, "-c", "listen_addresses=", "-c", "fsync=off", "-c", "max_connections=50")
	p.cmd.SysProcAttr, p.cmd.Dir = owner, p.dir
	p.cmd.Stderr = &p.log
	if err := p.cmd.Start(); err != nil {
		return err
	}
	db, err := sql.Open("pgx", fmt.Sprintf("host=%s user=tokenring database=postgres", p.dir))
	if err != nil {
		return err
	}
	defer db.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for db.PingContext(ctx) != nil {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("the server does not answer:\n%s", p.log.String())
		}
	}
	return nil
}

func (p *postgres) stop() {
	if p.cmd != nil && p.cmd.Process != nil {
		_ = p.cmd.Process.Signal(syscall.SIGINT) // "fast shutdown"
		_ = p.cmd.Wait()
	}
	if p.dir != "" {
		_ = os.RemoveAll(p.dir)
	}
}

// binaries finds the newest installed server.
func binaries() (string, error) {
	if path, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(path), nil
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if len(found) == 0 {
		return "", fmt.Errorf("initdb is not installed")
	}
	slices.Sort(found)
	return filepath.Dir(found[len(found)-1]), nil
}

// unprivileged gives a directory to a user without rights and returns how to
// run as that one.
func unprivileged(dir string) (*syscall.SysProcAttr, error) {
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		if err := os.Chown(dir, uid, gid); err != nil {
			return nil, err
		}
		return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}, nil
	}
	return nil, fmt.Errorf("no user to run the server as")
}
