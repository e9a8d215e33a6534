package registry_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/tokenring-ai/tokenring-go/registry"
)

func ExampleKeyed() {
	models := registry.NewKeyed[string]("chat model")
	_ = models.Register("openai:gpt-5", "a large model")
	_ = models.Register("openai:gpt-5-mini", "a small one")
	_ = models.Register("anthropic:opus", "another")

	fmt.Println(models.Register("anthropic:opus", "again"))

	matching, _ := models.Match("openai:*")
	for name, description := range matching {
		fmt.Println(name, "is", description)
	}
	_, err := models.Require("anthropic:opsu")
	fmt.Println(err)
	// Output:
	// registry: chat model "anthropic:opus": already registered (Replace replaces it)
	// openai:gpt-5 is a large model
	// openai:gpt-5-mini is a small one
	// registry: chat model "anthropic:opsu" not found; did you mean "anthropic:opus"?
}

func ExampleKeyed_Watch() {
	var r registry.Keyed[int]
	_ = r.Register("a", 1)
	for change := range r.Watch(context.Background()) {
		fmt.Println(change.Kind, change.Name)
		switch change.Kind {
		case registry.Added:
			_ = r.Replace("a", 2)
		case registry.Replaced:
			r.Unregister("a")
		case registry.Removed:
			return
		}
	}
	// Output:
	// added a
	// replaced a
	// removed a
}

func ExampleTyped() {
	var host registry.Typed
	_ = registry.Put(&host, strings.NewReader("hello"))

	source, _ := registry.Require[io.Reader](&host) // the first that implements it
	text, _ := io.ReadAll(source)
	fmt.Printf("%s\n", text)
	// Output: hello
}

func ExampleMultiSelector() {
	var tools registry.Keyed[string]
	for _, name := range []string{"fs_read", "fs_write", "git_commit"} {
		_ = tools.Register(name, "…")
	}
	forAgent := registry.NewMultiSelector(&tools)
	_ = forAgent.Enable("*")
	_ = forAgent.Disable("fs_write")
	saved, _ := json.Marshal(forAgent)
	fmt.Println(string(saved))
	// Output: ["fs_read","git_commit"]
}

func ExampleBalancer() {
	var endpoints registry.Keyed[string]
	_ = endpoints.Register("east", "https://east.example")
	_ = endpoints.Register("west", "https://west.example")
	balancer := registry.NewBalancer(endpoints.All, registry.BalancerOptions[string]{
		Unhealthy: func(error) time.Duration { return time.Minute },
	})
	// What is marked is not tried, and what fails is marked by whoever finds out.
	balancer.MarkUnhealthy("east", time.Minute)
	fallback := registry.NewFallback(balancer.Healthy, registry.FallbackOptions{})
	err := fallback.Do(context.Background(), func(_ context.Context, name, url string) error {
		fmt.Println("trying", url)
		return errors.New("refused")
	})
	fmt.Println(err)
	// Output:
	// trying https://west.example
	// registry: every try failed: west: refused
}
