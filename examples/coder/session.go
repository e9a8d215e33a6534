package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync"

	"github.com/tokenring-ai/tokenring-go/agent"
	"github.com/tokenring-ai/tokenring-go/examples/inspector/inspect"
)

// agentType is the name of the only type of agent here.
const agentType = "coder"

// session is one run of the program: an agent, new or restored, and the printer
// of its events.
type session struct {
	manager  *agent.Manager
	shop     *workshop
	printer  *printer
	resumed  bool
	terminal bool // a person sits at a terminal

	inspector *inspect.Server // nil without -inspect
	close     []func()        // in the order of opening
}

// open prepares everything and spawns or restores the agent.
func open(ctx context.Context, cfg config, p *printer) (s *session, err error) {
	s = &session{printer: p, shop: &workshop{}, resumed: cfg.Resume != ""}
	defer func() {
		if err != nil {
			s.shutdown()
		}
	}()
	if err := os.MkdirAll(cfg.State, 0o700); err != nil {
		return s, setupFailure(fmt.Errorf("state directory: %w; choose another with -state", err))
	}
	store, err := agent.NewFileStore(cfg.State, agent.FileStoreOptions{})
	if err != nil {
		return s, setupFailure(fmt.Errorf("state directory %s: %w; choose another with -state", cfg.State, err))
	}
	s.manager = agent.NewManager(agent.ManagerOptions{Store: store})
	err = s.manager.RegisterType(agent.Type{
		Name:           agentType,
		Description:    "repairs and extends a git repository",
		Setup:          func(ctx context.Context, a *agent.Agent) error { return s.setUp(ctx, a, cfg) },
		Handle:         s.shop.handle,
		AutoCheckpoint: agent.AutoCheckpoint{BeforeInput: true, AfterInput: true},
	})
	if err != nil {
		return s, setupFailure(err)
	}
	if s.resumed {
		if _, err = s.manager.Restore(ctx, cfg.Resume); err != nil {
			if errors.Is(err, agent.ErrNotFound) {
				err = fmt.Errorf("there is no agent %q in %s", cfg.Resume, cfg.State)
			}
			return s, asSetupFailure(err)
		}
		if cfg.RepairsGiven {
			s.shop.repair.SetDisabled(cfg.MaxRepairs == 0)
			s.shop.repair.Retry("") // those of before do not count
		}
		return s, s.begin(ctx)
	}
	if err := complete(ctx, &cfg); err != nil {
		return s, err
	}
	saved, err := json.Marshal(cfg)
	if err != nil {
		return s, setupFailure(err)
	}
	id := agentType + "-" + strings.ToLower(rand.Text()[:8])
	if _, err := s.manager.Spawn(ctx, agentType, agent.SpawnOptions{ID: id, Config: saved}); err != nil {
		return s, asSetupFailure(err)
	}
	return s, s.begin(ctx)
}

// begin makes a wired agent ready to work.
func (s *session) begin(ctx context.Context) error {
	if err := s.shop.prepare(ctx); err != nil {
		return err
	}
	if !s.shop.cfg.Inspect {
		return nil
	}
	return s.startInspector()
}

// complete fills in what a new agent needs and the user did not say.
func complete(ctx context.Context, cfg *config) error {
	if err := chooseModel(ctx, cfg); err != nil {
		return err
	}
	if cfg.Dir == "" {
		dir, err := writeDemo(ctx, "")
		if err != nil {
			return setupFailure(err)
		}
		cfg.Dir, cfg.Task = dir, demoTask
	}
	if info, err := os.Stat(cfg.Dir); err != nil {
		return setupFailure(fmt.Errorf("-dir: %w", err))
	} else if !info.IsDir() {
		return setupFailure(fmt.Errorf("-dir %s: %w", cfg.Dir, fs.ErrInvalid))
	}
	if cfg.Test == "" {
		if cfg.Test = detectTest(cfg.Dir); cfg.Test == "" {
			return badUsage(fmt.Errorf("no go.mod, Cargo.toml, package.json, pyproject.toml or Makefile with tests in %s: say how to test with -test \"command\"", cfg.Dir))
		}
	}
	return nil
}

