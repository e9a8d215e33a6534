package aiclient_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/aiclient"
	"github.com/tokenring-ai/tokenring-go/registry"
)

// client is what the registries of these tests open.
type client struct {
	model    string
	features aiclient.Features
}

func provider(name string, models []aiclient.ModelSpec, list func(context.Context) ([]aiclient.Listed, error)) aiclient.Provider[client] {
	return aiclient.Provider[client]{Name: name, Models: models, List: list,
		Open: func(spec aiclient.ModelSpec, f aiclient.Features) (client, error) {
			if spec.ID == "closed" {
				return client{}, errors.New("no key")
			}
			return client{spec.Model().String(), f}, nil
		}}
}

func TestNames(t *testing.T) {
	var r aiclient.Registry[client]
	require.NoError(t, r.Add(provider("acme", []aiclient.ModelSpec{
		{ID: "Big-1", Reasons: true, Efforts: []string{"low", "high"}, MaxOutput: 1000},
		{ID: "small"}, {ID: "qwen3:8b"}, {ID: "closed"},
		{ID: "own", Features: map[string]aiclient.Feature{"n": {Kind: aiclient.FeatureInt, Default: "3"}}},
	}, nil)))
	other := provider("other", []aiclient.ModelSpec{{ID: "small"}}, nil)
	other.AnyModel = true
	require.NoError(t, r.Add(other))
	require.ErrorIs(t, r.Add(other), registry.ErrExists)
	require.Error(t, r.Add(provider("a:b", nil, nil)))
	require.Error(t, r.Add(provider("twice", []aiclient.ModelSpec{{ID: "x"}, {ID: "x"}}, nil)))
	require.Error(t, r.Add(aiclient.Provider[client]{Name: "x"}))

	for name, want := range map[string]client{
		"acme:Big-1": {"acme:Big-1", aiclient.Features{}},
		"Big-1":      {"acme:Big-1", aiclient.Features{}},
		"acme:Big-1?effort=high&websearch=1&maxsearches=1&temperature=0": {"acme:Big-1",
			aiclient.Features{"effort": "high", "websearch": "true", "maxsearches": "1", "temperature": "0"}},
		"acme:small?websearch": {"acme:small", aiclient.Features{"websearch": "true"}},
		"acme:qwen3:8b":        {"acme:qwen3:8b", aiclient.Features{}},
		"qwen3:8b":             {"acme:qwen3:8b", aiclient.Features{}},
		"other:a/b:free":       {"other:a/b:free", aiclient.Features{}},
		"own":                  {"acme:own", aiclient.Features{"n": "3"}},
		"own?n=-4":             {"acme:own", aiclient.Features{"n": "-4"}},
	} {
		got, err := r.Get(name)
		require.NoError(t, err, name)
		assert.Equal(t, want, got, name)
	}
	for name, want := range map[string]string{
		"small":                    `the name is ambiguous: it may be acme:small or other:small`,
		"acme:big-1":               `acme has no model "big-1": not found; did you mean Big-1?`,
		"acme:nothing":             `it has 5 models`,
		"nobody:x":                 `nobody`,
		"x":                        `no provider lists it: not found`,
		"":                         `the name of the model is missing`,
		"acme:":                    `the name of the model is missing`,
		"acme:small?effort=high":   `unknown feature "effort"; it has: maxsearches (a whole number from 1 to 100); maxtokens`,
		"acme:Big-1?effort=max":    `feature effort="max": want one of low, high`,
		"acme:Big-1?Effort=low":    `unknown feature "Effort"`,
		"acme:small?topp=NaN":      `want a number from 0 to 1`,
		"acme:small?temperature=":  `want a number from 0 to 2`,
		"acme:small?maxtokens=0":   `want a whole number from 1 to`,
		"acme:Big-1?maxtokens=1e3": `want a whole number from 1 to 1000`,
		"acme:small?websearch=yes": `feature websearch="yes": want true or false`,
		"acme:small?seed=1&seed=2": `feature "seed" is given 2 times`,
		"acme:small?%zz":           `features: invalid URL escape`,
		"acme:closed":              `no key`,
	} {
		_, err := r.Get(name)
		require.ErrorContains(t, err, want, name)
	}
	assert.True(t, r.Remove(t.Context(), "other"))
	assert.False(t, r.Remove(t.Context(), "other"))
	got, err := r.Get("small")
	require.NoError(t, err)
	assert.Equal(t, "acme:small", got.model)
}

