package peerbench

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
)

var sizes = []int{1 << 10, 64 << 10}

// caseName names a case by the size of a payload and the number of producers.
func caseName(size, producers int) string {
	return fmt.Sprintf("%dKiB-producers=%d", size>>10, producers)
}

// spread makes b.N calls from so many goroutines.
func spread(b *testing.B, goroutines int, call func() error) {
	var next atomic.Int64
	var wg sync.WaitGroup
	b.ReportAllocs()
	b.ResetTimer()
	for range goroutines {
		wg.Go(func() {
			for next.Add(1) <= int64(b.N) {
				if err := call(); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
}
