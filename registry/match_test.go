package registry_test

import (
	"path"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/registry"
)

func FuzzMatch(f *testing.F) {
	for _, seed := range [][2]string{
		{"a*", "a/b"}, {"*", ""}, {"", ""}, {"[", "a"}, {"a[", ""}, {`\`, ""}, {"*/b", "a/b"}, {"?", "é"}, {"[^a-z]*", "1x"}, {"**", "a/b"}, {"x[]a]", "x"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, pattern, name string) {
		got, err := registry.Match(pattern, name)
		want, wantErr := path.Match(pattern, name)
		switch prefix, ok := strings.CutSuffix(pattern, "*"); {
		case ok && !strings.ContainsAny(prefix, `*?[\`):
			require.NoError(t, err)
			require.Equal(t, strings.HasPrefix(name, prefix), got)
		case wantErr != nil:
			require.ErrorIs(t, err, path.ErrBadPattern)
			require.False(t, got)
		case err != nil:
			// path.Match does not look at the rest of a pattern once the name cannot
			// match; a fault there is reported all the same.
			require.ErrorIs(t, err, path.ErrBadPattern)
			require.False(t, want)
		default:
			require.Equal(t, want, got)
		}
		// What is an error does not depend on the name.
		_, again := registry.Match(pattern, "another name")
		require.Equal(t, err != nil, again != nil)
	})
}
