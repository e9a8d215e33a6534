// Package retry calls a function again when it fails: after 500 ms, 1 s and 2 s
// by default, each spread by a jitter of up to a quarter so that many callers do not come back at the
// same moment.
//
//	err := retry.Do(ctx, retry.Policy{}, func(ctx context.Context) error {
//		return store.Save(ctx, value)
//	})
//
// An error stops the retries when it is marked by [Permanent], when
// [Policy.Retryable] says so, or when the context has ended. An error marked by
// [After] brings the time to wait with it, such as the one a server asked for. A
// wait that the context's deadline would cut short is not begun: the error comes
// back at once, while there is time to do something else.
//
// The delays are those of github.com/cenkalti/backoff. A call that succeeds
// allocates nothing.
package retry
