package fabric

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// gate holds frames back until their revision is durable. One goroutine asks
// for all streams.
type gate struct {
	wait   func(ctx context.Context, revision uint64) error
	logger *slog.Logger

	mu      sync.Mutex
	durable uint64
	wanted  uint64
	passed  chan struct{} // closed and replaced when durable rises
	ask     chan struct{} // holds one token when wanted rose
}

func newGate(wait func(context.Context, uint64) error, logger *slog.Logger) *gate {
	return &gate{wait: wait, logger: logger, passed: make(chan struct{}), ask: make(chan struct{}, 1)}
}

// await returns when the revision is durable, or with the error of ctx.
func (g *gate) await(ctx context.Context, revision uint64) error {
	if g.wait == nil {
		return nil
	}
	for {
		g.mu.Lock()
		passed, done := g.passed, g.durable >= revision
		g.wanted = max(g.wanted, revision)
		g.mu.Unlock()
		if done {
			return nil
		}
		select {
		case g.ask <- struct{}{}:
		default:
		}
		select {
		case <-passed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// retryDurable is the pause after the store failed to say what is durable.
const retryDurable = time.Second

// run asks until ctx ends.
func (g *gate) run(ctx context.Context) {
	for {
		select {
		case <-g.ask:
		case <-ctx.Done():
			return
		}
		g.mu.Lock()
		want, have := g.wanted, g.durable
		g.mu.Unlock()
		if want <= have {
			continue
		}
		if err := g.wait(ctx, want); err != nil {
			if ctx.Err() != nil {
				return
			}
			g.logger.Error("revision does not become durable; nothing is sent", "revision", want, "err", err)
			select {
			case <-time.After(retryDurable):
			case <-ctx.Done():
				return
			}
			select {
			case g.ask <- struct{}{}:
			default:
			}
			continue
		}
		g.mu.Lock()
		g.durable = want
		close(g.passed)
		g.passed = make(chan struct{})
		g.mu.Unlock()
	}
}
