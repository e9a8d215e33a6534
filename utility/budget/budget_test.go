package budget_test

import (
	"encoding/json"
	"math"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tokenring-ai/tokenring-go/utility/budget"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestReserveStopsAtEachLimit(t *testing.T) {
	for _, c := range []struct {
		name   string
		limits budget.Limits
		used   budget.Amount
		want   budget.Amount
		kind   budget.Kind // empty: allowed
		text   string
	}{
		{name: "no limits", used: budget.Amount{Money: 1e6, Tokens: math.MaxInt64, Steps: math.MaxInt64}, want: budget.Amount{Money: 1e6, Tokens: math.MaxInt64}},
		{name: "exactly the rest", limits: budget.Limits{Money: 0.3}, used: budget.Amount{Money: 0.1}, want: budget.Amount{Money: 0.2}},
		{name: "money", limits: budget.Limits{Money: 5}, used: budget.Amount{Money: 4.98}, want: budget.Amount{Money: 0.05}, kind: budget.Money,
			text: "budget exceeded: the limit for money is $5.0000; $4.9800 used, $0.0000 reserved by calls in progress, $0.0500 wanted"},
		{name: "tokens", limits: budget.Limits{Tokens: 10}, used: budget.Amount{Tokens: 4}, want: budget.Amount{Tokens: 7}, kind: budget.Tokens,
			text: "the limit for tokens is 10; 4 used"},
		{name: "overflowing tokens", limits: budget.Limits{Tokens: 10}, used: budget.Amount{Tokens: 4}, want: budget.Amount{Tokens: math.MaxInt64}, kind: budget.Tokens},
		{name: "steps", limits: budget.Limits{Steps: 2}, used: budget.Amount{Steps: 2}, want: budget.Amount{Steps: 1}, kind: budget.Steps},
		{name: "used-up steps do not stop what is no step", limits: budget.Limits{Steps: 2}, used: budget.Amount{Steps: 2}, want: budget.Amount{Money: 1}},
		{name: "used-up money stops a call of unknown cost", limits: budget.Limits{Money: 1}, used: budget.Amount{Money: 1}, want: budget.Amount{Steps: 1}, kind: budget.Money},
		{name: "used-up tokens do so too", limits: budget.Limits{Tokens: 1}, used: budget.Amount{Tokens: 3}, kind: budget.Tokens},
		{name: "a tiny limit is a limit", limits: budget.Limits{Money: 1e-12}, want: budget.Amount{Money: 0.01}, kind: budget.Money},
		{name: "a tiny negative limit allows nothing", limits: budget.Limits{Money: -1e-12}, kind: budget.Money},
		{name: "NaN allows nothing", limits: budget.Limits{Money: math.NaN()}, kind: budget.Money},
		{name: "an infinite limit is none", limits: budget.Limits{Money: math.Inf(1)}, want: budget.Amount{Money: 1e6}},
		{name: "negative limit", limits: budget.Limits{Steps: -1}, want: budget.Amount{Steps: 1}, kind: budget.Steps},
		{name: "a negative limit allows what is no step as little", limits: budget.Limits{Steps: -1}, want: budget.Amount{Money: 1}, kind: budget.Steps},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := budget.New(c.limits)
			require.NoError(t, b.Charge(c.used))
			r, err := b.Reserve(c.want)
			if c.kind == "" {
				require.NoError(t, err)
				r.Release()
				return
			}
			require.ErrorIs(t, err, budget.ErrExceeded)
			var exceeded *budget.ExceededError
			require.ErrorAs(t, err, &exceeded)
			assert.Equal(t, c.kind, exceeded.Kind)
			assert.Contains(t, err.Error(), c.text)
			assert.Equal(t, c.used, b.Used(), "a refusal costs nothing")
		})
	}
}

