package transport

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/utility/tool"
)

func TestCallIDs(t *testing.T) {
	for name, test := range map[string]struct {
		ids  CallIDs
		form string
		keep string
	}{
		"up to 40": {CallIDs{Max: 40}, `^[a-zA-Z0-9_-]{1,40}$`, "toolu_01A-b"},
		"exactly":  {CallIDs{Max: 40, Exact: 9}, `^[a-zA-Z0-9]{9}$`, "abcDEF123"},
	} {
		t.Run(name, func(t *testing.T) {
			form := regexp.MustCompile(test.form)
			again := test.ids
			seen := map[string]bool{}
			for _, id := range []string{"call_0", "functions.read:0", "call_0", "", "", strings.Repeat("x", 41), strings.Repeat("x", 42),
				"a b", "a\nb", "ü", "call_0", "123456789", "123456789"} {
				got := test.ids.Call(id)
				assert.Regexp(t, form, got, "%q", id)
				assert.False(t, seen[got], "%q is given twice", got)
				seen[got] = true
				assert.Equal(t, got, test.ids.Result(id), "the result belongs to the last call of that ID")
				assert.Equal(t, got, again.Call(id), "the same in every request")
			}
			assert.Equal(t, test.keep, test.ids.Call(test.keep))
			assert.Regexp(t, form, test.ids.Result("never called?"))
		})
	}
}

func TestCallName(t *testing.T) {
	for in, want := range map[string]string{
		"read_file": "read_file", "": "unknown", "functions.read": "functions_read", `checkErrors" />`: "checkErrors____",
		"größe": "gr__e", strings.Repeat("n", 99): strings.Repeat("n", 64),
	} {
		assert.Equal(t, want, CallName(in))
		assert.NoError(t, tool.CheckName(CallName(in)))
	}
}

// TestCallIDsThatComeAgainAndAgain has a service that gives every call of a long
// conversation the same ID.
func TestCallIDsThatComeAgainAndAgain(t *testing.T) {
	ids := CallIDs{Max: 40}
	seen := map[string]bool{}
	for range 20_000 { // took time in proportion to the square of the number
		id := ids.Call("call_0")
		require.False(t, seen[id])
		require.Equal(t, id, ids.Result("call_0"))
		seen[id] = true
	}
}
