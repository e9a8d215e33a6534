package otel

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/tokenring-ai/tokenring-go/queue"
	"github.com/tokenring-ai/tokenring-go/utility/cache"
	"github.com/tokenring-ai/tokenring-go/utility/stats"
)

// What follows is read whenever metrics are collected, until the function that is
// returned is called.

// register makes read be called at each collection.
func (o *Observer) register(read metric.Callback, errs []error, instruments ...metric.Observable) (stop func() error, err error) {
	for _, err := range errs {
		if err != nil {
			return nil, fmt.Errorf("otel: %w", err)
		}
	}
	registration, err := o.meter.RegisterCallback(read, instruments...)
	if err != nil {
		return nil, fmt.Errorf("otel: %w", err)
	}
	return registration.Unregister, nil
}

// ObserveProcess reports the goroutines, memory and file descriptors of this
// process.
func (o *Observer) ObserveProcess() (stop func() error, err error) {
	goroutines, err1 := o.meter.Int64ObservableUpDownCounter("go.goroutine.count", metric.WithUnit("{goroutine}"), metric.WithDescription("Count of live goroutines."))
	used, err2 := o.meter.Int64ObservableUpDownCounter("go.memory.used", metric.WithUnit("By"), metric.WithDescription("Memory used by the Go runtime."))
	heap, err3 := o.meter.Int64ObservableUpDownCounter("tokenring.process.heap", metric.WithUnit("By"), metric.WithDescription("What objects on the heap take."))
	files, err4 := o.meter.Int64ObservableUpDownCounter("process.unix.file_descriptor.count", metric.WithUnit("{file_descriptor}"), metric.WithDescription("Number of unix file descriptors in use by the process."))
	return o.register(func(_ context.Context, to metric.Observer) error {
		p := stats.ReadProcess()
		to.ObserveInt64(goroutines, int64(p.Goroutines))
		to.ObserveInt64(used, int64(p.TotalBytes))
		to.ObserveInt64(heap, int64(p.HeapBytes))
		if p.FileDescriptors >= 0 {
			to.ObserveInt64(files, int64(p.FileDescriptors))
		}
		return nil
	}, []error{err1, err2, err3, err4}, goroutines, used, heap, files)
}

// ObserveCache reports what the callers of a cache got: read is the Stats method
// of a [cache.Retriever] or [cache.Value]. The hit rate is the share of "hit".
func (o *Observer) ObserveCache(name string, read func() cache.Stats) (stop func() error, err error) {
	of := attribute.String("tokenring.cache.name", name)
	requests, err1 := o.meter.Int64ObservableCounter("tokenring.cache.requests", metric.WithUnit("{request}"), metric.WithDescription("What callers of a cache got."))
	evictions, err2 := o.meter.Int64ObservableCounter("tokenring.cache.evictions", metric.WithUnit("{entry}"), metric.WithDescription("Keys that made room for others."))
	entries, err3 := o.meter.Int64ObservableUpDownCounter("tokenring.cache.entries", metric.WithUnit("{entry}"), metric.WithDescription("Keys that are remembered."))
	result := func(what string) metric.MeasurementOption {
		return outcome{}.set(of, attribute.String("tokenring.cache.result", what))
	}
	hit, miss, all := result("hit"), result("miss"), outcome{}.set(of)
	return o.register(func(_ context.Context, to metric.Observer) error {
		s := read()
		to.ObserveInt64(requests, int64(s.Hits), hit)
		to.ObserveInt64(requests, int64(s.Misses), miss)
		to.ObserveInt64(evictions, int64(s.Evictions), all)
		to.ObserveInt64(entries, int64(s.Entries), all)
		return nil
	}, []error{err1, err2, err3}, requests, evictions, entries)
}

// ObserveQueue reports how many items a queue holds, by state.
func (o *Observer) ObserveQueue(name string, q interface {
	Depth(ctx context.Context) (queue.Depth, error)
}) (stop func() error, err error) {
	depth, err1 := o.meter.Int64ObservableUpDownCounter("tokenring.queue.depth", metric.WithUnit("{item}"), metric.WithDescription("Items that a queue holds."))
	return o.register(func(ctx context.Context, to metric.Observer) error {
		d, err := q.Depth(ctx)
		if err != nil {
			return fmt.Errorf("otel: depth of queue %s: %w", name, err)
		}
		for state, n := range map[string]int{"ready": d.Ready, "delayed": d.Delayed, "blocked": d.Blocked, "leased": d.Leased, "dead": d.Dead} {
			to.ObserveInt64(depth, int64(n), outcome{}.set(attribute.String("messaging.destination.name", name), attribute.String("tokenring.queue.state", state)))
		}
		return nil
	}, []error{err1}, depth)
}

// ObserveStats reports every number in the Stats of the group as the gauge
// tokenring.stats, whose attributes say which: the name that it was added under
// and the path of JSON names within it. Whatever has no metric of its own, such as
// the hit rates of the caches inside of a package, is found there.
func (o *Observer) ObserveStats(g *stats.Group) (stop func() error, err error) {
	gauge, err1 := o.meter.Float64ObservableGauge("tokenring.stats", metric.WithDescription("Numbers in the Stats of packages."))
	return o.register(func(_ context.Context, to metric.Observer) error {
		data, err := g.MarshalJSON() // in which what cannot be read hides nothing else
		if err != nil {
			return fmt.Errorf("otel: stats: %w", err)
		}
		var members map[string]any
		if err := json.Unmarshal(data, &members); err != nil {
			return fmt.Errorf("otel: stats: %w", err)
		}
		for name, tree := range members {
			left := maxNumbers
			walk(tree, "", &left, func(field string, n float64) {
				to.ObserveFloat64(gauge, n, outcome{}.set(attribute.String("tokenring.stats.name", name), attribute.String("tokenring.stats.field", field)))
			})
		}
		return nil
	}, []error{err1}, gauge)
}

// maxNumbers bounds what one member of a group may add to the metrics: maps that
// have an entry for each of something have no bound.
const maxNumbers = 200

// walk yields the numbers in a tree of JSON in the order of their names. Lists are
// left out: their indexes name nothing.
func walk(tree any, path string, left *int, yield func(string, float64)) {
	switch v := tree.(type) {
	case float64:
		if *left > 0 {
			*left--
			yield(path, v)
		}
	case map[string]any:
		names := make([]string, 0, len(v))
		for name := range v {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range names {
			inner := name
			if path != "" {
				inner = path + "." + name
			}
			walk(v[name], inner, left, yield)
		}
	}
}
