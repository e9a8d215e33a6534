package filesystem

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestEdit(t *testing.T) {
	for _, c := range []struct {
		name, before string
		edits        []Edit
		after        string
		fails        string // part of the error
	}{
		{"unique", "a\nb\nc\n", []Edit{{Old: "b", New: "B"}}, "a\nB\nc\n", ""},
		{"no newline at the end", "a\nb", []Edit{{Old: "b", New: "c"}}, "a\nc", ""},
		{"no newline at the end, but in the old text", "a\nb", []Edit{{Old: "b\n", New: "c\n"}}, "a\nc", ""},
		{"several", "a\nb\n", []Edit{{Old: "a", New: "b2"}, {Old: "b2", New: "c"}}, "c\nb\n", ""},
		{"all", "x x\nx\n", []Edit{{Old: "x", New: "y", All: true}}, "y y\ny\n", ""},
		{"all of one", "x\n", []Edit{{Old: "x", New: "y", All: true}}, "y\n", ""},
		{"delete", "a\nb\nc\n", []Edit{{Old: "b\n"}}, "a\nc\n", ""},
		{"CRLF", "a\r\nb\r\nc\r\n", []Edit{{Old: "a\nb", New: "x\ny\nz"}}, "x\r\ny\r\nz\r\nc\r\n", ""},
		{"CRLF in one line", "a\r\nb\r\n", []Edit{{Old: "a", New: "x\ny"}}, "x\r\ny\r\nb\r\n", ""},
		{"BOM", "\ufeffa\nb\n", []Edit{{Old: "a", New: "x"}}, "\ufeffx\nb\n", ""},
		{"insert first", "a\nb\n", []Edit{{Line: 1, New: "x"}}, "x\na\nb\n", ""},
		{"insert behind the BOM", "\ufeffa\n", []Edit{{Line: 1, New: "x"}}, "\ufeffx\na\n", ""},
		{"insert last", "a\nb\n", []Edit{{Line: 3, New: "x\n"}}, "a\nb\nx\n", ""},
		{"insert last without newline", "a\nb", []Edit{{Line: 3, New: "x\n"}}, "a\nb\nx", ""},
		{"insert with CRLF", "a\r\nb\r\n", []Edit{{Line: 2, New: "x\ny"}}, "a\r\nx\r\ny\r\nb\r\n", ""},
		{"trailing whitespace", "if x {  \n\ty()\t\n}\n", []Edit{{Old: "if x {\n\ty()\n}", New: "z()"}}, "z()\n", ""},
		{"indentation", "func f() {\n\tif x {\n\t\ty()\n\t}\n}\n", []Edit{{Old: "if x {\n\ty()\n}\n", New: "if z {\n\n\ty()\n}\n"}}, "func f() {\n\tif z {\n\n\t\ty()\n\t}\n}\n", ""},
		{"less indentation", "a:\n  b\n", []Edit{{Old: "    a:\n      b\n", New: "    c:\n      d\n"}}, "c:\n  d\n", ""},

		{"missing", "func alpha() {\n}\n\nfunc beta() {\n}\n", []Edit{{Old: "func alpho() {", New: "x"}}, "", "     1\tfunc alpha() {"},
		{"many", "x\ny\nx\n", []Edit{{Old: "x", New: "z"}}, "", "occurs 2 times, on lines 1, 3"},
		{"two places by indentation", "\ta\n\tb\n  a\n  b\n", []Edit{{Old: "a\nb\n", New: "c\n"}}, "", "on lines 1, 3"},
		{"second fails, first is undone", "a\nb\n", []Edit{{Old: "a", New: "x"}, {Old: "zzz", New: "y"}}, "", "edit 2 of 2"},
		{"same", "a\n", []Edit{{Old: "a", New: "a"}}, "", "the same"},
		{"empty old text", "a\n", []Edit{{New: "x"}}, "", "the old text is empty"},
		{"line too far", "a\n", []Edit{{Line: 3, New: "x"}}, "", "use 1 to 2"},
		{"negative line", "a\n", []Edit{{Line: -1, New: "x"}}, "", "use 1 to 2"},
		{"only whitespace", "a\n", []Edit{{Old: "   \n", New: "x"}}, "", "does not occur"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newTestService(t, Options{}, map[string]string{"f.txt": c.before})
			require.NoError(t, os.Chmod(filepath.Join(rootOf(s), "f.txt"), 0o755))
			preview, perr := s.PreviewEdit(t.Context(), "f.txt", c.edits...)
			r, err := s.Edit(t.Context(), "f.txt", c.edits...)
			data, rerr := os.ReadFile(filepath.Join(rootOf(s), "f.txt"))
			require.NoError(t, rerr)
			if c.fails != "" {
				var edit *EditError
				require.ErrorAs(t, err, &edit)
				assert.ErrorContains(t, err, c.fails)
				assert.EqualError(t, perr, err.Error())
				assert.Equal(t, c.before, string(data), "nothing was changed")
				assert.False(t, s.Dirty())
				return
			}
			require.NoError(t, err)
			assert.Equal(t, c.after, string(data))
			assert.Equal(t, preview, r)
			assert.Equal(t, []string{"f.txt"}, s.Changed())
			info, err := os.Stat(filepath.Join(rootOf(s), "f.txt"))
			require.NoError(t, err)
			assert.EqualValues(t, 0o755, info.Mode().Perm(), "the mode is kept")
			assertPatchTool(t, c.before, c.after, r.Diff)
		})
	}
}

