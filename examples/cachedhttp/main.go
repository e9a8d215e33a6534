// Cachedhttp asks a slow service through a cache: a hundred callers make one
// request, what has not changed is not sent again, and a service that is down
// does not take the good answer away.
//
//	go run ./examples/cachedhttp
//
// The service is real HTTP, on this machine.
package main

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tokenring-ai/tokenring-go/utility/cache"
)

type models struct {
	Names []string `json:"names"`
}

// service answers slowly, knows whether the caller has the newest answer, and
// can be down.
type service struct {
	requests, unchanged atomic.Int64
	down                atomic.Bool
}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.requests.Add(1)
	select {
	case <-time.After(50 * time.Millisecond):
	case <-r.Context().Done():
		return
	}
	switch {
	case s.down.Load():
		http.Error(w, "maintenance", http.StatusServiceUnavailable)
	case r.Header.Get("If-None-Match") == `"v1"`:
		s.unchanged.Add(1)
		w.WriteHeader(http.StatusNotModified)
	default:
		w.Header().Set("ETag", `"v1"`)
		fmt.Fprint(w, `{"names":["small","large"]}`)
	}
}

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	svc := &service{}
	server := httptest.NewServer(svc)
	defer server.Close()

	documents := &cache.JSON[models]{}
	lists := cache.New(documents.Load, cache.Options{TTL: time.Minute, StaleFor: time.Hour})
	defer lists.Close(ctx)

	var callers sync.WaitGroup
	for range 100 {
		callers.Go(func() {
			if _, err := lists.Get(ctx, server.URL); err != nil {
				fmt.Println(err)
			}
		})
	}
	callers.Wait()
	fmt.Printf("100 callers, %d request\n", svc.requests.Load())

	list, err := lists.Refresh(ctx, server.URL)
	if err != nil {
		return err
	}
	fmt.Printf("refreshed: %d of %d requests said that nothing has changed: %v\n", svc.unchanged.Load(), svc.requests.Load(), list.Names)

	svc.down.Store(true)
	if _, err := lists.Refresh(ctx, server.URL); err == nil {
		return fmt.Errorf("the service is down, and a refresh says it is not")
	}
	list, err = lists.Get(ctx, server.URL)
	fmt.Printf("the service is down, the answer is still there: %v %v\n", list.Names, err)
	if entry, ok := lists.Peek(server.URL); ok {
		fmt.Println("and what went wrong can be seen:", entry.Err != nil)
	}
	return nil
}
