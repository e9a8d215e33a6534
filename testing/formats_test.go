package testing

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	stdtesting "testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func feed(t stdtesting.TB, f Format, in string) []Case {
	t.Helper()
	var events int
	r := newReader(f, Request{Name: "x", MaxOutput: 8 << 10, Progress: func(Event) { events++ }})
	for len(in) > 0 { // in pieces, as pipes give it
		n := min(7, len(in))
		r.write([]byte(in[:n]))
		in = in[n:]
	}
	r.end()
	return r.cases().kept
}

func ids(cases []Case) string {
	var parts []string
	for _, c := range cases {
		parts = append(parts, string(c.Status)+" "+c.ID())
	}
	return strings.Join(parts, "\n")
}

func TestTAP(t *stdtesting.T) {
	cases := feed(t, FormatTAP, `TAP version 14
1..6
ok 1 - reads
not ok 2 - writes
  ---
  message: disk is full
  ...
# a remark
ok 3 - later # SKIP no network
not ok 4 - wish # TODO not done
# Subtest: inner
    ok 1 - deep
    not ok 2 - deeper
    1..2
not ok 5 - inner
ok
`)
	assert.Equal(t, `passed reads
failed writes
skipped later
skipped wish
passed inner.deep
failed inner.deeper
failed inner
passed 6`, ids(cases))
	assert.Contains(t, cases[1].Output, "disk is full")
	assert.Contains(t, cases[1].Output, "a remark")
	again, err := ReadTAP(iotest.OneByteReader(strings.NewReader("ok 1 - a\nnot ok 2 - b\n# why\n1..2\n")))
	require.NoError(t, err)
	assert.Equal(t, "passed a\nfailed b", ids(again))
	assert.Equal(t, "# why\n", again[1].Output)
	_, err = ReadTAP(strings.NewReader("no test here\n"))
	require.Error(t, err)
	again, err = ReadTAP(io.MultiReader(strings.NewReader("ok 1 - a\n"), iotest.ErrReader(errRed)))
	require.ErrorIs(t, err, errRed)
	assert.Len(t, again, 1)

	assert.Contains(t, ids(feed(t, FormatTAP, "1..3\nok 1\n")), "failed plan")
	assert.Contains(t, ids(feed(t, FormatTAP, "ok 1\nBail out! no database\n")), "failed bail out")
	assert.Empty(t, feed(t, FormatTAP, "okay then\nnot okay\n"))
}

func TestTAPResource(t *stdtesting.T) {
	r := runShell(t, Shell{Command: `printf 'noise\n1..2\nok 1 - a\nnot ok 2 - b\n# why\n'`, Format: FormatTAP})
	assert.Equal(t, Failed, r.Status, "a failed case counts although the exit code is 0")
	assert.Equal(t, 2, r.Total)
	require.Len(t, r.Failures, 1)
	assert.True(t, strings.HasPrefix(r.Output, "=== b: failed\n# why"), r.Output)
	assert.Contains(t, r.Output, "noise")
}

// A command that succeeds without any test has passed nothing.
func TestNoTestRan(t *stdtesting.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{"go.mod": "module example.org/m\n\ngo 1.26\n", "m.go": "package m\n", "empty.xml": "<testsuites></testsuites>"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o666))
	}
	for name, r := range map[string]Resource{
		"go":    GoTest{Dir: dir, Env: []string{"GOWORK=off", "GOFLAGS="}},
		"tap":   Shell{Command: "echo 1..0", Format: FormatTAP},
		"junit": Shell{Command: "touch empty.xml", Dir: dir, JUnit: []string{"empty.xml"}},
	} {
		s := newService(t, Options{}, map[string]Resource{name: r})
		report, err := s.Run(t.Context())
		require.NoError(t, err)
		assert.Equal(t, Skipped, report.Results[0].Status, name)
		assert.Equal(t, "nothing ran", s.Verdict().String(), name)
	}
}

