package physical

import (
	"cmp"
	"fmt"
	"hash/fnv"

	"govn/pkg/abi"
	"govn/pkg/incr"
	"govn/pkg/openflow"
)

// Kind says what an owner of flows is.
type Kind uint8

const (
	KindFixed Kind = iota
	KindPort
	KindTunnel
	KindGroup
	KindMAC
	KindNeighbour
	KindChassis
)

// Owner names the object that flows of this host belong to.
type Owner struct {
	Kind     Kind
	Datapath uint32
	Key      uint64 // port, group or MAC
	Name     string // of a tunnel: CHASSIS@IP; of a neighbour: its address; of a chassis
}

// CompareOwner orders owners.
func CompareOwner(a, b Owner) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Datapath, b.Datapath), cmp.Compare(a.Key, b.Key), cmp.Compare(a.Name, b.Name))
}

func ownerOfPort(id PortID) Owner {
	return Owner{Kind: KindPort, Datapath: id.Datapath, Key: uint64(id.Port)}
}
func ownerOfTunnel(id string) Owner { return Owner{Kind: KindTunnel, Name: id} }
func ownerOfGroup(g GroupID) Owner {
	return Owner{Kind: KindGroup, Datapath: g.Datapath, Key: uint64(g.Group)}
}
func ownerOfMAC(m MACID) Owner { return Owner{Kind: KindMAC, Datapath: m.Datapath, Key: m.MAC} }

// cookieOwner is the upper 4 bits of its flows' cookies.
func (o Owner) cookieOwner() uint8 {
	switch o.Kind {
	case KindPort:
		return abi.OwnerPort
	case KindTunnel, KindChassis:
		return abi.OwnerTunnel
	case KindGroup:
		return abi.OwnerGroup
	case KindMAC, KindNeighbour:
		return abi.OwnerLearned
	}
	return abi.OwnerFixed
}

// ID is the flow id of its flows' cookies: 28 bits of a hash of its identity,
// so that it is the same after every restart.
func (o Owner) ID() uint32 {
	h := incr.CellOf("owner", uint64(o.Kind), uint64(o.Datapath), o.Key, o.Name)
	return (uint32(h[0])<<24 | uint32(h[1])<<16 | uint32(h[2])<<8 | uint32(h[3])) & 0xfffffff
}

// Flows are what an owner contributes.
type Flows struct {
	Note string // the object by name
	List []openflow.Flow
}

func (f Flows) hash() incr.Hash {
	h := incr.CellOf("flows", f.Note)
	for _, one := range f.List { // the cookie holds a hash of the rest, too short to rely on
		h = incr.CellOf(h, uint64(one.Table), uint64(one.Priority), one.Cookie, one.Match, one.Actions)
	}
	return h
}

// contentHash is the lower half of a cookie: over table, priority, match and
// actions, so that a flow with another meaning has another cookie.
func contentHash(f *openflow.Flow) uint32 {
	h := fnv.New32a()
	h.Write([]byte{f.Table, byte(f.Priority >> 8), byte(f.Priority), byte(len(f.Match) >> 8), byte(len(f.Match))})
	h.Write(f.Match)
	h.Write(f.Actions)
	return h.Sum32()
}

// String names the owner.
func (o Owner) String() string {
	switch o.Kind {
	case KindPort:
		return fmt.Sprintf("port %d/%d", o.Datapath, o.Key)
	case KindTunnel:
		return "tunnel " + o.Name
	case KindChassis:
		return "chassis " + o.Name
	case KindGroup:
		return fmt.Sprintf("group %d/%d", o.Datapath, o.Key)
	case KindMAC:
		return fmt.Sprintf("fdb %d/%012x", o.Datapath, o.Key)
	case KindNeighbour:
		return fmt.Sprintf("neighbour %d/%d %s", o.Datapath, o.Key, o.Name)
	}
	return "fixed"
}
