package text_test

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/tokenring-ai/tokenring-go/utility/text"
)

func TestHuman(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1536: "1.5 KiB", 1<<20 - 1: "1 MiB", 3 << 30: "3 GiB", math.MaxInt64: "8 EiB", math.MinInt64: "-8 EiB", -2048: "-2 KiB"} {
		assert.Equal(t, want, text.Bytes(n))
	}
	for d, want := range map[time.Duration]string{
		0: "0s", 850 * time.Millisecond: "850ms", 1234 * time.Millisecond: "1.23s", 12345 * time.Millisecond: "12.3s",
		123456: "123µs", 1234567: "1.23ms", 999_999_999: "1s", 59_999 * time.Millisecond: "1m0s",
		125 * time.Second: "2m5s", time.Hour - time.Millisecond: "1h0m", 200 * time.Minute: "3h20m", -1234 * time.Millisecond: "-1.23s",
	} {
		assert.Equal(t, want, text.Duration(d))
	}
}

func TestTable(t *testing.T) {
	assert.Empty(t, text.Table(nil, nil))
	assert.Equal(t, "| a   |\n| --- |\n", text.Table([]string{"a"}, nil))
	assert.Equal(t, "| a         | b   |\n| --------- | --- |\n| x<br>y\\|z | 1 2 |\n| \\\\\\|q     |     |\n",
		text.Table([]string{"a", "b"}, [][]string{{"x\r\ny|z", "1\t2", "no header"}, {`\|q`}}))
}
