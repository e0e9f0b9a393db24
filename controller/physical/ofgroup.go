package physical

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"

	"govn/pkg/abi"
	"govn/pkg/incr"
	"govn/pkg/openflow"
	"govn/proto"
	"govn/proto/state"
)

// An OpenFlow group of northd spreads packets over buckets. Several datapaths
// may use one, with the same content; it is on this host as long as one of them
// has it.
//
//	GROUP items of (datapath, id) --+
//	placements of watched ports ----+--> OFGroup of id --> installed before the flows that use it

// maxBuckets bounds a group: its description has to fit into a message.
const maxBuckets = 1024

// OFGroup is an OpenFlow group of this host.
type OFGroup struct {
	Desc     openflow.GroupDesc
	Datapath uint32          // the first that has it
	Objects  []*proto.Object // northbound rows that it is of
	Watched  []string        // chassis whose tunnels its buckets watch
	Serves   bool            // a port that a bucket watches is here
}

func (g OFGroup) hash() incr.Hash {
	h := incr.CellOf("ofgroup", g.Desc.String(), uint64(g.Datapath))
	for _, k := range g.Desc.Buckets {
		h = incr.CellOf(h, k.Actions)
	}
	for _, o := range g.Objects {
		h = incr.CellOf(h, o.Table, o.Uuid, o.Name)
	}
	for _, name := range g.Watched {
		h = incr.CellOf(h, name)
	}
	return incr.CellOf(h, flag(g.Serves))
}

func cellOFGroup(id uint32) incr.Cell { return incr.CellOf("ofgroup", uint64(id)) }

// groupItem takes the group of a datapath.
func (h *Host) groupItem(key string, value []byte) error {
	dp, id, ok := state.ParseGroupKey(key)
	if !ok || !abi.OwnGroup(id) {
		return fmt.Errorf("GROUP item with key %x: out of range", key)
	}
	m, err := decode(value, &proto.Group{})
	if m != nil {
		if err = checkGroup(m); err != nil {
			m, err = nil, fmt.Errorf("GROUP %d: %w", id, err)
		}
	}
	had := len(h.in.ofgroups[id]) > 0
	switch {
	case m == nil:
		delete(h.in.ofgroups[id], dp)
		if len(h.in.ofgroups[id]) == 0 {
			delete(h.in.ofgroups, id)
		}
	case !had:
		h.in.ofgroups[id] = map[uint32]*proto.Group{dp: m}
	default:
		h.in.ofgroups[id][dp] = m
	}
	h.e.Touch(cellOFGroup(id))
	h.root(had, len(h.in.ofgroups[id]) > 0, func() { h.ofgroupUnit.Root(id) }, func() { h.ofgroupUnit.Unroot(id) })
	return err
}

func checkGroup(m *proto.Group) error {
	if m.Type < proto.Group_TYPE_ALL || m.Type > proto.Group_TYPE_FAST_FAILOVER {
		return fmt.Errorf("type %d", m.Type)
	}
	if len(m.Buckets) > maxBuckets {
		return fmt.Errorf("%d buckets", len(m.Buckets))
	}
	for _, name := range m.Fields {
		if openflow.FieldByName(name) == nil {
			return fmt.Errorf("field %q", name)
		}
	}
	for i, b := range m.Buckets {
		if b == nil || b.Weight > math.MaxUint16 || len(b.Actions) > maxActions {
			return fmt.Errorf("bucket %d is out of range", i)
		}
		if _, err := openflow.DecodeActions(b.Actions); err != nil {
			return fmt.Errorf("bucket %d: actions: %w", i, err)
		}
	}
	if len(m.SelectionMethod) > 15 {
		return errors.New("selection method is too long")
	}
	return nil
}

// ofgroup emits an OpenFlow group.
func (h *Host) ofgroup(c *incr.Ctx, id uint32) error {
	c.Read(cellOFGroup(id))
	all := h.in.ofgroups[id]
	if len(all) == 0 {
		return nil
	}
	g := OFGroup{Datapath: slices.Min(slices.Collect(maps.Keys(all)))}
	m := all[g.Datapath]
	g.Objects = m.Objects
	g.Desc = openflow.GroupDesc{ID: id, GroupType: uint8(m.Type - proto.Group_TYPE_ALL), SelectionMethod: m.SelectionMethod}
	if len(m.Fields) > 0 {
		var hashed openflow.Match
		for _, name := range m.Fields {
			f := openflow.FieldByName(name)
			hashed.SetBytes(f, ones(f), nil)
		}
		g.Desc.MethodFields = hashed.Encode()
	}
	for _, b := range m.Buckets {
		k := openflow.Bucket{ID: b.Id, Weight: uint16(b.Weight), Actions: b.Actions}
		if b.WatchPort != 0 {
			p, err := h.place.Get(c, PortID{b.WatchDatapath, b.WatchPort})
			if err != nil {
				return err
			}
			if k.WatchPort = h.watch(c, b.WatchDatapath, p); k.WatchPort == 0 {
				continue // it cannot be reached
			}
			g.Serves = g.Serves || p.Where == Here
			if p.Where == Remote && !slices.Contains(g.Watched, p.Chassis) {
				g.Watched = append(g.Watched, p.Chassis)
			}
		}
		g.Desc.Buckets = append(g.Desc.Buckets, k)
	}
	slices.Sort(g.Watched)
	incr.Emit(c, h.ofgroups, id, g)
	return nil
}

// watch is the OpenFlow port that a port lives with: its interface, the tunnel
// to its chassis, or the patch port to the physical network that it is behind;
// 0: there is none.
func (h *Host) watch(c *incr.Ctx, datapath uint32, p Placement) uint32 {
	switch p.Where {
	case Here, Remote:
		return uint32(p.OFPort)
	case Bridged:
		if via, err := h.place.Get(c, PortID{datapath, p.Via}); err == nil && via.Where == Here {
			return uint32(via.OFPort)
		}
	}
	return 0
}

func ones(f *openflow.Field) []byte {
	b := make([]byte, f.Size())
	for i := range b {
		b[i] = 0xff
	}
	if extra := len(b)*8 - f.Bits; extra > 0 {
		b[0] >>= extra
	}
	return b
}

// OFGroup is an OpenFlow group that this host wants; nil: none of that id.
func (h *Host) OFGroup(id uint32) *OFGroup { return h.emittedGroups[id] }

// Watched are the chassis that this one and they have to watch each other, for
// the buckets of groups: chassis with a port that a bucket watches, and chassis
// with a port of the same datapath, which may send to it. Both ends know both, so
// that BFD runs at both ends of a tunnel or at none. What enters a datapath where
// the chassis has no port of it, through a router, goes without BFD.
func (h *Host) Watched() map[string]bool {
	out := map[string]bool{}
	users := map[uint32]map[string]bool{} // by datapath: chassis with ports, "" is this one
	for _, g := range h.emittedGroups {
		if len(g.Watched) > 0 || g.Serves {
			users[g.Datapath] = map[string]bool{}
		}
	}
	if len(users) == 0 {
		return out
	}
	for id, p := range h.placed {
		if at := users[id.Datapath]; at != nil && (p.Kind == KindVIF || p.Kind == KindNested) && (p.Where == Here || p.Where == Remote) {
			at[p.Chassis] = true
		}
	}
	for _, g := range h.emittedGroups {
		at := users[g.Datapath]
		if at[""] {
			for _, name := range g.Watched {
				out[name] = true
			}
		}
		if g.Serves {
			for name := range at {
				if name != "" {
					out[name] = true
				}
			}
		}
	}
	return out
}