// The nearest places of a text are found soon, also where all lines resemble it.
func TestEditExplainsSoon(t *testing.T) {
	line := ""
	for i := range 2000 {
		line += string(rune('!'+i%90)) + string(rune('!'+i/90))
	}
	began := time.Now()
	why := notFound(strings.Repeat(line+"\n", 20_000), strings.Repeat(line+"x\n", 50))
	assert.Contains(t, why, "     1\t!!")
	assert.Less(t, time.Since(began), time.Minute, "comparing all took several")
}

// assertPatchTool checks a diff with the patch program, when there is one.
func assertPatchTool(t *testing.T, before, after, diff string) {
	t.Helper()
	if _, err := exec.LookPath("patch"); err != nil || strings.Contains(before, "\r") {
		return
	}
	dir := t.TempDir()
	name := filepath.Join(dir, "f.txt")
	require.NoError(t, os.WriteFile(name, []byte(before), 0o644))
	cmd := exec.Command("patch", "-p1", "--fuzz=0", "--quiet")
	cmd.Dir, cmd.Stdin = dir, strings.NewReader(diff)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s\n%s", out, diff)
	data, err := os.ReadFile(name)
	require.NoError(t, err)
	assert.Equal(t, after, string(data))
}

func TestEditCreates(t *testing.T) {
	s := newTestService(t, Options{}, nil)
	r, err := s.Edit(t.Context(), "new/dir/f.txt", Edit{New: "a\nb\n"})
	require.NoError(t, err)
	assert.True(t, r.Created)
	assert.Equal(t, "--- /dev/null\n+++ b/new/dir/f.txt\n@@ -0,0 +1,2 @@\n+a\n+b\n", r.Diff)
	_, err = s.Edit(t.Context(), "missing.txt", Edit{Old: "x", New: "y"})
	assert.ErrorIs(t, err, os.ErrNotExist)
}

func TestEditRefusesWhatIsNotText(t *testing.T) {
	s := newTestService(t, Options{}, map[string]string{"bin": "a\x00b", "utf16": "\xff\xfea\x00"})
	for _, name := range []string{"bin", "utf16"} {
		_, err := s.Edit(t.Context(), name, Edit{Old: "a", New: "b"})
		assert.ErrorIs(t, err, ErrBinary)
	}
}

func TestValidatorsRejectBeforeWriting(t *testing.T) {
	s := newTestService(t, Options{}, map[string]string{"a.go": "package a\n\nfunc f() {}\n", "a.json": "{\"a\": 1}\n", "broken.go": "package a\n\nfunc f() {\n"})
	_, err := s.Edit(t.Context(), "a.go", Edit{Old: "{}", New: "{"})
	assert.ErrorContains(t, err, "would not be valid: a.go:3")
	_, err = s.Edit(t.Context(), "a.json", Edit{Old: "1", New: "1,"})
	assert.ErrorContains(t, err, "a.json:1")
	assert.False(t, s.Dirty())
	_, err = s.Edit(t.Context(), "broken.go", Edit{Old: "f()", New: "g()"})
	assert.NoError(t, err, "what was broken may stay so")
	for name, v := range map[string]Validator{"a.json": ValidJSON, "a.yaml": ValidYAML} {
		assert.NoError(t, v(t.Context(), name, []byte(`{"a": [1, 2]}`)))
		assert.Error(t, v(t.Context(), name, []byte(`{"a": [1, 2}`)))
	}
}

func TestUnifiedDiff(t *testing.T) {
	assert.Empty(t, UnifiedDiff("a", "a", "x\n", "x\n"))
	var a, b []string
	for i := range 40 {
		a = append(a, strings.Repeat("x", i+1))
		b = append(b, strings.Repeat("x", i+1))
	}
	b[2] = "changed"
	b = append(b[:20], b[22:]...)
	before, after := strings.Join(a, "\n"), strings.Join(b, "\n")+"\nmore"
	assertPatchTool(t, before, after, UnifiedDiff("f.txt", "f.txt", before, after))
}

func FuzzUnifiedDiff(f *testing.F) {
	f.Add("a\nb\nc\n", "a\nc\nd")
	f.Add("", "x")
	f.Add("a\na\na\nb\n", "a\nb\na\n")
	f.Fuzz(func(t *testing.T, before, after string) {
		diff := UnifiedDiff("f", "f", before, after)
		if before == after {
			assert.Empty(t, diff)
			return
		}
		// What the changes say must turn one text into the other.
		a, b := splitLines(before), splitLines(after)
		var built []string
		at := 0
		for _, c := range diffLines(a, b) {
			built = append(built, a[at:c.a]...)
			built = append(built, b[c.b:c.bEnd]...)
			at = c.aEnd
		}
		built = append(built, a[at:]...)
		assert.Equal(t, after, strings.Join(built, ""))
	})
}
