package command

import (
	"os/exec"

	"golang.org/x/sys/unix"
)

// waitWithoutReaping returns when the command has exited and leaves it a zombie.
func waitWithoutReaping(cmd *exec.Cmd) {
	for {
		err := unix.Waitid(unix.P_PID, cmd.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if err != unix.EINTR {
			return
		}
	}
}
