package inspect

import (
	"fmt"
	"os/exec"
	"runtime"
)

// Open shows the page in the user's browser. It fails when there is none, or no
// screen to show it on; the URL can then be opened by hand.
func (s *Server) Open() error {
	argv := []string{"xdg-open"}
	switch runtime.GOOS {
	case "darwin":
		argv = []string{"open"}
	case "windows":
		argv = []string{"rundll32", "url.dll,FileProtocolHandler"}
	}
	cmd := exec.Command(argv[0], append(argv[1:], s.URL)...)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("open a browser: %w", err)
	}
	s.running.Go(func() { _ = cmd.Wait() })
	return nil
}
