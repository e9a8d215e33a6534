package transport

import (
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"strings"

	"github.com/tokenring-ai/tokenring-go/utility/tool"
)

// CallIDs gives the tool calls of a history IDs that a provider takes, and their
// results the same. IDs of another provider, which a conversation brings along,
// may be too long, hold dots and colons, or come again in a later reply. An ID
// that can stay does, and one that cannot is replaced by the same in every
// request, so that prompts stay cached.
type CallIDs struct {
	Max   int // bytes, at least 24
	Exact int // if set, IDs have exactly so many letters and digits, at most 52

	given map[string]bool
	now   map[string]string // what became of the last call with that ID
	again map[string]int    // the number to try when that ID comes again
}

// Call returns the ID of a call. Calls must be given in the order of the history.
func (c *CallIDs) Call(id string) string {
	if c.given == nil {
		c.given, c.now, c.again = map[string]bool{}, map[string]string{}, map[string]int{}
	}
	out, n := c.fit(id), max(c.again[id], 2)
	for ; c.given[out]; n++ {
		out = c.fit(fmt.Sprintf("%s again %d", id, n))
	}
	c.given[out], c.now[id], c.again[id] = true, out, n
	return out
}

// Result returns the ID of the last call that had id.
func (c *CallIDs) Result(id string) string {
	if out, ok := c.now[id]; ok {
		return out
	}
	return c.fit(id)
}

func (c *CallIDs) fit(id string) string {
	n := 24
	switch {
	case c.Exact > 0:
		if n = c.Exact; len(id) == n && strings.IndexFunc(id, func(r rune) bool { return r == '_' || r == '-' || unusual(r) }) < 0 {
			return id
		}
	case id != "" && len(id) <= c.Max && strings.IndexFunc(id, unusual) < 0:
		return id
	}
	sum := sha256.Sum256([]byte(id))
	return base32.HexEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:])[:n]
}

// CallName returns the name of a called tool in a form that providers take. A
// model may have made one up that they refuse to read again.
func CallName(name string) string {
	if tool.CheckName(name) == nil {
		return name
	}
	if name == "" {
		return "unknown"
	}
	name = strings.Map(func(r rune) rune {
		if unusual(r) {
			return '_'
		}
		return r
	}, name)
	return name[:min(len(name), 64)]
}

func unusual(r rune) bool {
	switch {
	case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_', r == '-':
		return false
	}
	return true
}