func TestFeaturesReachTheRequest(t *testing.T) {
	chat := replies(says("1"), says("2"))
	f := aiclient.Features{"websearch": "true", "maxsearches": "1", "temperature": "0", "topp": "0.5", "seed": "7", "maxtokens": "99", "effort": "low"}
	_, err := aiclient.Wrap(chat, aiclient.WithFeatures(f)).Generate(t.Context(), &aiclient.Request{Messages: []aiclient.Message{aiclient.User("x")}})
	require.NoError(t, err)
	r := chat.requests[0]
	assert.Equal(t, &aiclient.WebSearch{MaxUses: 1}, r.WebSearch)
	assert.Equal(t, 0.0, *r.Temperature)
	assert.Equal(t, 0.5, *r.TopP)
	assert.EqualValues(t, 7, *r.Seed)
	assert.EqualValues(t, 99, r.MaxTokens)
	assert.Equal(t, "low", r.Reasoning.Effort)

	own := &aiclient.Request{Messages: []aiclient.Message{aiclient.User("x")}, Temperature: new(1.0), MaxTokens: 5}
	_, err = aiclient.Wrap(chat, aiclient.WithFeatures(f)).Generate(t.Context(), own)
	require.NoError(t, err)
	assert.Equal(t, 1.0, *chat.requests[1].Temperature)
	assert.EqualValues(t, 5, chat.requests[1].MaxTokens)
	assert.Nil(t, own.Seed, "the caller's request is not changed")
}

// TestSearchFeatures checks that a bound on the searches is never ignored.
func TestSearchFeatures(t *testing.T) {
	for query, want := range map[string]*aiclient.WebSearch{
		"": nil, "websearch": {}, "websearch=0": nil, "maxsearches=3": {MaxUses: 3}, "websearch=1&maxsearches=3": {MaxUses: 3}, "websearch=0&maxsearches=3": nil,
	} {
		given, err := url.ParseQuery(query)
		require.NoError(t, err)
		f, err := aiclient.ModelSpec{}.Check(given)
		require.NoError(t, err)
		chat := replies()
		_, err = aiclient.Wrap(chat, aiclient.WithFeatures(f)).Generate(t.Context(), hello())
		require.NoError(t, err)
		assert.Equal(t, want, chat.requests[0].WebSearch, query)
	}
}

