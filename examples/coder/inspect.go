package main

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/tokenring-ai/tokenring-go/aiclient"
	"github.com/tokenring-ai/tokenring-go/examples/inspector/inspect"
	"github.com/tokenring-ai/tokenring-go/git"
	"github.com/tokenring-ai/tokenring-go/queue"
	"github.com/tokenring-ai/tokenring-go/testing"
)

// timing sums up the model's replies for the inspector's charts.
type timing struct {
	replies, total atomic.Int64
}

// stepEnd is what the conversation's trace calls after each reply.
func (t *timing) stepEnd(_ context.Context, step aiclient.Step, _ error) {
	if step.Response == nil {
		return
	}
	t.replies.Add(1)
	t.total.Add(int64(step.Response.Timing.Total))
}

// startInspector serves a page that looks into the agent and its workshop.
func (s *session) startInspector() error {
	w := s.shop
	server, err := inspect.Start(inspect.Options{
		Manager:  s.manager,
		Sections: w.sections(),
		Series:   w.series(),
	})
	if err != nil {
		return setupFailure(err)
	}
	s.inspector = server
	s.close = append(s.close, func() {
		ctx, cancel := context.WithTimeout(context.Background(), saveTimeout)
		defer cancel()
		_ = server.Close(ctx) // the process ends anyway
	})
	return nil
}

// sections are the tables of the inspector's page.
func (w *workshop) sections() []inspect.Section {
	return []inspect.Section{
		{Name: "Cost", Read: func(context.Context) (any, error) {
			stats := w.conv.Stats()
			return struct {
				Model        string  `json:"model"`
				Replies      int64   `json:"replies"`
				ToolCalls    int64   `json:"tool calls"`
				Input        int64   `json:"input tokens"`
				Output       int64   `json:"output tokens"`
				USD          float64 `json:"USD"`
				ContextTotal int64   `json:"tokens in context"`
			}{w.cfg.Model, stats.Replies, stats.ToolCalls, stats.Usage.Prompt(), stats.Usage.Output, stats.Cost, stats.Context}, nil
		}},
		{Name: "Queue", Read: func(ctx context.Context) (any, error) {
			type row struct {
				Name     string      `json:"name"`
				State    queue.State `json:"state"`
				Attempts int         `json:"attempts"`
				ID       string      `json:"id"`
			}
			rows := []row{}
			for item, err := range w.work.List(ctx, queue.Filter{}) {
				if err != nil {
					return nil, err
				}
				rows = append(rows, row{item.Name, item.State, item.Attempts, item.ID})
			}
			return rows, nil
		}},
		{Name: "Tests", Read: func(context.Context) (any, error) {
			type row struct {
				Started string         `json:"started"`
				Status  testing.Status `json:"status"`
				Took    string         `json:"took"`
				Result  string         `json:"result"`
			}
			rows := []row{}
			for _, report := range w.tests.History() {
				for _, r := range report.Results {
					rows = append(rows, row{r.Started.Format(time.TimeOnly), r.Status, r.Duration.Round(time.Millisecond).String(), r.Summary()})
				}
			}
			return rows, nil
		}},
		{Name: "Commits", Read: func(ctx context.Context) (any, error) {
			type row struct {
				Commit  string `json:"commit"`
				Author  string `json:"author"`
				Subject string `json:"subject"`
			}
			rows := []row{}
			log, err := w.repo.Log(ctx, git.LogOptions{Limit: 10})
			for _, c := range log {
				rows = append(rows, row{c.Short(), c.Author.Name, c.Subject})
			}
			return rows, err
		}},
	}
}

// series are the charts of the inspector's page.
func (w *workshop) series() []inspect.Series {
	queued := func(figure func(queue.Stats) int64) func() float64 {
		return func() float64 { return float64(figure(w.work.Stats())) }
	}
	return []inspect.Series{
		{Chart: "Model", Name: "time to reply", Unit: "ms",
			Read: inspect.Milliseconds(func() time.Duration { return time.Duration(w.timing.total.Load()) }),
			Per:  func() float64 { return float64(w.timing.replies.Load()) }},
		{Chart: "Tool calls", Name: "tool calls", Unit: "/s", Counter: true,
			Read: func() float64 { return float64(w.conv.Stats().ToolCalls) }},
		{Chart: "Queue", Name: "added", Unit: "/s", Counter: true, Read: queued(func(s queue.Stats) int64 { return s.Enqueued })},
		{Chart: "Queue", Name: "done", Unit: "/s", Counter: true, Read: queued(func(s queue.Stats) int64 { return s.Acked })},
		{Chart: "Test runs", Name: "passed", Unit: "/s", Counter: true, Read: func() float64 { return float64(w.tests.Stats().Passed) }},
		{Chart: "Test runs", Name: "failed", Unit: "/s", Counter: true, Read: func() float64 { return float64(w.tests.Stats().Failed) }},
	}
}
