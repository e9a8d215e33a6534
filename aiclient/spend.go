package aiclient

import "context"

// spend is what was set aside for one request.
type spend struct{}

// reserve sets aside what req may cost.
func (c *Conversation) reserve(ctx context.Context, req *Request) (*spend, error) { return nil, nil }

// settle replaces what was set aside by what was really used.
func (s *spend) settle(u Usage, cost float64) {}
