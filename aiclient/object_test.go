package aiclient_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/aiclient"
)

type recipe struct {
	Title string   `json:"title" jsonschema:"the dish"`
	Steps []string `json:"steps"`
	Hours float64  `json:"hours,omitempty"`
}

const dish = `{"title":"Soup \"hot\" é😀","steps":["cut","boil \u00e9\ud83d\ude00"],"hours":1.5}`

func TestGenerateObject(t *testing.T) {
	want := recipe{Title: "Soup \"hot\" é😀", Steps: []string{"cut", "boil é😀"}, Hours: 1.5}
	for name, text := range map[string]string{"plain": dish, "fenced": "```json\n" + dish + "\n```\n", "spaced": "\n " + dish + " \n"} {
		t.Run(name, func(t *testing.T) {
			chat := replies(says(text))
			got, reply, err := aiclient.GenerateObject[recipe](t.Context(), chat, hello(), aiclient.ObjectOptions{})
			require.NoError(t, err)
			assert.Equal(t, want, got)
			assert.EqualValues(t, 10, reply.Usage.Input)
			assert.Equal(t, "recipe", chat.requests[0].Output.Name)
			assert.Contains(t, string(chat.requests[0].Output.Schema), `"description":"the dish"`)
		})
	}
	t.Run("repaired", func(t *testing.T) {
		chat := replies(says(`{"title":1}`), says(dish))
		req := hello()
		got, reply, err := aiclient.GenerateObject[recipe](t.Context(), chat, req, aiclient.ObjectOptions{})
		require.NoError(t, err)
		assert.Equal(t, want, got)
		assert.EqualValues(t, 20, reply.Usage.Input, "both requests count")
		assert.Len(t, req.Messages, 1)
		require.Len(t, chat.requests[1].Messages, 3)
		assert.Contains(t, chat.requests[1].Messages[2].Text(), "That is not what was asked for")
	})
	t.Run("hopeless", func(t *testing.T) {
		chat := replies(says("I would rather not."), says("No."), says("No!"))
		_, _, err := aiclient.GenerateObject[recipe](t.Context(), chat, hello(), aiclient.ObjectOptions{Repairs: 2})
		var bad *aiclient.ObjectError
		require.ErrorAs(t, err, &bad)
		assert.Equal(t, "No!", bad.Text)
		_, _, err = aiclient.GenerateObject[recipe](t.Context(), replies(says("No.")), hello(), aiclient.ObjectOptions{Repairs: -1})
		require.ErrorAs(t, err, &bad)
	})
	t.Run("cut off", func(t *testing.T) {
		chat := replies([]aiclient.Part{aiclient.Text(dish[:20]), finish(aiclient.FinishLength)})
		_, _, err := aiclient.GenerateObject[recipe](t.Context(), chat, hello(), aiclient.ObjectOptions{})
		require.ErrorContains(t, err, "it was cut off at the token limit")
		assert.Len(t, chat.requests, 1, "to ask again would be cut off again")
	})
	t.Run("bytes and raw JSON", func(t *testing.T) {
		type blob struct {
			Data []byte          `json:"data"`
			Any  json.RawMessage `json:"any"`
		}
		got, _, err := aiclient.GenerateObject[blob](t.Context(), replies(says(`{"data":"aGk=","any":{"a":[1]}}`)), hello(), aiclient.ObjectOptions{})
		require.NoError(t, err)
		assert.Equal(t, blob{Data: []byte("hi"), Any: json.RawMessage(`{"a":[1]}`)}, got)
	})
	t.Run("not a struct", func(t *testing.T) {
		got, _, err := aiclient.GenerateObject[[]int](t.Context(), replies(says(`{"value":[1,2]}`)), hello(), aiclient.ObjectOptions{})
		require.NoError(t, err)
		assert.Equal(t, []int{1, 2}, got)
	})
}

func TestStreamObject(t *testing.T) {
	var stream []aiclient.Part
	for i := range len(dish) {
		stream = append(stream, aiclient.Text(dish[i:i+1]))
	}
	chat := replies(append(stream, finish(aiclient.FinishStop)))
	var seen []recipe
	var last aiclient.PartialObject[recipe]
	for p, err := range aiclient.StreamObject[recipe](t.Context(), chat, hello(), aiclient.ObjectOptions{}) {
		require.NoError(t, err)
		seen = append(seen, p.Value)
		last = p
	}
	require.NotNil(t, last.Response)
	assert.Equal(t, 1.5, last.Value.Hours)
	assert.Greater(t, len(seen), 20)
	for i, r := range seen {
		assert.True(t, strings.HasPrefix(last.Value.Title, r.Title), "%q", r.Title)
		assert.True(t, utf8.ValidString(r.Title))
		if i > 0 {
			assert.GreaterOrEqual(t, len(r.Title), len(seen[i-1].Title))
		}
	}
	for _, err := range aiclient.StreamObject[recipe](t.Context(), replies(says("no")), hello(), aiclient.ObjectOptions{}) {
		var bad *aiclient.ObjectError
		require.ErrorAs(t, err, &bad)
	}
	for range aiclient.StreamObject[recipe](t.Context(), chat, hello(), aiclient.ObjectOptions{}) {
		break
	}
	chat = &script{reply: func(context.Context, int, *aiclient.Request) ([]aiclient.Part, error) {
		return []aiclient.Part{aiclient.Text(dish)}, nil
	}}
	var err error
	for _, err = range aiclient.StreamObject[recipe](t.Context(), chat, hello(), aiclient.ObjectOptions{}) {
	}
	require.ErrorIs(t, err, aiclient.ClassTruncated)
}

