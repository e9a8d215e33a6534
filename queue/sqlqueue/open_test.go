package sqlqueue_test

import (
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/tokenring-ai/tokenring-go/queue/sqlqueue"
)

// TestManyOpenANewFileAtOnce makes handles race for the creation of a file, each
// of which wants to change it to WAL.
func TestManyOpenANewFileAtOnce(t *testing.T) {
	for range 10 {
		path := filepath.Join(t.TempDir(), "queue.db")
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				q, err := sqlqueue.Open(path, sqlqueue.Options{})
				if assert.NoError(t, err) {
					assert.NoError(t, q.Close())
				}
			})
		}
		wg.Wait()
	}
}
