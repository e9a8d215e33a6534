package registry

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

var (
	// ErrNotFound is wrapped by every error about something that is not
	// registered or not selected.
	ErrNotFound = errors.New("not found")

	// ErrExists is wrapped by every error about a name or type that is taken.
	ErrExists = errors.New("already registered")
)

// NotFoundError says what was looked for and what there is instead. It wraps
// [ErrNotFound].
type NotFoundError struct {
	Kind string   // what the registry holds: [Keyed.Kind]
	Name string   // what was asked for
	Near []string // registered names that resemble Name, best first
	Have []string // all registered names, when there are few and none is near
}

func (e *NotFoundError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "registry: %s %q not found", kindOr(e.Kind), e.Name)
	switch {
	case len(e.Near) > 0:
		b.WriteString("; did you mean ")
		writeNames(&b, e.Near, " or ")
		b.WriteString("?")
	case len(e.Have) > 0:
		b.WriteString("; there is ")
		writeNames(&b, e.Have, ", ")
	}
	return b.String()
}

// Unwrap returns [ErrNotFound].
func (e *NotFoundError) Unwrap() error { return ErrNotFound }

func writeNames(b *strings.Builder, names []string, separator string) {
	for i, name := range names {
		if i > 0 {
			b.WriteString(separator)
		}
		fmt.Fprintf(b, "%q", name)
	}
}

func kindOr(kind string) string {
	if kind == "" {
		return "item"
	}
	return kind
}

const (
	maxNear = 3     // names that a NotFoundError proposes
	maxHave = 10    // names that it lists when none is near
	maxScan = 10000 // names that it compares, in order of registration

	// maxName is how many bytes a name may have to be compared. A longer one was not
	// mistyped by a person or a model, and comparing takes quadratic time.
	maxName = 128
)

// notFound makes the error for a missing name from the names there are.
func notFound(kind, name string, names []string) *NotFoundError {
	err := &NotFoundError{Kind: kind, Name: name}
	type near struct {
		name     string
		distance int
	}
	var found []near
	for _, candidate := range names[:min(len(names), maxScan)] {
		if d, ok := resemblance(name, candidate); ok {
			found = append(found, near{candidate, d})
		}
	}
	slices.SortStableFunc(found, func(a, b near) int { return a.distance - b.distance })
	for _, n := range found[:min(len(found), maxNear)] {
		err.Near = append(err.Near, n.name)
	}
	if len(err.Near) == 0 && len(names) <= maxHave {
		err.Have = slices.Clone(names)
	}
	return err
}

// resemblance measures how far candidate is from what was asked for; ok is false
// when it is no plausible slip of the keyboard or memory.
func resemblance(asked, candidate string) (distance int, ok bool) {
	if asked == "" || len(asked) > maxName || len(candidate) > maxName {
		return 0, false
	}
	a, b := strings.ToLower(asked), strings.ToLower(candidate)
	if a == b {
		return 0, true
	}
	if len(a) >= 3 && strings.Contains(b, a) || len(b) >= 3 && strings.Contains(a, b) {
		return 1, true
	}
	limit := max(1, min(len(a), len(b))/3)
	if difference := len(a) - len(b); difference > limit || -difference > limit {
		return 0, false
	}
	if len(a) > maxName || len(b) > maxName { // some letters are longer in lower case
		return 0, false
	}
	d := levenshtein(a, b)
	return 1 + d, d <= limit
}

// levenshtein counts the bytes to insert, delete or change that turn a into b,
// which has no more than maxName.
func levenshtein(a, b string) int {
	var space [maxName + 1]int
	row := space[:len(b)+1]
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
