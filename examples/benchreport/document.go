package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// document is a whole report, as it is written to report.json and read back as a
// baseline.
type document struct {
	Machine  string   `json:"machine"`
	Versions []string `json:"versions"`
	Command  string   `json:"command"`
	Rows     []row    `json:"rows"`
}

func (d *document) markdown(w io.Writer) {
	fmt.Fprintf(w, "Machine: %s\n\nVersions: %s\n\nCommand: `%s`; medians of the rounds.\n\n", d.Machine, strings.Join(d.Versions, ", "), d.Command)
	table(w, d.Rows)
}

// topics returns the names of the benchmarks in the order of their appearance.
func (d *document) topics() []string {
	var topics []string
	for _, r := range d.Rows {
		if !slices.Contains(topics, r.Topic) {
			topics = append(topics, r.Topic)
		}
	}
	return topics
}

// save writes the report into a folder: as Markdown with its charts, as JSON,
// and each chart as a file.
func (d *document) save(folder string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	var text strings.Builder
	d.markdown(&text)
	for _, topic := range d.topics() {
		name := strings.ToLower(topic) + ".svg"
		if err := os.WriteFile(filepath.Join(folder, name), []byte(chart(topic, d.of(topic))), 0o644); err != nil {
			return err
		}
		fmt.Fprintf(&text, "\n![%s](%s)\n", topic, name)
	}
	if err := os.WriteFile(filepath.Join(folder, "report.md"), []byte(text.String()), 0o644); err != nil {
		return err
	}
	data, err := json.MarshalIndent(d, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, "report.json"), append(data, '\n'), 0o644)
}

func (d *document) of(topic string) []row {
	var rows []row
	for _, r := range d.Rows {
		if r.Topic == topic {
			rows = append(rows, r)
		}
	}
	return rows
}

// compare fails when a peer gained on us since the baseline by more than the
// tolerance. Ratios within one run carry over from machine to machine, times do
// not. Benchmarks that only one of the reports has are passed over.
func (d *document) compare(file string, tolerance float64) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("baseline: %w", err)
	}
	var base document
	if err := json.Unmarshal(data, &base); err != nil {
		return fmt.Errorf("baseline %s: %w", file, err)
	}
	type key struct{ topic, name, peer string }
	before := map[key]float64{}
	for _, r := range base.Rows {
		before[key{r.Topic, r.Case, r.Peer}] = r.Ratio
	}
	var worse []error
	compared := 0
	for _, r := range d.Rows {
		was := before[key{r.Topic, r.Case, r.Peer}]
		if r.Peer == ours || was == 0 || r.Ratio == 0 {
			continue
		}
		compared++
		if r.Ratio < was*(1-tolerance) {
			worse = append(worse, fmt.Errorf("%s/%s: %s took %.2f times as long as ours, now %.2f times", r.Topic, r.Case, r.Peer, was, r.Ratio))
		}
	}
	if compared == 0 {
		return fmt.Errorf("baseline %s: it has nothing in common with this report", file)
	}
	return errors.Join(worse...)
}
