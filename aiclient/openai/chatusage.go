package openai

import (
	"github.com/tokenring-ai/tokenring-go/aiclient"
	"github.com/tokenring-ai/tokenring-go/aiclient/internal/jsonscan"
)

func (d *decoder) readUsage(s *jsonscan.Scanner) {
	if s.Kind() != jsonscan.Object {
		s.Skip()
		return
	}
	var prompt, completion, total, cached, written, reasoning int64
	for s.Object(); s.Key(); {
		switch string(s.Name()) {
		case "prompt_tokens":
			prompt = s.Int()
		case "completion_tokens":
			completion = s.Int()
		case "total_tokens":
			total = s.Int()
		case "cached_tokens", "prompt_cache_hit_tokens": // Moonshot, DeepSeek
			cached = max(cached, s.Int())
		case "prompt_tokens_details":
			for s.Object(); s.Key(); {
				switch string(s.Name()) {
				case "cached_tokens":
					cached = max(cached, s.Int())
				case "cache_write_tokens":
					written = s.Int()
				default:
					s.Skip()
				}
			}
		case "completion_tokens_details":
			for s.Object(); s.Key(); {
				if string(s.Name()) == "reasoning_tokens" {
					reasoning = s.Int()
				} else {
					s.Skip()
				}
			}
		case "cost": // OpenRouter, in USD
			if s.Kind() == jsonscan.Object { // Perplexity
				for s.Object(); s.Key(); {
					if string(s.Name()) == "total_cost" {
						d.finish.Cost = s.Float()
					} else {
						s.Skip()
					}
				}
			} else {
				d.finish.Cost = s.Float()
			}
		case "cost_in_usd_ticks": // xAI, in units of 1e-10 USD
			d.finish.Cost = float64(s.Int()) / 1e10
		default:
			s.Skip()
		}
	}
	// xAI and some others count reasoning beside the completion, not in it; the
	// total tells.
	if reasoning > 0 && total == prompt+completion+reasoning {
		completion += reasoning
	}
	// Cached tokens are part of the prompt. A service whose cached count is
	// larger counts them beside it.
	input := prompt - cached - written
	if input < 0 {
		input = prompt
	}
	d.hasUsage = true
	d.finish.Usage = aiclient.Usage{Input: input, CachedRead: cached, CacheWrite: written, Output: completion, Reasoning: reasoning}
}
