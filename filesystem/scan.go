package filesystem

import (
	"context"
	"fmt"
	"io/fs"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
)

// scan visits a tree with several workers. Each directory is one piece of work,
// and so is each batch of files in a directory that has many. Work is taken
// from the end of a stack, so that the walk goes deep first and few directories
// are open at a time.
type scan struct {
	tree *tree
	opts WalkOptions

	// want filters entries before anything else happens to them. Nil wants all.
	want func(e Entry) bool

	// visit is called for each entry, by several workers at once. dir is the
	// open directory that contains it. It returns false to end the scan.
	visit func(worker int, dir dirNode, e Entry) bool

	// fail is told what could not be read. It returns false to end the scan.
	fail func(worker int, e Entry, err error) bool

	lists [][]Entry // of each worker, to read a directory into

	mu      sync.Mutex
	ready   sync.Cond
	stack   []scanTask
	pending int // tasks on the stack or in work
	stopped atomic.Bool
}

type scanTask struct {
	parent *openDir // keeps open what the task needs
	entry  Entry    // a directory to read, when files is nil
	files  []Entry
	chain  *ruleChain
	depth  int
}

// openDir is a directory that stays open while work below it is left.
type openDir struct {
	node dirNode
	refs atomic.Int32
}

func (d *openDir) release() {
	if d != nil && d.refs.Add(-1) == 0 {
		d.node.close()
	}
}

// scanBatch is the number of files that one worker takes at a time.
const scanBatch = 64

func workers(n int) int {
	if n > 0 {
		return n
	}
	return runtime.GOMAXPROCS(0)
}

// run scans below dir, which must be clean, and returns when all is visited.
func (s *scan) run(ctx context.Context, dir string) error {
	chain, _, err := s.tree.chainTo(ctx, dir, true)
	if err != nil {
		return err
	}
	node, err := s.tree.openDir(ctx, dir)
	if err != nil {
		return err
	}
	s.ready.L = &s.mu
	root := &openDir{node: node}
	root.refs.Store(1)

	stop := context.AfterFunc(ctx, s.stop)
	defer stop()
	s.pending = 1
	s.lists = make([][]Entry, workers(s.opts.Workers))
	var group sync.WaitGroup
	for i := range workers(s.opts.Workers) {
		group.Go(func() {
			if i == 0 {
				s.list(i, dir, root, chain, 1, true)
				s.finish()
			}
			s.work(i)
		})
	}
	group.Wait()
	for _, t := range s.stack {
		t.parent.release()
	}
	return ctx.Err()
}

func (s *scan) stop() {
	s.stopped.Store(true)
	s.mu.Lock()
	s.ready.Broadcast()
	s.mu.Unlock()
}

func (s *scan) finish() {
	s.mu.Lock()
	s.pending--
	if s.pending == 0 {
		s.ready.Broadcast()
	}
	s.mu.Unlock()
}

func (s *scan) push(tasks ...scanTask) {
	s.mu.Lock()
	s.stack = append(s.stack, tasks...)
	s.pending += len(tasks)
	if len(tasks) == 1 {
		s.ready.Signal()
	} else {
		s.ready.Broadcast()
	}
	s.mu.Unlock()
}

func (s *scan) work(worker int) {
	for {
		s.mu.Lock()
		for len(s.stack) == 0 && s.pending > 0 && !s.stopped.Load() {
			s.ready.Wait()
		}
		if len(s.stack) == 0 || s.stopped.Load() {
			s.mu.Unlock()
			return
		}
		last := len(s.stack) - 1
		task := s.stack[last]
		s.stack[last] = scanTask{}
		s.stack = s.stack[:last]
		s.mu.Unlock()

		if task.files != nil {
			s.visitAll(worker, task.parent.node, task.files)
		} else if node, err := task.parent.node.dir(task.entry.Name()); err != nil {
			if !s.fail(worker, task.entry, fmt.Errorf("walk %s: %w", task.entry.Path, err)) {
				s.stop()
			}
		} else {
			dir := &openDir{node: node}
			dir.refs.Store(1)
			s.list(worker, task.entry.Path, dir, task.chain, task.depth, false)
		}
		task.parent.release()
		s.finish()
	}
}

