// Package text prepares text for models, terminals and shells.
//
// Bounding: [HeadTail] keeps the two ends of an output of any length in fixed
// memory; [Truncate] and [TruncateMiddle] cut a line and [Wrap] breaks a text to
// a number of columns. Columns are what a reader sees ([Width]): an emoji made of
// several code points is one character, and none is ever split.
//
// Rendering: [Quote] writes an argv as a shell command line, [Table] a Markdown
// table, [Bytes] and [Duration] numbers as people say them.
//
// All functions take any bytes: valid UTF-8 stays valid, anything else is kept
// as it is.
package text
