package budget

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"sync"
)

// ErrExceeded is what every [*ExceededError] is.
var ErrExceeded = errors.New("budget exceeded")

// ExceededError says which limit does not allow a reservation.
type ExceededError struct {
	Kind Kind

	// Limit, Used, Reserved and Wanted are in dollars, tokens or steps. Used is
	// settled; Reserved belongs to calls that are in progress.
	Limit, Used, Reserved, Wanted float64

	text string
}

func (e *ExceededError) Error() string { return e.text }

// Is reports that e is ErrExceeded.
func (e *ExceededError) Is(target error) bool { return target == ErrExceeded }

// Budget is a spending limit. Make one with [New]; the zero value has no limits
// and counts. It is safe for concurrent use, and so is a nil *Budget, which has
// no limits and counts nothing.
//
// A Budget is also a state slice: its JSON form is what was used, so that an
// agent that is restored from a checkpoint does not start afresh.
type Budget struct {
	parent *Budget
	tree   *sync.Mutex // of all budgets below one root; nil in a root
	mu     sync.Mutex  // used by a root

	limits         units
	used, reserved units
	generation     uint64
}

// New returns a budget of its own.
func New(limits Limits) *Budget {
	return &Budget{limits: limits.units()}
}

// Sub returns a budget with limits of its own whose costs are charged to b and
// to every budget above b as well. Of a nil b it is [New].
func (b *Budget) Sub(limits Limits) *Budget {
	sub := New(limits)
	if b != nil {
		sub.parent, sub.tree = b, b.lock()
	}
	return sub
}

func (b *Budget) lock() *sync.Mutex {
	if b.tree != nil {
		return b.tree
	}
	return &b.mu
}

// Reserve sets a aside for a call that is about to be made, in b and in every
// budget above, or in none. It fails with an [*ExceededError] when that would go
// beyond a limit, and when the money or the tokens are used up already, however
// small a is: few calls know beforehand what they cost. It fails for an amount
// that is negative or not a number.
//
// Settle or Release the reservation. On a nil b it succeeds and returns nil,
// whose methods do nothing.
func (b *Budget) Reserve(a Amount) (*Reservation, error) {
	if b == nil {
		return nil, nil
	}
	want, err := a.check()
	if err != nil {
		return nil, err
	}
	mu := b.lock()
	mu.Lock()
	defer mu.Unlock()
	for x := b; x != nil; x = x.parent {
		if err := x.allows(want); err != nil {
			return nil, err
		}
	}
	for x := b; x != nil; x = x.parent {
		x.reserved = x.reserved.plus(want)
	}
	return &Reservation{budget: b, amount: want}, nil
}

func (b *Budget) allows(want units) error {
	for i, limit := range b.limits {
		if limit == 0 {
			continue
		}
		spentUp := limit < 0 || kinds[i] != Steps && b.used[i] >= limit
		if !spentUp && addSaturated(addSaturated(b.used[i], b.reserved[i]), want[i]) <= limit {
			continue
		}
		scale := 1.0
		if kinds[i] == Money {
			scale = perDollar
		}
		return &ExceededError{
			Kind:  kinds[i],
			Limit: float64(limit) / scale, Used: float64(b.used[i]) / scale,
			Reserved: float64(b.reserved[i]) / scale, Wanted: float64(want[i]) / scale,
			text: fmt.Sprintf("budget exceeded: the limit for %s is %s; %s used, %s reserved by calls in progress, %s wanted",
				kinds[i], show(i, limit), show(i, b.used[i]), show(i, b.reserved[i]), show(i, want[i])),
		}
	}
	return nil
}

// Charge adds a cost that was not reserved to b and to every budget above, even
// beyond the limits: it has happened. An amount that is negative or not a number
// is an error and changes nothing.
func (b *Budget) Charge(a Amount) error {
	if b == nil {
		return nil
	}
	cost, err := a.check()
	if err != nil {
		return err
	}
	mu := b.lock()
	mu.Lock()
	defer mu.Unlock()
	b.charge(cost)
	return nil
}

func (b *Budget) charge(cost units) {
	for x := b; x != nil; x = x.parent {
		x.used = x.used.plus(cost)
		x.generation++
	}
}

// Reservation is an amount that was set aside. It is safe for concurrent use,
// and so is a nil *Reservation.
type Reservation struct {
	budget *Budget
	amount units
	done   bool
}

