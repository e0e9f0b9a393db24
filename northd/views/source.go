package views

import (
	"fmt"
	"time"

	"govn/northd/compile"
	"govn/northd/fabric"
	"govn/northd/topology"
	"govn/pkg/ovsdb"
	"govn/proto"
	"govn/proto/control"
)

// Source is what the answers are made of.
type Source struct {
	Snapshot *ovsdb.Snapshot // required: that the compile is at
	Schemas  topology.Schemas
	Columns  *topology.Columns
	Units    map[compile.UnitKey]*compile.Unit
	Problems []control.Problem // of the compile, each a row that it leaves out

	Store   control.Store
	Cluster ovsdb.UUID
	Term    uint64
	Stored  uint64 // revision of the databases
	Now     time.Time
	Chassis []fabric.ChassisStatus
	// Tunnels names the chassis that each chassis has tunnels to. Optional.
	Tunnels map[string][]string
	// Holders names the chassis that a datapath is local to. Optional.
	Holders func(datapath uint32) []string
}

// datapath names a datapath by its northbound row.
func (s *Source) datapath(u ovsdb.UUID, key uint32) *control.Datapath {
	d := &control.Datapath{Key: key}
	for _, t := range []*ovsdb.TableSchema{s.Columns.LS.Table, s.Columns.LR.Table} {
		if row := s.Snapshot.Row(t, u); row != nil {
			d.Name = nameOf(row)
		}
	}
	return d
}

// kindOf is what people call a datapath.
func (s *Source) kindOf(u ovsdb.UUID) string {
	if s.Snapshot.Row(s.Columns.LR.Table, u) != nil {
		return "router"
	}
	return "switch"
}

// nameOf is the column name of a row, "" where its table has none.
func nameOf(row *ovsdb.Row) string {
	for _, c := range row.Table().Columns {
		if c.Name != "name" {
			continue
		}
		switch v := row.Get(c).(type) {
		case string:
			return v
		case ovsdb.Set:
			for a := range v.All() {
				if s, ok := a.(string); ok {
					return s
				}
			}
		}
	}
	return ""
}

// Object is an object as a unit names it.
func Object(o *proto.Object) control.Object {
	var u ovsdb.UUID
	copy(u[:], o.Uuid)
	return control.Object{Table: o.Table, Name: o.Name, UUID: u.String()}
}

// Failure is a failure that a chassis reports, with the objects that it is of.
func Failure(f *proto.Failure, objects []*proto.Object) control.Failure {
	out := control.Failure{Flow: f.Flow, Error: f.Error}
	for _, o := range objects {
		out.Objects = append(out.Objects, Object(o))
	}
	if f.Cookie != 0 {
		out.Cookie = fmt.Sprintf("%#x", f.Cookie)
	}
	if len(f.Body) > 0 {
		out.Body = fmt.Sprintf("%x", f.Body)
	}
	if f.Kind != 0 {
		out.What = fmt.Sprintf("%v %x", proto.Kind(f.Kind), f.Key)
	}
	return out
}
