package inspect

import (
	"embed"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net/http"

	"github.com/tokenring-ai/tokenring-go/agent"
)

//go:embed static
var static embed.FS

// maxBody bounds what a request may send: an answer to a question.
const maxBody = 1 << 20

func (s *Server) routes() http.Handler {
	files, err := fs.Sub(static, "static")
	if err != nil {
		panic(err) // the folder is embedded
	}
	mux := http.NewServeMux()
	mux.Handle("GET /", http.FileServerFS(files))
	mux.HandleFunc("GET /overview", s.serveOverview)
	mux.HandleFunc("GET /agents/{id}/events", s.serveEvents)
	mux.HandleFunc("POST /agents/{id}/answer", s.answer)
	mux.HandleFunc("POST /agents/{id}/abort", s.abort)
	mux.HandleFunc("GET /agents/{id}/checkpoints", s.serveCheckpoints)
	mux.HandleFunc("GET /checkpoints/{id}", s.serveCheckpoint)
	mux.HandleFunc("GET /compare", s.serveComparison)
	return mux
}

// readJSON reads the body of a request. On failure it has answered.
func readJSON(w http.ResponseWriter, r *http.Request, into any) bool {
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(into)
	if err == nil {
		_, err = decoder.Token()
		if errors.Is(err, io.EOF) {
			return true
		}
		err = errors.New("more than one value")
	}
	http.Error(w, "request: "+err.Error(), http.StatusBadRequest)
	return false
}

func writeJSON(w http.ResponseWriter, v any) {
	data, err := json.Marshal(v)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(data)
}

// fail answers with an error of the manager's.
func fail(w http.ResponseWriter, err error) {
	status := http.StatusInternalServerError
	var damaged *agent.CorruptError
	switch {
	case errors.Is(err, agent.ErrNotFound):
		status = http.StatusNotFound
	case errors.Is(err, agent.ErrNoStore), errors.As(err, &damaged):
		status = http.StatusConflict
	}
	http.Error(w, err.Error(), status)
}
