package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/tokenring-ai/tokenring-go/agent"
	"github.com/tokenring-ai/tokenring-go/aiclient"
	"github.com/tokenring-ai/tokenring-go/aiclient/aitest"
	"github.com/tokenring-ai/tokenring-go/aiclient/openai"
	"github.com/tokenring-ai/tokenring-go/queue"
	"github.com/tokenring-ai/tokenring-go/utility/tool"
)

// askAbove is the size of an order from which a person decides.
const askAbove = 15

// shop is the host: its agents, its queue and its stock.
type shop struct {
	manager *agent.Manager
	orders  *queue.Memory
	stock   *stock
	model   *aitest.Server
}

func newShop() (*shop, error) {
	s := &shop{
		manager: agent.NewManager(agent.ManagerOptions{Store: &agent.MemoryStore{}}),
		orders:  queue.NewMemory(queue.Options{MaxAttempts: 3}),
		stock:   &stock{pieces: map[string]int{"apples": 500, "bricks": 500, "candles": 500}},
		model:   aitest.NewServer(nil, clerkScript),
	}
	chat := openai.New(openai.Options{Name: "scripted", BaseURL: s.model.URL + "/v1"}).Chat("scripted")
	err := s.manager.RegisterType(agent.Type{
		Name:           "clerk",
		Description:    "takes orders",
		AutoCheckpoint: agent.AutoCheckpoint{AfterInput: true},
		Setup: func(_ context.Context, a *agent.Agent) error {
			return a.Attach("conversation", s.conversation(a, chat))
		},
		Handle: func(ctx context.Context, a *agent.Agent, in agent.Input) error {
			_, err := a.Slice("conversation").(*aiclient.Conversation).Send(ctx, in.Text)
			return err
		},
	})
	return s, err
}

func (s *shop) close() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_ = s.manager.Shutdown(ctx) // the process ends anyway
	_ = s.orders.Close()
	s.model.Close()
}

// conversation makes a clerk's conversation, which shows itself as events.
func (s *shop) conversation(a *agent.Agent, chat aiclient.Chat) *aiclient.Conversation {
	return aiclient.NewConversation(chat, aiclient.ConversationOptions{
		System: "You take orders. Take what is ordered from the stock.",
		Tools:  []tool.Tool{s.take(a)},
		Trace: aiclient.ConversationTrace{
			OnPart: func(_ context.Context, p aiclient.Part) {
				if p.Kind == aiclient.KindText {
					a.Emit(agent.Output{Text: p.Text})
				}
			},
			ToolStart: func(_ context.Context, call aiclient.ToolCall) {
				a.Emit(agent.ToolStarted{Call: agent.ToolCall{ID: call.ID, Name: call.Name, Args: json.RawMessage(call.Arguments)}})
			},
			ToolEnd: func(_ context.Context, call aiclient.ToolCall, r aiclient.ToolResult, took time.Duration) {
				a.Emit(agent.ToolFinished{Call: agent.ToolCall{ID: call.ID, Name: call.Name}, Result: r.Text, Failed: r.IsError, Duration: took})
			},
		},
	})
}

type order struct {
	Article string `json:"article"`
	Pieces  int    `json:"pieces"`
}

// take is the clerks' tool. It asks a person about large orders, for at most a
// minute.
func (s *shop) take(a *agent.Agent) tool.Tool {
	return tool.New("take", "Takes pieces of an article from the stock.", func(ctx context.Context, in order) (string, error) {
		if in.Pieces >= askAbove {
			answer, err := a.Ask(ctx, agent.Request{Kind: agent.Confirm, Title: "A large order",
				Text:    fmt.Sprintf("Take %d %s from the stock?", in.Pieces, in.Article),
				Timeout: time.Minute, Default: &agent.Response{}})
			if err != nil {
				return "", err
			}
			if !answer.Confirmed {
				return "", fmt.Errorf("%d are too many", in.Pieces)
			}
		}
		return s.stock.take(in)
	}, tool.Options{})
}

// stock is what is left of each article. It is safe for concurrent use.
type stock struct {
	mu     sync.Mutex
	pieces map[string]int
}

func (s *stock) take(o order) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	left, ok := s.pieces[o.Article]
	if !ok || o.Pieces < 1 || o.Pieces > left {
		return "", fmt.Errorf("%d %s are left", left, o.Article)
	}
	s.pieces[o.Article] = left - o.Pieces
	return fmt.Sprintf("%d %s taken, %d left", o.Pieces, o.Article, left-o.Pieces), nil
}

type article struct {
	Article string `json:"article"`
	Pieces  int    `json:"pieces"`
}

func (s *stock) list() []article {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]article, len(articles))
	for i, name := range articles {
		list[i] = article{name, s.pieces[name]}
	}
	return list
}

// clerkScript plays the model: it calls the tool and reports what it said.
func clerkScript(req aitest.Request) aitest.Reply {
	const pause = 20 * time.Millisecond // shows that the text is streamed
	if results := req.ToolResults(); len(results) > 0 {
		return aitest.Reply{Text: "The stock says: " + results[0].Text + ". I have answered the customer.", Pause: pause}
	}
	var number, pieces int
	var name string
	_, err := fmt.Sscanf(strings.TrimSuffix(req.LastUser(), ", please."), "Order %d: %d %s", &number, &pieces, &name)
	if err != nil {
		return aitest.Text("I do not understand this order.")
	}
	args, _ := json.Marshal(order{name, pieces}) // of a string and a number
	return aitest.Reply{Text: fmt.Sprintf("Order %d. ", number), Pause: pause, ToolCalls: []aitest.ToolCall{{Name: "take", Arguments: string(args)}}}
}
