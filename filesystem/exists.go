package filesystem

import (
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
)

// maxExists bounds the number of names in an existsCache.
const maxExists = 1 << 14

// existsCache remembers for a while which names exist. What is remembered holds
// until the next change that the service knows of.
type existsCache struct {
	ttl          time.Duration
	names        *lru.Cache[string, existsAnswer]
	runs         atomic.Uint64 // programs that ran: they change ignored files too
	hits, misses atomic.Int64
}

type existsAnswer struct {
	exists     bool
	generation uint64 // of changes and programs together, before it was asked
	asked      time.Time
}

func newExistsCache(ttl time.Duration) *existsCache {
	names, _ := lru.New[string, existsAnswer](maxExists)
	return &existsCache{ttl: ttl, names: names}
}

func (c *existsCache) get(name string, generation uint64) (exists, ok bool) {
	a, ok := c.names.Get(name)
	if ok = ok && a.generation == generation && time.Since(a.asked) < c.ttl; ok {
		c.hits.Add(1)
	} else {
		c.misses.Add(1)
	}
	return a.exists, ok
}
