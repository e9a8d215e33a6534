package git

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// autoState is what an AutoCommit remembers across a resume.
type autoState struct {
	Begun    bool       `json:"begun"`
	Root     string     `json:"root,omitempty"`
	Head     string     `json:"head,omitempty"`
	Dirty    pathStates `json:"dirty,omitempty"` // when the agent began
	Disabled bool       `json:"disabled,omitempty"`
	Last     *Commit    `json:"last,omitempty"`
	Skipped  []Skipped  `json:"skipped,omitempty"`
}

// pathStates are the states of files by path. JSON holds no name that is not
// UTF-8, so there such names are quoted, and those that would look quoted.
type pathStates map[string]string

func (p pathStates) MarshalJSON() ([]byte, error) {
	quoted := make(map[string]string, len(p))
	for path, state := range p {
		if !utf8.ValidString(path) || strings.HasPrefix(path, `"`) {
			path = strconv.Quote(path)
		}
		quoted[path] = state
	}
	return json.Marshal(quoted)
}

func (p *pathStates) UnmarshalJSON(data []byte) error {
	var quoted map[string]string
	if err := json.Unmarshal(data, &quoted); err != nil {
		return err
	}
	*p = make(pathStates, len(quoted))
	for path, state := range quoted {
		if strings.HasPrefix(path, `"`) {
			var err error
			if path, err = strconv.Unquote(path); err != nil {
				return fmt.Errorf("path %s: %w", path, err)
			}
		}
		(*p)[path] = state
	}
	return nil
}

// fileState identifies the content of a path in the working tree.
func (s *Service) fileState(e Entry) string {
	if e.Submodule != "" {
		head, _ := os.ReadFile(filepath.Join(s.gitDir, "modules", filepath.FromSlash(e.Path), "HEAD"))
		return "submodule " + e.Submodule + " " + e.IndexHash + " " + string(head)
	}
	full := filepath.Join(s.root, filepath.FromSlash(strings.TrimSuffix(e.Path, "/")))
	info, err := os.Lstat(full)
	switch {
	case err != nil:
		return "absent"
	case info.IsDir():
		return "directory"
	case info.Mode()&os.ModeSymlink != 0:
		target, _ := os.Readlink(full)
		return "link " + strconv.Quote(target)
	case !info.Mode().IsRegular():
		return "special " + info.Mode().String()
	}
	f, err := os.Open(full)
	if err != nil {
		return fmt.Sprintf("unreadable %d %d", info.Size(), info.ModTime().UnixNano())
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return fmt.Sprintf("unreadable %d %d", info.Size(), info.ModTime().UnixNano())
	}
	return fmt.Sprintf("file %o %s", info.Mode().Perm()&0o111, hex.EncodeToString(h.Sum(nil)))
}

// MarshalJSON returns the baseline and the last results, without the files of the
// last commit, which may be many.
func (a *AutoCommit) MarshalJSON() ([]byte, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	st := a.st
	if st.Last != nil {
		last := *st.Last
		last.Files = nil
		st.Last = &last
	}
	return json.Marshal(st)
}

// UnmarshalJSON restores what MarshalJSON returned. Whether AutoCommit is
// disabled is restored too. A baseline of another working tree is not used:
// Begin then takes a new one.
func (a *AutoCommit) UnmarshalJSON(data []byte) error {
	var st autoState
	if err := json.Unmarshal(data, &st); err != nil {
		return fmt.Errorf("git: auto-commit: restore: %w", err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.st = st
	a.gen++
	return nil
}

// Reset forgets the last results for the scopes "chat", "history" and "all". The
// baseline stays: what a person had changed is theirs whatever the agent
// forgets.
func (a *AutoCommit) Reset(scope string) {
	if !slices.Contains([]string{"chat", "history", "all"}, scope) {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.st.Last, a.st.Skipped = nil, nil
	a.gen++
}

// Generation changes whenever the state does.
func (a *AutoCommit) Generation() uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.gen
}
