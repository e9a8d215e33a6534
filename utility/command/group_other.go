//go:build !unix

package command

import (
	"os"
	"os/exec"
)

func shell(line string) []string {
	if comspec := os.Getenv("COMSPEC"); comspec != "" {
		return []string{comspec, "/c", line}
	}
	return []string{"sh", "-c", line}
}

// Without process groups the command itself is all that can be ended; whatever
// it started and still holds its output is disconnected by Run.
func newGroup(*exec.Cmd)           {}
func terminateGroup(cmd *exec.Cmd) { _ = cmd.Process.Kill() }
func killGroup(cmd *exec.Cmd)      { _ = cmd.Process.Kill() }

func exitStatus(state *os.ProcessState) (code int, signal string) { return state.ExitCode(), "" }