func TestCompleteJSON(t *testing.T) {
	for in, want := range map[string]string{
		``:                        ``,
		`hello`:                   ``,
		`{`:                       `{}`,
		`[`:                       `[]`,
		`{"a`:                     `{}`,
		`{"a"`:                    `{}`,
		`{"a":`:                   `{}`,
		`{"a":t`:                  `{}`,
		`{"a":true`:               `{"a":true}`,
		`{"a":12`:                 `{"a":12}`,
		`{"a":12.`:                `{"a":12}`,
		`{"a":-`:                  `{}`,
		`{"a":1e`:                 `{"a":1}`,
		`{"a":"x`:                 `{"a":"x"}`,
		`{"a":"x\`:                `{"a":"x"}`,
		`{"a":"x\u00e`:            `{"a":"x"}`,
		`{"a":"x\ud83d`:           `{"a":"x"}`,
		`{"a":"x\ud83d\ude0`:      `{"a":"x"}`,
		`{"a":"x\ud83d\ude00`:     `{"a":"x\ud83d\ude00"}`,
		"{\"a\":\"x\xf0\x9f":      `{"a":"x"}`,
		`{"a":[1,{"b":"c"},`:      `{"a":[1,{"b":"c"}]}`,
		`{"a":1,"b`:               `{"a":1}`,
		`{"a":1} and so on`:       `{"a":1}`,
		"```json\n{\"a\":1":       `{"a":1}`,
		"```json\n{\"a\":1}\n```": `{"a":1}`,
		"```":                     ``,
		`"abc`:                    `"abc"`,
		`[1,]`:                    ``,
		`{"a":}`:                  ``,
		`}`:                       ``,
		`[}`:                      `[]`,
		`12`:                      `12`,
		`nul`:                     ``,
		`{"a":1e+`:                `{"a":1}`,
		`{"a":1.5e-`:              `{"a":1.5}`,

		// This took time in proportion to the square of its length.
		`{"a":1` + strings.Repeat("1", 500_000) + strings.Repeat("x", 500_000): `{}`,
	} {
		got, ok := aiclient.CompleteJSON(in)
		assert.Equal(t, want != "", ok, "%q gives %s", in, got)
		assert.Equal(t, want, string(got), "%q", in)
	}
}

// FuzzCompleteJSON checks that every cut of a valid document can be completed,
// and that what comes out of anything is valid.
func FuzzCompleteJSON(f *testing.F) {
	f.Add(dish, 10)
	f.Add(`[[],{},{"a":[null,false,-1.5e-3,"\\\"\ud83d\ude00x"]}, 0]`, 30)
	f.Add("{\"\xff", 2)
	f.Add(`"\ud800\ud800"`, 9)
	f.Fuzz(func(t *testing.T, doc string, cut int) {
		if got, ok := aiclient.CompleteJSON(doc); ok {
			require.True(t, json.Valid(got))
		}
		if !json.Valid([]byte(doc)) || !utf8.ValidString(doc) || strings.TrimSpace(doc) == "" {
			return
		}
		trimmed := strings.TrimSpace(doc)
		got, ok := aiclient.CompleteJSON(trimmed)
		require.True(t, ok)
		require.Equal(t, trimmed, string(got), "a whole document stays as it is")
		if trimmed[0] != '{' && trimmed[0] != '[' {
			return
		}
		cut = 1 + int(uint(cut)%uint(len(trimmed)))
		got, ok = aiclient.CompleteJSON(trimmed[:cut])
		require.True(t, ok, "%q", trimmed[:cut])
		require.True(t, json.Valid(got))
	})
}

func ExampleGenerateObject() {
	chat := replies(says(`{"title":"Soup","steps":["cut","boil"]}`))
	r, _, err := aiclient.GenerateObject[recipe](context.Background(), chat, &aiclient.Request{
		Messages: []aiclient.Message{aiclient.User("How do I make soup?")},
	}, aiclient.ObjectOptions{})
	fmt.Println(r.Title, len(r.Steps), err)
	// Output: Soup 2 <nil>
}
