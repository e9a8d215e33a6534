package otel

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/metric"
)

// instruments are what is recorded as it happens. What is read when it is asked
// for stands with what reads it.
type instruments struct {
	operation, firstChunk, invokeAgent, executeTool seconds
	tokens                                          metric.Int64Histogram
	cost                                            metric.Float64Counter
	retries, compactions                            metric.Int64Counter

	agentSetup, agentLifetime, agentStop, hook, ask, checkpoint seconds
	living                                                      metric.Int64UpDownCounter
	checkpointSize                                              metric.Int64Histogram

	fileOperation, gitCommand, gitCommit, gitLockWait, test seconds
	fileBytes                                               metric.Int64Counter
	repairs, gitMessages, gitSnapshots                      metric.Int64Counter

	queueWait, queueRun, process seconds
	queueItems                   metric.Int64Counter

	db, memorySearch, registryWait, cacheLoad, task, taskAbandoned seconds
	memories                                                       metric.Int64Counter
}

// seconds is a histogram of durations.
type seconds struct{ metric.Float64Histogram }

func (s seconds) record(ctx context.Context, d time.Duration, opt metric.RecordOption) {
	s.Record(ctx, d.Seconds(), opt)
}

// Boundaries of buckets that the conventions for generative AI ask for.
var (
	operationBuckets = []float64{0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92}
	tokenBuckets     = []float64{1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864}

	// For everything that takes from microseconds to hours, in steps of 4.
	wideBuckets = []float64{0.00025, 0.001, 0.004, 0.016, 0.064, 0.25, 1, 4, 16, 64, 256, 1024, 4096}
	sizeBuckets = []float64{64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216}
)

func (in *instruments) make(m metric.Meter) error {
	var errs []error
	duration := func(into *seconds, name, what string, buckets []float64) {
		h, err := m.Float64Histogram(name, metric.WithUnit("s"), metric.WithDescription(what), metric.WithExplicitBucketBoundaries(buckets...))
		*into = seconds{h}
		errs = append(errs, err)
	}
	histogram := func(into *metric.Int64Histogram, name, unit, what string, buckets []float64) {
		var err error
		*into, err = m.Int64Histogram(name, metric.WithUnit(unit), metric.WithDescription(what), metric.WithExplicitBucketBoundaries(buckets...))
		errs = append(errs, err)
	}
	counter := func(into *metric.Int64Counter, name, unit, what string) {
		var err error
		*into, err = m.Int64Counter(name, metric.WithUnit(unit), metric.WithDescription(what))
		errs = append(errs, err)
	}

	duration(&in.operation, "gen_ai.client.operation.duration", "GenAI operation duration.", operationBuckets)
	duration(&in.firstChunk, "gen_ai.client.operation.time_to_first_chunk", "Time to receive the first chunk.", operationBuckets)
	duration(&in.invokeAgent, "gen_ai.invoke_agent.duration", "Time an agent worked on an input.", wideBuckets)
	duration(&in.executeTool, "gen_ai.execute_tool.duration", "Time a tool ran.", wideBuckets)
	histogram(&in.tokens, "gen_ai.client.token.usage", "{token}", "Number of input and output tokens used.", tokenBuckets)
	var err error
	in.cost, err = m.Float64Counter("tokenring.chat.cost", metric.WithUnit("{USD}"), metric.WithDescription("Price of the replies, as far as it is known."))
	errs = append(errs, err)
	counter(&in.retries, "tokenring.chat.retries", "{request}", "Requests to models that were sent again.")
	counter(&in.compactions, "tokenring.conversation.compactions", "{compaction}", "Histories that were shortened.")

	duration(&in.agentSetup, "tokenring.agent.setup.duration", "Time that spawning or restoring an agent took.", wideBuckets)
	duration(&in.agentLifetime, "tokenring.agent.lifetime", "Time that an agent lived.", wideBuckets)
	duration(&in.agentStop, "tokenring.agent.stop.duration", "Time that stopping an agent took.", wideBuckets)
	in.living, err = m.Int64UpDownCounter("tokenring.agent.count", metric.WithUnit("{agent}"), metric.WithDescription("Agents that live."))
	errs = append(errs, err)
	duration(&in.hook, "tokenring.agent.hook.duration", "Time a hook ran.", wideBuckets)
	duration(&in.ask, "tokenring.agent.ask.duration", "Time until a question to a person ended.", wideBuckets)
	duration(&in.checkpoint, "tokenring.agent.checkpoint.duration", "Time a checkpoint took.", wideBuckets)
	histogram(&in.checkpointSize, "tokenring.agent.checkpoint.size", "By", "What a checkpoint takes in the store.", sizeBuckets)

	duration(&in.fileOperation, "tokenring.filesystem.operation.duration", "Time a file operation took.", wideBuckets)
	counter(&in.fileBytes, "tokenring.filesystem.io", "By", "What file operations read, wrote or searched.")
	duration(&in.gitCommand, "tokenring.git.command.duration", "Time a git process took.", wideBuckets)
	duration(&in.gitCommit, "tokenring.git.commit.duration", "Time a commit took, its message included.", wideBuckets)
	duration(&in.gitLockWait, "tokenring.git.lock_wait.duration", "Pauses because another process held a lock.", wideBuckets)
	counter(&in.gitMessages, "tokenring.git.messages", "{message}", "Where messages of commits came from.")
	counter(&in.gitSnapshots, "tokenring.git.snapshots", "{snapshot}", "Working states that were saved.")
	duration(&in.test, "tokenring.test.duration", "Time a test resource took.", wideBuckets)
	counter(&in.repairs, "tokenring.test.repairs", "{repair}", "Repairs that were asked for or given up.")

	duration(&in.queueWait, "tokenring.queue.wait.duration", "Time an item was available until it was delivered.", wideBuckets)
	duration(&in.queueRun, "tokenring.queue.run.duration", "Time an item was held until it was acknowledged.", wideBuckets)
	duration(&in.process, "messaging.process.duration", "Time a handler worked on an item.", wideBuckets)
	counter(&in.queueItems, "tokenring.queue.items", "{item}", "What became of items.")

	duration(&in.db, "db.client.operation.duration", "Duration of database client operations.", wideBuckets)
	duration(&in.registryWait, "tokenring.registry.wait.duration", "Time a call waited for a registration.", wideBuckets)
	duration(&in.cacheLoad, "tokenring.cache.load.duration", "Time a load into a cache took.", wideBuckets)
	duration(&in.task, "tokenring.task.duration", "Time a background task ran.", wideBuckets)
	duration(&in.taskAbandoned, "tokenring.task.abandoned", "Time after which the caller of a task left it.", wideBuckets)
	duration(&in.memorySearch, "tokenring.memory.search.duration", "Time a search in memories took.", wideBuckets)
	counter(&in.memories, "tokenring.memory.items", "{item}", "What became of memories.")
	return errors.Join(errs...)
}