// Settle replaces the reservation by the actual cost, which may be less or more
// than what was reserved: a cost that has happened counts even beyond a limit.
// Negative parts, NaN and infinity count as what was reserved, because a cost
// that cannot be told is not free. Only the first call of Settle or Release counts.
func (r *Reservation) Settle(actual Amount) {
	if r == nil {
		return
	}
	cost := unitsOf(actual.Money, actual.Tokens, actual.Steps)
	for i := range cost {
		if cost[i] < 0 || kinds[i] == Money && (math.IsNaN(actual.Money) || math.IsInf(actual.Money, 0)) {
			cost[i] = r.amount[i]
		}
	}
	r.end(cost)
}

// Release gives the reservation back: nothing was spent. It does nothing after
// Settle, so that it can be deferred.
func (r *Reservation) Release() {
	if r != nil {
		r.end(units{})
	}
}

func (r *Reservation) end(cost units) {
	mu := r.budget.lock()
	mu.Lock()
	defer mu.Unlock()
	if r.done {
		return
	}
	r.done = true
	for x := r.budget; x != nil; x = x.parent {
		x.reserved = x.reserved.minus(r.amount)
	}
	if cost != (units{}) {
		r.budget.charge(cost)
	}
}

// Used returns what was spent: settled and charged, not reserved.
func (b *Budget) Used() Amount {
	if b == nil {
		return Amount{}
	}
	mu := b.lock()
	mu.Lock()
	defer mu.Unlock()
	return b.used.amount()
}

// Remaining returns what can still be reserved, here and in the budgets above.
// Without a limit that is +Inf for money and math.MaxInt64 for the others.
func (b *Budget) Remaining() Amount {
	rest := Amount{Money: math.Inf(1), Tokens: math.MaxInt64, Steps: math.MaxInt64}
	if b == nil {
		return rest
	}
	mu := b.lock()
	mu.Lock()
	defer mu.Unlock()
	for x := b; x != nil; x = x.parent {
		left := x.limits
		for i := range left {
			left[i] = max(max(left[i], 0)-addSaturated(x.used[i], x.reserved[i]), 0)
		}
		a := left.amount()
		if x.limits[0] != 0 {
			rest.Money = min(rest.Money, a.Money)
		}
		if x.limits[1] != 0 {
			rest.Tokens = min(rest.Tokens, a.Tokens)
		}
		if x.limits[2] != 0 {
			rest.Steps = min(rest.Steps, a.Steps)
		}
	}
	return rest
}

// Limits returns b's own limits.
func (b *Budget) Limits() Limits {
	if b == nil {
		return Limits{}
	}
	mu := b.lock()
	mu.Lock()
	defer mu.Unlock()
	return Limits(b.limits.amount())
}

// SetLimits replaces b's own limits, such as when a person allows more. What was
// used stays used.
func (b *Budget) SetLimits(limits Limits) {
	if b == nil {
		return
	}
	mu := b.lock()
	mu.Lock()
	defer mu.Unlock()
	b.limits = limits.units()
}

// MarshalJSON returns what was used. Limits are the program's business and are
// not part of it.
func (b *Budget) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Used Amount `json:"used"`
	}{b.Used()})
}

// UnmarshalJSON replaces what was used, in b alone: the budgets above have
// states of their own. As usual, null changes nothing; a state that does not say
// what was used is an error.
func (b *Budget) UnmarshalJSON(data []byte) error {
	if string(bytes.TrimSpace(data)) == "null" {
		return nil
	}
	var state struct {
		Used *Amount `json:"used"`
	}
	if err := json.Unmarshal(data, &state); err != nil {
		return fmt.Errorf("budget: %w", err)
	}
	if state.Used == nil {
		return errors.New(`budget: state has no field "used"`)
	}
	used, err := state.Used.check()
	if err != nil || b == nil {
		return err
	}
	mu := b.lock()
	mu.Lock()
	defer mu.Unlock()
	b.used = used
	b.generation++
	return nil
}

// Reset forgets what was used when scope is "all". Other scopes leave it alone:
// clearing a chat gives no money back. The budgets above stay charged.
func (b *Budget) Reset(scope string) {
	if b == nil || scope != "all" {
		return
	}
	mu := b.lock()
	mu.Lock()
	defer mu.Unlock()
	b.used = units{}
	b.generation++
}

// Generation changes whenever Used does.
func (b *Budget) Generation() uint64 {
	if b == nil {
		return 0
	}
	mu := b.lock()
	mu.Lock()
	defer mu.Unlock()
	return b.generation
}
