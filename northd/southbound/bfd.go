package southbound

import (
	"fmt"

	"govn/northd/compile"
	"govn/pkg/bfd"
	"govn/pkg/ovsdb"
	"govn/proto"
)

// maxBFDStates bounds what is kept of the reports of one chassis.
const maxBFDStates = 4096

// bfdStates is what chassis say about BFD sessions, by discriminator. What a
// chassis says counts while the row names it, whichever comes first.
type bfdStates struct {
	rows    map[uint32]ovsdb.UUID
	reports map[string]map[uint32]string // by chassis
}

func newBFDStates() bfdStates {
	return bfdStates{rows: make(map[uint32]ovsdb.UUID), reports: make(map[string]map[uint32]string)}
}

// sessions takes in reports about BFD sessions.
func (r *Registry) sessions(chassis string, list []*proto.BfdStatus) error {
	if len(list) == 0 {
		return nil
	}
	r.mu.Lock()
	rows := make(map[ovsdb.UUID]string, len(list))
	states := r.bfd.reports[chassis]
	if states == nil {
		states = make(map[uint32]string)
		r.bfd.reports[chassis] = states
	}
	for _, s := range list {
		if !isState(s.State) {
			continue
		}
		if _, known := states[s.Discriminator]; known || len(states) < maxBFDStates {
			states[s.Discriminator] = s.State
		}
		if u, there := r.bfd.rows[s.Discriminator]; there {
			rows[u] = s.State
		}
	}
	r.mu.Unlock()
	if len(rows) == 0 {
		return nil
	}
	t := &r.c.SBBFD
	_, err := r.store.Update(r.ctx, r.sb, ovsdb.OwnerChassis, func(tx *ovsdb.Txn) error {
		for u, state := range rows {
			if row := tx.Row(t.Table, u); row != nil && row.Str(t.ChassisName) == chassis && row.Str(t.Status) != state {
				tx.SetColumn(t.Table, u, "status", state)
			}
		}
		return tx.Err()
	})
	if err != nil {
		return fmt.Errorf("storing BFD sessions of chassis %q: %w", chassis, err)
	}
	return nil
}

func isState(s string) bool {
	for _, known := range []bfd.State{bfd.AdminDown, bfd.Down, bfd.Init, bfd.Up} {
		if s == known.String() {
			return true
		}
	}
	return false
}

// putBFD writes a row of BFD. The compiler's status is the one to begin with; it
// is the chassis' to change, as long as the session is in use and has a chassis.
// Where another chassis takes over the state stays until that one tells it.
func (w *Writer) putBFD(tx *ovsdb.Txn, k compile.RowKey, r *compile.Row) {
	t := &w.c.SBBFD
	old := tx.Row(t.Table, k.UUID)
	values := make(map[string]ovsdb.Value, len(r.Columns))
	for _, c := range r.Columns {
		values[c.Name] = c.Value
	}
	discr, chassis := uint32(values["disc"].(int64)), values["chassis_name"].(string)
	w.reg.mu.Lock()
	if old != nil && uint32(old.Int(t.Disc)) != discr {
		delete(w.reg.bfd.rows, uint32(old.Int(t.Disc)))
	}
	w.reg.bfd.rows[discr] = k.UUID
	reported := w.reg.bfd.reports[chassis][discr]
	w.reg.mu.Unlock()
	if values["status"] != bfd.AdminDown.String() && chassis != "" {
		switch {
		case reported != "" && reported != bfd.AdminDown.String():
			values["status"] = reported
		case old != nil && uint32(old.Int(t.Disc)) == discr && old.Str(t.Status) != bfd.AdminDown.String():
			values["status"] = old.Str(t.Status)
		}
	}
	putRow(tx, t.Table, k.UUID, values)
}

// endBFD forgets the row of a session that is gone.
func (r *Registry) endBFD(row *ovsdb.Row) {
	discr := uint32(row.Int(r.c.SBBFD.Disc))
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.bfd.rows, discr)
	for _, states := range r.bfd.reports {
		delete(states, discr)
	}
}
