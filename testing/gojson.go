package testing

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/tokenring-ai/tokenring-go/utility/command"
	"github.com/tokenring-ai/tokenring-go/utility/text"
)

// goEvent is a line of go test -json, as cmd/test2json and cmd/go describe it.
type goEvent struct {
	Action      string
	Package     string
	ImportPath  string
	Test        string
	Elapsed     float64 // seconds
	Output      string
	FailedBuild string
}

type goKey struct{ pkg, test string }

// goReader turns the event stream into cases. It keeps the output of a test
// until it is known to have passed.
type goReader struct {
	req    Request
	lines  lineSplitter
	open   map[goKey]*text.HeadTail // tests and packages that run
	order  []goKey                  // of open, for a deterministic end
	held   int                      // bytes of open
	builds map[string]*text.HeadTail
	tests  caseList
	suites caseList
	bad    map[string]bool // packages with a failing test
	other  *text.HeadTail  // what is not JSON
}

// maxBuilds is how many packages that do not build are told apart.
const maxBuilds = 64

func newGoReader(req Request) *goReader {
	g := &goReader{req: req, open: map[goKey]*text.HeadTail{}, builds: map[string]*text.HeadTail{}, bad: map[string]bool{}, other: text.NewHeadTail(caseOutput)}
	g.lines.fn = g.line
	return g
}

func (g *goReader) write(data []byte) { g.lines.write(data) }

func (g *goReader) line(line []byte) {
	var e goEvent
	if len(line) == 0 || line[0] != '{' || json.Unmarshal(line, &e) != nil || e.Action == "" {
		_, _ = g.other.Write(append(line, '\n'))
		return
	}
	key := goKey{clipName(e.Package), clipName(e.Test)}
	switch e.Action {
	case "start", "run":
		g.begin(key)
	case "output":
		g.print(g.begin(key), e.Output)
	case "build-output":
		if g.builds[e.ImportPath] == nil && len(g.builds) < maxBuilds && len(e.ImportPath) < maxName {
			g.builds[e.ImportPath] = text.NewHeadTail(caseOutput)
		}
		if out := g.builds[e.ImportPath]; out != nil {
			_, _ = out.Write([]byte(e.Output))
		}
	case "pass", "skip", "fail":
		g.finish(key, e)
	}
}

// begin returns the output of a test that runs, or nil when more run than can be
// remembered: then only their end counts.
func (g *goReader) begin(key goKey) *text.HeadTail {
	out := g.open[key]
	if size := keySize(key); out == nil && g.held+size <= badBytes {
		g.held += size
		out = text.NewHeadTail(caseOutput)
		g.open[key] = out
		g.order = append(g.order, key)
		if len(g.order) > 2*len(g.open)+64 {
			g.compact()
		}
	}
	return out
}

func keySize(key goKey) int { return caseOverhead + len(key.pkg) + len(key.test) }

// print keeps what a test says, as far as there is room for it beside the others.
func (g *goReader) print(out *text.HeadTail, said string) {
	if out == nil || g.held+len(said) > badBytes {
		return
	}
	before := min(out.Len(), caseOutput)
	_, _ = out.Write([]byte(said))
	g.held += int(min(out.Len(), caseOutput) - before)
}

// close forgets a test that runs.
func (g *goReader) close(key goKey) {
	if out := g.open[key]; out != nil {
		g.held -= keySize(key) + int(min(out.Len(), caseOutput))
		delete(g.open, key)
	}
}

// compact drops what has ended from the order of what runs.
func (g *goReader) compact() {
	kept := g.order[:0]
	for _, key := range g.order {
		if g.open[key] != nil {
			kept = append(kept, key)
		}
	}
	g.order = kept
}

func (g *goReader) finish(key goKey, e goEvent) {
	c := Case{Suite: key.pkg, Name: key.test, Duration: time.Duration(e.Elapsed * float64(time.Second))}
	switch e.Action {
	case "pass":
		c.Status = Passed
	case "skip":
		c.Status = Skipped
	default:
		c.Status = Failed
		if out := g.open[key]; out != nil {
			c.Output = out.String()
		}
		if build := g.builds[e.FailedBuild]; build != nil {
			c.Output = build.String() + c.Output
		}
	}
	g.close(key)
	if key.test == "" {
		g.suites.add(c)
		// A package is a case of its own only when no test explains its failure.
		if c.Status != Failed || g.bad[key.pkg] {
			return
		}
	}
	if g.tests.add(c) && c.Status == Failed {
		g.bad[key.pkg] = true
	}
	if g.req.Progress != nil {
		g.req.Progress(Event{Resource: g.req.Name, Case: c})
	}
}

// end fails what never ended: the process was killed, panicked or timed out.
func (g *goReader) end() {
	g.lines.end()
	for _, tests := range []bool{true, false} {
		for _, key := range g.order {
			out := g.open[key]
			if out == nil || (key.test != "") != tests || key.test == "" && g.bad[key.pkg] {
				continue
			}
			g.bad[key.pkg] = true
			if key.test != "" {
				g.close(key)
			}
			g.tests.add(Case{Suite: key.pkg, Name: key.test, Status: Failed, Output: out.String() + "(did not finish)\n"})
		}
	}
	for _, key := range g.order {
		if g.open[key] != nil && key.test == "" {
			g.suites.add(Case{Suite: key.pkg, Status: Failed})
		}
	}
	g.open, g.order = nil, nil
}

func (g *goReader) cases() *caseList { return &g.tests }

func (g *goReader) packages() []Case { return g.suites.kept }

// output leaves out what a parent test prints about a subtest that failed, which
// has its own entry.
func (g *goReader) output(r Result, res command.Result) (string, int64) {
	failures := failing(g.tests.kept)
	parents := map[string]bool{}
	for _, c := range failures {
		name := c.Name
		for cut := strings.LastIndexByte(name, '/'); cut > 0; cut = strings.LastIndexByte(name, '/') {
			name = name[:cut]
			parents[c.Suite+" "+name] = true
		}
	}
	var shown []Case
	for _, c := range failures {
		if !parents[c.Suite+" "+c.Name] {
			shown = append(shown, c)
		}
	}
	var rest strings.Builder
	rest.WriteString(g.other.String())
	rest.WriteString(res.Stderr.String())
	if r.Status == Passed {
		tested := 0
		for _, c := range g.suites.kept {
			if c.Status == Passed {
				tested++
			}
		}
		fmt.Fprintf(&rest, "%d tests in %d packages passed\n", g.tests.total, tested)
	}
	return failuresFirst(shown, rest.String(), g.req.MaxOutput)
}
