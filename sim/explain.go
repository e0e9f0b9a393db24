package sim

import (
	"context"
	"fmt"
	"strings"

	"govn/northd/views"
	"govn/pkg/abi"
	"govn/pkg/openflow"
	"govn/proto/control"
	"govn/sim/vswitch"
)

// Lookup is a look into a flow table on a packet's way, with what it means.
type Lookup struct {
	Table    uint8
	Flow     *openflow.Flow       // nil: no flow is for the packet
	Stage    *control.Stage       // of a logical table; else nil
	Datapath string               // logical switch, by name
	Logical  *control.LogicalFlow // of a logical table
	Objects  []control.Object     // northbound rows behind the flow
	Purpose  string               // of a flow that the chassis made, in words
	Notes    []string             // what the switch says of its actions
}

// Passes tells whether the table only let the packet through, by a flow that is
// for every packet.
func (l *Lookup) Passes() bool {
	return l.Logical != nil && l.Logical.Match == "1" && l.Logical.Actions == "next;"
}

// Objects are the rows as text: Logical_Switch_Port "vm2".
func (l *Lookup) ObjectNames() string {
	names := make([]string, len(l.Objects))
	for i, o := range l.Objects {
		names[i] = o.String()
	}
	return strings.Join(names, ", ")
}

// Explain turns what happened in the flow tables of a chassis into what it
// means.
func (s *Scenario) Explain(ctx context.Context, chassis string, tr *vswitch.Trace) ([]Lookup, error) {
	if tr == nil {
		return nil, nil
	}
	var list []Lookup
	flatten(tr.Steps, &list)
	z := s.ZoneOf(chassis)
	source := &views.Source{Snapshot: z.Store.Snapshot(), Schemas: z.Schemas, Columns: z.Columns, Units: z.Flows.Units()}
	var queries []control.Query
	asked := map[control.Query]bool{}
	for i := range list {
		if q, ok := queryOf(list[i].Flow); ok && !asked[q] {
			asked[q] = true
			queries = append(queries, q)
		}
	}
	answer, err := source.Explain(queries)
	if err != nil {
		return nil, fmt.Errorf("explaining flows of chassis %q: %w", chassis, err)
	}
	notes, err := s.chassisNotes(ctx, chassis)
	if err != nil {
		return nil, err
	}
	for i := range list {
		l := &list[i]
		if l.Flow == nil {
			continue
		}
		if control.Maker(l.Flow.Cookie) != control.Northd {
			l.Purpose = notes[l.Flow.Cookie]
			continue
		}
		q, _ := queryOf(l.Flow)
		for _, o := range answer.Origins {
			if o.Datapath == nil || o.Datapath.Key != q.Datapath || !has(&o, l.Flow.Cookie) {
				continue
			}
			l.Stage, l.Datapath, l.Logical, l.Purpose = o.Stage, o.Datapath.Name, o.Logical, o.Purpose
			for _, obj := range o.Objects {
				if !contains(l.Objects, obj) {
					l.Objects = append(l.Objects, obj)
				}
			}
		}
	}
	return list, nil
}

func contains(list []control.Object, o control.Object) bool {
	for i := range list {
		if list[i] == o {
			return true
		}
	}
	return false
}

func has(o *control.Origin, cookie uint64) bool {
	text := fmt.Sprintf("%#x", cookie)
	for i := range o.Flows {
		if o.Flows[i].Cookie == text {
			return true
		}
	}
	return false
}

// queryOf asks for a flow of northd by its cookie and datapath.
func queryOf(f *openflow.Flow) (control.Query, bool) {
	if f == nil || control.Maker(f.Cookie) != control.Northd {
		return control.Query{}, false
	}
	q := control.Query{Cookie: f.Cookie}
	if m, err := openflow.ParseMatch(f.Match); err == nil {
		key, _ := m.Uint(openflow.FieldMetadata)
		q.Datapath = uint32(key)
	}
	return q, true
}

// flatten lists the lookups of a trace in the order of the packet's way.
func flatten(steps []vswitch.Step, list *[]Lookup) {
	for i := range steps {
		st := &steps[i]
		if st.Lookup {
			*list = append(*list, Lookup{Table: st.Table, Flow: st.Flow})
		} else if n := len(*list); n > 0 && st.Note != "" {
			(*list)[n-1].Notes = append((*list)[n-1].Notes, st.Note)
		}
		flatten(st.Sub, list)
	}
}

// chassisNotes names the flows that a chassis makes itself, by cookie.
func (s *Scenario) chassisNotes(ctx context.Context, chassis string) (map[uint64]string, error) {
	c := s.ChassisNamed(chassis)
	if c == nil {
		return nil, fmt.Errorf("%w: chassis %q", ErrNotFound, chassis)
	}
	out, err := c.Control(ctx, "debug/flows")
	if err != nil {
		return nil, err
	}
	notes := map[uint64]string{}
	for line := range strings.Lines(out) {
		q, err := control.ParseQuery(line)
		_, note, ok := strings.Cut(strings.TrimSpace(line), " # ")
		if err == nil && ok && abi.CookieOwner(q.Cookie) != abi.OwnerNorthd {
			notes[q.Cookie] = note
		}
	}
	return notes, nil
}

// PortName is the name of a logical port, or multicast group, by its tunnel
// keys; its number where the zone knows none.
func (z *Zone) PortName(datapath, key uint32) string {
	switch key {
	case abi.GroupFlood:
		return "_MC_flood"
	case abi.GroupUnknown:
		return "_MC_unknown"
	case abi.GroupFloodL2:
		return "_MC_flood_l2"
	}
	b, dps := &z.Columns.PortBinding, z.Schemas.SB.Table("Datapath_Binding")
	sn := z.Store.Snapshot()
	for row := range sn.Rows(b.Table) {
		dp, _ := row.Ref(b.Datapath)
		if d := sn.Row(dps, dp); d != nil && uint32(d.Int(dps.Column("tunnel_key"))) == datapath && uint32(row.Int(b.TunnelKey)) == key {
			return row.Str(b.LogicalPort)
		}
	}
	return fmt.Sprint(key)
}

// DatapathName is the name of a logical switch by its tunnel key; the key where
// the zone knows none.
func (z *Zone) DatapathName(key uint32) string {
	dps := z.Schemas.SB.Table("Datapath_Binding")
	for row := range z.Store.Snapshot().Rows(dps) {
		if uint32(row.Int(dps.Column("tunnel_key"))) == key {
			if name := row.Map(dps.Column("external_ids")).Str("name"); name != "" {
				return name
			}
		}
	}
	return fmt.Sprint(key)
}
