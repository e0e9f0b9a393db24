package northd

import (
	"fmt"
	"maps"
	"slices"

	"govn/northd/views"
	"govn/pkg/ovsdb"
	"govn/proto/control"
)

// problem is an object that cannot be used, and why.
type problem struct {
	text string // of the error
	control.Problem
}

// seen is what a round left to look at.
type seen struct {
	snapshot *ovsdb.Snapshot
	problems []control.Problem
}

// complain logs each object that cannot be used once, and again when it can.
func (z *Zone) complain() {
	sn := z.program.Reader.Snapshot()
	last := z.seen.Load()
	changed := last == nil
	note := func(key, unit, effect string, k any, err error) {
		switch was, there := z.problems[key]; {
		case err == nil && there:
			z.log.Info("an object is used again", "unit", unit, "was", was.text)
			delete(z.problems, key)
			changed = true
		case err != nil && was.text != err.Error():
			p := views.ProblemOf(sn, z.columns, unit, k, err)
			p.Effect = effect
			z.problems[key] = problem{err.Error(), p}
			z.log.Warn("an object is "+effect, "unit", unit, "err", err)
			changed = true
		}
	}
	for _, e := range z.program.Engine.DrainErrors() {
		note(fmt.Sprintf("%s(%v)", e.Unit, e.Key), e.Unit, control.LeftOut, e.Key, e.Err)
	}
	for _, w := range z.program.Warnings.Drain() {
		var err error
		if w.New != nil {
			err = *w.New
		}
		note("warning "+w.Key, "warning", control.Ambiguous, w.Key, err)
	}
	for _, p := range z.ipam.Problems.Drain() {
		note("ipam "+p.Key, "ipam", control.Ambiguous, p.Key, p.Err)
	}
	for _, p := range z.alloc.Problems.Drain() {
		note("keys "+p.Key, "keys", control.Ambiguous, p.Key, p.Err)
	}
	now := &seen{snapshot: sn}
	if changed {
		for _, key := range slices.Sorted(maps.Keys(z.problems)) {
			now.problems = append(now.problems, z.problems[key].Problem)
		}
	} else {
		now.problems = last.problems
	}
	z.seen.Store(now)
}

// View is the zone as the last round left it, without what the fabric knows. It
// may be called at any time.
func (z *Zone) View() *views.Source {
	now := z.seen.Load()
	if now == nil {
		now = &seen{snapshot: z.store.Snapshot()}
	}
	return &views.Source{
		Snapshot: now.snapshot, Schemas: z.schemas, Columns: z.columns, Units: z.flows.Units(), Problems: now.problems,
		Cluster: z.store.ClusterID(), Stored: z.store.Snapshot().Revision(),
	}
}
