package natsqueue

import (
	"context"
	"errors"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Errors of the engine. They come wrapped with what was tried.
var (
	// ErrUnavailable says that the stream gave no answer within Options.Wait, or a
	// second after the call's context ended. Whether the call took effect is not
	// known.
	ErrUnavailable = errors.New("stream is not available")
	// ErrNoSpace says that the stream or the server's storage is full. Nothing was
	// changed, and the same call may succeed once there is room. A server that is at
	// its limit takes no acknowledgements either; [Embedded] keeps room for them.
	ErrNoSpace = errors.New("no space left in the stream")
	// ErrLost says that the stream lost what it had acknowledged: it was deleted,
	// made anew, purged by hand or brought back from an older copy. Calls that meet
	// this fail once; the queue goes on with what there is.
	ErrLost = errors.New("stream lost acknowledged transactions")
	// ErrCorrupt says that the stream holds what this package did not write, or does
	// not hold what it must.
	ErrCorrupt = errors.New("stream cannot be read")
	// ErrLocked says that another process runs a server in the folder.
	ErrLocked = errors.New("folder is in use by another process")
	// ErrReadOnly says that the folder cannot be written.
	ErrReadOnly = errors.New("folder cannot be written")
)

// passing reports whether an error is one of a cluster that is looking for a
// leader or of a connection that is being made again.
func passing(err error) bool {
	for _, known := range []error{
		context.DeadlineExceeded, nats.ErrTimeout, nats.ErrNoResponders, nats.ErrNoStreamResponse, nats.ErrDisconnected,
		nats.ErrConnectionReconnecting, nats.ErrReconnectBufExceeded, jetstream.ErrNoStreamResponse, jetstream.ErrJetStreamNotEnabled,
		errBehind, errHole, errUndecided,
	} {
		if errors.Is(err, known) {
			return true
		}
	}
	var api *jetstream.APIError
	return errors.As(err, &api) && (api.Code >= 500 && !full(err) || api.ErrorCode == noPeers)
}

// noPeers is the code of a cluster that has fewer servers than replicas, as one
// that was only just started.
const noPeers = 10005

// full reports whether a server refuses to store more, see its errors.json.
func full(err error) bool {
	var api *jetstream.APIError
	if !errors.As(err, &api) {
		return false
	}
	switch api.ErrorCode {
	case 10023, 10028, 10047, 10077: // resources, memory, storage, a limit of the stream
		return true
	}
	return false
}

// moved reports whether another transaction came first.
func moved(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) && (api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence || api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant)
}

var (
	errBehind    = errors.New("a replica is behind")
	errHole      = errors.New("messages of the log are missing")
	errUndecided = errors.New("refused for a transaction that is not in the log")
)
