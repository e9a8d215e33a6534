package otel_test

import (
	"context"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.uber.org/goleak"

	"github.com/tokenring-ai/tokenring-go/utility/otel"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bench is an observer whose spans and metrics are kept.
type bench struct {
	*otel.Observer
	t      testing.TB
	spans  *tracetest.InMemoryExporter
	reader *sdkmetric.ManualReader
	tracer *sdktrace.TracerProvider
}

func observe(t testing.TB) *bench {
	t.Helper()
	b := &bench{t: t, spans: tracetest.NewInMemoryExporter(), reader: sdkmetric.NewManualReader()}
	b.tracer = sdktrace.NewTracerProvider(sdktrace.WithSyncer(b.spans))
	meters := sdkmetric.NewMeterProvider(sdkmetric.WithReader(b.reader))
	var err error
	b.Observer, err = otel.New(otel.Options{TracerProvider: b.tracer, MeterProvider: meters})
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, b.tracer.Shutdown(context.Background()))
		require.NoError(t, meters.Shutdown(context.Background()))
	})
	return b
}

// span returns the only span of that name.
func (b *bench) span(name string) tracetest.SpanStub {
	b.t.Helper()
	found := b.named(name)
	require.Len(b.t, found, 1, "spans named %q among %q", name, b.names())
	return found[0]
}

func (b *bench) named(name string) []tracetest.SpanStub {
	return slices.DeleteFunc(slices.Clone(b.spans.GetSpans()), func(s tracetest.SpanStub) bool { return s.Name != name })
}

func (b *bench) names() (names []string) {
	for _, s := range b.spans.GetSpans() {
		names = append(names, s.Name)
	}
	return names
}

// ancestors returns the names from the span's parent up to the root.
func (b *bench) ancestors(s tracetest.SpanStub) (names []string) {
	all := b.spans.GetSpans()
	for s.Parent.IsValid() {
		i := slices.IndexFunc(all, func(p tracetest.SpanStub) bool { return p.SpanContext.SpanID() == s.Parent.SpanID() })
		require.GreaterOrEqual(b.t, i, 0, "the parent of %q is missing", s.Name)
		s = all[i]
		names = append(names, s.Name)
	}
	return names
}

func value(s tracetest.SpanStub, key string) any {
	for _, kv := range s.Attributes {
		if string(kv.Key) == key {
			return kv.Value.AsInterface()
		}
	}
	return nil
}

// point is what a metric has for one set of attributes: the count of a histogram,
// or the value of what is counted or read.
type point struct {
	attrs attribute.Set
	count float64
	sum   float64
}

func (p point) value(key string) any {
	v, _ := p.attrs.Value(attribute.Key(key))
	return v.AsInterface()
}

func (b *bench) points(name string) (points []point) {
	b.t.Helper()
	var all metricdata.ResourceMetrics
	require.NoError(b.t, b.reader.Collect(context.Background(), &all))
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			if m.Name != name {
				continue
			}
			switch data := m.Data.(type) {
			case metricdata.Histogram[float64]:
				for _, p := range data.DataPoints {
					points = append(points, point{p.Attributes, float64(p.Count), p.Sum})
				}
			case metricdata.Histogram[int64]:
				for _, p := range data.DataPoints {
					points = append(points, point{p.Attributes, float64(p.Count), float64(p.Sum)})
				}
			case metricdata.Sum[int64]:
				for _, p := range data.DataPoints {
					points = append(points, point{p.Attributes, float64(p.Value), float64(p.Value)})
				}
			case metricdata.Sum[float64]:
				for _, p := range data.DataPoints {
					points = append(points, point{p.Attributes, p.Value, p.Value})
				}
			case metricdata.Gauge[float64]:
				for _, p := range data.DataPoints {
					points = append(points, point{p.Attributes, p.Value, p.Value})
				}
			default:
				b.t.Fatalf("metric %s is a %T", name, data)
			}
		}
	}
	return points
}

// count returns the count of the points of a metric that have the attributes,
// which are pairs of key and value.
func (b *bench) count(name string, pairs ...any) (count float64) {
	b.t.Helper()
	for _, p := range b.points(name) {
		matches := true
		for i := 0; i < len(pairs); i += 2 {
			matches = matches && p.value(pairs[i].(string)) == pairs[i+1]
		}
		if matches {
			count += p.count
		}
	}
	return count
}