func TestReservationsCountUntilTheyAreSettled(t *testing.T) {
	b := budget.New(budget.Limits{Tokens: 100})
	r, err := b.Reserve(budget.Amount{Tokens: 80})
	require.NoError(t, err)
	assert.Zero(t, b.Used())
	assert.EqualValues(t, 20, b.Remaining().Tokens)
	_, err = b.Reserve(budget.Amount{Tokens: 30})
	require.ErrorIs(t, err, budget.ErrExceeded)

	r.Settle(budget.Amount{Tokens: 60})
	r.Settle(budget.Amount{Tokens: 60})
	r.Release()
	assert.EqualValues(t, 60, b.Used().Tokens)
	assert.EqualValues(t, 40, b.Remaining().Tokens)

	r, err = b.Reserve(budget.Amount{Tokens: 40})
	require.NoError(t, err)
	r.Release()
	r.Settle(budget.Amount{Tokens: 40})
	assert.EqualValues(t, 60, b.Used().Tokens)

	r, err = b.Reserve(budget.Amount{Tokens: 1})
	require.NoError(t, err)
	r.Settle(budget.Amount{Tokens: 500})
	assert.EqualValues(t, 560, b.Used().Tokens, "what was spent counts beyond the limit")
	assert.Zero(t, b.Remaining().Tokens)

	b.SetLimits(budget.Limits{Tokens: math.MinInt64})
	assert.Zero(t, b.Remaining().Tokens)
	b.SetLimits(budget.Limits{Tokens: 1000})
	assert.Equal(t, budget.Limits{Tokens: 1000}, b.Limits())
	assert.EqualValues(t, 440, b.Remaining().Tokens)
}

func TestSubBudgetsChargeTheirParents(t *testing.T) {
	root := budget.New(budget.Limits{Money: 1})
	child := root.Sub(budget.Limits{Steps: 3})
	grandchild := child.Sub(budget.Limits{Tokens: 10})

	r, err := grandchild.Reserve(budget.Amount{Money: 0.5, Tokens: 5, Steps: 1})
	require.NoError(t, err)
	assert.Equal(t, budget.Amount{Money: 0.5, Tokens: 5, Steps: 2}, grandchild.Remaining())
	assert.Equal(t, 0.5, root.Remaining().Money)
	r.Settle(budget.Amount{Money: 0.7, Tokens: 6, Steps: 1})
	for _, b := range []*budget.Budget{root, child, grandchild} {
		assert.Equal(t, budget.Amount{Money: 0.7, Tokens: 6, Steps: 1}, b.Used())
	}

	// A refusal far up leaves nothing reserved below, and a sibling feels the
	// same limit.
	_, err = grandchild.Reserve(budget.Amount{Money: 0.4})
	require.ErrorIs(t, err, budget.ErrExceeded)
	assert.Equal(t, budget.Amount{Money: 0.3, Tokens: 4, Steps: 2}, roundMoney(grandchild.Remaining()))
	_, err = root.Sub(budget.Limits{}).Reserve(budget.Amount{Money: 0.4})
	require.ErrorIs(t, err, budget.ErrExceeded)
}

func roundMoney(a budget.Amount) budget.Amount {
	a.Money = math.Round(a.Money*1e9) / 1e9
	return a
}

func TestMoneyHasNoRoundingErrors(t *testing.T) {
	b := budget.New(budget.Limits{Money: 1})
	for range 1000 {
		r, err := b.Reserve(budget.Amount{Money: 0.001})
		require.NoError(t, err)
		r.Settle(budget.Amount{Money: 0.001})
	}
	assert.Equal(t, 1.0, b.Used().Money)
	_, err := b.Reserve(budget.Amount{Money: 0.000_000_001})
	require.ErrorIs(t, err, budget.ErrExceeded)
}

func TestWhatIsNoCostIsRefused(t *testing.T) {
	b := budget.New(budget.Limits{})
	for _, a := range []budget.Amount{{Money: -1}, {Tokens: -1}, {Steps: -1}, {Money: math.NaN()}, {Money: math.Inf(1)}} {
		_, err := b.Reserve(a)
		require.Error(t, err)
		require.NotErrorIs(t, err, budget.ErrExceeded)
		require.Error(t, b.Charge(a))
	}
	assert.Zero(t, b.Used())

	for _, a := range []budget.Amount{{Money: -1, Tokens: 1}, {Money: math.NaN(), Tokens: 1}, {Money: math.Inf(1), Tokens: 1}, {Money: 2, Tokens: -5}} {
		b := budget.New(budget.Limits{})
		r, err := b.Reserve(budget.Amount{Money: 2, Tokens: 1})
		require.NoError(t, err)
		r.Settle(a)
		assert.Equal(t, budget.Amount{Money: 2, Tokens: 1}, b.Used(), "an unknown cost counts as reserved")
	}
}

