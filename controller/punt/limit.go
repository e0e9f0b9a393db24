package punt

import (
	"sync"
	"time"

	"govn/pkg/abi"
)

// Rate limits of packets that are taken, in packets a second.
//
// Every source, that is a port and an opcode, has a share of its own that no
// other source can take from it; what it sends beyond that comes out of a pool
// that all share, up to a limit for each.
const (
	ShareRate   = 20
	ShareBurst  = 40
	BFDRate     = 400 // the share of BFD: a port may have many neighbours, each of which sends all the time
	BFDBurst    = 400
	SourceRate  = 500
	SourceBurst = 500
	PoolRate    = 1000
	PoolBurst   = 1000

	// MaxSources bounds the sources that are told apart. What comes from more of
	// them at a time is taken from the pool alone.
	MaxSources = 8192
)

// source is who sends, and why.
type source struct {
	datapath uint64
	inport   uint32
	opcode   uint16
}

// share is what the source has of its own.
func (s source) share() (rate, burst float64) {
	if s.opcode == abi.PuntBFD {
		return BFDRate, BFDBurst
	}
	return ShareRate, ShareBurst
}

// bucket holds tokens.
type bucket struct {
	tokens float64
	last   time.Time
}

// fill brings a bucket to now.
func (b *bucket) fill(now time.Time, rate, burst float64) {
	b.tokens = min(burst, b.tokens+now.Sub(b.last).Seconds()*rate)
	b.last = now
}

func (b *bucket) take() bool {
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}

// buckets are those of a source.
type buckets struct{ share, source bucket }

// Limiter decides which packets are taken. It is safe for concurrent use, so
// that packets that are not taken need not be queued.
type Limiter struct {
	now func() time.Time

	mu      sync.Mutex
	sources map[source]*buckets
	pool    bucket
	swept   time.Time // when sweep went over the sources
}

// NewLimiter makes a limiter whose buckets are full. now is the clock; nil:
// time.Now.
func NewLimiter(now func() time.Time) *Limiter {
	if now == nil {
		now = time.Now
	}
	return &Limiter{now: now, sources: map[source]*buckets{}, pool: bucket{PoolBurst, now()}}
}

// admit takes a token for a packet.
func (l *Limiter) admit(s source) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	rate, burst := s.share()
	l.pool.fill(now, PoolRate, PoolBurst)
	b := l.sources[s]
	if b == nil {
		if len(l.sources) >= MaxSources && !l.sweep(now) {
			return l.pool.take()
		}
		b = &buckets{bucket{burst, now}, bucket{SourceBurst, now}}
		l.sources[s] = b
	}
	b.share.fill(now, rate, burst)
	b.source.fill(now, SourceRate, SourceBurst)
	if b.share.take() {
		return true
	}
	if b.source.tokens >= 1 && l.pool.take() {
		return b.source.take()
	}
	return false
}

// sweep forgets sources that were silent for so long that a new one would be no
// different, once a second at most. It tells whether there is room.
func (l *Limiter) sweep(now time.Time) bool {
	if now.Sub(l.swept) < time.Second {
		return false
	}
	l.swept = now
	for s, b := range l.sources {
		rate, burst := s.share()
		b.share.fill(now, rate, burst)
		b.source.fill(now, SourceRate, SourceBurst)
		if b.share.tokens >= burst && b.source.tokens >= SourceBurst {
			delete(l.sources, s)
		}
	}
	return len(l.sources) < MaxSources
}
