package inspect

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/tokenring-ai/tokenring-go/agent"
	"github.com/tokenring-ai/tokenring-go/filesystem"
)

// maxShown bounds what is shown of one state slice, in bytes.
const maxShown = 512 << 10

// checkpointView is an opened checkpoint.
type checkpointView struct {
	agent.CheckpointInfo
	Type   string      `json:"type"`
	Slices []sliceView `json:"slices"`
}

type sliceView struct {
	Name  string `json:"name"`
	Bytes int    `json:"bytes"`
	Text  string `json:"text"`
}

func (s *Server) serveCheckpoints(w http.ResponseWriter, r *http.Request) {
	list, err := s.opts.Manager.Checkpoints(r.Context(), r.PathValue("id"))
	if err != nil {
		fail(w, err)
		return
	}
	if list == nil {
		list = []agent.CheckpointInfo{}
	}
	writeJSON(w, list)
}

func (s *Server) serveCheckpoint(w http.ResponseWriter, r *http.Request) {
	saved, err := s.opts.Manager.ReadCheckpoint(r.Context(), r.PathValue("id"))
	if err != nil {
		fail(w, err)
		return
	}
	view := checkpointView{CheckpointInfo: saved.CheckpointInfo, Type: saved.Type, Slices: []sliceView{}}
	for _, slice := range saved.Slices {
		text := sliceText(slice)
		view.Slices = append(view.Slices, sliceView{Name: slice.Name, Bytes: sliceBytes(slice), Text: shorten(text)})
	}
	writeJSON(w, view)
}

// sliceChange is how a slice differs between two checkpoints.
type sliceChange struct {
	Name   string `json:"name"`
	Change string `json:"change"` // "same", "added", "removed", "changed"
	Diff   string `json:"diff,omitempty"`
}

// serveComparison compares the checkpoints that the query names as from and to.
func (s *Server) serveComparison(w http.ResponseWriter, r *http.Request) {
	texts := make([]map[string]string, 2)
	var names []string
	for i, key := range []string{"from", "to"} {
		saved, err := s.opts.Manager.ReadCheckpoint(r.Context(), r.URL.Query().Get(key))
		if err != nil {
			fail(w, err)
			return
		}
		texts[i] = map[string]string{}
		for _, slice := range saved.Slices {
			if _, known := texts[0][slice.Name]; i == 0 || !known {
				names = append(names, slice.Name)
			}
			texts[i][slice.Name] = sliceText(slice)
		}
	}
	changes := []sliceChange{}
	for _, name := range names {
		before, was := texts[0][name]
		after, is := texts[1][name]
		change := sliceChange{Name: name, Change: "changed"}
		switch {
		case before == after && was && is:
			change.Change = "same"
		case !was:
			change.Change = "added"
		case !is:
			change.Change = "removed"
		}
		if change.Change != "same" {
			change.Diff = shorten(filesystem.UnifiedDiff("from", "to", before, after))
		}
		changes = append(changes, change)
	}
	writeJSON(w, changes)
}

// sliceText renders the saved state: indented JSON, and behind it what was
// appended to it since.
func sliceText(slice agent.SavedSlice) string {
	var b strings.Builder
	b.WriteString(indented(slice.State))
	for _, delta := range slice.Deltas {
		b.WriteString("+ " + indented(delta))
	}
	return b.String()
}

// indented returns data as indented JSON, or as it is when it is none.
func indented(data []byte) string {
	var out bytes.Buffer
	if err := json.Indent(&out, data, "", "  "); err != nil {
		return strings.ToValidUTF8(string(data), "\uFFFD") + "\n"
	}
	out.WriteByte('\n')
	return out.String()
}

func sliceBytes(slice agent.SavedSlice) int {
	n := len(slice.State)
	for _, delta := range slice.Deltas {
		n += len(delta)
	}
	return n
}

// shorten cuts a text to what a page can show, and says so.
func shorten(text string) string {
	if len(text) <= maxShown {
		return text
	}
	return strings.ToValidUTF8(text[:maxShown], "") + fmt.Sprintf("\n… %d more bytes", len(text)-maxShown)
}
