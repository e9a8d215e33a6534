package aiclient

// pool runs functions in goroutines that it uses again: a goroutine whose stack
// has grown once runs the next tool without growing it anew.
type pool struct {
	tasks chan func()
	done  chan struct{}
}

func newPool() *pool {
	return &pool{tasks: make(chan func()), done: make(chan struct{})}
}

// run runs f in a goroutine that waits for work, or else in a new one.
func (p *pool) run(f func()) {
	select {
	case p.tasks <- f:
	default:
		go p.work(f)
	}
}

func (p *pool) work(f func()) {
	for {
		f()
		select {
		case f = <-p.tasks:
		case <-p.done:
			return
		}
	}
}

// close lets every goroutine end as soon as its function has returned.
func (p *pool) close() { close(p.done) }
