// Package text prepares text for models, terminals and shells: it bounds,
// truncates, wraps, quotes, tabulates and humanises.
package text
