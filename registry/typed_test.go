package registry_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/registry"
)

type box[T any] struct{ v T }

func TestTypedKeepsOneValuePerType(t *testing.T) {
	var typed registry.Typed
	require.NoError(t, registry.Put(&typed, box[int]{1}))
	require.NoError(t, registry.Put(&typed, &box[int]{2}))
	require.NoError(t, registry.Put(&typed, box[string]{"3"}))
	err := registry.Put(&typed, box[int]{4})
	require.ErrorIs(t, err, registry.ErrExists)
	assert.ErrorContains(t, err, "box[int]")

	v, ok := registry.Get[box[int]](&typed)
	assert.True(t, ok)
	assert.Equal(t, 1, v.v)
	p, err := registry.Require[*box[int]](&typed)
	require.NoError(t, err)
	assert.Equal(t, 2, p.v)

	registry.PutOver(&typed, box[int]{5})
	v, _ = registry.Get[box[int]](&typed)
	assert.Equal(t, 5, v.v)
	assert.Equal(t, []reflect.Type{reflect.TypeFor[box[int]](), reflect.TypeFor[*box[int]](), reflect.TypeFor[box[string]]()},
		slices.Collect(typed.Types()))
	assert.Equal(t, 3, typed.Len())

	assert.True(t, registry.Remove[box[int]](&typed))
	assert.False(t, registry.Remove[box[int]](&typed))
	_, ok = registry.Get[box[int]](&typed)
	assert.False(t, ok)
}

func TestTypedInterfaces(t *testing.T) {
	var typed registry.Typed
	buffer, reader := new(bytes.Buffer), strings.NewReader("x")
	require.NoError(t, registry.Put(&typed, 7))
	require.NoError(t, registry.Put(&typed, reader))
	require.NoError(t, registry.Put(&typed, buffer))

	r, ok := registry.Get[io.Reader](&typed)
	require.True(t, ok)
	assert.Same(t, reader, r, "the first that implements it")
	w, ok := registry.Get[io.Writer](&typed)
	require.True(t, ok)
	assert.Same(t, buffer, w)
	_, ok = registry.Get[io.Closer](&typed)
	assert.False(t, ok)
	assert.Len(t, slices.Collect(registry.Each[io.Reader](&typed)), 2)
	for range registry.Each[io.Reader](&typed) {
		break
	}

	require.NoError(t, registry.Put[io.Reader](&typed, buffer))
	r, _ = registry.Get[io.Reader](&typed)
	assert.Same(t, buffer, r, "what was put under the interface comes first")

	require.NoError(t, registry.Put[fmt.Stringer](&typed, nil))
	s, ok := registry.Get[fmt.Stringer](&typed)
	assert.True(t, ok)
	assert.Nil(t, s)
}

func TestTypedRequireSaysWhatThereIs(t *testing.T) {
	var typed registry.Typed
	_, err := registry.Require[*bytes.Buffer](&typed)
	require.ErrorIs(t, err, registry.ErrNotFound)
	assert.Equal(t, `registry: type "*bytes.Buffer" not found`, err.Error())
	require.NoError(t, registry.Put(&typed, 1))
	_, err = registry.Require[*bytes.Buffer](&typed)
	assert.Equal(t, `registry: type "*bytes.Buffer" not found; there is "int"`, err.Error())
	require.NoError(t, registry.Put(&typed, bytes.Buffer{}))
	_, err = registry.Require[*bytes.Buffer](&typed)
	assert.ErrorContains(t, err, `did you mean "bytes.Buffer"?`)
}

func TestWaitFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var typed registry.Typed
		got := make(chan io.Reader, 10)
		for range 5 {
			go func() {
				r, err := registry.WaitFor[io.Reader](t.Context(), &typed)
				assert.NoError(t, err)
				got <- r
			}()
			go func() {
				r, err := registry.WaitFor[*strings.Reader](t.Context(), &typed)
				assert.NoError(t, err)
				got <- r
			}()
		}
		synctest.Wait()
		require.NoError(t, registry.Put(&typed, 1))
		synctest.Wait()
		assert.Empty(t, got)
		reader := strings.NewReader("")
		require.NoError(t, registry.Put(&typed, reader))
		synctest.Wait()
		assert.Len(t, got, 10)
		for range 10 {
			assert.Same(t, reader, <-got)
		}
		r, err := registry.WaitFor[*strings.Reader](t.Context(), &typed)
		require.NoError(t, err)
		assert.Same(t, reader, r)

		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = registry.WaitFor[io.Closer](ctx, &typed)
		require.ErrorIs(t, err, context.Canceled)
		assert.ErrorContains(t, err, "io.Closer")
	})
}
