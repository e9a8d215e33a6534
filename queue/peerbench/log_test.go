package peerbench

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// record is a payload on its way to the log, and where its producer waits.
type record struct {
	payload []byte
	done    chan error
}

// openLog is the least that durability costs: an append-only file of lengths and
// payloads, in which the records that came while the disk was busy share one
// write and one fsync. Nothing can be found in it again but by reading it.
func openLog(b *testing.B, producers int) func([]byte) error {
	f, err := os.Create(filepath.Join(b.TempDir(), "log"))
	require.NoError(b, err)
	records := make(chan record, producers)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		var buf []byte
		var waiting []chan error
		for r := range records {
			buf, waiting = buf[:0], waiting[:0]
			for more := true; more; {
				buf = append(binary.BigEndian.AppendUint32(buf, uint32(len(r.payload))), r.payload...)
				waiting = append(waiting, r.done)
				select {
				case r, more = <-records:
				default:
					more = false
				}
			}
			_, err := f.Write(buf)
			if err == nil {
				err = f.Sync()
			}
			for _, done := range waiting {
				done <- err
			}
		}
	}()
	b.Cleanup(func() {
		close(records)
		<-ended
		require.NoError(b, f.Close())
	})
	return func(payload []byte) error {
		done := make(chan error, 1)
		records <- record{payload, done}
		return <-done
	}
}

func bigEndian(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }
