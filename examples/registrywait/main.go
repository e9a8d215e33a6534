// Registrywait starts the parts of a program in any order: each waits for the
// parts that it needs, by name or by type, and a watcher sees all come and go.
//
//	go run ./examples/registrywait
package main

import (
	"context"
	"fmt"
	"log"
	"sync"
	"time"

	"github.com/tokenring-ai/tokenring-go/registry"
)

// Store is what the handler needs, whoever provides it.
type Store interface{ Load(key string) string }

type memoryStore map[string]string

func (m memoryStore) Load(key string) string { return m[key] }

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := run(ctx); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	parts := &registry.Typed{}                              // one value of each type
	services := registry.NewKeyed[func() string]("service") // by name

	// The watcher sees every change, the ones before it began included.
	watching, stop := context.WithCancel(ctx)
	defer stop()
	var watcher sync.WaitGroup
	watcher.Go(func() {
		for change := range services.Watch(watching) {
			fmt.Println("watcher:", change.Name, change.Kind)
			if change.Kind == registry.Removed {
				return
			}
		}
	})

	// The caller comes first and waits for the handler, which waits for the store.
	errs := make(chan error, 2)
	go func() {
		greet, err := services.Wait(ctx, "greet")
		if err == nil {
			fmt.Println("caller:", greet())
		}
		errs <- err
	}()
	go func() {
		store, err := registry.WaitFor[Store](ctx, parts)
		if err == nil {
			err = services.Register("greet", func() string { return store.Load("greeting") })
		}
		errs <- err
	}()
	if err := registry.Put[Store](parts, memoryStore{"greeting": "hello"}); err != nil {
		return err
	}
	for range 2 {
		if err := <-errs; err != nil {
			return err
		}
	}

	// A missing name is told apart from a near one.
	_, err := services.Require("great")
	fmt.Println("error:", err)
	services.Unregister("greet")
	watcher.Wait()
	return nil
}
