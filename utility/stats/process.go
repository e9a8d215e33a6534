package stats

import (
	"os"
	"runtime"
	"runtime/metrics"
)

// Process describes this process.
type Process struct {
	Goroutines int `json:"goroutines"`
	// HeapBytes is what live and not yet collected objects take, TotalBytes all
	// that the Go runtime has mapped and not given back.
	HeapBytes  uint64 `json:"heapBytes"`
	TotalBytes uint64 `json:"totalBytes"`
	// FileDescriptors is how many are open; -1 where the system does not tell.
	FileDescriptors int `json:"fileDescriptors"`
}

// ReadProcess describes this process now. It does not stop the world.
func ReadProcess() Process {
	samples := []metrics.Sample{
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/total:bytes"},
		{Name: "/memory/classes/heap/released:bytes"},
	}
	metrics.Read(samples)
	return Process{
		Goroutines:      runtime.NumGoroutine(),
		HeapBytes:       samples[0].Value.Uint64(),
		TotalBytes:      samples[1].Value.Uint64() - samples[2].Value.Uint64(),
		FileDescriptors: fileDescriptors(),
	}
}

// fileDescriptors counts what the kernel lists of this process: /proc/self/fd of
// Linux, /dev/fd of macOS and the BSDs.
func fileDescriptors() int {
	for _, dir := range []string{"/proc/self/fd", "/dev/fd"} {
		d, err := os.Open(dir)
		if err != nil {
			continue
		}
		names, err := d.Readdirnames(-1)
		_ = d.Close()
		if err == nil {
			return len(names) - 1 // without d itself
		}
	}
	return -1
}
