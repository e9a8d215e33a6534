package registry

import (
	"context"
	"fmt"
	"iter"
	"reflect"
)

// Typed keeps at most one value per Go type, for wiring the parts of a host
// program. Its zero value is empty and ready for use; it must not be copied.
//
// A value that is put under an interface type, as in Put[Store](t, s), is found
// under exactly that type. When nothing was put under an interface type, looking
// it up finds the first value, in order of registration, that implements it.
type Typed struct {
	// Trace observes. It must not be changed once the registry is in use.
	Trace Trace

	store store[uintptr, typedValue]
}

type typedValue struct {
	typ     reflect.Type
	pointer any // *T for the T that it was put under
	value   any // what the pointer points to
}

// typeKey identifies T by the address of its descriptor, which is unique and
// never moves: it is what reflect compares when types are compared.
func typeKey[T any]() (hash uint64, key uintptr) {
	key = reflect.ValueOf(reflect.TypeFor[T]()).Pointer()
	// Descriptors are aligned and near each other; the high bits of the product
	// depend on all bits of the address.
	return (uint64(key) * 0x9e3779b97f4a7c15) >> 32, key
}

func typed[T any](v T) item[uintptr, typedValue] {
	hash, key := typeKey[T]()
	return item[uintptr, typedValue]{hash, key, typedValue{reflect.TypeFor[T](), &v, v}}
}

// Put registers v under the type T. A type that is taken is an error that wraps
// [ErrExists].
func Put[T any](t *Typed, v T) error {
	if t.store.add(typed(v)) != nil {
		return fmt.Errorf("registry: type %s: %w (PutOver replaces it)", reflect.TypeFor[T](), ErrExists)
	}
	return nil
}

// PutOver registers v under the type T, in the place of what is there.
func PutOver[T any](t *Typed, v T) { t.store.put(typed(v)) }

// Remove takes out what was put under exactly the type T and reports whether
// there was something.
func Remove[T any](t *Typed) bool { return t.store.remove(typeKey[T]()) }

// Get returns the value of type T and whether there is one. For a T under which
// something was put it neither locks nor allocates.
func Get[T any](t *Typed) (v T, ok bool) {
	if e := t.store.find(typeKey[T]()); e != nil {
		if p, ok := e.value.pointer.(*T); ok {
			return *p, true
		}
	}
	return implementing[T](t)
}

// implementing returns the first value that implements T, an interface type.
func implementing[T any](t *Typed) (v T, ok bool) {
	if reflect.TypeFor[T]().Kind() != reflect.Interface {
		return v, false
	}
	for v := range Each[T](t) {
		return v, true
	}
	return v, false
}

// Require is Get with an error for a type that is missing, which wraps
// [ErrNotFound] and lists the types there are.
func Require[T any](t *Typed) (T, error) {
	v, ok := Get[T](t)
	if ok {
		return v, nil
	}
	var names []string
	for typ := range t.Types() {
		names = append(names, typ.String())
	}
	return v, notFound("type", reflect.TypeFor[T]().String(), names)
}

// WaitFor returns the value of type T as soon as Get would find it. When ctx
// ends first, the error wraps the context's error and its cause.
func WaitFor[T any](ctx context.Context, t *Typed) (T, error) {
	if v, ok := Get[T](t); ok {
		return v, nil
	}
	ended := t.store.startWait(ctx, &t.Trace, reflect.TypeFor[T]().String())
	v, err := waitFor[T](ctx, t)
	ended(err)
	return v, err
}

func waitFor[T any](ctx context.Context, t *Typed) (T, error) {
	for {
		// What is put from here on closes the channel; what was put before it
		// existed is found by looking now.
		changed := t.store.nextChange()
		v, ok := Get[T](t)
		if ok {
			return v, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return v, fmt.Errorf("registry: waiting for type %s: %w", reflect.TypeFor[T](), contextError(ctx))
		}
	}
}

// Each yields, in order of registration, every value that is a T or, for an
// interface type T, implements it, whatever type it was put under.
func Each[T any](t *Typed) iter.Seq[T] {
	return func(yield func(T) bool) {
		for _, e := range t.store.snapshot() {
			if e == nil {
				continue
			}
			if v, ok := e.value.value.(T); ok && !yield(v) {
				return
			}
		}
	}
}

// Types yields the types under which something was put, in order of
// registration.
func (t *Typed) Types() iter.Seq[reflect.Type] {
	return func(yield func(reflect.Type) bool) {
		for _, e := range t.store.snapshot() {
			if e != nil && !yield(e.value.typ) {
				return
			}
		}
	}
}

// Len returns the number of types under which something was put.
func (t *Typed) Len() int { return int(t.store.live.Load()) }