const junitReport = `<?xml version="1.0" encoding="UTF-8"?>
<testsuites>
 <testsuite name="outer"><testsuite name="inner" tests="4">
  <testcase name="ok" classname="pkg.Class" time="1,234.5"/>
  <testcase name="bad"><failure message="want 5" type="AssertionError">want 5
at line 3</failure><system-out>printed</system-out></testcase>
  <testcase name="broken"><error message="null pointer"/></testcase>
  <testcase name="later"><skipped/></testcase>
 </testsuite></testsuite>
</testsuites>`

func TestJUnit(t *stdtesting.T) {
	cases, err := ReadJUnit(strings.NewReader(junitReport))
	require.NoError(t, err)
	assert.Equal(t, "passed pkg.Class.ok\nfailed inner.bad\nfailed inner.broken\nskipped inner.later", ids(cases))
	assert.Equal(t, 1234.5, cases[0].Duration.Seconds())
	assert.Equal(t, "want 5\nat line 3\nprinted\n", cases[1].Output, "a message that the text repeats is left out")
	assert.Equal(t, "null pointer\n", cases[2].Output)

	cases, err = ReadJUnit(strings.NewReader(junitReport[:strings.Index(junitReport, `<testcase name="broken"`)]))
	require.Error(t, err)
	assert.Len(t, cases, 2, "what came before the break is kept")
	for _, bad := range []string{"", "no xml", "<html></html>"} {
		_, err = ReadJUnit(strings.NewReader(bad))
		assert.Error(t, err, bad)
	}
}

func TestJUnitResource(t *stdtesting.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "source.txt"), []byte(junitReport), 0o666))
	r := runShell(t, Shell{Command: "mkdir -p out; cp source.txt out/TEST-1.xml; exit 1", Dir: dir, JUnit: []string{"out/*.xml"}})
	assert.Equal(t, Failed, r.Status)
	assert.Equal(t, 4, r.Total)
	assert.Len(t, r.Failures, 2)
	assert.Contains(t, r.Output, "at line 3")

	require.NoError(t, os.RemoveAll(filepath.Join(dir, "out")))
	r = runShell(t, Shell{Command: "true", Dir: dir, JUnit: []string{"out/*.xml"}})
	assert.Equal(t, Errored, r.Status, "success without a report proves nothing")
	assert.Contains(t, r.Error, "no JUnit report")
}

func TestJUnitReportsInOddPlaces(t *stdtesting.T) {
	for _, name := range []string{"[odd] *?", `back\slash`, "plain"} {
		dir := filepath.Join(t.TempDir(), name)
		require.NoError(t, os.MkdirAll(dir, 0o777))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "source.txt"), []byte(junitReport), 0o666))
		r := runShell(t, Shell{Command: "cp source.txt r.xml; exit 1", Dir: dir, JUnit: []string{"*.xml"}})
		assert.Equal(t, 4, r.Total, "%s: %s", name, r.Error)
	}
	// The clock of the file system is behind.
	dir := t.TempDir()
	began := time.Now().Truncate(time.Second)
	file := filepath.Join(dir, "r.xml")
	require.NoError(t, os.WriteFile(file, []byte(junitReport), 0o666))
	require.NoError(t, os.Chtimes(file, began, began.Add(-9*time.Millisecond)))
	list, err := readJUnit(dir, []string{"r.xml"}, began)
	require.NoError(t, err)
	assert.Equal(t, 4, list.total)

	r := runShell(t, Shell{Command: "mkfifo r.xml", Dir: t.TempDir(), JUnit: []string{"*.xml"}})
	assert.Equal(t, Errored, r.Status)
	assert.Contains(t, r.Error, "not a regular file")
}

