//go:build !(darwin || freebsd || linux)

package natsqueue

import "math"

// diskFree knows nothing here: the server looks after its disk.
func diskFree(string) int64 { return math.MaxInt64 }

const storeLimit = 0 // what the server finds best
