package compile

import (
	"maps"
	"sync"

	gproto "google.golang.org/protobuf/proto"

	"govn/northd/pipeline"
	"govn/pkg/incr"
	"govn/pkg/ovsdb"
	"govn/proto"
)

// FlowTable is the Logical_Flow table: its rows are made from the units only
// for those who watch it. It implements ovsdb.VirtualTable.
type FlowTable struct {
	table *ovsdb.TableSchema

	mu       sync.Mutex
	units    map[UnitKey]*Unit
	byID     map[[16]byte]*Unit
	watchers map[*watcher]bool
}

type watcher struct{ notify func([]ovsdb.Change) }

// NewFlowTable makes an empty one.
func NewFlowTable(t *ovsdb.TableSchema) *FlowTable {
	return &FlowTable{table: t, units: make(map[UnitKey]*Unit), byID: make(map[[16]byte]*Unit), watchers: make(map[*watcher]bool)}
}

// Apply takes in what the compiler changed.
func (t *FlowTable) Apply(changes []incr.SinkChange[UnitKey, *Unit]) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.units) == 0 { // of a start
		t.units, t.byID = make(map[UnitKey]*Unit, len(changes)), make(map[[16]byte]*Unit, len(changes))
	}
	rows := make(map[ovsdb.UUID]*ovsdb.Change)
	for _, ch := range changes {
		if len(t.watchers) > 0 {
			if ch.Old != nil {
				for _, r := range t.render(ch.Key, *ch.Old) {
					rows[r.UUID()] = &ovsdb.Change{Table: t.table, UUID: r.UUID(), Old: r}
				}
			}
			if ch.New != nil {
				for _, r := range t.render(ch.Key, *ch.New) {
					if rows[r.UUID()] != nil {
						delete(rows, r.UUID()) // the same flow as before
						continue
					}
					rows[r.UUID()] = &ovsdb.Change{Table: t.table, UUID: r.UUID(), New: r}
				}
			}
		}
		if ch.New != nil {
			t.units[ch.Key] = *ch.New
			t.byID[ch.Key.ID()] = *ch.New
		} else {
			delete(t.units, ch.Key)
			delete(t.byID, ch.Key.ID())
		}
	}
	if len(rows) == 0 {
		return
	}
	list := make([]ovsdb.Change, 0, len(rows))
	for _, ch := range rows {
		list = append(list, *ch)
	}
	for w := range t.watchers {
		w.notify(list)
	}
}

// Objects names the northbound objects behind a unit, by the id that chassis
// know it by.
func (t *FlowTable) Objects(id [16]byte) []*proto.Object {
	t.mu.Lock()
	defer t.mu.Unlock()
	u := t.byID[id]
	if u == nil {
		return nil
	}
	var m proto.Unit
	if err := gproto.Unmarshal(u.Value, &m); err != nil {
		return nil
	}
	return m.Objects
}

// Units are all units of now.
func (t *FlowTable) Units() map[UnitKey]*Unit {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Clone(t.units)
}

// Watch renders all rows, and later the differences.
func (t *FlowTable) Watch(notify func([]ovsdb.Change)) (initial []*ovsdb.Row, stop func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	seen := make(map[ovsdb.UUID]bool)
	for k, u := range t.units {
		for _, r := range t.render(k, u) {
			if !seen[r.UUID()] {
				seen[r.UUID()] = true
				initial = append(initial, r)
			}
		}
	}
	w := &watcher{notify}
	t.watchers[w] = true
	return initial, func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		delete(t.watchers, w)
	}
}

// render is the rows of a unit.
func (t *FlowTable) render(k UnitKey, u *Unit) []*ovsdb.Row {
	flows, err := u.Logic()
	if err != nil {
		return nil // the unit compiled, so its logic does
	}
	rows := make([]*ovsdb.Row, 0, len(flows))
	for i := range flows {
		rows = append(rows, t.row(k, &flows[i]))
	}
	return rows
}

func (t *FlowTable) row(k UnitKey, f *pipeline.Flow) *ovsdb.Row {
	match, acts := f.Match.String(), f.Actions.String()
	b := append([]byte(nil), k.Switch[:]...)
	b = append(b, k.Object[:]...)
	b = append(b, byte(f.Stage.ID), byte(f.Priority>>8), byte(f.Priority))
	b = appendString(appendString(b, match), acts)
	u := ovsdb.UUID(sum(b))
	u[6], u[8] = u[6]&0x0f|0x50, u[8]&0x3f|0x80
	return ovsdb.NewVirtualRow(t.table, u, map[string]ovsdb.Value{
		"logical_datapath": ovsdb.NewSet(k.Switch),
		"pipeline":         f.Stage.Direction.String(),
		"table_id":         int64(f.Stage.Table),
		"priority":         int64(f.Priority),
		"match":            match,
		"actions":          acts,
		"external_ids":     ovsdb.MapOf("stage-name", f.Stage.Name, "stage-hint", k.Object.String()[:8]),
	})
}
