package database

import (
	"fmt"
	"strings"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
)

// resultCache keeps results by provider, statement and arguments. A nil cache
// keeps nothing.
type resultCache struct {
	ttl     time.Duration
	results *lru.Cache[cacheKey, cachedResult]
}

// cacheKey holds its provider, so that no other can come to have the same address.
type cacheKey struct {
	provider *Provider // nil: not to be kept
	text     string    // statement and arguments, unambiguously
}

type cachedResult struct {
	result  *Result
	writes  uint64 // known.writes before the query
	expires time.Time
}

func newResultCache(size int, ttl time.Duration) *resultCache {
	results, err := lru.New[cacheKey, cachedResult](max(1, size))
	if err != nil {
		panic("database: " + err.Error()) // the size is positive
	}
	return &resultCache{ttl: ttl, results: results}
}

// get returns the key of a query, the provider's writes before it runs, and the
// result if there is a good one.
func (c *resultCache) get(p *Provider, sql string, args []any) (key cacheKey, writes uint64, r *Result) {
	if c == nil || p.known == nil {
		return cacheKey{}, 0, nil
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d %s", len(sql), sql)
	for _, a := range args {
		switch a.(type) {
		case nil, bool, string, []byte, int, int64, int32, uint64, float64, time.Time:
		default:
			return cacheKey{}, 0, nil // what it prints may not tell it apart
		}
		text := fmt.Sprintf("%T %#v", a, a)
		fmt.Fprintf(&b, " %d %s", len(text), text)
	}
	key = cacheKey{p, b.String()}
	writes = p.known.writes.Load()
	if hit, ok := c.results.Get(key); ok && hit.writes == writes && time.Now().Before(hit.expires) {
		return key, writes, hit.result
	}
	return key, writes, nil
}

// put keeps a result unless a write came after the query began.
func (c *resultCache) put(key cacheKey, writes uint64, r *Result) {
	if c == nil || key.provider == nil {
		return
	}
	c.results.Add(key, cachedResult{r, writes, time.Now().Add(c.ttl)})
}

// wrote makes every cached result of the provider bad.
func (p *Provider) wrote() {
	if p.known != nil {
		p.known.writes.Add(1)
	}
}
