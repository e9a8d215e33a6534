package sqltest

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
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

	"github.com/stretchr/testify/require"
)

// server is a private server of the system's packages, started by the first test
// that needs it.
type server struct {
	name   string
	driver string
	stop   os.Signal // that makes it shut down

	// The programs that make its files and run it, with their arguments, and the
	// address of a database in it; dir is short, as the path of a socket must be.
	programs func() (bin string, err error)
	initial  func(bin, dir string) []string
	run      func(bin, dir string) []string
	dsn      func(dir, database string) string
	admin    string // the database that is there from the beginning

	once sync.Once
	dir  string
	err  error // why it does not run
	cmd  *exec.Cmd
	log  bytes.Buffer
	n    int
}

// open creates a database and connects to it.
func (s *server) open(t testing.TB, options string) *sql.DB {
	t.Helper()
	s.once.Do(func() { s.err = s.start() })
	if errors.Is(s.err, errMissing) {
		t.Skipf("no %s: %v", s.name, s.err)
	}
	require.NoError(t, s.err)
	admin, err := sql.Open(s.driver, s.dsn(s.dir, s.admin))
	require.NoError(t, err)
	defer admin.Close()
	s.n++
	name := fmt.Sprintf("test%d", s.n)
	_, err = admin.Exec("CREATE DATABASE " + name)
	require.NoError(t, err)
	db, err := sql.Open(s.driver, s.dsn(s.dir, name)+options)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

// errMissing is wrapped when this machine cannot have the server.
var errMissing = errors.New("not installed")

func (s *server) start() error {
	bin, err := s.programs()
	if err != nil {
		return err
	}
	if s.dir, err = os.MkdirTemp("/tmp", "tr-sql"); err != nil {
		return err
	}
	var owner *syscall.SysProcAttr
	if os.Getuid() == 0 { // servers refuse to run as root
		if owner, err = unprivileged(s.dir); err != nil {
			return err
		}
	}
	command := func(args []string) *exec.Cmd {
		cmd := exec.Command(args[0], args[1:]...)
		cmd.SysProcAttr, cmd.Dir = owner, s.dir
		cmd.Env = append(os.Environ(), "TMPDIR="+s.dir)
		return cmd
	}
	if out, err := command(s.initial(bin, s.dir)).CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	s.cmd = command(s.run(bin, s.dir))
	s.cmd.Stderr = &s.log
	if err := s.cmd.Start(); err != nil {
		return err
	}
	db, err := sql.Open(s.driver, s.dsn(s.dir, s.admin))
	if err != nil {
		return err
	}
	defer db.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for db.PingContext(ctx) != nil {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("the server does not answer:\n%s", s.log.String())
		}
	}
	return nil
}

func (s *server) close() {
	if s.cmd != nil && s.cmd.Process != nil {
		_ = s.cmd.Process.Signal(s.stop)
		_ = s.cmd.Wait()
	}
	if s.dir != "" {
		_ = os.RemoveAll(s.dir)
	}
}

var postgres = &server{
	name: "PostgreSQL", driver: "pgx", admin: "postgres",
	stop: syscall.SIGINT, // "fast shutdown"
	programs: func() (string, error) {
		if path, err := exec.LookPath("initdb"); err == nil {
			return filepath.Dir(path), nil
		}
		found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
		if len(found) == 0 {
			return "", fmt.Errorf("initdb: %w", errMissing)
		}
		return filepath.Dir(slices.Max(found)), nil
	},
	initial: func(bin, dir string) []string {
		return []string{filepath.Join(bin, "initdb"), "-D", filepath.Join(dir, "data"), "-U", "tokenring", "-A", "trust", "-E", "UTF8", "--no-sync", "--locale=C"}
	},
	run: func(bin, dir string) []string {
		return []string{filepath.Join(bin, "postgres"), "-D", filepath.Join(dir, "data"), "-k", dir, "-c", "listen_addresses=", "-c", "fsync=off", "-c", "max_connections=50"}
	},
	dsn: func(dir, database string) string {
		return fmt.Sprintf("host=%s user=tokenring database=%s", dir, database)
	},
}

var mariadb = &server{
	name: "MariaDB", driver: "mysql", admin: "mysql",
	stop: syscall.SIGTERM,
	programs: func() (string, error) {
		for _, dir := range []string{"/usr/sbin", "/usr/local/sbin", "/usr/bin"} {
			if _, err := os.Stat(filepath.Join(dir, "mariadbd")); err == nil {
				return dir, nil
			}
		}
		return "", fmt.Errorf("mariadbd: %w", errMissing)
	},
	initial: func(_, dir string) []string {
		return []string{"mariadb-install-db", "--no-defaults", "--datadir=" + filepath.Join(dir, "data"), "--auth-root-authentication-method=normal", "--skip-test-db"}
	},
	run: func(bin, dir string) []string {
		return []string{filepath.Join(bin, "mariadbd"), "--no-defaults", "--datadir=" + filepath.Join(dir, "data"), "--socket=" + filepath.Join(dir, "socket"),
			"--pid-file=" + filepath.Join(dir, "pid"), "--skip-networking", "--character-set-server=utf8mb4", "--innodb-flush-log-at-trx-commit=0"}
	},
	dsn: func(dir, database string) string {
		return fmt.Sprintf("root@unix(%s)/%s?parseTime=true&max_statement_time=20", filepath.Join(dir, "socket"), database)
	},
}

// unprivileged gives a directory to a user without rights and returns how to
// run as that one.
func unprivileged(dir string) (*syscall.SysProcAttr, error) {
	for _, name := range []string{"postgres", "mysql", "nobody"} {
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
	return nil, fmt.Errorf("a user to run the server as: %w", errMissing)
}
