package transport

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/tokenring-ai/tokenring-go/aiclient"
	"github.com/tokenring-ai/tokenring-go/aiclient/internal/jsonscan"
)

// ListTimeout bounds the question which models a provider has. Some lists are
// long and slow, and a provider whose list comes too late would never be online.
const ListTimeout = 10 * time.Second

// maxPages bounds how many pages of a list are read.
const maxPages = 20

// List asks the provider which models it has. It understands the lists of all
// providers: an array, or an object with one, of objects with an ID or a name.
func (c *Client) List(ctx context.Context, path string) ([]aiclient.Listed, error) {
	var models []aiclient.Listed
	next := path
	for range maxPages {
		body, header, err := c.Do(ctx, Call{Method: http.MethodGet, Path: next})
		if err != nil {
			return nil, err
		}
		l := lister{}
		s := jsonscan.New(body)
		l.read(&s)
		if err := s.End(); err != nil {
			return nil, c.Malformed("", header, body, err)
		}
		if !l.found {
			if e := c.BodyError("", body); e != nil {
				return nil, e
			}
			return nil, c.Missing("", header, "list of models")
		}
		models = append(models, l.models...)
		separator := "?"
		if strings.Contains(path, "?") {
			separator = "&"
		}
		switch {
		case l.token != "":
			next = path + separator + "pageToken=" + url.QueryEscape(l.token)
		case l.more && l.last != "":
			next = path + separator + "after_id=" + url.QueryEscape(l.last)
		default:
			return models, nil
		}
	}
	return models, nil
}

type lister struct {
	models []aiclient.Listed
	found  bool
	token  string // of the next page, as Google has it
	more   bool   // there is a next page, as Anthropic has it
	last   string // the last ID of this page
}

func (l *lister) read(s *jsonscan.Scanner) {
	if s.Kind() == jsonscan.Array {
		l.array(s)
		return
	}
	for s.Object(); s.Key(); {
		switch string(s.Name()) {
		case "data", "models":
			if s.Kind() == jsonscan.Array {
				l.array(s)
			} else {
				s.Skip()
			}
		case "nextPageToken":
			l.token = s.Text()
		case "has_more":
			l.more = s.Bool()
		case "last_id":
			l.last = s.Text()
		default:
			s.Skip()
		}
	}
}

func (l *lister) array(s *jsonscan.Scanner) {
	l.found = true
	for s.Array(); s.Item(); {
		var id, name string
		m := aiclient.Listed{}
		for s.Object(); s.Key(); {
			switch string(s.Name()) {
			case "id", "model_id":
				id = s.Text()
			case "name":
				name = s.Text()
			case "state": // LM Studio
				m.Cold = m.Cold || s.Text() == "not-loaded"
			case "status": // llama.cpp
				for s.Object(); s.Key(); {
					if string(s.Name()) == "value" {
						m.Cold = m.Cold || s.Text() == "unloaded"
					} else {
						s.Skip()
					}
				}
			default:
				s.Skip()
			}
		}
		if m.ID = id; m.ID == "" {
			m.ID = strings.TrimPrefix(name, "models/")
		}
		if m.ID != "" {
			l.models = append(l.models, m)
		}
	}
}