func TestNilBudgetHasNoLimits(t *testing.T) {
	b := budget.From(t.Context())
	require.Nil(t, b)
	r, err := b.Reserve(budget.Amount{Money: 1e9})
	require.NoError(t, err)
	r.Settle(budget.Amount{Money: 1})
	r.Release()
	require.NoError(t, b.Charge(budget.Amount{Steps: 1}))
	b.SetLimits(budget.Limits{Steps: 1})
	b.Reset("all")
	require.NoError(t, b.UnmarshalJSON([]byte(`{"used":{"steps":1}}`)))
	assert.Zero(t, b.Used())
	assert.Zero(t, b.Limits())
	assert.Zero(t, b.Generation())
	assert.Equal(t, budget.Amount{Money: math.Inf(1), Tokens: math.MaxInt64, Steps: math.MaxInt64}, b.Remaining())
	assert.EqualValues(t, 1, b.Sub(budget.Limits{Steps: 1}).Remaining().Steps)

	carried := budget.New(budget.Limits{})
	ctx := budget.With(t.Context(), carried)
	assert.Same(t, carried, budget.From(ctx))
	assert.Nil(t, budget.From(budget.With(ctx, nil)))
}

func TestUsedSurvivesACheckpoint(t *testing.T) {
	b := budget.New(budget.Limits{Money: 1, Steps: 10})
	generation := b.Generation()
	require.NoError(t, b.Charge(budget.Amount{Money: 0.25, Steps: 3}))
	assert.NotEqual(t, generation, b.Generation())
	data, err := json.Marshal(b)
	require.NoError(t, err)
	assert.JSONEq(t, `{"used":{"money":0.25,"steps":3}}`, string(data))

	restored := budget.New(budget.Limits{Money: 1, Steps: 10})
	require.NoError(t, json.Unmarshal(data, restored))
	assert.Equal(t, b.Used(), restored.Used())
	assert.EqualValues(t, 7, restored.Remaining().Steps)

	for _, bad := range []string{`{"used":{"money":-1}}`, `{}`, `{"used":null}`, `{"used":{"tokens":"many"}}`, `[]`} {
		require.Error(t, json.Unmarshal([]byte(bad), restored))
		assert.Equal(t, b.Used(), restored.Used(), "bad input changes nothing")
	}
	require.NoError(t, json.Unmarshal([]byte("null"), restored))
	assert.Equal(t, b.Used(), restored.Used())
	restored.Reset("chat")
	assert.Equal(t, b.Used(), restored.Used())
	restored.Reset("all")
	assert.Zero(t, restored.Used())
}

func TestConcurrentCallsCannotOverspendTogether(t *testing.T) {
	root := budget.New(budget.Limits{Money: 1, Steps: 1000})
	var made, refused atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		sub := root.Sub(budget.Limits{Steps: 200})
		for range 4 {
			wg.Go(func() {
				for i := range 200 {
					r, err := sub.Reserve(budget.Amount{Money: 0.002, Steps: 1})
					if err != nil {
						refused.Add(1)
						continue
					}
					made.Add(1)
					if i%3 == 0 {
						r.Settle(budget.Amount{Money: 0.001, Steps: 1})
					}
					r.Settle(budget.Amount{Money: 0.002, Steps: 1})
				}
			})
		}
	}
	wg.Wait()
	used := root.Used()
	assert.LessOrEqual(t, used.Money, 1.0)
	assert.Greater(t, used.Money, 0.99)
	assert.Equal(t, made.Load(), used.Steps)
	assert.Positive(t, refused.Load())
	assert.Equal(t, 1000-used.Steps, root.Remaining().Steps, "nothing stays reserved")
}

func BenchmarkReserveSettle(b *testing.B) {
	sub := budget.New(budget.Limits{Money: math.MaxInt32}).Sub(budget.Limits{})
	b.ReportAllocs()
	for b.Loop() {
		r, _ := sub.Reserve(budget.Amount{Money: 0.01, Steps: 1})
		r.Settle(budget.Amount{Money: 0.000_000_001, Steps: 1})
	}
}