func TestGoJSON(t *stdtesting.T) {
	cases := feed(t, FormatGoJSON, `{"Action":"start","Package":"p"}
{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestA","Output":"    a_test.go:5: want 5\n"}
{"Action":"run","Package":"p","Test":"TestA/sub"}
{"Action":"output","Package":"p","Test":"TestA/sub","Output":"    sub is bad\n"}
{"Action":"fail","Package":"p","Test":"TestA/sub","Elapsed":0.5}
{"Action":"fail","Package":"p","Test":"TestA","Elapsed":0.5}
{"Action":"run","Package":"p","Test":"TestB"}
{"Action":"pass","Package":"p","Test":"TestB"}
{"Action":"skip","Package":"p","Test":"TestC"}
{"Action":"fail","Package":"p","Elapsed":0.6}
{"ImportPath":"q","Action":"build-output","Output":"q.go:3: syntax error\n"}
{"ImportPath":"q","Action":"build-fail"}
{"Action":"start","Package":"q"}
{"Action":"fail","Package":"q","Elapsed":0,"FailedBuild":"q"}
not json
{"Action":"start","Package":"r"}
{"Action":"run","Package":"r","Test":"TestHangs"}
{"Action":"output","Package":"r","Test":"TestHangs","Output":"waiting\n"}
`)
	assert.Equal(t, `failed p.TestA/sub
failed p.TestA
passed p.TestB
skipped p.TestC
failed q
failed r.TestHangs`, ids(cases))
	assert.Contains(t, cases[4].Output, "syntax error")
	assert.Contains(t, cases[5].Output, "waiting\n(did not finish)")
	assert.Equal(t, 0.5, cases[0].Duration.Seconds())
}

// A run of many tests remembers only those that have not ended.
func TestGoJSONOfManyTests(t *stdtesting.T) {
	var in strings.Builder
	in.WriteString(`{"Action":"start","Package":"p"}` + "\n" + `{"Action":"run","Package":"p","Test":"Hangs"}` + "\n")
	for i := range 500 {
		for _, action := range []string{"run", "pass"} {
			fmt.Fprintf(&in, `{"Action":%q,"Package":"p","Test":"T%d"}`+"\n", action, i)
		}
	}
	g := newGoReader(Request{})
	g.write([]byte(in.String()))
	assert.Len(t, g.open, 2)
	assert.Less(t, len(g.order), 100)
	g.end()
	assert.Equal(t, 501, g.cases().total)
	assert.Equal(t, "failed p.Hangs", ids(failing(g.cases().kept)))
	assert.Equal(t, "failed p", ids(g.packages()))
	assert.Zero(t, g.held-keySize(goKey{pkg: "p"}), "only the package is left")
}

func FuzzReaders(f *stdtesting.F) {
	f.Add("1..2\nok 1 - a # SKIP\nnot ok\n  ---\n  x\n  ...\n# Subtest: y\n    ok\n")
	f.Add(`{"Action":"run","Package":"p","Test":"T"}` + "\n" + `{"Action":"fail","Package":"p","Test":"T"}`)
	f.Add(junitReport)
	f.Add("        ok\nok 99999999999999999999\n1..99999999999999999999")
	f.Fuzz(func(t *stdtesting.T, in string) {
		for _, format := range []Format{FormatTAP, FormatGoJSON} {
			for _, c := range feed(t, format, in) {
				if c.Status == "" {
					t.Errorf("case without status from %q", in)
				}
			}
		}
		_, _ = ReadJUnit(strings.NewReader(in))
		_ = normalize(in)
	})
}

// module writes a small Go module with three packages: a, b that imports a, and
// c alone.
func module(t stdtesting.TB) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{
		"go.mod":          "module example.org/m\n\ngo 1.26\n",
		"a/a.go":          "package a\n\nfunc Add(x, y int) int { return x + y }\n",
		"a/a_test.go":     "package a\n\nimport \"testing\"\n\nfunc TestAdd(t *testing.T) {\n\tif got := Add(2, 3); got != 5 {\n\t\tt.Fatalf(\"want 5, got %d\", got)\n\t}\n}\n",
		"b/b.go":          "package b\n\nimport \"example.org/m/a\"\n\nvar Five = a.Add(2, 3)\n",
		"b/b_test.go":     "package b_test\n\nimport (\n\t\"testing\"\n\n\t\"example.org/m/b\"\n)\n\nfunc TestFive(t *testing.T) {\n\tif b.Five != 5 {\n\t\tt.Fatal(\"no five\")\n\t}\n}\n",
		"c/c_test.go":     "package c\n\nimport \"testing\"\n\nfunc TestC(t *testing.T) {}\n",
		"c/testdata/x.md": "data",
	} {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o777))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o666))
	}
	return dir
}

