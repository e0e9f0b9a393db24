package views

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	gproto "google.golang.org/protobuf/proto"

	"govn/northd/compile"
	"govn/northd/fabric"
	"govn/northd/topology"
	"govn/pkg/abi"
	"govn/pkg/ovsdb"
	"govn/proto"
	"govn/proto/control"
)

const (
	largestTables   = 3 // that are named of a database
	fullestSwitches = 5 // whose port keys are listed
)

// Status is the zone at a glance.
func (s *Source) Status() *control.Status {
	problems := s.Lint()
	st := &control.Status{
		Cluster: s.Cluster.String(), Term: s.Term, Stored: s.Stored, Compiled: s.Snapshot.Revision(), Now: s.Now,
		LeftOut: problems.Count(control.LeftOut), Ambiguous: problems.Count(control.Ambiguous), Strict: problems.Strict,
		Keys: s.keys(), Store: s.Store, Switches: s.Snapshot.Len(s.Columns.LS.Table), Routers: s.Snapshot.Len(s.Columns.LR.Table),
	}
	g := &s.Columns.NBGlobal
	for row := range s.Snapshot.Rows(g.Table) {
		st.NbCfg, st.SbCfg, st.HvCfg = row.Int(g.NbCfg), row.Int(g.SbCfg), row.Int(g.HvCfg)
	}
	for _, db := range []*ovsdb.DatabaseSchema{s.Schemas.NB, s.Schemas.SB} {
		st.Databases = append(st.Databases, s.database(db))
	}
	st.Chassis = s.chassis()
	st.Gateways = s.gateways()
	return st
}

// database counts the rows that are stored.
func (s *Source) database(db *ovsdb.DatabaseSchema) control.Database {
	d := control.Database{Name: db.Name}
	for _, name := range slices.Sorted(maps.Keys(db.Tables)) {
		if n := s.Snapshot.Len(db.Tables[name]); n > 0 {
			d.Rows += n
			d.Largest = append(d.Largest, control.TableSize{Table: name, Rows: n})
		}
	}
	slices.SortStableFunc(d.Largest, func(a, b control.TableSize) int { return cmp.Compare(b.Rows, a.Rows) })
	d.Largest = d.Largest[:min(largestTables, len(d.Largest))]
	return d
}

// keys counts the tunnel keys that are given out.
func (s *Source) keys() control.Keys {
	a := &s.Columns.Allocation
	k := control.Keys{Datapaths: control.KeyUse{Limit: abi.MaxDatapathKeyLocal - abi.MinDatapathKey + 1}}
	ports := make(map[string]*control.KeyUse)
	for row := range s.Snapshot.Rows(a.Table) {
		use := &k.Datapaths
		if scope := row.Str(a.Scope); scope != "" {
			if use = ports[scope]; use == nil {
				use = &control.KeyUse{Limit: abi.MaxPortKey - abi.MinPortKey + 1}
				ports[scope] = use
			}
		}
		switch kind := row.Str(a.Kind); {
		case kind == topology.KindWaiting:
			use.Waiting++
		case kind != topology.KindPort && kind != topology.KindDatapath:
		case row.Bool(a.Retired):
			use.Resting++
			k.Resting++
		default:
			use.Used++
		}
	}
	for scope, use := range ports {
		name := scope
		if u, err := ovsdb.ParseUUID(scope); err == nil {
			if name = s.datapath(u, 0).Name; name == "" && use.Used == 0 {
				continue // it is gone, its keys rest
			}
		}
		k.Ports = append(k.Ports, control.SwitchKeys{Switch: name, KeyUse: *use})
	}
	slices.SortFunc(k.Ports, func(a, b control.SwitchKeys) int {
		return cmp.Or(cmp.Compare(b.Used+b.Resting, a.Used+a.Resting), cmp.Compare(a.Switch, b.Switch))
	})
	k.Ports = k.Ports[:min(fullestSwitches, len(k.Ports))]
	return k
}

