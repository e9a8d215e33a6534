package main

import "time"

func dur(d time.Duration) string { return d.Round(time.Millisecond).String() }

func cutTo(s string, n int) string {
	if len(s) > n {
		return s[:n] + "…"
	}
	return s
}
