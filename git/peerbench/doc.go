// Package peerbench runs package git beside go-git, the git implementation in
// Go, on the same repositories in the same run. It holds benchmarks only:
//
//	go test -bench . ./git/peerbench
package peerbench
