package natsregistry_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

// remake deletes the bucket and makes it again, so that its revisions count from 1.
func remake(t *testing.T, nc *nats.Conn) jetstream.KeyValue {
	t.Helper()
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	require.NoError(t, js.DeleteKeyValue(t.Context(), bucketName))
	kv, err := js.CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: bucketName})
	require.NoError(t, err)
	return kv
}

// TestBucketThatWasMadeAnewAtOnce has the bucket of a registry that was only just
// opened made anew, by others who have fewer revisions in it.
func TestBucketThatWasMadeAnewAtOnce(t *testing.T) {
	t.Parallel()
	s := alone(t)
	nc := connect(t, s.ClientURL())
	open(t, nc, options{}) // makes the bucket
	for i := range 1000 {
		_, err := bucket(t, nc).PutString(t.Context(), "x", fmt.Sprintf(`{"instance":"before","value":{"addr":"%d"}}`, i))
		require.NoError(t, err)
	}
	r := open(t, nc, options{})
	require.True(t, has(r, "x")())
	kv := remake(t, nc)
	_, err := kv.PutString(t.Context(), "x", `{"instance":"after","value":{"addr":"new"}}`)
	require.NoError(t, err)
	until(t, r, "the new value", func() bool { v, _ := r.Members().Get("x"); return v.Addr == "new" })
}

func TestLeaveABucketThatWasMadeAnew(t *testing.T) {
	t.Parallel()
	s := alone(t)
	nc := connect(t, s.ClientURL())
	r := open(t, nc, options{})
	m, err := r.Register(t.Context(), "x", service{Addr: "1"})
	require.NoError(t, err)
	remake(t, nc)
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	require.NoError(t, m.Leave(ctx))
	require.False(t, has(r, "x")())
}

// TestWatchThatIsRefused refuses the registry its watch of the bucket for a while.
func TestWatchThatIsRefused(t *testing.T) {
	t.Parallel()
	s := alone(t)
	nc := connect(t, s.ClientURL())
	r := open(t, nc, options{})
	account, err := s.LookupAccount("$G")
	require.NoError(t, err)
	const create = "$JS.API.CONSUMER.CREATE.KV_" + bucketName + ".>"
	refused := make(chan struct{}, 100)
	_, err = connect(t, s.ClientURL()).Subscribe("refused.>", func(m *nats.Msg) {
		refused <- struct{}{}
		_ = m.Respond([]byte(`{"error":{"code":400,"err_code":10026,"description":"maximum consumers limit reached"}}`))
	})
	require.NoError(t, err)
	require.NoError(t, account.AddMapping(create, "refused.>"))
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	require.NoError(t, js.DeleteKeyValue(t.Context(), bucketName)) // so that it watches again
	for range 4 {
		select {
		case <-refused:
		case <-time.After(soon):
			require.Fail(t, "the registry tries no more")
		}
	}
	require.True(t, account.RemoveMapping(create))
	_, err = bucket(t, nc).PutString(t.Context(), "x", `{"instance":"i","value":{}}`)
	require.NoError(t, err)
	until(t, r, "x", has(r, "x"))
}
