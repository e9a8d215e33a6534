package main

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/bep/debounce"

	"github.com/tokenring-ai/tokenring-go/utility/timing"
)

func BenchmarkDebounceCall(b *testing.B) {
	var runs atomic.Int64
	run := func() { runs.Add(1) }
	b.Run("burst/tokenring", func(b *testing.B) {
		d := timing.NewDebounce(func(int) { run() }, time.Minute, timing.DebounceOptions{})
		defer d.Close()
		for b.Loop() {
			d.Call(1)
		}
	})
	b.Run("burst/bep-debounce", func(b *testing.B) {
		d := debounce.New(time.Minute)
		for b.Loop() {
			d(run)
		}
		d(func() {})
	})
}

func BenchmarkThrottleCall(b *testing.B) {
	b.Run("burst/tokenring", func(b *testing.B) {
		t := timing.NewThrottle(func(int) {}, time.Minute, timing.ThrottleOptions{})
		defer t.Close()
		for b.Loop() {
			t.Call(1)
		}
	})
}
