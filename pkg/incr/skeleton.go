package incr

import (
	"iter"
	"log/slog"
)

// Hash identifies a value, a cell or a collection key.
type Hash [16]byte

// Cell is the identity of one input.
type Cell = Hash

// CellOf hashes its parts (string, []byte, uint64, [16]byte) to a cell.
func CellOf(parts ...any) Cell { return Cell{} }

// Options configures an engine.
type Options struct {
	Workers int
	Logger  *slog.Logger
}

// Engine owns the memo table.
type Engine struct{}

// New returns an empty engine.
func New(o Options) *Engine { return &Engine{} }

// Ctx records what the running query reads.
type Ctx struct{}

// Option adjusts a registration.
type Option[K comparable] func(*options[K])

type options[K comparable] struct {
	order    func(a, b K) int
	contains func(key Hash, e K) bool
}

// Order gives the order of keys.
func Order[K comparable](cmp func(a, b K) int) Option[K] {
	return func(o *options[K]) { o.order = cmp }
}

// Contains answers Has without enumerating the key.
func Contains[E comparable](f func(key Hash, e E) bool) Option[E] {
	return func(o *options[E]) { o.contains = f }
}

// Query is a memoised pure function.
type Query[K comparable, V any] struct{}

// NewQuery registers a query.
func NewQuery[K comparable, V any](e *Engine, name string, hash func(V) Hash, fn func(*Ctx, K) (V, error), opts ...Option[K]) *Query[K, V] {
	return &Query[K, V]{}
}

// Get returns the value at k and records the read.
func (q *Query[K, V]) Get(c *Ctx, k K) (v V, err error) { return }

// Read records that the running query depends on an input cell.
func (c *Ctx) Read(cell Cell) {}

// Touch says that an input changed.
func (e *Engine) Touch(cell Cell) {}

// Unit is a query without a value that emits.
type Unit[K comparable] struct{}

// NewUnit registers a unit.
func NewUnit[K comparable](e *Engine, name string, fn func(*Ctx, K) error, opts ...Option[K]) *Unit[K] {
	return &Unit[K]{}
}

// Root keeps the unit at k alive.
func (u *Unit[K]) Root(k K) {}

// Unroot undoes Root.
func (u *Unit[K]) Unroot(k K) {}

// Collection is a set-valued input or a relation.
type Collection[E comparable] struct{}

// NewCollection registers an input collection.
func NewCollection[E comparable](e *Engine, name string, enumerate func(key Hash) iter.Seq[E], opts ...Option[E]) *Collection[E] {
	return &Collection[E]{}
}

// Change feeds one difference.
func (col *Collection[E]) Change(key Hash, e E, present bool) {}

// Each keeps one child per element alive.
func Each[E comparable](c *Ctx, col *Collection[E], key Hash, child *Unit[E]) {}

// Has reports whether e is there.
func Has[E comparable](c *Ctx, col *Collection[E], key Hash, e E) bool { return false }

// Any reports whether the key has elements.
func Any[E comparable](c *Ctx, col *Collection[E], key Hash) bool { return false }

// NewRelation registers a derived collection.
func NewRelation[E comparable](e *Engine, name string, opts ...Option[E]) *Collection[E] {
	return &Collection[E]{}
}

// Insert adds an element while the running unit lives.
func Insert[E comparable](c *Ctx, rel *Collection[E], key Hash, e E) {}

// Sink receives emissions.
type Sink[K comparable, V any] struct{}

// SinkChange is one net change of a sink.
type SinkChange[K comparable, V any] struct {
	Key      K
	Old, New *V
}

// NewSink registers a sink.
func NewSink[K comparable, V any](e *Engine, name string, hash func(V) Hash, opts ...Option[K]) *Sink[K, V] {
	return &Sink[K, V]{}
}

// Emit gives the sink a value while the running unit lives.
func Emit[K comparable, V any](c *Ctx, s *Sink[K, V], k K, v V) {}

// Drain returns the net changes since the last Drain.
func (s *Sink[K, V]) Drain() []SinkChange[K, V] { return nil }

// RunStats counts what one Run did.
type RunStats struct {
	Executed map[string]int // by name of query or unit
	Total    int            // sum of Executed
	Changed  int            // executions whose result differed
	Freed    int            // nodes freed
}

// Run evaluates all that is dirty.
func (e *Engine) Run() RunStats { return RunStats{} }

// UnitError is the status of a failing unit.
type UnitError struct {
	Unit string
	Key  any
	Err  error // nil in the change feed: it works again, or is gone
}

// Errors lists the failing units.
func (e *Engine) Errors() []UnitError { return nil }

// DrainErrors lists the statuses that changed since the last call.
func (e *Engine) DrainErrors() []UnitError { return nil }

// Stats is the size of the engine.
type Stats struct {
	Nodes, Edges int
	Bytes        int64 // estimate
}

// Stats returns the size of the engine.
func (e *Engine) Stats() Stats { return Stats{} }
