package budget

import (
	"fmt"
	"math"
	"strconv"
)

// Amount is a cost.
type Amount struct {
	Money  float64 `json:"money,omitempty"`  // US dollars; exact to a billionth
	Tokens int64   `json:"tokens,omitempty"` // input and output together
	Steps  int64   `json:"steps,omitempty"`  // model calls
}

// Limits bound the sum of all costs. 0 means no limit for that kind. A negative
// limit allows nothing at all.
type Limits struct {
	Money  float64 `json:"money,omitempty"`  // US dollars
	Tokens int64   `json:"tokens,omitempty"` // input and output together
	Steps  int64   `json:"steps,omitempty"`  // model calls
}

// Kind names one of the three things that a budget counts.
type Kind string

// The kinds of limits.
const (
	Money  Kind = "money"
	Tokens Kind = "tokens"
	Steps  Kind = "steps"
)

var kinds = [...]Kind{Money, Tokens, Steps}

// units is an amount in whole numbers: billionths of a dollar, tokens, steps.
// Sums of whole numbers have no rounding errors that a limit could slip through.
type units [3]int64

const perDollar = 1e9

// units returns l in whole numbers. A limit too small to count is the smallest, not none,
// and one that is not a number allows nothing.
func (l Limits) units() units {
	u := unitsOf(l.Money, l.Tokens, l.Steps)
	switch {
	case math.IsNaN(l.Money):
		u[0] = -1
	case l.Money > 0:
		u[0] = max(u[0], 1)
	case l.Money < 0:
		u[0] = min(u[0], -1)
	}
	return u
}

func unitsOf(money float64, tokens, steps int64) units {
	return units{toNano(money), tokens, steps}
}

func toNano(dollars float64) int64 {
	switch n := math.Round(dollars * perDollar); {
	case n >= math.MaxInt64:
		return math.MaxInt64
	case n <= math.MinInt64:
		return math.MinInt64
	default:
		return int64(n)
	}
}

func (u units) amount() Amount {
	return Amount{Money: float64(u[0]) / perDollar, Tokens: u[1], Steps: u[2]}
}

func (u units) plus(v units) units {
	for i := range u {
		u[i] = addSaturated(u[i], v[i])
	}
	return u
}

// minus is for amounts that were added before.
func (u units) minus(v units) units {
	for i := range u {
		u[i] = max(u[i]-v[i], 0)
	}
	return u
}

// addSaturated adds numbers that are not negative.
func addSaturated(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

// check returns a in units, or an error for what is no cost.
func (a Amount) check() (units, error) {
	if math.IsNaN(a.Money) || math.IsInf(a.Money, 0) || a.Money < 0 || a.Tokens < 0 || a.Steps < 0 {
		return units{}, fmt.Errorf("budget: %+v is not a cost: want numbers of 0 or more", a)
	}
	return unitsOf(a.Money, a.Tokens, a.Steps), nil
}

// show renders n of the kind with index i for people.
func show(i int, n int64) string {
	if kinds[i] == Money {
		s := strconv.FormatFloat(float64(n)/perDollar, 'f', 4, 64)
		return "$" + s
	}
	return strconv.FormatInt(n, 10)
}
