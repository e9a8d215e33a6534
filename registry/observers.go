package registry

import "sync"

// observers are the functions that want to know of changes to a selection. Only
// while there are any does the selection listen to its registry, so that one
// that is dropped without a word is garbage.
type observers struct {
	observersMu sync.Mutex
	functions   []*func()
	unlisten    func()
}

// observe adds fn; listen is called when it is the first.
func (o *observers) observe(fn func(), listen func() (unlisten func())) (stop func()) {
	o.observersMu.Lock()
	defer o.observersMu.Unlock()
	if len(o.functions) == 0 {
		o.unlisten = listen()
	}
	o.functions = append(o.functions, &fn)
	return sync.OnceFunc(func() {
		o.observersMu.Lock()
		defer o.observersMu.Unlock()
		for i, f := range o.functions {
			if f == &fn {
				// A copy, because notify goes over the old one without the lock.
				o.functions = append(append([]*func(){}, o.functions[:i]...), o.functions[i+1:]...)
				break
			}
		}
		if len(o.functions) == 0 {
			o.unlisten()
			o.unlisten = nil
		}
	})
}

func (o *observers) notify() {
	o.observersMu.Lock()
	functions := o.functions
	o.observersMu.Unlock()
	for _, fn := range functions {
		(*fn)()
	}
}
