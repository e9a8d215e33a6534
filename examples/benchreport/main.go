// Command benchreport measures packages of TokenRing beside their peers and prints
// the medians as a Markdown table.
//
// It runs benchmarks that are named Benchmark<Topic>/<case>/<peer>, one of the
// peers being "tokenring", and in which every peer of a case does the same work per
// iteration. Each round goes over all benchmarks, so that a disturbance of the
// machine hits all peers alike.
//
//	go run . -rounds 5 -benchtime 100ms
//	go run . -bench 'Keyed|Cache'
//	go run . -packages .,../../filesystem
//	GOWORK=off go run . -packages ../../aiclient/peerbench
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

type settings struct {
	bench, benchtime, packages string
	rounds                     int
}

func main() {
	var s settings
	flag.StringVar(&s.bench, "bench", ".", "regular expression of the benchmarks to run")
	flag.StringVar(&s.benchtime, "benchtime", "100ms", "how long each benchmark runs per round")
	flag.StringVar(&s.packages, "packages", ".", "folders of the packages whose benchmarks to run, separated by commas")
	flag.IntVar(&s.rounds, "rounds", 5, "how often everything is run")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := report(ctx, os.Stdout, os.Stderr, s); err != nil {
		fmt.Fprintln(os.Stderr, "benchreport:", err)
		os.Exit(1)
	}
}

// report runs the benchmarks and writes the table to out, progress to progress.
func report(ctx context.Context, out, progress io.Writer, s settings) error {
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
	fmt.Fprintf(out, "Machine: %s, GOMAXPROCS %d, %s/%s, %s\n\n", cpu, runtime.GOMAXPROCS(0), runtime.GOOS, runtime.GOARCH, runtime.Version())
	fmt.Fprintf(out, "Versions: %s\n\n", strings.Join(peers, ", "))
	fmt.Fprintf(out, "Command: `go run . -bench '%s' -benchtime %s -rounds %d -packages %s`; medians of the rounds.\n\n",
		s.bench, s.benchtime, s.rounds, s.packages)
	table(out, summarise(runs))
	return nil
}

func command(ctx context.Context, dir string, argv ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s in %s: %w\n%s%s", strings.Join(argv, " "), dir, err, out, stderr.Bytes())
	}
	return out, nil
}
