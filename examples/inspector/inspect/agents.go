package inspect

import (
	"cmp"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/tokenring-ai/tokenring-go/agent"
)

// agentView is what the list says of an agent.
type agentView struct {
	ID       string          `json:"id"`
	Type     string          `json:"type"`
	Parent   string          `json:"parent,omitempty"`
	State    string          `json:"state"` // "busy", "idle", "asking"
	Created  time.Time       `json:"created"`
	Events   uint64          `json:"events"`
	Rate     float64         `json:"rate"` // events per second
	Requests []agent.Request `json:"requests"`
}

func viewAgents(m *agent.Manager) []agentView {
	list := m.List()
	views := make([]agentView, len(list))
	for i, a := range list {
		stats, pending := a.Stats(), a.Pending()
		state := "busy"
		switch {
		case len(pending) > 0:
			state = "asking"
		case a.Idle():
			state = "idle"
		}
		views[i] = agentView{ID: a.ID(), Type: a.Type(), Parent: a.Parent(), State: state, Created: a.Created(),
			Events: stats.Events, Rate: stats.EventRate, Requests: pending}
	}
	return views
}

// agent returns the living agent that a request names. Otherwise it has
// answered.
func (s *Server) agent(w http.ResponseWriter, r *http.Request) (*agent.Agent, bool) {
	a, ok := s.opts.Manager.Get(r.PathValue("id"))
	if !ok {
		http.Error(w, fmt.Sprintf("agent %q does not live", r.PathValue("id")), http.StatusNotFound)
	}
	return a, ok
}

// serveEvents streams an agent's events after a cursor: the query's "after", or
// the last event that a browser had when its connection broke.
func (s *Server) serveEvents(w http.ResponseWriter, r *http.Request) {
	a, ok := s.agent(w, r)
	if !ok {
		return
	}
	var after uint64
	if cursor := cmp.Or(r.Header.Get("Last-Event-ID"), r.URL.Query().Get("after")); cursor != "" {
		var err error
		if after, err = strconv.ParseUint(cursor, 10, 64); err != nil {
			http.Error(w, fmt.Sprintf("cursor %q: want the number of an event", cursor), http.StatusBadRequest)
			return
		}
	}
	out, err := newStream(w)
	if err != nil {
		return
	}
	for event, err := range a.Events(r.Context(), after) {
		if err != nil {
			return // the reader went away, or the server closes
		}
		if out.send("event", event.Seq, event) != nil {
			return
		}
		if _, last := event.Body.(agent.Exit); last {
			break
		}
	}
	_ = out.send("end", 0, struct{}{}) // tells the page not to come again
}

// answer answers a question of an agent.
func (s *Server) answer(w http.ResponseWriter, r *http.Request) {
	a, ok := s.agent(w, r)
	if !ok {
		return
	}
	var body struct {
		Request  string         `json:"request"`
		Response agent.Response `json:"response"`
	}
	if !readJSON(w, r, &body) {
		return
	}
	body.Response.By = cmp.Or(body.Response.By, "inspector")
	if err := a.Answer(body.Request, body.Response); err != nil {
		http.Error(w, err.Error(), http.StatusConflict) // answered meanwhile, or no answer to this
		return
	}
	writeJSON(w, struct{}{})
}

// abort ends the running input of an agent.
func (s *Server) abort(w http.ResponseWriter, r *http.Request) {
	a, ok := s.agent(w, r)
	if !ok {
		return
	}
	var body struct {
		Reason string          `json:"reason"`
		Mode   agent.AbortMode `json:"mode"`
	}
	if !readJSON(w, r, &body) {
		return
	}
	switch body.Mode {
	case "", agent.AbortNow, agent.AbortAfterReply, agent.AbortAfterTools:
	default:
		http.Error(w, fmt.Sprintf("mode %q: want %q, %q or %q", body.Mode, agent.AbortNow, agent.AbortAfterReply, agent.AbortAfterTools), http.StatusBadRequest)
		return
	}
	reason := cmp.Or(body.Reason, "aborted in the inspector")
	aborted := a.AbortWith(reason, agent.AbortOptions{Mode: body.Mode})
	writeJSON(w, map[string]bool{"aborted": aborted})
}
