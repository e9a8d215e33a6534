package queue

import (
	"errors"
	"fmt"
)

// Errors of queues. They come wrapped with what was tried; test with errors.Is.
var (
	ErrClosed      = errors.New("queue is closed")
	ErrDraining    = errors.New("queue is draining and takes no new items")
	ErrEmpty       = errors.New("queue has no item to deliver")
	ErrFull        = errors.New("queue is full")
	ErrTooLarge    = errors.New("item is too large")
	ErrNotFound    = errors.New("no such item")
	ErrLeased      = errors.New("item is being handled")
	ErrLeaseLost   = errors.New("lease is lost")
	ErrDuplicateID = errors.New("item ID is already in the queue")
	ErrPaused      = errors.New("queue is paused")
)

// SizeError reports an item above the size limit. It is an [ErrTooLarge].
type SizeError struct {
	ID          string // empty if the queue was to make one
	Size, Limit int    // bytes
}

func (e *SizeError) Error() string {
	return fmt.Sprintf("enqueue %s: %v: %d bytes, limit %d; store the data elsewhere and enqueue a reference",
		nameOf(e.ID), ErrTooLarge, e.Size, e.Limit)
}

func (e *SizeError) Is(target error) bool { return target == ErrTooLarge }

// FullError reports that a queue has no room. It is an [ErrFull].
type FullError struct {
	Items, Len, Capacity int // items to add, items held, the bound
}

func (e *FullError) Error() string {
	return fmt.Sprintf("enqueue %d items: %v: %d of %d items; wait for workers or raise the capacity",
		e.Items, ErrFull, e.Len, e.Capacity)
}

func (e *FullError) Is(target error) bool { return target == ErrFull }

// ItemError reports an item that no queue can take.
type ItemError struct {
	ID     string
	Reason string
}

func (e *ItemError) Error() string { return fmt.Sprintf("enqueue %s: %s", nameOf(e.ID), e.Reason) }

func nameOf(id string) string {
	if id == "" {
		return "item"
	}
	return fmt.Sprintf("item %q", id)
}
