//go:build !unix

package inspect

import "os/exec"

// detach does nothing here: the program that opens a browser ends at once.
func detach(*exec.Cmd) {}
