package sse

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func readAll(r *Reader) (events []string, err error) {
	for {
		ev, err := r.Next()
		if err == io.EOF {
			return events, nil
		}
		if err != nil {
			return events, err
		}
		text := string(ev.Type) + "|" + string(ev.Data)
		if ev.Cut {
			text += "|cut"
		}
		events = append(events, text)
	}
}

func TestReader(t *testing.T) {
	for name, tt := range map[string]struct {
		in   string
		want []string
	}{
		"lf":                     {"data: a\n\ndata: b\n\n", []string{"|a", "|b"}},
		"crlf":                   {"data: a\r\n\r\ndata: b\r\n\r\n", []string{"|a", "|b"}},
		"cr":                     {"data: a\r\rdata: b\r\r", []string{"|a", "|b"}},
		"mixed":                  {"data: a\r\n\ndata: b\n\r\ndata: c\r\r\n", []string{"|a", "|b", "|c"}},
		"byte order mark":        {"\xef\xbb\xbfdata: a\n\n", []string{"|a"}},
		"comment and keep-alive": {": hello\n\n:\ndata: a\n: in between\n\n", []string{"|a"}},
		"several lines":          {"data: a\ndata: b\ndata:\ndata:c\n\n", []string{"|a\nb\n\nc"}},
		"several lines, crlf":    {"data: a\r\ndata: b\r\n\r\n", []string{"|a\nb"}},
		"only one space goes":    {"data:  a \n\n", []string{"| a "}},
		"no space":               {"data:a\n\n", []string{"|a"}},
		"field without colon":    {"data\ndata\n\n", []string{"|\n"}},
		"type":                   {"event: ping\ndata: a\n\ndata: b\n\n", []string{"ping|a", "|b"}},
		"type after data":        {"data: a\nevent: x\ndata: b\n\n", []string{"x|a\nb"}},
		"type between data":      {"data: a\nevent: x\ndata: " + strings.Repeat("b", 40) + "\n\n", []string{"x|a\n" + strings.Repeat("b", 40)}},
		"type without data":      {"event: ping\n\ndata: b\n\n", []string{"|b"}},
		"unknown fields":         {"id: 1\nretry: 5\nfoo: bar\ndatax: q\ndata: a\n\n", []string{"|a"}},
		"empty data":             {"data:\n\n", []string{"|"}},
		"cut after the line":     {"data: a\n", []string{"|a|cut"}},
		"cut inside the line":    {"data: ab", []string{"|ab|cut"}},
		"nothing":                {"", nil},
		"only newlines":          {"\n\r\n\r\n\n", nil},
		"colon in data":          {"data: a:b\n\n", []string{"|a:b"}},
		"long": {"data: " + strings.Repeat("x", 100_000) + "\n\ndata: b\n\n",
			[]string{"|" + strings.Repeat("x", 100_000), "|b"}},
	} {
		t.Run(name, func(t *testing.T) {
			for readerName, wrap := range map[string]func(io.Reader) io.Reader{
				"whole": func(r io.Reader) io.Reader { return r }, "bytewise": iotest.OneByteReader,
				"half": iotest.HalfReader, "data with error": iotest.DataErrReader,
			} {
				got, err := readAll(NewReader(wrap(strings.NewReader(tt.in)), 0))
				require.NoError(t, err, readerName)
				assert.Equal(t, tt.want, got, readerName)
			}
		})
	}
}

func TestReaderPassesErrorsOn(t *testing.T) {
	broken := errors.New("broken")
	got, err := readAll(NewReader(io.MultiReader(strings.NewReader("data: a\n\ndata: b"), iotest.ErrReader(broken)), 0))
	require.ErrorIs(t, err, broken)
	assert.Equal(t, []string{"|a"}, got)
}

func TestReaderBoundsEvents(t *testing.T) {
	for _, in := range []string{
		"data: " + strings.Repeat("x", 1<<20),
		strings.Repeat("data: x\n", 1<<17),
		": " + strings.Repeat("x", 1<<20),
	} {
		_, err := readAll(NewReader(strings.NewReader(in), 64<<10))
		require.ErrorIs(t, err, ErrTooLong)
	}
}

func TestReaderDoesNotAllocatePerEvent(t *testing.T) {
	stream := strings.Repeat("event: x\ndata: {\"a\":1}\n\n", 1000)
	allocs := testing.AllocsPerRun(5, func() {
		r := NewReader(strings.NewReader(stream), 0)
		for {
			if _, err := r.Next(); err != nil {
				break
			}
		}
	})
	assert.Less(t, allocs, 10.0)
}

// reference is the standard's algorithm, written for clarity.
func reference(stream []byte) []string {
	stream = bytes.TrimPrefix(stream, bom)
	text := strings.ReplaceAll(strings.ReplaceAll(string(stream), "\r\n", "\n"), "\r", "\n")
	var events []string
	var typ string
	var data []string
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if line == "" {
			if data != nil {
				event := typ + "|" + strings.Join(data, "\n")
				if i == len(lines)-1 {
					event += "|cut"
				}
				events = append(events, event)
			}
			typ, data = "", nil
			continue
		}
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "data":
			data = append(data, value)
		case "event":
			typ = value
		}
		if i == len(lines)-1 && data != nil {
			events = append(events, typ+"|"+strings.Join(data, "\n")+"|cut")
		}
	}
	return events
}

func FuzzReader(f *testing.F) {
	for _, s := range []string{
		"data: a\n\n", "event: x\r\ndata: a\r\ndata: b\r\n\r\n", "\xef\xbb\xbf: c\rdata\r\r", "data: a\nevent: y\ndata:b",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		want := reference(in)
		for _, r := range []io.Reader{bytes.NewReader(in), iotest.OneByteReader(bytes.NewReader(in))} {
			got, err := readAll(NewReader(r, 0))
			require.NoError(t, err)
			require.Equal(t, want, got)
		}
	})
}

func BenchmarkReader(b *testing.B) {
	stream := strings.Repeat(`data: {"id":"chatcmpl-1","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"word"}}]}`+"\n\n", 1000)
	b.SetBytes(int64(len(stream)))
	b.ReportAllocs()
	for b.Loop() {
		r := NewReader(strings.NewReader(stream), 0)
		for {
			if _, err := r.Next(); err != nil {
				break
			}
		}
	}
}
