package git

import (
	"bytes"
	"fmt"
	"math"
	"path"
	"slices"
	"strings"
	"unicode/utf8"
)

// patchSplitter cuts a stream of patches into files and keeps a bounded part of
// each, so that a diff of any size takes bounded memory.
type patchSplitter struct {
	patches [][]byte
	cut     []int
	perFile int
	total   int // what may still be kept
	line    []byte
	atStart bool
	taken   int // patches that next has returned
}

func newPatchSplitter(limit int) *patchSplitter {
	p := &patchSplitter{perFile: limit, total: 4 * limit, atStart: true}
	if limit < 0 || limit > math.MaxInt/4 {
		p.perFile, p.total = math.MaxInt, math.MaxInt
	}
	return p
}

var patchHeader = []byte("diff --")

// write takes the next piece of the stream. A line that starts with "diff --"
// begins a file: lines of content start with ' ', '+', '-', '\' or '@'.
func (p *patchSplitter) write(data []byte) {
	for len(data) > 0 {
		if p.atStart {
			// Collect as much of the line as tells whether it is a header.
			need := len(patchHeader) - len(p.line)
			end := bytes.IndexByte(data, '\n')
			if n := min(need, len(data)); end < 0 || end >= n {
				p.line = append(p.line, data[:n]...)
				data = data[n:]
				if len(p.line) < len(patchHeader) {
					continue
				}
			} else {
				p.line = append(p.line, data[:end]...)
				data = data[end:]
			}
			p.flush()
			continue
		}
		end := bytes.IndexByte(data, '\n')
		if end < 0 {
			p.keep(data)
			return
		}
		p.keep(data[:end+1])
		data = data[end+1:]
		p.atStart = true
	}
}

// flush decides what the collected beginning of a line is.
func (p *patchSplitter) flush() {
	if bytes.Equal(p.line, patchHeader) {
		p.patches = append(p.patches, nil)
		p.cut = append(p.cut, 0)
	}
	p.keep(p.line)
	p.line = p.line[:0]
	p.atStart = false
}

func (p *patchSplitter) keep(data []byte) {
	i := len(p.patches) - 1
	if i < 0 {
		return
	}
	n := min(len(data), p.perFile-len(p.patches[i]), p.total)
	p.patches[i] = append(p.patches[i], data[:n]...)
	p.total -= n
	p.cut[i] += len(data) - n
}

func (p *patchSplitter) end() {
	if len(p.line) > 0 {
		p.flush()
	}
}

// next returns the patches in order, and how many bytes of each were not kept.
func (p *patchSplitter) next() (patch string, cut int) {
	if p.taken == len(p.patches) {
		return "", 0
	}
	p.taken++
	return string(p.patches[p.taken-1]), p.cut[p.taken-1]
}

// cutLargest shortens patches, the largest first and all to the same length,
// until together they fit the limit.
func cutLargest(files []FileDiff, limit int) {
	if limit < 0 {
		return
	}
	lengths := make([]int, len(files))
	sum := 0
	for i, f := range files {
		lengths[i] = len(f.Patch)
		sum += lengths[i]
	}
	if sum <= limit {
		return
	}
	slices.Sort(lengths)
	level, left := 0, limit
	for i, n := range lengths {
		level = left / (len(lengths) - i)
		if n > level {
			break
		}
		left -= n
	}
	for i := range files {
		f := &files[i]
		if len(f.Patch) <= level {
			continue
		}
		keep := level
		// End with a whole line where that does not cost much.
		if nl := strings.LastIndexByte(f.Patch[:keep], '\n'); nl >= keep/2 {
			keep = nl + 1
		}
		for keep > 0 && keep < len(f.Patch) && !utf8.RuneStart(f.Patch[keep]) {
			keep--
		}
		f.Cut += len(f.Patch) - keep
		f.Patch = f.Patch[:keep]
	}
}

// lockFiles are files that programs write and nobody reads, by base name.
var lockFiles = []string{
	"go.sum", "go.work.sum", "package-lock.json", "npm-shrinkwrap.json", "yarn.lock", "pnpm-lock.yaml",
	"bun.lock", "bun.lockb", "deno.lock", "Cargo.lock", "poetry.lock", "Pipfile.lock", "uv.lock", "pdm.lock",
	"Gemfile.lock", "composer.lock", "mix.lock", "pubspec.lock", "Podfile.lock", "Package.resolved", "flake.lock",
	"packages.lock.json", "gradle.lockfile", "conan.lock", ".terraform.lock.hcl", "Cartfile.resolved",
}

// generated reports whether a file is a lock file or a minified one: worth
// naming in a diff, not worth showing.
func generated(name string) bool {
	base := path.Base(name)
	return slices.Contains(lockFiles, base) ||
		strings.HasSuffix(base, ".min.js") || strings.HasSuffix(base, ".min.css") || strings.HasSuffix(base, ".map")
}

// render writes a diff for a reader with a bound: a list of all files, as far as
// it fits, then the patches.
func (d *Diff) render(limit int) string {
	var b strings.Builder
	b.WriteString(d.Summary() + "\n")
	for i, f := range d.Files {
		if b.Len() > limit/3 {
			fmt.Fprintf(&b, "… and %d more files\n", len(d.Files)-i)
			break
		}
		fmt.Fprintf(&b, "%s %s", f.Status, shown(f.Path))
		if f.From != "" {
			fmt.Fprintf(&b, " (from %s)", shown(f.From))
		}
		switch {
		case f.Binary:
			b.WriteString(" (binary or huge)")
		case generated(f.Path):
			fmt.Fprintf(&b, " +%d -%d (not shown)", f.Added, f.Removed)
		default:
			fmt.Fprintf(&b, " +%d -%d", f.Added, f.Removed)
		}
		b.WriteByte('\n')
	}
	shown := slices.Clone(d.Files)
	for i := range shown {
		shown[i].Patch = strings.ToValidUTF8(shown[i].Patch, "\uFFFD")
	}
	const end, note = 100, 40 // bytes to say what is cut, of all and of one file
	room := limit - b.Len() - len(shown) - end
	cutLargest(shown, max(room, 0))
	for _, f := range shown {
		if f.Cut > 0 {
			room -= note
		}
	}
	cutLargest(shown, max(room, 0))
	hidden := 0
	for _, f := range shown {
		if f.Patch == "" {
			hidden += min(f.Cut, 1)
			continue
		}
		b.WriteString("\n" + f.Patch)
		if f.Cut > 0 {
			fmt.Fprintf(&b, "[… %d bytes cut …]\n", f.Cut)
		}
	}
	if hidden > 0 {
		fmt.Fprintf(&b, "\n[… the patches of %d more files are not shown …]\n", hidden)
	}
	return b.String()
}
