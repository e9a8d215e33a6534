package aitest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// TB is the part of testing.TB that a server uses.
type TB interface {
	Helper()
	Cleanup(func())
	Errorf(format string, args ...any)
}

// Server is a scripted model provider on a loopback port. It is safe for
// concurrent use.
type Server struct {
	// URL is the base URL, without a trailing slash. Every format is served
	// both directly below it and below URL + "/v1", so that it serves as a base
	// URL of any client.
	URL string

	script Script
	http   *http.Server
	served sync.WaitGroup // the listener and its connections

	mu       sync.Mutex
	closed   bool
	requests []Request
	models   []string
}

// NewServer starts a server that answers with script. With a t it is closed at
// the end of the test; without (nil) the caller must call Close. It panics when
// no loopback port can be opened.
func NewServer(t TB, script Script) *Server {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(fmt.Sprintf("aitest.NewServer: %v", err))
	}
	s := &Server{URL: "http://" + listener.Addr().String(), script: script}
	s.http = &http.Server{Handler: s, ReadHeaderTimeout: time.Minute, ConnState: s.count}
	s.served.Go(func() { _ = s.http.Serve(listener) })
	if t != nil {
		t.Helper()
		t.Cleanup(s.Close)
	}
	return s
}

// Close stops the server and breaks the connections that are open. It returns
// when nothing of the server runs any more, scripts included, and may be called
// more than once.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	_ = s.http.Close()
	s.served.Wait()
}

// count counts the connections whose requests are being served.
func (s *Server) count(conn net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		s.served.Add(1)
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.closed { // accepted too late for http.Server.Close to know it
			_ = conn.Close()
		}
	case http.StateClosed, http.StateHijacked:
		s.served.Done()
	}
}

// Requests returns the requests so far, in the order in which they came.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// SetModels sets the names that the server's model lists hold.
func (s *Server) SetModels(names ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.models = slices.Clone(names)
}

// wire is a wire format: how requests are read and replies written.
type wire struct {
	decode func(path string, body []byte) (Request, error)
	encode func(Request, Reply) (whole any, stream []event)
	fault  func(Fault) any // the body of an error answer
	inline func(Fault) event
	models func([]string) any
}

// event is one event of a stream.
type event struct {
	name string // empty means none
	data any    // a string is sent as it is, anything else as JSON
}

// formats maps the end of a path to the wire format that is spoken there.
var formats = []struct {
	suffix string
	wire   *wire
}{
	{"/chat/completions", &openAIWire},
	{"/responses", &responsesWire},
	{"/messages", &anthropicWire},
	{":generateContent", &geminiWire},
	{":streamGenerateContent", &geminiWire},
}

// formatOf returns the wire format that is spoken at a path.
func formatOf(path string) *wire {
	for _, f := range formats {
		if strings.HasSuffix(path, f.suffix) {
			return f.wire
		}
	}
	return nil
}

// Decode reads the body of a request to path as the server does. It is how a
// test can look at what a client sent, or at a recorded request.
func Decode(path string, body []byte) (Request, error) {
	format := formatOf(path)
	if format == nil {
		return Request{}, fmt.Errorf("aitest: no wire format belongs to the path %s", path)
	}
	req, err := format.decode(path, body)
	if err != nil {
		return Request{}, fmt.Errorf("aitest: request to %s: %w", path, err)
	}
	req.Path, req.Body = path, body
	return req, nil
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/models") {
		s.serveModels(w, r)
		return
	}
	format := formatOf(r.URL.Path)
	if format == nil || r.Method != http.MethodPost {
		http.Error(w, "aitest: nothing is served at "+r.Method+" "+r.URL.Path, http.StatusNotFound)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client went away
	}
	req, err := Decode(r.URL.Path, body)
	if err != nil {
		writeJSON(w, http.StatusBadRequest, format.fault(Fault{Status: http.StatusBadRequest, Code: "invalid_request_error", Message: err.Error()}))
		return
	}
	req.Header = r.Header.Clone()
	s.mu.Lock()
	req.Index = len(s.requests)
	s.requests = append(s.requests, req)
	s.mu.Unlock()

	reply := s.script(req)
	for i := range reply.ToolCalls {
		if reply.ToolCalls[i].ID == "" {
			reply.ToolCalls = slices.Clone(reply.ToolCalls)
			reply.ToolCalls[i].ID = fmt.Sprintf("call_%d_%d", len(req.Messages), i)
		}
	}
	if reply.Usage == (Usage{}) {
		reply.Usage = Usage{Input: int64(len(body)/4 + 1), Output: int64(replySize(reply)/4 + 1)}
	}
	if !pause(r, reply.Delay) {
		return
	}
	if reply.Fault.Kind == Status {
		writeFault(w, format, reply.Fault)
		return
	}
	whole, stream := format.encode(req, reply)
	if req.Stream {
		s.serveStream(w, r, format, reply, stream)
		return
	}
	switch reply.Fault.Kind {
	case Cut:
		panic(http.ErrAbortHandler)
	case Hang:
		<-r.Context().Done()
	case End:
		text, _ := json.Marshal(whole)
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(text[:len(text)/2])
	case Garbage:
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, "<html>bad gateway</html>")
	case ErrorEvent:
		writeJSON(w, http.StatusOK, format.fault(reply.Fault))
	default:
		writeJSON(w, http.StatusOK, whole)
	}
}

