package inspect

import (
	"fmt"
	"os/exec"
	"runtime"
)

// Open shows the page in the user's browser, which outlives the server and the
// program. It fails when there is none; the URL can then be opened by hand.
func (s *Server) Open() error {
	argv := []string{"xdg-open"}
	switch runtime.GOOS {
	case "darwin":
		argv = []string{"open"}
	case "windows":
		argv = []string{"rundll32", "url.dll,FileProtocolHandler"}
	}
	cmd := exec.Command(argv[0], append(argv[1:], s.URL)...)
	detach(cmd)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("open a browser: %w", err)
	}
	// It may be the browser itself, which ends when the user closes it.
	go func() { _ = cmd.Wait() }()
	return nil
}
