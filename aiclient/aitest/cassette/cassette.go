// Package cassette replays recorded HTTP traffic of real model providers as an
// HTTP server, so that an adapter can be tested against what providers really
// send. It reads the YAML files of go-vcr, version 4.
package cassette

import (
	"bytes"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"

	"go.yaml.in/yaml/v3"
)

// Cassette is a recording: requests with the responses they got, in order.
type Cassette struct {
	Interactions []Interaction
}

// Interaction is one recorded request and its response.
type Interaction struct {
	Method       string
	URL          *url.URL
	RequestBody  []byte
	Status       int
	Header       http.Header // of the response
	ResponseBody []byte
}

// Load reads the cassette in the named file.
func Load(name string) (*Cassette, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("cassette: %w", err)
	}
	return parseNamed(name, data)
}

// LoadFS is Load for a file in fsys.
func LoadFS(fsys fs.FS, name string) (*Cassette, error) {
	data, err := fs.ReadFile(fsys, name)
	if err != nil {
		return nil, fmt.Errorf("cassette: %w", err)
	}
	return parseNamed(name, data)
}

func parseNamed(name string, data []byte) (*Cassette, error) {
	c, err := Parse(data)
	if err != nil {
		return nil, fmt.Errorf("cassette %s: %w", name, err)
	}
	return c, nil
}

// Parse reads a cassette from the bytes of its file.
func Parse(data []byte) (*Cassette, error) {
	var file struct {
		Version      int `yaml:"version"`
		Interactions []struct {
			Request struct {
				Method string `yaml:"method"`
				URL    string `yaml:"url"`
				Body   string `yaml:"body"`
			} `yaml:"request"`
			Response struct {
				Code    int                 `yaml:"code"`
				Body    string              `yaml:"body"`
				Headers map[string][]string `yaml:"headers"`
			} `yaml:"response"`
		} `yaml:"interactions"`
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	if err := dec.Decode(&file); err != nil {
		return nil, fmt.Errorf("not a go-vcr file: %w", err)
	}
	if file.Version != 2 {
		return nil, fmt.Errorf("format version %d of go-vcr cassettes, want 2", file.Version)
	}
	c := &Cassette{}
	for i, in := range file.Interactions {
		u, err := url.Parse(in.Request.URL)
		if err != nil {
			return nil, fmt.Errorf("interaction %d: %w", i, err)
		}
		if in.Response.Code < 100 || in.Response.Code > 999 {
			return nil, fmt.Errorf("interaction %d: response code %d", i, in.Response.Code)
		}
		header := http.Header{}
		for name, values := range in.Response.Headers {
			for _, v := range values {
				header.Add(name, v)
			}
		}
		c.Interactions = append(c.Interactions, Interaction{
			Method: in.Request.Method, URL: u, RequestBody: []byte(in.Request.Body),
			Status: in.Response.Code, Header: header, ResponseBody: []byte(in.Response.Body),
		})
	}
	return c, nil
}
