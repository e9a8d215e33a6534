package text_test

import (
	"fmt"
	"strings"
	"time"

	"github.com/tokenring-ai/tokenring-go/utility/text"
)

func ExampleHeadTail() {
	out := text.NewHeadTail(20)
	fmt.Fprint(out, "building\n", strings.Repeat("noise,", 1000), "\nexit 1")
	fmt.Println(out)
	// Output:
	// building
	// n
	// [… 5996 bytes dropped …]
	// se,
	// exit 1
}

func ExampleTruncate() {
	fmt.Println(text.Truncate("a sentence that is too long", 12))
	fmt.Println(text.Truncate("世界世界世界", 7))
	fmt.Println(text.TruncateMiddle("/home/someone/projects/site/index.html", 20))
	// Output:
	// a sentence …
	// 世界世…
	// /home/som…index.html
}

func ExampleWrap() {
	fmt.Println(text.Wrap("Notes:\n  the first of them is long", 16))
	// Output:
	// Notes:
	//   the first of
	//   them is long
}

func ExampleQuote() {
	fmt.Println(text.Quote("git", "commit", "-m", "it's done", "a*.go"))
	// Output: git commit -m 'it'\''s done' 'a*.go'
}

func ExampleTable() {
	fmt.Print(text.Table([]string{"name", "note"}, [][]string{{"世界", "a|b"}, {"x"}}))
	// Output:
	// | name | note |
	// | ---- | ---- |
	// | 世界 | a\|b |
	// | x    |      |
}

func ExampleBytes() {
	fmt.Println(text.Bytes(1536), text.Duration(1234*time.Millisecond))
	// Output: 1.5 KiB 1.23s
}
