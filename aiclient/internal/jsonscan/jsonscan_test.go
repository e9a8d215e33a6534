package jsonscan

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// decode reads any document into what encoding/json makes of it.
func decode(s *Scanner) any {
	switch s.Kind() {
	case Object:
		m := map[string]any{}
		for s.Object(); s.Key(); {
			name := string(s.Name())
			m[name] = decode(s)
		}
		return m
	case Array:
		a := []any{}
		for s.Array(); s.Item(); {
			a = append(a, decode(s))
		}
		return a
	case String:
		return s.Text()
	case Number:
		return s.Float()
	case Bool:
		return s.Bool()
	default:
		s.Skip()
		return nil
	}
}

var seeds = []string{
	`{}`, `[]`, `null`, `true`, `false`, `0`, `-1.5e+7`, `"a"`, `{"a":[1,{"b":"c\n\u00e9\ud83d\ude00"}],"c":null}`,
	`{"a":1,}`, `[1,]`, `[,]`, `{"a"}`, `{"a":}`, `01`, `1.`, `1e`, `-`, `tru`, `"\x"`, `"\u12"`, `"\ud800"`, `"\ud800\u0041"`,
	"\"\xff\"", "\"a\tb\"", ` { "a" : 1 } `, `{"a":1} x`, `{"a":1`, `[[[[`, `"`, ``, `{"\u0061":1}`, `{"":{}}`, `[1 2]`, `{1:2}`,
}

func FuzzAgainstEncodingJSON(f *testing.F) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		var want any
		wantErr := json.Unmarshal(in, &want)
		s := New(in)
		got := decode(&s)
		err := s.End()
		skipped := New(in)
		skipped.Skip()
		assert.Equal(t, err == nil, skipped.End() == nil, "Skip accepts what decoding accepts")
		if wantErr != nil && strings.Contains(wantErr.Error(), "cannot unmarshal number") {
			return // valid JSON, but no float64
		}
		if wantErr != nil {
			require.Error(t, err, "%q: %v", in, wantErr)
			return
		}
		require.NoError(t, err, "%q", in)
		require.Equal(t, want, got)
	})
}

func TestOtherTypesReadAsAbsent(t *testing.T) {
	s := New([]byte(`{"a":null,"b":{"x":1},"c":"text","d":12.9,"e":[1],"f":true,"g":"esc\"aped","h":9223372036854775807,"i":-3}`))
	got := map[string]any{}
	for s.Object(); s.Key(); {
		switch name := string(s.Name()); name {
		case "a", "b":
			got[name] = s.Text()
		case "c":
			got[name] = s.Int()
		case "d", "h", "i":
			got[name] = s.Int()
		case "e":
			got[name] = s.Bool()
		case "f":
			for s.Object(); s.Key(); {
				s.Skip()
			}
			got[name] = false
		case "g":
			got[name] = string(s.TextBytes())
		}
	}
	require.NoError(t, s.End())
	assert.Equal(t, map[string]any{"a": "", "b": "", "c": int64(0), "d": int64(12), "e": false, "f": false,
		"g": `esc"aped`, "h": int64(9223372036854775807), "i": int64(-3)}, got)
}

func TestDeepNestingIsAnError(t *testing.T) {
	s := New([]byte(strings.Repeat("[", 1_000_000)))
	s.Skip()
	require.Error(t, s.End())
}

func TestRawIsTheValueAsWritten(t *testing.T) {
	s := New([]byte(`{"a": {"x" : [1, 2]} ,"b":1}`))
	var raw string
	for s.Object(); s.Key(); {
		if string(s.Name()) == "a" {
			raw = string(s.Raw())
		} else {
			s.Skip()
		}
	}
	require.NoError(t, s.End())
	assert.Equal(t, `{"x" : [1, 2]}`, raw)
}

func TestSkippingDoesNotAllocate(t *testing.T) {
	doc := []byte(`{"id":"x","choices":[{"index":0,"delta":{"content":"a\nb"},"logprobs":null,"p":1.5}],"usage":null}`)
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		s := New(doc)
		s.Skip()
	}))
}