func TestAvailability(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int64
		var fail atomic.Bool
		models := []aiclient.ModelSpec{{ID: "a"}, {ID: "b"}, {ID: "gone"}, {ID: "closed"}}
		var r aiclient.Registry[client]
		defer func() { require.NoError(t, r.Close(context.Background())) }()
		require.NoError(t, r.Add(provider("slow", models, func(ctx context.Context) ([]aiclient.Listed, error) {
			asked.Add(1)
			select {
			case <-time.After(300 * time.Millisecond):
			case <-ctx.Done():
				return nil, ctx.Err()
			}
			if fail.Load() {
				return nil, errors.New("down")
			}
			return []aiclient.Listed{{ID: "a", Cold: true}, {ID: "b"}, {ID: "closed"}}, nil
		})))
		require.NoError(t, r.Add(provider("dead", models, func(ctx context.Context) ([]aiclient.Listed, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		})))
		require.NoError(t, r.Add(provider("mute", []aiclient.ModelSpec{{ID: "m"}}, nil)))

		began := time.Now()
		var got []string
		for _, m := range r.List(t.Context()) {
			got = append(got, fmt.Sprintf("%s %s", m.Spec.Model(), m.Status))
		}
		assert.Equal(t, time.Second, time.Since(began), "all are asked at the same time, and a dead one holds nobody up for longer than its timeout")
		assert.Equal(t, []string{"slow:a cold", "slow:b online", "slow:gone offline", "slow:closed online",
			"dead:a offline", "dead:b offline", "dead:gone offline", "dead:closed offline", "mute:m unknown"}, got)
		assert.EqualValues(t, 1, asked.Load(), "one request for all models")

		for want, names := range map[string][]string{
			"slow:b": {"dead:a", "slow:gone", "slow:a", "slow:closed", "slow:b", "mute:m"},
			"mute:m": {"dead:a", "mute:m"},
			"slow:a": {"slow:a", "dead:a", "slow:closed"},
		} {
			c, err := r.First(t.Context(), names...)
			require.NoError(t, err)
			assert.Equal(t, want, c.model)
		}
		_, err := r.First(t.Context(), "dead:a", "slow:gone", "slow:closed", "nobody:x")
		for _, why := range []string{"none of 4 models can be used", "models of dead", `slow does not list the model "gone" now`, "no key", "nobody"} {
			require.ErrorContains(t, err, why)
		}
		assert.EqualValues(t, 1, asked.Load())

		fail.Store(true)
		time.Sleep(31 * time.Second)
		status, err := r.Status(t.Context(), "slow:b")
		require.NoError(t, err)
		assert.Equal(t, aiclient.StatusOnline, status, "one failure does not throw good data away")
		for range 4 {
			time.Sleep(20 * time.Second)
			status, err = r.Status(t.Context(), "slow:b")
		}
		require.ErrorContains(t, err, "down")
		assert.Equal(t, aiclient.StatusOffline, status)
		before := asked.Load()
		for range 10 {
			_, _ = r.Status(t.Context(), "slow:b")
		}
		assert.LessOrEqual(t, asked.Load(), before+1, "a failure is remembered for a while")
	})
}

func TestFirstOfNothing(t *testing.T) {
	var r aiclient.ChatRegistry
	_, err := r.First(t.Context())
	require.EqualError(t, err, "no names of models are given")
}

// TestNamesWithoutAVersion checks that a model is online under a name that its
// provider lists with a version only.
func TestNamesWithoutAVersion(t *testing.T) {
	var r aiclient.Registry[client]
	defer func() { require.NoError(t, r.Close(context.Background())) }()
	p := provider("acme", nil, func(context.Context) ([]aiclient.Listed, error) {
		return []aiclient.Listed{{ID: "claude-4-20260101"}, {ID: "gpt-4o-2026-01-31"}, {ID: "qwen3:latest", Cold: true}, {ID: "small-latest"}, {ID: "big-20001"}}, nil
	})
	p.AnyModel = true
	require.NoError(t, r.Add(p))
	for model, want := range map[string]aiclient.Status{
		"claude-4": aiclient.StatusOnline, "gpt-4o": aiclient.StatusOnline, "qwen3": aiclient.StatusCold, "small": aiclient.StatusOnline,
		"claude": aiclient.StatusOffline, "claude-4-2026": aiclient.StatusOffline, "big": aiclient.StatusOffline,
	} {
		got, err := r.Status(t.Context(), "acme:"+model)
		assert.Equal(t, want, got, model)
		assert.Equal(t, want == aiclient.StatusOffline, err != nil, model)
	}
}

