// Command benchreport measures packages of TokenRing beside their peers and prints
// the medians as a Markdown table. With -out it also writes the table, the figures
// as JSON, and a chart of each benchmark as SVG; with -baseline it compares the
// ratios to the peers with those of an earlier report and fails when one of ours
// became worse by more than the tolerance.
//
// It runs benchmarks that are named Benchmark<Topic>/<case>/<peer>, one of the
// peers being "tokenring", and in which every peer of a case does the same work per
// iteration; and those named Benchmark<Topic>/<case> that run the peers by turns
// and report the median time of each as a metric <peer>-ns. Each round goes over
// all benchmarks, so that a disturbance of the machine hits all peers alike.
//
//	go run .
//	go run . -packages . -bench 'Keyed|Cache'
//	go run . -packages ../../filesystem,../../git -rounds 9
//	go run . -out report -baseline report/report.json
//
// Without -packages it measures everything, which takes a while: the peers of the
// models and the queues alone take minutes to compile for the first time.
package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// everything lists the folders that hold such benchmarks.
var everything = []string{
	".",
	"../../agent/peerbench",
	"../../aiclient/peerbench",
	"../../database/sqltest",
	"../../filesystem",
	"../../git",
	"../../git/peerbench",
	"../../queue/natsqueue",
	"../../queue/peerbench",
}

type settings struct {
	bench, benchtime, packages string
	rounds                     int
	out, baseline              string
	tolerance                  float64
}

func main() {
	var s settings
	flag.StringVar(&s.bench, "bench", ".", "regular expression of the benchmarks to run")
	flag.StringVar(&s.benchtime, "benchtime", "100ms", "how long each benchmark runs per round")
	flag.StringVar(&s.packages, "packages", strings.Join(everything, ","), "`folders` of the packages whose benchmarks to run, separated by commas")
	flag.IntVar(&s.rounds, "rounds", 5, "how often everything is run")
	flag.StringVar(&s.out, "out", "", "write report.md, report.json and charts into this `folder`")
	flag.StringVar(&s.baseline, "baseline", "", "compare with the report.json in this `file`")
	flag.Float64Var(&s.tolerance, "tolerance", 0.25, "how much worse a ratio may be than in the baseline")
	flag.Parse()

	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "benchreport: it takes flags only, not %q; see -h\n", flag.Arg(0))
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := report(ctx, os.Stdout, os.Stderr, s); err != nil {
		fmt.Fprintln(os.Stderr, "benchreport:", err)
		os.Exit(1)
	}
}

// report runs the benchmarks and writes the table to out, progress to progress.
func report(ctx context.Context, out, progress io.Writer, s settings) error {
	if s.rounds < 1 {
		return fmt.Errorf("-rounds %d: want 1 or more", s.rounds)
	}
	folder, err := os.MkdirTemp("", "benchreport")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)

	packages := strings.Split(s.packages, ",")
	binaries := make([]string, len(packages))
	for i, pkg := range packages {
		binaries[i] = filepath.Join(folder, fmt.Sprintf("%d.test", i))
		if _, err := command(ctx, pkg, "go", "test", "-c", "-o", binaries[i], "."); err != nil {
			return err
		}
	}
	var runs []run
	var cpu string
	for round := range s.rounds {
		for i, binary := range binaries {
			fmt.Fprintf(progress, "round %d of %d: %s\n", round+1, s.rounds, packages[i])
			output, err := command(ctx, packages[i], binary,
				"-test.run", "^$", "-test.bench", s.bench, "-test.benchtime", s.benchtime, "-test.benchmem")
			if err != nil {
				return err
			}
			more, processor, err := parse(bytes.NewReader(output))
			if err != nil {
				return err
			}
			runs, cpu = append(runs, more...), processor
		}
	}
	if len(runs) == 0 {
		return fmt.Errorf("no benchmark named Benchmark<Topic>/<case>/<peer> matches %q in %s", s.bench, s.packages)
	}
	var peers []string
	for _, pkg := range packages {
		list, err := command(ctx, pkg, "go", "list", "-m", "-f",
			`{{if not (or .Indirect .Main .Replace)}}{{.Path}} {{.Version}}{{end}}`, "all")
		if err != nil {
			return err
		}
		peers = append(peers, strings.Split(strings.TrimSpace(string(list)), "\n")...)
	}
	slices.Sort(peers)
	peers = slices.Compact(peers)
	full := &document{
		Machine:  fmt.Sprintf("%s, GOMAXPROCS %d, %s/%s, %s", cpu, runtime.GOMAXPROCS(0), runtime.GOOS, runtime.GOARCH, runtime.Version()),
		Versions: peers,
		Command:  fmt.Sprintf("go run . -bench '%s' -benchtime %s -rounds %d -packages %s", s.bench, s.benchtime, s.rounds, s.packages),
		Rows:     summarise(runs),
	}
	full.markdown(out)
	if s.out != "" {
		if err := full.save(s.out); err != nil {
			return err
		}
	}
	if s.baseline != "" {
		return full.compare(s.baseline, s.tolerance)
	}
	return nil
}

func command(ctx context.Context, dir string, argv ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off") // not every module is part of the workspace
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s in %s: %w\n%s%s", strings.Join(argv, " "), dir, err, out, stderr.Bytes())
	}
	return out, nil
}
