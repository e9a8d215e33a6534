package engine

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestIDsAndTimesThereAndBack(t *testing.T) {
	for _, seq := range []int64{0, 1, 35, 36, math.MaxInt64} {
		got, ok := ParseID("abc", AutoID("abc", seq))
		assert.True(t, ok)
		assert.Equal(t, seq, got)
	}
	for _, id := range []string{"", "abc", "abc-", "abd-1", "abc-01", "abc-A", "abc-1 ", "abc--", "abc-zzzzzzzzzzzzzz"} {
		_, ok := ParseID("abc", id)
		assert.False(t, ok, id)
	}
	now := time.Now()
	for _, at := range []time.Time{{}, now, time.Unix(0, 1), time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC)} {
		assert.True(t, at.Equal(TimeAt(Nanos(at))), at)
	}
	assert.Equal(t, int64(math.MaxInt64), Nanos(time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)))
	assert.Equal(t, int64(1), Nanos(time.Date(1500, 1, 1, 0, 0, 0, 0, time.UTC)))
}
