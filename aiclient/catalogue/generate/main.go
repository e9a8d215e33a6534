// Command generate writes the catalogue's table from a folder of JSON files in
// the format of the Catwalk project, one file per provider.
//
//	go run ./generate -from DIR -to models.tsv
package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// names are providers whose adapters have another name than their files.
var names = map[string]string{"gemini": "google", "alibaba-singapore": "qwen"}

type provider struct {
	Name     string  `json:"name"`
	ID       string  `json:"id"`
	Key      string  `json:"api_key"`
	Endpoint string  `json:"api_endpoint"`
	Large    string  `json:"default_large_model_id"`
	Small    string  `json:"default_small_model_id"`
	Models   []model `json:"models"`
}

type model struct {
	ID        string   `json:"id"`
	Name      string   `json:"name"`
	In        float64  `json:"cost_per_1m_in"`
	Out       float64  `json:"cost_per_1m_out"`
	InCached  float64  `json:"cost_per_1m_in_cached"`
	OutCached float64  `json:"cost_per_1m_out_cached"`
	Context   int64    `json:"context_window"`
	MaxTokens int64    `json:"default_max_tokens"`
	Reasons   bool     `json:"can_reason"`
	Efforts   []string `json:"reasoning_levels"`
	Effort    string   `json:"default_reasoning_effort"`
	Images    bool     `json:"supports_attachments"`
}

func main() {
	from := flag.String("from", "", "the folder with the JSON files")
	to := flag.String("to", "models.tsv", "the table to write")
	flag.Parse()
	table, err := generate(*from)
	if err == nil {
		err = os.WriteFile(*to, table, 0o644)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

// generate returns the table for the files of a folder.
func generate(dir string) ([]byte, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("no JSON files in %q", dir)
	}
	var providers []provider
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		var p provider
		if err := json.Unmarshal(data, &p); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		if name, ok := names[p.ID]; ok {
			p.ID = name
		}
		providers = append(providers, p)
	}
	slices.SortFunc(providers, func(a, b provider) int { return strings.Compare(a.ID, b.ID) })
	var b bytes.Buffer
	b.WriteString("# Written by the command in the folder generate. Facts: the Catwalk project (MIT).\n")
	for _, p := range providers {
		endpoint := p.Endpoint
		if strings.HasPrefix(endpoint, "$") {
			endpoint = "" // the adapter knows it
		}
		row(&b, "@"+p.ID, p.Name, strings.TrimPrefix(p.Key, "$"), endpoint, p.Large, p.Small)
		for _, m := range p.Models {
			read, write := m.cachePrices()
			flags := ""
			if m.Reasons {
				flags += "r"
			}
			if m.Images {
				flags += "i"
			}
			name := m.Name
			if name == m.ID {
				name = ""
			}
			row(&b, m.ID, name, number(float64(m.Context)), number(float64(m.MaxTokens)),
				number(m.In), number(m.Out), number(read), number(write), flags, strings.Join(m.Efforts, ","), m.Effort)
		}
	}
	return b.Bytes(), nil
}

// cachePrices sorts the two cache prices of the source out. Its fields mean a
// write and a read for some providers, a read and nothing for others, and now
// and then they repeat the price of output. A price below that of input is one
// of reading, the lower one if there are two; a price from that of input to
// twice that is one of writing, as every provider with such a price has it.
func (m model) cachePrices() (read, write float64) {
	for _, price := range []float64{m.InCached, m.OutCached} {
		switch {
		case price <= 0:
		case price < m.In && (read == 0 || price < read):
			read = price
		case price >= m.In && price <= 2*m.In && price != m.Out:
			write = max(write, price)
		}
	}
	return read, write
}

func number(n float64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatFloat(n, 'f', -1, 64)
}

// row writes fields, without the empty ones at the end.
func row(b *bytes.Buffer, fields ...string) {
	clean := strings.NewReplacer("\t", " ", "\n", " ")
	line := ""
	for i, f := range fields {
		if i > 0 {
			line += "\t"
		}
		line += clean.Replace(f)
	}
	b.WriteString(strings.TrimRight(line, "\t") + "\n")
}