// setUp wires an agent, new or restored, from the configuration that it was
// born with and the flags of this run.
func (s *session) setUp(ctx context.Context, a *agent.Agent, flags config) error {
	w := s.shop
	if err := json.Unmarshal(a.Config(), &w.cfg); err != nil {
		return setupFailure(fmt.Errorf("saved configuration: %w", err))
	}
	w.cfg.Yes, w.cfg.JSON, w.cfg.State, w.cfg.Inspect = flags.Yes, flags.JSON, flags.State, flags.Inspect
	if s.resumed {
		overrideConfig(&w.cfg, flags)
	}
	chat, release, err := openModel(w.cfg)
	if err != nil {
		return err
	}
	s.close = append(s.close, release)
	w.chat = chat
	if err := w.wire(ctx, a); err != nil {
		return err
	}
	s.close = append(s.close, func() { _ = w.files.Close() })
	return nil
}

// overrideConfig lets the flags of a resuming run replace what was saved.
func overrideConfig(saved *config, flags config) {
	if flags.Model != "" {
		saved.Model, saved.BaseURL = flags.Model, flags.BaseURL
	}
	if flags.BaseURL != "" {
		saved.BaseURL = flags.BaseURL
	}
	if flags.Test != "" {
		saved.Test = flags.Test
	}
	if flags.RepairsGiven {
		saved.MaxRepairs = flags.MaxRepairs
	}
	saved.NoCommit = saved.NoCommit || flags.NoCommit
}

// work does the job, reports it and returns the exit status.
func (s *session) work(ctx context.Context) int {
	w := s.shop
	var printing sync.WaitGroup
	following, stopFollowing := context.WithCancel(context.WithoutCancel(ctx))
	after := w.agent.LastSeq()
	printing.Go(func() { s.printer.follow(following, w.agent, after) })
	setup := setupReport{
		Repository: w.cfg.Dir, Model: w.cfg.Model, Scripted: w.cfg.Model == scriptedModel,
		Tests: w.cfg.Test, Agent: w.agent.ID(), Resumed: s.resumed,
	}
	if s.inspector != nil {
		setup.Inspector = s.inspector.URL
	}
	emit(w.agent, eventSetup, setup)

	err := w.run(ctx)

	saving, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveTimeout)
	defer cancel()
	result := w.result(saving, err)
	emit(w.agent, eventResult, result)
	printing.Wait()
	stopFollowing()
	if s.inspector != nil && s.terminal && ctx.Err() == nil {
		s.printer.line("the inspector stays open until you interrupt (Ctrl-C)")
		<-ctx.Done()
	}
	s.shutdown()
	return result.Exit
}

// shutdown releases what open acquired.
func (s *session) shutdown() {
	ctx, cancel := context.WithTimeout(context.Background(), saveTimeout)
	defer cancel()
	if s.manager != nil {
		_ = s.manager.Shutdown(ctx) // the state is saved; what still runs ends with the process
	}
	for i := len(s.close) - 1; i >= 0; i-- {
		s.close[i]()
	}
	s.close = nil
}

// listen answers the agent's questions with lines of the terminal. A line that
// answers none is an instruction to the model for its next step.
func (s *session) listen(stdin io.Reader) {
	lines := bufio.NewScanner(stdin)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if line == "" {
			continue
		}
		if pending := s.shop.agent.Pending(); len(pending) > 0 {
			if err := s.shop.agent.Answer(pending[0].ID, answerOf(line)); err != nil {
				s.printer.line("  ! %v", err)
			}
			continue
		}
		s.shop.conv.Steer(line)
		s.printer.line("  (the model will see this with its next step)")
	}
}

// answerOf reads a person's answer to an approval. Whatever is not clearly a
// yes is a no.
func answerOf(line string) agent.Response {
	choice := "no"
	switch strings.ToLower(line) {
	case "y", "yes":
		choice = "yes"
	case "a", "always":
		choice = "always"
	}
	return agent.Response{Choices: []string{choice}, By: "terminal"}
}

func asSetupFailure(err error) error {
	var f *failure
	if errors.As(err, &f) {
		return err
	}
	return setupFailure(err)
}
