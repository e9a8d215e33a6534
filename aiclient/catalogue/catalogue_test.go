package catalogue_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tokenring-ai/tokenring-go/aiclient"
	"github.com/tokenring-ai/tokenring-go/aiclient/catalogue"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestTheEmbeddedTable(t *testing.T) {
	c := catalogue.Default()
	assert.Greater(t, c.Len(), 400)
	for _, p := range c.Providers() {
		models := c.Models(p.ID)
		require.NotEmpty(t, models, p.ID)
		for _, id := range []string{p.Large, p.Small} {
			_, ok := c.Find(p.ID, id)
			assert.True(t, ok, "%s:%s", p.ID, id)
		}
		for _, m := range models {
			require.NotEmpty(t, m.ID)
			assert.Equal(t, p.ID, m.Provider)
			assert.Less(t, m.Price.CachedRead, max(m.Price.Input, 1e-9), "%s: reading from a cache is cheaper", m.Model())
			assert.LessOrEqual(t, m.Price.CacheWrite, 2*m.Price.Input, "%s", m.Model())
			_, err := m.Check(nil)
			require.NoError(t, err)
		}
	}
	s, ok := c.Find("anthropic", "claude-sonnet-4-6")
	require.True(t, ok)
	assert.Equal(t, aiclient.Price{Input: 3, Output: 15, CachedRead: 0.3, CacheWrite: 3.75}, s.Price)
	assert.EqualValues(t, 200_000, s.Context)
	assert.True(t, s.Reasons)
	assert.Equal(t, []string{"image/*"}, s.Input)
}

func TestFind(t *testing.T) {
	c, err := catalogue.Parse(strings.NewReader("# comment\n\n@acme\tAcme\n" + "big-4\tBig\t1000\t\t1\t2\n" + "big\n" + "old-20240101\tFirst\nold-20250101\tSecond\n"))
	require.NoError(t, err)
	for id, want := range map[string]string{
		"big-4": "Big", "big-4-2025-08-06": "Big", "big-4@20250806": "Big", "big": "big",
		"big-5": "", "bigger": "", "": "", "-": "", "big-": "", "big-4-mini": "", "old": "Second", "ol": "", "old-20240101": "First",
	} {
		s, ok := c.Find("acme", id)
		assert.Equal(t, want != "", ok, id)
		assert.Equal(t, want, s.Name, id)
		if ok {
			assert.Equal(t, id, s.ID)
		}
	}
	_, ok := c.Find("other", "big")
	assert.False(t, ok)
	assert.Equal(t, aiclient.Price{Input: 1, Output: 2}, c.Price(aiclient.Model{Provider: "acme", ID: "big-4"}))
	assert.True(t, c.Price(aiclient.Model{Provider: "acme", ID: "none"}).IsZero())
}

func TestWith(t *testing.T) {
	c, err := catalogue.Parse(strings.NewReader("@acme\tAcme\nbig\n"))
	require.NoError(t, err)
	d := c.With(aiclient.ModelSpec{Provider: "acme", ID: "big", Context: 7}, aiclient.ModelSpec{Provider: "own", ID: "x", Context: 8})
	s, _ := d.Find("acme", "big")
	assert.EqualValues(t, 7, s.Context)
	s, _ = d.Find("own", "x")
	assert.EqualValues(t, 8, s.Context)
	assert.Len(t, d.Providers(), 2)
	s, _ = c.Find("acme", "big")
	assert.Zero(t, s.Context, "the first is as it was")
	assert.Equal(t, 1, c.Len())
}

func FuzzParse(f *testing.F) {
	f.Add("@a\tA\nm\tM\t1\t2\t3\t4\t5\t6\tri\tlow,high\tlow\n")
	f.Add("m\n")
	f.Add("@\n\t\t-1\n")
	f.Fuzz(func(t *testing.T, table string) {
		c, err := catalogue.Parse(strings.NewReader(table))
		if err != nil {
			return
		}
		for _, p := range c.Providers() {
			for _, m := range c.Models(p.ID) {
				_, ok := c.Find(p.ID, m.ID)
				require.True(t, ok)
			}
		}
	})
}

func ExampleCatalogue_With() {
	c := catalogue.Default().With(aiclient.ModelSpec{
		Provider: "local", ID: "qwen3:8b", Name: "Qwen 3 8B", Context: 32_768,
	})
	spec, _ := c.Find("local", "qwen3:8b")
	fmt.Println(spec.Name, spec.Context)
	// Output: Qwen 3 8B 32768
}
