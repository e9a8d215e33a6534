package filesystem_test

import (
	"context"
	"fmt"

	"github.com/tokenring-ai/tokenring-go/filesystem"
)

func open(files map[string]string) *filesystem.Service {
	tree, err := filesystem.NewMemory(files)
	if err != nil {
		panic(err)
	}
	s, err := filesystem.New(filesystem.Options{Provider: tree})
	if err != nil {
		panic(err)
	}
	return s
}

func ExampleService_Search() {
	files := open(map[string]string{
		"main.go":     "package main\n\nfunc main() { greet() }\n",
		"greet.go":    "package main\n\nfunc greet() {}\n",
		"build/x.go":  "func greet() {}\n",
		".gitignore":  "build/\n",
		"docs/how.md": "Call greet.\n",
	})
	result, err := files.Search(context.Background(), filesystem.Query{
		Patterns: []string{"greet"},
		Word:     true,
		Globs:    []string{"*.go"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Print(result)
	// Output:
	// greet.go:3:func greet() {}
	// main.go:3:func main() { greet() }
}

func ExampleService_Edit() {
	files := open(map[string]string{"list.txt": "one\ntwo\nthree\n"})
	result, err := files.Edit(context.Background(), "list.txt",
		filesystem.Edit{Old: "two", New: "2"},
		filesystem.Edit{Line: 4, New: "four\n"},
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Print(result.Diff)
	_, err = files.Edit(context.Background(), "list.txt", filesystem.Edit{Old: "tree", New: "3"})
	fmt.Println(err)
	// Output:
	// --- a/list.txt
	// +++ b/list.txt
	// @@ -1,3 +1,4 @@
	//  one
	// -two
	// +2
	//  three
	// +four
	// edit of list.txt does not apply, nothing was changed: the old text does not occur in the file. Nearest:
	//      3	three
}

func ExampleService_MarkClean() {
	files := open(nil)
	ctx := context.Background()
	files.WriteFile(ctx, "a.go", []byte("package a\n"))

	generation := files.WriteGeneration() // a test run begins
	files.WriteFile(ctx, "b.go", []byte("package a\n"))
	files.MarkClean(generation) // it has passed
	fmt.Println(files.Dirty(), files.Changed())
	// Output: true [b.go]
}

func ExampleOverlay() {
	base, _ := filesystem.NewMemory(map[string]string{"config": "debug = false\n"})
	draft := filesystem.NewOverlay(base)
	ctx := context.Background()
	draft.WriteFile(ctx, "config", []byte("debug = true\n"), 0o644)
	changes, _ := draft.Changes(ctx)
	for _, c := range changes {
		fmt.Print(c.Diff)
	}
	fmt.Println(draft.Commit(ctx, base))
	// Output:
	// --- a/config
	// +++ b/config
	// @@ -1 +1 @@
	// -debug = false
	// +debug = true
	// <nil>
}

func ExampleService_Glob() {
	files := open(map[string]string{"cmd/a/main.go": "", "cmd/b/main.go": "", "cmd/b/b_test.go": ""})
	for name, err := range files.Glob(context.Background(), "cmd/**/{main,other}.go", filesystem.GlobOptions{}) {
		fmt.Println(name, err)
	}
	// Output:
	// cmd/a/main.go <nil>
	// cmd/b/main.go <nil>
}
