package aiclient

import "hash/maphash"

// longestCycle is how many different steps a cycle may have to be noticed.
const longestCycle = 3

var loopSeed = maphash.MakeSeed()

// loopDetector notices steps that repeat themselves: the same calls with the
// same results, alone or in a short cycle. Work that makes progress, such as
// editing and testing by turns, differs in arguments or results.
type loopDetector struct {
	steps []uint64
}

// add takes a step and reports whether the last ones are limit repetitions.
func (d *loopDetector) add(s *Step, limit int) bool {
	var h maphash.Hash
	h.SetSeed(loopSeed)
	for i := range s.Response.Message.Parts {
		if call := s.Response.Message.Parts[i].Call; call != nil {
			h.WriteString(call.Name)
			h.WriteByte(0)
			h.WriteString(call.Arguments)
			h.WriteByte(0)
		}
	}
	for i := range s.Results {
		h.WriteString(s.Results[i].Text)
		h.WriteByte(0)
	}
	d.steps = append(d.steps, h.Sum64())
	for period := 1; period <= longestCycle; period++ {
		if d.periodic(period, limit) {
			return true
		}
	}
	return false
}

func (d *loopDetector) periodic(period, limit int) bool {
	n := len(d.steps)
	if n < period*limit {
		return false
	}
	for i := n - period*limit + period; i < n; i++ {
		if d.steps[i] != d.steps[i-period] {
			return false
		}
	}
	return true
}
