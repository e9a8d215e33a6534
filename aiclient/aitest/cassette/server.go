package cassette

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
)

// Options configure a [Server]. The zero value replays in order, checking
// method and path.
type Options struct {
	// Compare checks a request's body against the recorded one and says how it
	// differs. Nil accepts any body, because two clients rarely agree on the
	// order of fields; Compare is where a test states what must agree.
	Compare func(recorded, got []byte) error

	// Body changes the response's body of interaction index before it is sent,
	// for example to cut it short. Nil sends it as it was recorded.
	Body func(index int, body []byte) []byte
}

// Server replays a cassette over loopback HTTP. Requests must come in the
// recorded order. A request that does not fit gets status 500 and a text that
// says how it differs; Err reports it, too. It is safe for concurrent use.
type Server struct {
	// URL is the base URL of the server, without a trailing slash. The paths
	// below it are the recorded ones.
	URL string

	cassette *Cassette
	options  Options
	http     *httptest.Server

	mu   sync.Mutex
	next int
	errs []error
}

// NewServer starts a server that replays c. Close ends it.
func NewServer(c *Cassette, opts Options) *Server {
	s := &Server{cassette: c, options: opts}
	s.http = httptest.NewServer(s)
	s.URL = s.http.URL
	return s
}

// Close stops the server.
func (s *Server) Close() { s.http.Close() }

// Err reports every request that did not fit the recording.
func (s *Server) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return errors.Join(s.errs...)
}

// Left returns how many interactions have not been asked for.
func (s *Server) Left() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.cassette.Interactions) - s.next
}

// Rewind makes the server start over with the first interaction.
func (s *Server) Rewind() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next, s.errs = 0, nil
}

// ServeHTTP answers one request with the next recorded response.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client went away
	}
	index, in, err := s.match(r, body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	for name, values := range in.Header {
		if name != "Content-Length" && name != "Content-Encoding" {
			w.Header()[name] = values
		}
	}
	out := in.ResponseBody
	if s.options.Body != nil {
		out = s.options.Body(index, out)
	}
	w.WriteHeader(in.Status)
	_, _ = w.Write(out)
}

func (s *Server) match(r *http.Request, body []byte) (int, Interaction, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	index := s.next
	if index >= len(s.cassette.Interactions) {
		return index, Interaction{}, s.fail(fmt.Errorf("cassette: %s %s: all %d recorded interactions are used up", r.Method, r.URL, index))
	}
	in := s.cassette.Interactions[index]
	if r.Method != in.Method || r.URL.Path != in.URL.Path || r.URL.RawQuery != in.URL.RawQuery {
		return index, in, s.fail(fmt.Errorf("cassette: interaction %d: got %s %s, recorded was %s %s", index, r.Method, r.URL, in.Method, in.URL.RequestURI()))
	}
	if s.options.Compare != nil {
		if err := s.options.Compare(in.RequestBody, body); err != nil {
			return index, in, s.fail(fmt.Errorf("cassette: interaction %d: %w", index, err))
		}
	}
	s.next++
	return index, in, nil
}

func (s *Server) fail(err error) error {
	s.errs = append(s.errs, err)
	return err
}
