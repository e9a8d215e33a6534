//go:build !linux

package command

import "os/exec"

// waitWithoutReaping returns when the command has exited. Here it reaps it as
// well, which the later Wait reports as an error that nobody needs.
func waitWithoutReaping(cmd *exec.Cmd) { _ = cmd.Wait() }
