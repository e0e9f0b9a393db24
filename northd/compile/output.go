package compile

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"

	"govn/northd/pipeline"
	"govn/northd/translate"
	"govn/pkg/incr"
	"govn/pkg/ovsdb"
	"govn/proto"
	"govn/proto/state"
)

// RowKey identifies a row of the southbound database that the compiler owns.
type RowKey struct {
	Table string
	UUID  ovsdb.UUID
}

func compareRows(a, b RowKey) int {
	if c := cmp.Compare(a.Table, b.Table); c != 0 {
		return c
	}
	return bytes.Compare(a.UUID[:], b.UUID[:])
}

// Column is a value of a southbound row.
type Column struct {
	Name  string
	Value ovsdb.Value
}

// Row is the part of a southbound row that northd owns.
type Row struct {
	Columns []Column
}

func hashRow(r Row) incr.Hash {
	var space [1024]byte
	b := space[:0]
	for _, c := range r.Columns {
		b = appendString(b, c.Name)
		b = appendValue(b, c.Value)
	}
	return sum(b)
}

func appendValue(b []byte, v ovsdb.Value) []byte {
	switch v := v.(type) {
	case string:
		return appendString(append(b, 's'), v)
	case int64:
		return binary.BigEndian.AppendUint64(append(b, 'i'), uint64(v))
	case bool:
		if v {
			return append(b, 't')
		}
		return append(b, 'f')
	case ovsdb.UUID:
		return append(append(b, 'u'), v[:]...)
	case ovsdb.Set:
		h := v.Hash()
		return append(append(b, 'S'), h[:]...)
	case ovsdb.Map:
		h := v.Hash()
		return append(append(b, 'M'), h[:]...)
	}
	panic("compile: a value of an unknown type")
}

func appendString(b []byte, s string) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(s)))
	return append(b, s...)
}

func sum(b []byte) incr.Hash {
	h := sha256.Sum256(b)
	return incr.Hash(h[:16])
}

// Scope says which chassis get an item.
type Scope struct {
	Datapath uint32
	Port     uint32 // not 0: only where this port is resident
}

// Item is a part of a chassis' state other than units and bodies.
type Item struct {
	Scope Scope
	Value []byte
}

func hashItem(i Item) incr.Hash {
	var space [512]byte
	b := binary.BigEndian.AppendUint32(space[:0], i.Scope.Datapath)
	b = binary.BigEndian.AppendUint32(b, i.Scope.Port)
	return sum(append(b, i.Value...))
}

func compareKeys(a, b state.Key) int {
	if c := cmp.Compare(a.Kind, b.Kind); c != 0 {
		return c
	}
	return cmp.Compare(a.Key, b.Key)
}

// UnitKey identifies what an object contributes: in which datapath, and which
// part of it.
type UnitKey struct {
	Switch, Object ovsdb.UUID // Switch is the datapath: a router's, too
	Part           Part
	Via            ovsdb.UUID // tells apart what an object contributes to one datapath by several ways
}

// Part tells units of one object apart.
type Part uint8

const (
	PartDefault   Part = iota + 1 // of a switch: what it does without looking at its ports
	PartPort                      // of a port: for every chassis with the switch
	PartResident                  // of a port: for the chassis where it is bound
	PartNeighbour                 // of a port of a switch: what a router on the switch knows of it, Via its switch port
	PartPeer                      // of a router port: what its router knows of the router at the other end
	PartPair                      // of a router port with a gateway_mtu: what comes in by the router port Via
	PartExternal                  // of an external port: against a router on the switch at a localnet port, Via both
	PartRoutes                    // of routes of a router to one prefix
)

func compareUnits(a, b UnitKey) int {
	if c := bytes.Compare(a.Switch[:], b.Switch[:]); c != 0 {
		return c
	}
	if c := bytes.Compare(a.Object[:], b.Object[:]); c != 0 {
		return c
	}
	return cmp.Or(cmp.Compare(a.Part, b.Part), bytes.Compare(a.Via[:], b.Via[:]))
}

// ID is the key of the unit on the chassis.
func (k UnitKey) ID() [16]byte {
	b := make([]byte, 0, 40)
	b = append(b, k.Switch[:]...)
	b = append(b, k.Object[:]...)
	b = append(b, byte(k.Part))
	if !k.Via.IsZero() {
		b = append(b, k.Via[:]...)
	}
	return sum(b)
}

// Unit is a body in a datapath, and why it is there.
type Unit struct {
	Body  *translate.Body
	Scope Scope
	Value []byte // proto.Unit
	// Logic is the logical flows that the body was compiled from.
	Logic func() ([]pipeline.Flow, error)
}

func hashUnit(u *Unit) incr.Hash {
	return hashItem(Item{u.Scope, u.Value})
}

// PortKey is a port by its tunnel keys.
type PortKey struct {
	Datapath, Port uint32
}

func comparePorts(a, b PortKey) int {
	if c := cmp.Compare(a.Datapath, b.Datapath); c != 0 {
		return c
	}
	return cmp.Compare(a.Port, b.Port)
}

// Binding is where a port is bound.
type Binding struct {
	Port    ovsdb.UUID // row of the port
	Chassis string     // "" nowhere
	Up      bool       // its flows are in there
	// Additional are further chassis that it is bound to, in order.
	Additional []string
	// Encaps are the encapsulations that interfaces of the port ask for, as
	// CHASSIS@IP, in order.
	Encaps []string
}

func hashBinding(v Binding) incr.Hash {
	b := appendString(v.Port[:], v.Chassis)
	for _, name := range v.Additional {
		b = appendString(b, name)
	}
	if v.Up {
		b = append(b, 1)
	}
	for _, encap := range v.Encaps {
		b = appendString(b, encap)
	}
	return sum(b)
}

// MemberKey is a port in a multicast group of a switch.
type MemberKey struct {
	Group ovsdb.UUID // Multicast_Group row
	Port  ovsdb.UUID // Port_Binding row
}

func compareMembers(a, b MemberKey) int {
	if c := bytes.Compare(a.Group[:], b.Group[:]); c != 0 {
		return c
	}
	return bytes.Compare(a.Port[:], b.Port[:])
}

func hashUUID(u ovsdb.UUID) incr.Hash { return incr.Hash(u) }

func hashBool(v bool) incr.Hash {
	if v {
		return incr.Hash{1}
	}
	return incr.Hash{2}
}

func hashBytes(b []byte) incr.Hash { return sum(b) }

// object names a northbound row in a unit.
func object(table string, u ovsdb.UUID, name string) *proto.Object {
	return &proto.Object{Table: table, Uuid: u[:], Name: name}
}
