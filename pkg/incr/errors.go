package incr

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

var (
	// ErrEmittedTwice is the status of a unit that emitted one key of a sink
	// with two different values.
	ErrEmittedTwice = errors.New("emitted twice with different values")

	// ErrTooDeep is the value of a query that was reached through more nested
	// queries than a goroutine's stack should hold.
	ErrTooDeep = errors.New("queries are nested too deeply")
)

// CycleError is the value of every query, and the status of every unit, that
// needs itself. It is the same wherever the evaluation entered the cycle.
type CycleError struct {
	Path  []string // each needs the next; the last is the first
	cycle *cycle
}

func (e *CycleError) Error() string { return "cycle: " + strings.Join(e.Path, " -> ") }

// PanicError is the value of a query, or the status of a unit, whose function
// panicked. Its text is without the stack, so that the same panic is equal.
type PanicError struct {
	Value any
	Stack []byte
}

func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// ConflictError is the status of a unit that emits what another unit, with a
// lesser identity, emits too. Only that emission is withheld.
type ConflictError struct {
	Sink  string
	Key   any
	Owner string // name(key) of the unit whose value the sink has
}

func (e *ConflictError) Error() string {
	return fmt.Sprintf("sink %q key %v: already emitted by %s", e.Sink, e.Key, e.Owner)
}

// UnsettledError is the value of a node that was evaluated again and again in
// one Run and never came to rest. That takes functions which are not pure.
type UnsettledError struct {
	Name string
	Runs int
}

func (e *UnsettledError) Error() string {
	return fmt.Sprintf("%s does not settle: %d evaluations in one run", e.Name, e.Runs)
}

// UnitError is the status of a failing unit.
type UnitError struct {
	Unit string
	Key  any
	Err  error // nil in the change feed: the unit works again, or is gone
}

// statusBook holds the errors of units.
type statusBook struct {
	errs    map[statusKey]error
	changed map[statusKey]error // what was there at the last DrainErrors
}

type statusKey struct {
	fam uint16
	key any
}

func (b *statusBook) init() {
	b.errs, b.changed = map[statusKey]error{}, map[statusKey]error{}
}

func (b *statusBook) set(k statusKey, err error) {
	old := b.errs[k]
	if old == nil && err == nil || old != nil && err != nil && old.Error() == err.Error() {
		return
	}
	if _, ok := b.changed[k]; !ok {
		b.changed[k] = old
	}
	if err == nil {
		delete(b.errs, k)
	} else {
		b.errs[k] = err
	}
}

func (b *statusBook) forget(e *Engine, id uint32) {
	if len(b.errs) > 0 {
		n := e.node(id)
		b.set(statusKey{n.fam, e.fams[n.fam].keyAny(n.slot)}, nil)
	}
}

// update recomputes the status of the units for which something has changed.
func (b *statusBook) update(e *Engine) {
	for id := range e.recheck {
		n := e.node(id)
		fx := e.effectsOf(n)
		var err error
		if fx.more != nil {
			err = fx.more.err
		}
		for i := 0; err == nil && i < len(fx.emits); i++ {
			err = e.sinks[fx.emits[i].sink].conflict(fx.emits[i].slot)
		}
		b.set(statusKey{n.fam, e.fams[n.fam].keyAny(n.slot)}, err)
	}
	clear(e.recheck)
}

// Errors lists the failing units by name and key.
func (e *Engine) Errors() []UnitError {
	out := make([]UnitError, 0, len(e.status.errs))
	for k, err := range e.status.errs {
		out = append(out, UnitError{e.fams[k.fam].base().name, k.key, err})
	}
	e.sortErrors(out)
	return out
}

// DrainErrors lists the units whose status differs from what it was at the
// last call, by name and key.
func (e *Engine) DrainErrors() []UnitError {
	var out []UnitError
	for k, old := range e.status.changed {
		now := e.status.errs[k]
		if now == nil && old == nil || now != nil && old != nil && now.Error() == old.Error() {
			continue
		}
		out = append(out, UnitError{e.fams[k.fam].base().name, k.key, now})
	}
	clear(e.status.changed)
	e.sortErrors(out)
	return out
}

func (e *Engine) sortErrors(s []UnitError) {
	order := map[string]func(a, b any) int{}
	for _, f := range e.fams {
		if u, ok := f.(unitFamily); ok {
			order[f.base().name] = u.compareKeys
		}
	}
	slices.SortFunc(s, func(a, b UnitError) int {
		if a.Unit != b.Unit {
			return strings.Compare(a.Unit, b.Unit)
		}
		return order[a.Unit](a.Key, b.Key)
	})
}
