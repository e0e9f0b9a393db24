package fabric

import (
	"context"
	"time"
)

// bucket limits the reports of one chassis: a peer that reports faster is read
// slower. It belongs to one goroutine.
type bucket struct {
	rate, burst float64 // per second; at once
	tokens      float64
	last        time.Time
}

// take waits until n tokens are there. More than burst at once takes what burst
// does, and the rest becomes a debt. It returns how long it waited.
func (b *bucket) take(ctx context.Context, n int) (time.Duration, error) {
	now := time.Now()
	if b.last.IsZero() {
		b.tokens = b.burst
	} else {
		b.tokens = min(b.burst, b.tokens+now.Sub(b.last).Seconds()*b.rate)
	}
	b.last = now
	b.tokens -= float64(n)
	if b.tokens >= 0 {
		return 0, nil
	}
	pause := time.Duration(-b.tokens / b.rate * float64(time.Second))
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return pause, nil
	case <-ctx.Done():
		return pause, ctx.Err()
	}
}
