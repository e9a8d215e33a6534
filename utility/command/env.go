package command

import (
	"path"
	"runtime"
	"slices"
	"strings"
)

// DefaultEnv returns the names and patterns of the variables that a command
// inherits by default: what programs need in order to find programs, their home,
// caches, certificates, proxies and locale. Everything else stays out, because
// an environment is where credentials live. To add to it:
//
//	InheritEnv: append(command.DefaultEnv(), "SSH_AUTH_SOCK")
func DefaultEnv() []string { return slices.Clone(defaultEnv) }

// No pattern such as "GO*" here: it would match GOOGLE_API_KEY.
var defaultEnv = []string{
	"PATH", "HOME", "USER", "LOGNAME", "SHELL", "TERM", "COLORTERM", "NO_COLOR",
	"LANG", "LANGUAGE", "LC_*", "TZ", "TMPDIR", "TMP", "TEMP",
	"XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR",
	"SSL_CERT_FILE", "SSL_CERT_DIR",
	"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY",
	"http_proxy", "https_proxy", "no_proxy", "all_proxy",
	"GOROOT", "GOPATH", "GOBIN", "GOCACHE", "GOMODCACHE", "GOENV", "GOFLAGS", "GOPROXY",
	"GOSUMDB", "GOPRIVATE", "GONOSUMDB", "GONOPROXY", "GOTOOLCHAIN", "GOWORK", "GOMAXPROCS",
	"CGO_ENABLED", "CC", "CXX", "JAVA_HOME", "CARGO_HOME", "RUSTUP_HOME", "NVM_DIR",
	"VIRTUAL_ENV", "PYTHONPATH", "NODE_PATH", "CI",
	// Windows programs do not start without some of these.
	"SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "COMSPEC", "PATHEXT", "USERPROFILE", "USERNAME",
	"APPDATA", "LOCALAPPDATA", "PROGRAMDATA", "PROGRAMFILES", "PROGRAMFILES(X86)",
	"HOMEDRIVE", "HOMEPATH", "NUMBER_OF_PROCESSORS", "PROCESSOR_ARCHITECTURE", "OS",
}

// environment returns the variables of a command: those of parent that the
// patterns let through, then PWD, then the additions.
func environment(parent, patterns []string, dir string, add []string) []string {
	if patterns == nil {
		patterns = defaultEnv
	}
	env := make([]string, 0, len(parent)+len(add)+1)
	for _, entry := range parent {
		name, _, ok := strings.Cut(entry, "=")
		if ok && slices.ContainsFunc(patterns, func(p string) bool { return matchName(p, name) }) {
			env = append(env, entry)
		}
	}
	if dir != "" {
		env = append(env, "PWD="+dir)
	}
	return append(env, add...)
}

// matchName reports whether a variable's name matches a pattern. Windows does
// not tell cases apart. "*" means all, also the odd names with a slash that
// path.Match would hold back.
func matchName(pattern, name string) bool {
	if pattern == "*" {
		return true
	}
	if runtime.GOOS == "windows" {
		pattern, name = strings.ToUpper(pattern), strings.ToUpper(name)
	}
	if pattern == name {
		return true
	}
	ok, err := path.Match(pattern, name)
	return ok && err == nil
}