func (s *Server) serveStream(w http.ResponseWriter, r *http.Request, format *wire, reply Reply, events []event) {
	w.Header().Set("Content-Type", "text/event-stream")
	flush := http.NewResponseController(w)
	after := min(max(reply.Fault.After, 0), len(events)-1)
	for i, ev := range events {
		if i > 0 && !pause(r, reply.Pause) {
			return
		}
		if reply.Fault.Kind != NoFault && i == after {
			_ = flush.Flush() // the headers, at least
			switch reply.Fault.Kind {
			case Cut:
				panic(http.ErrAbortHandler)
			case Hang:
				<-r.Context().Done()
				return
			case End:
				return
			case Garbage:
				ev = event{data: "{\"garbage\": "}
			case ErrorEvent:
				writeEvent(w, format.inline(reply.Fault))
				return
			}
		}
		writeEvent(w, ev)
		if flush.Flush() != nil {
			return
		}
	}
}

func (s *Server) serveModels(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	names := slices.Clone(s.models)
	s.mu.Unlock()
	format := &openAIWire
	switch {
	case r.Header.Get("Anthropic-Version") != "":
		format = &anthropicWire
	case r.Header.Get("X-Goog-Api-Key") != "":
		format = &geminiWire
	}
	writeJSON(w, http.StatusOK, format.models(names))
}

func writeFault(w http.ResponseWriter, format *wire, fault Fault) {
	if fault.RetryAfter > 0 {
		seconds := (fault.RetryAfter + time.Second - 1) / time.Second
		w.Header().Set("Retry-After", strconv.Itoa(int(seconds)))
	}
	w.Header().Set("X-Request-Id", "req_scripted")
	w.Header().Set("Request-Id", "req_scripted")
	status := fault.Status
	if status == 0 {
		status = http.StatusInternalServerError
	}
	writeJSON(w, status, format.fault(fault))
}

func writeEvent(w io.Writer, ev event) {
	if ev.name != "" {
		_, _ = io.WriteString(w, "event: "+ev.name+"\n")
	}
	text, ok := ev.data.(string)
	if !ok {
		text = encode(ev.data)
	}
	_, _ = io.WriteString(w, "data: "+text+"\n\n")
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, encode(body))
}

func encode(v any) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return `{"error":{"message":` + strconv.Quote(err.Error()) + `}}`
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// pause waits, and reports false when the client has gone.
func pause(r *http.Request, d time.Duration) bool {
	if d <= 0 {
		return r.Context().Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-r.Context().Done():
		return false
	}
}

func replySize(r Reply) int {
	n := len(r.Text) + len(r.Reasoning)
	for _, c := range r.ToolCalls {
		n += len(c.Name) + len(c.Arguments)
	}
	return n
}

// pieces cuts text into parts of at most size bytes, between runes.
func pieces(text string, size int) []string {
	if size <= 0 {
		size = 16
	}
	var parts []string
	for len(text) > size {
		n := size
		for n > 0 && text[n]&0xc0 == 0x80 {
			n--
		}
		if n == 0 {
			n = size
		}
		parts = append(parts, text[:n])
		text = text[n:]
	}
	if text != "" {
		parts = append(parts, text)
	}
	return parts
}

var errNoMessages = errors.New("the request has no messages")