// TestGoTestLeavesNothing: what go was building goes, too, when it is ended.
func TestGoTestLeavesNothing(t *stdtesting.T) {
	dir, temp, started := module(t), t.TempDir(), filepath.Join(t.TempDir(), "started")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "c/c_test.go"), []byte(`package c

import (
	"os"
	"testing"
	"time"
)

func TestC(t *testing.T) {
	os.WriteFile(os.Getenv("STARTED"), []byte("x"), 0o666)
	time.Sleep(time.Hour)
}
`), 0o666))
	t.Setenv("GOTMPDIR", "")
	t.Setenv("TMPDIR", temp)
	g := GoTest{Dir: dir, Env: []string{"GOWORK=off", "GOFLAGS=", "STARTED=" + started}}
	s := newService(t, Options{}, map[string]Resource{"go": g})
	report, err := s.Run(untilWritten(t, started))
	require.ErrorIs(t, err, context.Canceled)
	assert.Equal(t, Canceled, report.Results[0].Status)
	left, err := os.ReadDir(temp)
	require.NoError(t, err)
	assert.Empty(t, left)
}

func TestGoTest(t *stdtesting.T) {
	dir := module(t)
	g := GoTest{Dir: dir, Env: []string{"GOWORK=off", "GOFLAGS="}}
	s := newService(t, Options{}, map[string]Resource{"go": g})
	run := func(changed ...string) Result {
		t.Helper()
		_, err := s.RunWith(t.Context(), RunOptions{Changed: changed})
		require.NoError(t, err)
		r, _ := s.Result("go")
		return r
	}
	r := run()
	assert.Equal(t, Passed, r.Status, r.Output)
	assert.Equal(t, 3, r.Total)
	assert.Equal(t, "go test -json ./...", r.Command)

	require.NoError(t, os.WriteFile(filepath.Join(dir, "a/a.go"), []byte("package a\n\nfunc Add(x, y int) int { return x - y }\n"), 0o666))
	r = run("a/a.go")
	assert.Equal(t, Failed, r.Status)
	// Packages are tested side by side.
	assert.ElementsMatch(t, []string{"failed example.org/m/a.TestAdd", "failed example.org/m/b.TestFive"}, strings.Split(ids(r.Failures), "\n"))
	assert.Contains(t, r.Output, "want 5, got -1")
	assert.NotContains(t, r.Command, "./...")
	assert.NotContains(t, r.Command, "m/c")
	assert.ElementsMatch(t, []string{"failed example.org/m/a", "failed example.org/m/b"}, strings.Split(ids(r.Suites), "\n"))
	r = run("c/c_test.go")
	assert.Equal(t, Failed, r.Status, "what failed is tested again, wherever the change is")
	assert.ElementsMatch(t, []string{"failed example.org/m/a", "failed example.org/m/b", "passed example.org/m/c"}, strings.Split(ids(r.Suites), "\n"))

	require.NoError(t, os.WriteFile(filepath.Join(dir, "a/a.go"), []byte("package a\n\nfunc Add(x, y int) int { return x + y }\n"), 0o666))
	assert.Equal(t, Passed, run("a/a.go").Status)
	r = run(filepath.Join(dir, "c/testdata/x.md"))
	assert.Equal(t, Passed, r.Status)
	assert.Equal(t, "go test -json example.org/m/c", r.Command)
	r = run("b/b_test.go")
	assert.Equal(t, "go test -json example.org/m/b", r.Command)
	r = run("go.mod")
	assert.Equal(t, "go test -json ./...", r.Command)

	require.NoError(t, os.WriteFile(filepath.Join(dir, "a/a.go"), []byte("package a\n\nfunc Add("), 0o666))
	r = run()
	assert.Equal(t, Failed, r.Status)
	assert.Contains(t, r.Output, "syntax error")
}