// chassis are those that are registered and those that the fabric knows.
func (s *Source) chassis() []control.Chassis {
	byName := make(map[string]*control.Chassis)
	get := func(name string) *control.Chassis {
		if byName[name] == nil {
			byName[name] = &control.Chassis{Name: name, Encaps: []string{}, Tunnels: []string{}}
		}
		return byName[name]
	}
	h, rows := &s.Columns.Chassis, make(map[ovsdb.UUID]string)
	for row := range s.Snapshot.Rows(h.Table) {
		c := get(row.Str(h.Name))
		rows[row.UUID()] = c.Name
		c.Hostname = row.Str(h.Hostname)
		for a := range row.Set(h.Encaps).All() {
			if e := s.Snapshot.Row(s.Columns.Encap.Table, a.(ovsdb.UUID)); e != nil {
				c.Encaps = append(c.Encaps, e.Str(s.Columns.Encap.Type)+":"+e.Str(s.Columns.Encap.IP))
			}
		}
		slices.Sort(c.Encaps)
	}
	p := &s.Columns.ChassisPrivate
	for row := range s.Snapshot.Rows(p.Table) {
		if c := byName[row.Str(p.Name)]; c != nil {
			c.NbCfg = row.Int(p.NbCfg)
		}
	}
	b := &s.Columns.PortBinding
	for row := range s.Snapshot.Rows(b.Table) {
		if on, ok := row.Ref(b.Chassis); ok {
			if name, known := rows[on]; known {
				byName[name].Ports++
			}
		}
	}
	objects := s.objects()
	for i := range s.Chassis {
		s.connection(get(s.Chassis[i].Name), &s.Chassis[i], objects)
	}
	for name, to := range s.Tunnels {
		if c := byName[name]; c != nil {
			c.Tunnels = append(c.Tunnels, to...)
		}
	}
	out := make([]control.Chassis, 0, len(byName))
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		out = append(out, *byName[name])
	}
	return out
}

// connection fills in what the fabric knows of a chassis.
func (s *Source) connection(c *control.Chassis, f *fabric.ChassisStatus, objects func(id []byte) []*proto.Object) {
	c.Connected, c.Since = f.Connected, f.Since
	c.Received, c.Applied, c.Backlog, c.Datapaths = f.Received, f.Applied, f.Backlog, f.Local
	c.Resyncs, c.Sent = f.Resyncs, f.BytesSent
	if outstanding := !f.Connected || f.Backlog > 0 || f.Applied < f.Sent; outstanding && c.Applied < s.Snapshot.Revision() {
		c.Lag = s.Snapshot.Revision() - c.Applied
	}
	for _, x := range f.Failed {
		c.Failures = append(c.Failures, Failure(x, objects(x.Unit)))
	}
}

// objects finds the objects of a unit by the id that chassis know it by. The
// units are only looked at when there is something to find.
func (s *Source) objects() func(id []byte) []*proto.Object {
	var byID map[[16]byte]*compile.Unit
	return func(id []byte) []*proto.Object {
		if len(id) != 16 {
			return nil
		}
		if byID == nil {
			byID = make(map[[16]byte]*compile.Unit, len(s.Units))
			for k, u := range s.Units {
				byID[k.ID()] = u
			}
		}
		u := byID[[16]byte(id)]
		if u == nil {
			return nil
		}
		var m proto.Unit
		if err := gproto.Unmarshal(u.Value, &m); err != nil {
			return nil
		}
		return m.Objects
	}
}

// chassisOf names the chassis that a port is bound to.
func (s *Source) chassisOf(port ovsdb.UUID) string {
	row := s.Snapshot.Row(s.Columns.PortBinding.Table, port)
	if row == nil {
		return ""
	}
	on, ok := row.Ref(s.Columns.PortBinding.Chassis)
	if !ok {
		return ""
	}
	if c := s.Snapshot.Row(s.Columns.Chassis.Table, on); c != nil {
		return c.Str(s.Columns.Chassis.Name)
	}
	return fmt.Sprint(on)
}