// TestOtherKindsHaveNoFeaturesOfChats checks that a feature that only chats have
// is not silently ignored.
func TestOtherKindsHaveNoFeaturesOfChats(t *testing.T) {
	var r aiclient.EmbeddingRegistry
	require.NoError(t, r.Add(aiclient.Provider[aiclient.EmbeddingModel]{
		Name: "acme", AnyModel: true, Models: []aiclient.ModelSpec{{ID: "known"},
			{ID: "sized", Features: map[string]aiclient.Feature{"dimensions": {Kind: aiclient.FeatureInt, Min: 1, Max: 1024, Default: "256"}}}},
		Open: func(_ aiclient.ModelSpec, f aiclient.Features) (aiclient.EmbeddingModel, error) {
			return nil, fmt.Errorf("opened with %d", f.Int("dimensions"))
		},
	}))
	for name, want := range map[string]string{
		"acme:known?temperature=0":  `unknown feature "temperature"; it has: none`,
		"acme:other?websearch":      `unknown feature "websearch"; it has: none`,
		"acme:sized":                "opened with 256",
		"acme:sized?dimensions=64":  "opened with 64",
		"acme:sized?dimensions=0":   "want a whole number from 1 to 1024",
		"acme:sized?temperature=.5": `it has: dimensions (a whole number from 1 to 1024)`,
	} {
		_, err := r.Get(name)
		assert.ErrorContains(t, err, want, name)
	}
}

func TestResolve(t *testing.T) {
	var r aiclient.Registry[client]
	require.NoError(t, r.Add(provider("acme", []aiclient.ModelSpec{
		{ID: "cheap", Context: 8_000, Price: aiclient.Price{Input: 0.1, Output: 0.4}, NoTools: true, Speed: 50},
		{ID: "middle", Context: 128_000, Price: aiclient.Price{Input: 1, Output: 4}, Input: []string{"image/*"}, Speed: 200},
		{ID: "clever", Context: 1_000_000, Price: aiclient.Price{Input: 5, Output: 25}, Reasons: true, Input: []string{"image/*", "application/pdf"}, Score: 60},
		{ID: "free", Context: 4_000},
	}, nil)))
	require.NoError(t, r.Add(provider("down", []aiclient.ModelSpec{{ID: "super", Context: 1_000_000, Score: 99}},
		func(context.Context) ([]aiclient.Listed, error) { return nil, nil })))
	defer func() { require.NoError(t, r.Close(context.Background())) }()

	for name, test := range map[string]struct {
		q    aiclient.Requirements
		want string
	}{
		"cheapest":            {aiclient.Requirements{Prefer: aiclient.Cheapest}, "acme:cheap"},
		"cheapest with tools": {aiclient.Requirements{Prefer: aiclient.Cheapest, Tools: true}, "acme:middle"},
		"fastest":             {aiclient.Requirements{Prefer: aiclient.Fastest}, "acme:middle"},
		"smartest":            {aiclient.Requirements{Prefer: aiclient.Smartest}, "acme:clever"},
		"smartest under 2":    {aiclient.Requirements{Prefer: aiclient.Smartest, MaxPrice: 2}, "acme:middle"},
		"pdf":                 {aiclient.Requirements{Media: []string{"application/pdf"}}, "acme:clever"},
		"order of names":      {aiclient.Requirements{Names: []string{"super", "middle", "cheap"}}, "acme:middle"},
		"context":             {aiclient.Requirements{Context: 200_000}, "acme:clever"},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := r.Resolve(t.Context(), test.q)
			require.NoError(t, err)
			assert.Equal(t, test.want, c.Client.model)
			assert.NotEmpty(t, c.Reason)
			for _, x := range c.Refused {
				assert.NotEqual(t, test.want, x.Model.String())
				assert.NotEmpty(t, x.Reason)
			}
			if len(test.q.Names) == 0 {
				assert.Len(t, c.Refused, 4, "every other candidate")
			}
		})
	}
	_, err := r.Resolve(t.Context(), aiclient.Requirements{Context: 100_000})
	require.ErrorIs(t, err, aiclient.ErrAmbiguous)
	_, err = r.Resolve(t.Context(), aiclient.Requirements{Context: 2_000_000, Tools: true})
	require.ErrorContains(t, err, `acme:cheap: its context is 8000 tokens, 2000000 are needed`)
	require.ErrorContains(t, err, `down:super: offline: down does not list the model "super" now`)
}
