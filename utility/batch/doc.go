// Package batch turns many requests for single things into few requests for many:
// embeddings of texts, rows by key, files by hash.
//
// A [Batcher] collects keys for a short window, or until there are enough, and
// loads them with one call. A key that is being loaded is not loaded twice at the
// same time. Nothing is remembered once a load has ended: for that, put a
// cache.Retriever in front.
package batch
