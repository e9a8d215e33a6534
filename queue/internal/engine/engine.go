// Package engine holds what the engines of package queue write down alike: the
// IDs that they make and the times that they keep as numbers.
package engine

import (
	"strconv"
	"strings"
	"time"
)

// AutoID is the ID of the item with a sequence number, for items that came
// without one.
func AutoID(prefix string, seq int64) string { return prefix + "-" + strconv.FormatInt(seq, 36) }

// ParseID is the inverse of [AutoID]; ok is false for any other ID.
func ParseID(prefix, id string) (seq int64, ok bool) {
	number, ok := strings.CutPrefix(id, prefix+"-")
	if !ok {
		return 0, false
	}
	seq, err := strconv.ParseInt(number, 36, 64)
	return seq, err == nil && AutoID(prefix, seq) == id
}

// TimeAt returns the time of so many Unix nanoseconds, 0 being the zero time.
func TimeAt(ns int64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns)
}

// Nanos is the inverse of [TimeAt]; times beyond its range become its ends.
func Nanos(t time.Time) int64 {
	switch {
	case t.IsZero():
		return 0
	case t.Year() > 2200:
		return 1<<63 - 1
	case t.Year() < 1800:
		return 1
	}
	return t.UnixNano()
}
