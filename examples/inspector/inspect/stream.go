package inspect

import (
	"encoding/json"
	"net/http"
	"strconv"
)

// stream writes server-sent events.
type stream struct {
	w     http.ResponseWriter
	flush *http.ResponseController
}

func newStream(w http.ResponseWriter) (*stream, error) {
	w.Header().Set("Content-Type", "text/event-stream")
	s := &stream{w: w, flush: http.NewResponseController(w)}
	return s, s.flush.Flush()
}

// send writes one event; id is the cursor from which a reader resumes, 0 none.
func (s *stream) send(name string, id uint64, data any) error {
	body, err := json.Marshal(data) // holds no line breaks
	if err != nil {
		return err
	}
	text := "event: " + name + "\n"
	if id > 0 {
		text += "id: " + strconv.FormatUint(id, 10) + "\n"
	}
	if _, err := s.w.Write([]byte(text + "data: " + string(body) + "\n\n")); err != nil {
		return err
	}
	return s.flush.Flush()
}
