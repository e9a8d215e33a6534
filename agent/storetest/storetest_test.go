package storetest_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/tokenring-ai/tokenring-go/agent"
	"github.com/tokenring-ai/tokenring-go/agent/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestMemoryStore(t *testing.T) {
	storetest.Run(t, storetest.Options{Open: func(string) (agent.Store, error) { return &agent.MemoryStore{}, nil }})
}

var files = storetest.Options{
	Open: func(place string) (agent.Store, error) {
		return agent.NewFileStore(place, agent.FileStoreOptions{})
	},
	Durable: true,
	Shared:  true,
}

func TestFileStore(t *testing.T) { storetest.Run(t, files) }

func TestFileStoreKilled(t *testing.T) { storetest.Kill(t, files) }
