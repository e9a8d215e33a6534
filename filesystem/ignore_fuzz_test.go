package filesystem

import (
	"path"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// FuzzIgnoreRules compiles any text as an ignore file and holds the compiled
// form, with its lookups by name, suffix and first component, against trying the
// rules one after the other.
func FuzzIgnoreRules(f *testing.F) {
	for _, seed := range [][2]string{
		{"*.log\n!keep.log\n/out/\n", "a/keep.log"}, {"a/**/b\n", "a/x/y/b"}, {"[!a-c]x[[:digit:]]", "dx1"}, {"\\!b\\ \n#c\n **/foo/** ", "!b "},
		{"foo/*\n!foo/bar/\n**/", "foo/bar"}, {"*a*b*c*d*e", strings.Repeat("abcd", 20)}, {"\xef\xbb\xbf*.\xff\r\n", "x.\xff"}, {"[", "["}, {"a**/b", "aa/b"},
	} {
		f.Add(seed[0], seed[1], false)
		f.Add(seed[0], strings.ToUpper(seed[1]), true)
	}
	f.Fuzz(func(t *testing.T, text, name string, fold bool) {
		name = strings.TrimPrefix(path.Clean("/"+name), "/")
		if name == "" || strings.ContainsRune(name, 0) {
			return
		}
		list := compileRules([]byte(text), fold)
		if list == nil {
			return
		}
		base := strings.LastIndexByte(name, '/') + 1
		for _, isDir := range []bool{false, true} {
			want := undecided
			for _, r := range list.rules {
				subject := name
				if r.basename {
					subject = name[base:]
				}
				if (isDir || !r.dirOnly) && r.matchText(subject, fold) {
					want = ignored
					if r.negated {
						want = included
					}
				}
			}
			assert.Equal(t, want, list.match(name, base, isDir, fold), "%q against %q", name, text)
		}
	})
}

// FuzzGitGlob holds globs without brackets against the regular expression that
// means the same.
func FuzzGitGlob(f *testing.F) {
	for _, seed := range [][2]string{{"a*b", "axxb"}, {"**/x", "a/b/x"}, {"a/**", "a/b/c"}, {"a/**/b", "a/b"}, {"?*?", "ab"}, {`\*x`, "*x"}, {"***/y", "a/y"}, {"a**b", "a/b"}} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, glob, name string) {
		if len(glob) > 200 || strings.ContainsAny(glob, "[\n\x00") || strings.ContainsAny(name, "\n\x00") || strings.HasSuffix(glob, `\`) {
			return
		}
		var expr strings.Builder
		expr.WriteString(`(?s)\A`)
		for i := 0; i < len(glob); i++ {
			switch c := glob[i]; c {
			case '\\':
				i++
				expr.WriteString(quoteByte(glob[i]))
			case '?':
				expr.WriteString(`[^/]`)
			case '*':
				end := i
				for end < len(glob) && glob[end] == '*' {
					end++
				}
				rest := glob[end:]
				switch {
				case end-i < 2 || i > 0 && glob[i-1] != '/':
					expr.WriteString(`[^/]*`)
				case rest == "" || strings.HasPrefix(rest, `\/`):
					expr.WriteString(`.*`)
				case rest[0] == '/':
					expr.WriteString(`(?:.*/)?`)
					end++
				default:
					expr.WriteString(`[^/]*`)
				}
				i = end - 1
			default:
				expr.WriteString(quoteByte(c))
			}
		}
		re := regexp.MustCompile(expr.String() + `\z`)
		assert.Equal(t, re.MatchString(latin1(name)), compileGlob(glob, true, false).match(name), "%q against %q, %s", name, glob, re)
	})
}

// latin1 makes a rune of each byte, so that package regexp matches bytes.
func latin1(s string) string {
	runes := make([]rune, len(s))
	for i := range len(s) {
		runes[i] = rune(s[i])
	}
	return string(runes)
}

func quoteByte(c byte) string { return regexp.QuoteMeta(string(rune(c))) }
