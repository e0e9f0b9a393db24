package southbound

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"govn/pkg/ovsdb"
)

// HvGrace is how long a chassis whose stream was lost still counts for
// --wait=hv.
const HvGrace = 30 * time.Second

// Progress turns acknowledgements into what users see of them: Port_Binding:up,
// Chassis_Private:nb_cfg and NB_Global:hv_cfg. It is safe for concurrent use.
type Progress struct {
	reg *Registry
	nb  *ovsdb.DatabaseSchema
	now func() time.Time

	started time.Time // when the streams of the time before were lost

	mu      sync.Mutex
	sent    []milestone // ascending; the first is what every chassis is at least at
	waiting map[string]map[ovsdb.UUID]uint64
	applied map[string]uint64 // by chassis, database revision
	acks    []ack             // not stored yet
	storing bool              // somebody is at it
	stored  uint64            // revision of the store that the last of them made
}

// ack says that a chassis has applied a revision.
type ack struct {
	chassis  string
	revision uint64
	at       time.Time
}

// milestone is a revision at which nb_cfg rose.
type milestone struct {
	revision uint64
	nbCfg    int64
}

// NewProgress makes one for the chassis of the registry. The clock is for
// tests; nil means time.Now.
func NewProgress(reg *Registry, nb *ovsdb.DatabaseSchema, now func() time.Time) *Progress {
	if now == nil {
		now = time.Now
	}
	return &Progress{reg: reg, nb: nb, now: now, started: now(),
		waiting: make(map[string]map[ovsdb.UUID]uint64), applied: make(map[string]uint64)}
}

// Sent notes that the revision went to the fabric with this nb_cfg.
func (p *Progress) Sent(revision uint64, nbCfg int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.sent); n == 0 || p.sent[n-1].nbCfg != nbCfg {
		p.sent = append(p.sent, milestone{revision, nbCfg})
	}
}

// Await notes that the port is up once the chassis has applied the revision.
func (p *Progress) Await(chassis string, port ovsdb.UUID, revision uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	w := p.waiting[chassis]
	if w == nil {
		w = make(map[ovsdb.UUID]uint64)
		p.waiting[chassis] = w
	}
	w[port] = revision
}

// Forget undoes Await.
func (p *Progress) Forget(chassis string, port ovsdb.UUID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.waiting[chassis], port)
}

// Applied notes that a chassis has applied a revision, and writes what follows
// from it. While the last such write is not durable, further ones wait and go
// into one transaction: a caller that finds another at it leaves its own to that
// one, who gets the errors of all.
func (p *Progress) Applied(chassis string, revision uint64, at time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.acks = append(p.acks, ack{chassis, revision, at})
	if p.storing {
		return nil
	}
	p.storing = true
	defer func() { p.storing = false }()
	var errs error
	for len(p.acks) > 0 {
		last := p.stored
		p.mu.Unlock()
		errs = errors.Join(errs, p.reg.store.WaitDurable(p.reg.ctx, last))
		p.mu.Lock()
		steps := p.take()
		p.mu.Unlock()
		rev, err := p.store(steps)
		if err == nil {
			err = p.Settle()
		}
		errs = errors.Join(errs, err)
		p.mu.Lock()
		p.stored = max(p.stored, rev)
	}
	return errs
}

// step is what follows from the acks of one chassis.
type step struct {
	chassis string
	nbCfg   int64
	at      time.Time
	up      []ovsdb.UUID // ports that are up now
}

// take turns the acks into steps, in order of chassis.
func (p *Progress) take() []step {
	latest := make(map[string]ack)
	for _, a := range p.acks {
		latest[a.chassis] = a
	}
	p.acks = nil
	steps := make([]step, 0, len(latest))
	for name, a := range latest {
		p.applied[name] = a.revision
		s := step{chassis: name, nbCfg: p.nbCfgAt(a.revision), at: a.at}
		for port, rev := range p.waiting[name] {
			if rev <= a.revision {
				s.up = append(s.up, port)
				delete(p.waiting[name], port)
			}
		}
		slices.SortFunc(s.up, ovsdb.UUID.Compare)
		steps = append(steps, s)
	}
	slices.SortFunc(steps, func(a, b step) int { return strings.Compare(a.chassis, b.chassis) })
	return steps
}

// nbCfgAt is the nb_cfg that a chassis at the revision has.
func (p *Progress) nbCfgAt(revision uint64) int64 {
	n, _ := slices.BinarySearchFunc(p.sent, revision+1, func(m milestone, rev uint64) int {
		switch {
		case m.revision < rev:
			return -1
		case m.revision > rev:
			return 1
		}
		return 0
	})
	if n == 0 {
		return 0
	}
	return p.sent[n-1].nbCfg
}