// list reads a directory, puts what is below it on the stack and visits its
// files.
func (s *scan) list(worker int, path string, dir *openDir, chain *ruleChain, depth int, entered bool) {
	defer dir.release()
	read, chain, err := s.tree.list(path, dir.node, chain, entered, s.opts, s.lists[worker][:0])
	s.lists[worker] = read
	if err != nil && !s.fail(worker, Entry{Path: path, Type: fs.ModeDir}, fmt.Errorf("walk %s: %w", path, err)) {
		s.stop()
		return
	}
	list := slices.Clone(read)
	if s.want != nil {
		list = slices.DeleteFunc(list, func(e Entry) bool { return !s.want(e) })
	}
	dirs := 0
	for _, e := range list {
		if e.IsDir() {
			dirs++
		}
	}
	var tasks []scanTask
	if dirs > 0 || len(list) > scanBatch {
		tasks = make([]scanTask, 0, dirs+len(list)/scanBatch)
	}
	if s.opts.MaxDepth == 0 || depth < s.opts.MaxDepth {
		for i := len(list) - 1; i >= 0; i-- {
			if list[i].IsDir() {
				tasks = append(tasks, scanTask{parent: dir, entry: list[i], chain: chain, depth: depth + 1})
			}
		}
	}
	own := list
	for len(own) > scanBatch {
		cut := len(own) - scanBatch
		tasks = append(tasks, scanTask{parent: dir, files: own[cut:]})
		own = own[:cut]
	}
	if len(tasks) > 0 {
		dir.refs.Add(int32(len(tasks)))
		s.push(tasks...)
	}
	s.visitAll(worker, dir.node, own)
}

func (s *scan) visitAll(worker int, dir dirNode, list []Entry) {
	for _, e := range list {
		if s.stopped.Load() {
			return
		}
		if !s.visit(worker, dir, e) {
			s.stop()
			return
		}
	}
}

// walkParallel yields entries in the order in which workers find them.
func (t *tree) walkParallel(ctx context.Context, dir string, opts WalkOptions, yield func(Entry, error) bool) {
	type found struct {
		entries []Entry
		entry   Entry
		err     error
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	out := make(chan found, 16)
	batches := make([][]Entry, workers(opts.Workers))
	send := func(f found) bool {
		select {
		case out <- f:
			return true
		case <-ctx.Done():
			return false
		}
	}
	s := &scan{tree: t, opts: opts}
	s.visit = func(w int, _ dirNode, e Entry) bool {
		batches[w] = append(batches[w], e.bare())
		if len(batches[w]) < 128 {
			return true
		}
		full := batches[w]
		batches[w] = make([]Entry, 0, 128)
		return send(found{entries: full})
	}
	s.fail = func(_ int, e Entry, err error) bool { return send(found{entry: e, err: err}) }
	var group sync.WaitGroup
	group.Go(func() {
		defer close(out)
		if err := s.run(ctx, dir); err != nil && ctx.Err() == nil {
			send(found{entry: Entry{Path: dir, Type: fs.ModeDir}, err: fmt.Errorf("walk %s: %w", dir, err)})
			return
		}
		for _, b := range batches {
			send(found{entries: b})
		}
	})
	defer group.Wait()
	defer cancel(nil)
	for f := range out {
		if f.err != nil {
			if !yield(f.entry, f.err) {
				return
			}
			continue
		}
		for _, e := range f.entries {
			if !yield(e, nil) {
				return
			}
		}
	}
	if err := ctx.Err(); err != nil {
		yield(Entry{}, err)
	}
}
