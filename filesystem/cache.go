package filesystem

import (
	"context"
	"io/fs"
	"sync"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
)

// contentCache keeps contents of files, each for as long as the file has the
// same size, modification time and inode. It is bounded by the bytes it keeps.
type contentCache struct {
	limit int64

	mu    sync.Mutex
	items *lru.Cache[string, cachedContent]
	bytes int64

	hits, misses atomic.Int64
}

type cachedContent struct {
	stamp fileStamp
	data  []byte
}

// maxCachedFiles bounds the number of contents in a cache.
const maxCachedFiles = 1 << 16

func newContentCache(limit int64) *contentCache {
	c := &contentCache{limit: limit}
	c.items, _ = lru.NewWithEvict(maxCachedFiles, func(_ string, old cachedContent) { c.bytes -= int64(len(old.data)) })
	return c
}

func (c *contentCache) get(path string, stamp fileStamp) ([]byte, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if old, ok := c.items.Get(path); ok && stamp.valid() && old.stamp == stamp {
		c.hits.Add(1)
		return old.data, true
	}
	c.misses.Add(1)
	return nil, false
}

func (c *contentCache) put(path string, stamp fileStamp, opened time.Time, data []byte) {
	if !stamp.valid() || !stamp.settledAt(opened) || int64(len(data)) > c.limit/4 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.items.Remove(path)
	for c.bytes+int64(len(data)) > c.limit && c.items.Len() > 0 {
		c.items.RemoveOldest()
	}
	c.items.Add(path, cachedContent{stamp, data})
	c.bytes += int64(len(data))
}

// cached returns the content of a file from the cache, when it is there for the
// state in which the file is.
func (t *tree) cached(ctx context.Context, name string, info fs.FileInfo) ([]byte, bool) {
	if t.contents == nil || ctx.Err() != nil {
		return nil, false
	}
	return t.contents.get(name, stampOf(info))
}
