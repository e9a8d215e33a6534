//go:build unix

package inspect

import (
	"os/exec"
	"syscall"
)

// detach keeps the terminal's Ctrl-C, which is for the program, from the browser.
func detach(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }
