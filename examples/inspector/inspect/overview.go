package inspect

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// Section is a part of the page with something of the host's, such as the items
// of a queue, test results, commits or the cost.
type Section struct {
	Name string

	// Read returns what to show, as a value that encoding/json can write: a list
	// of objects becomes a table, an object a list of names and values, anything
	// else is shown as it is. It is called about once a second for each page that
	// is open, from several goroutines at once. An error is shown in its place.
	Read func(ctx context.Context) (any, error)
}

// readTimeout bounds one reading of a section.
const readTimeout = 5 * time.Second

// maxSection bounds what is sent of a section, in bytes.
const maxSection = 256 << 10

// overview is what the page shows beside one agent's events. It is sent whole
// every time: a page that was away has missed nothing.
type overview struct {
	Time     time.Time     `json:"time"`
	Agents   []agentView   `json:"agents"`
	Sections []sectionView `json:"sections"`
	Times    []int64       `json:"times"` // of the readings, Unix milliseconds
	Series   []seriesView  `json:"series"`
}

type sectionView struct {
	Name  string          `json:"name"`
	Data  json.RawMessage `json:"data,omitempty"`
	Error string          `json:"error,omitempty"`
}

// serveOverview streams the overview, at once and after each reading.
func (s *Server) serveOverview(w http.ResponseWriter, r *http.Request) {
	out, err := newStream(w)
	if err != nil {
		return
	}
	ctx := r.Context()
	for {
		next := s.history.next()
		if out.send("overview", 0, s.overview(ctx)) != nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-next:
		}
	}
}

func (s *Server) overview(ctx context.Context) overview {
	o := overview{Time: time.Now(), Agents: viewAgents(s.opts.Manager), Sections: make([]sectionView, len(s.opts.Sections))}
	o.Times, o.Series = s.history.view()
	for i, section := range s.opts.Sections {
		o.Sections[i] = readSection(ctx, section)
	}
	return o
}

// readSection reads a section; whatever goes wrong in it is shown, not passed
// on.
func readSection(ctx context.Context, section Section) (view sectionView) {
	view.Name = section.Name
	defer func() {
		if p := recover(); p != nil {
			view.Error = fmt.Sprintf("panic: %v", p)
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	value, err := section.Read(ctx)
	if err == nil {
		view.Data, err = json.Marshal(value)
	}
	if err == nil && len(view.Data) > maxSection {
		err = fmt.Errorf("%d bytes are more than the %d that are shown", len(view.Data), maxSection)
	}
	if err != nil {
		view.Data, view.Error = nil, err.Error()
	}
	return view
}