// store writes steps in one transaction and returns its revision.
func (p *Progress) store(steps []step) (uint64, error) {
	r := p.reg
	private, b := &r.c.ChassisPrivate, &r.c.PortBinding
	sn := r.store.Snapshot()
	news := slices.ContainsFunc(steps, func(s step) bool {
		row := sn.Row(private.Table, named("chassis-private", s.chassis))
		return len(s.up) > 0 || row != nil && row.Int(private.NbCfg) < s.nbCfg
	})
	if !news {
		return 0, nil
	}
	rev, err := r.store.Update(r.ctx, r.sb, ovsdb.OwnerChassis, func(tx *ovsdb.Txn) error {
		for _, s := range steps {
			u := named("chassis-private", s.chassis)
			if row := tx.Row(private.Table, u); row != nil && row.Int(private.NbCfg) < s.nbCfg {
				tx.SetColumn(private.Table, u, "nb_cfg", s.nbCfg)
				tx.SetColumn(private.Table, u, "nb_cfg_timestamp", s.at.UnixMilli())
			}
			for _, port := range s.up {
				row := tx.Row(b.Table, port)
				if row == nil {
					continue
				}
				if on, ok := row.Ref(b.Chassis); ok && on == ChassisUUID(s.chassis) {
					tx.SetColumn(b.Table, port, "up", ovsdb.NewSet(true))
				}
			}
		}
		return tx.Err()
	})
	if err != nil {
		return 0, fmt.Errorf("storing the progress of chassis %q and others: %w", steps[0].chassis, err)
	}
	return rev, nil
}

// Settle writes NB_Global:hv_cfg if the slowest chassis that counts got
// further. Those count that are registered and whose stream is there or was
// lost less than HvGrace ago; with hv-wait=all in NB_Global:options all that
// are registered do.
func (p *Progress) Settle() error {
	r := p.reg
	sn := r.store.Snapshot()
	global := firstRow(sn, r.c.NBGlobal.Table)
	if global == nil {
		return nil
	}
	mode, _ := global.Map(r.c.NBGlobal.Options).Get("hv-wait")
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.sent) == 0 {
		return nil
	}
	lowest := p.sent[len(p.sent)-1].nbCfg
	newest := int64(0)
	private := &r.c.ChassisPrivate
	for row := range sn.Rows(private.Table) {
		if _, ok := row.Ref(private.Chassis); !ok {
			continue
		}
		if mode != "all" && !p.counts(row.Str(private.Name)) {
			continue
		}
		lowest = min(lowest, row.Int(private.NbCfg))
		newest = max(newest, row.Int(private.NbCfgTimestamp))
	}
	p.trim()
	if lowest <= global.Int(r.c.NBGlobal.HvCfg) {
		return nil
	}
	if newest == 0 {
		newest = p.now().UnixMilli()
	}
	_, err := r.store.Update(r.ctx, p.nb, ovsdb.OwnerNorthd, func(tx *ovsdb.Txn) error {
		row := tx.Row(r.c.NBGlobal.Table, global.UUID())
		if row == nil || row.Int(r.c.NBGlobal.HvCfg) >= lowest {
			return nil
		}
		tx.SetColumn(r.c.NBGlobal.Table, row.UUID(), "hv_cfg", lowest)
		tx.SetColumn(r.c.NBGlobal.Table, row.UUID(), "hv_cfg_timestamp", newest)
		return tx.Err()
	})
	if err != nil {
		return fmt.Errorf("storing hv_cfg: %w", err)
	}
	return nil
}

func (p *Progress) counts(chassis string) bool {
	connected, lost, known := p.reg.Liveness(chassis)
	if !known {
		lost = p.started
	}
	return connected || p.now().Sub(lost) < HvGrace
}

// trim forgets milestones that every chassis has passed.
func (p *Progress) trim() {
	if len(p.applied) == 0 || len(p.sent) < 64 {
		return
	}
	low := slices.Min(slices.Collect(maps.Values(p.applied)))
	for len(p.sent) > 1 && p.sent[1].revision <= low {
		p.sent = p.sent[1:]
	}
}

func firstRow(sn *ovsdb.Snapshot, t *ovsdb.TableSchema) *ovsdb.Row {
	for row := range sn.Rows(t) {
		return row
	}
	return nil
}
