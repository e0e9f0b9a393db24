package compile

import (
	"cmp"
	"strings"

	gproto "google.golang.org/protobuf/proto"

	"govn/northd/pipeline"
	"govn/northd/topology"
	"govn/northd/translate"
	"govn/pkg/abi"
	"govn/pkg/incr"
	"govn/proto"
	"govn/proto/state"
)

// group is an OpenFlow group in a datapath. Several units of a datapath may use
// one group: its item is there as long as one of them is.
type group struct {
	datapath, id uint32
	value        string // proto.Group
}

func (g group) compare(o group) int {
	return cmp.Or(cmp.Compare(g.datapath, o.datapath), cmp.Compare(g.id, o.id), strings.Compare(g.value, o.value))
}

// useGroups sends the groups of a body to the chassis with the datapath. The
// objects are named in them, but not in those that anyone may use.
func (p *Program) useGroups(c *incr.Ctx, b *translate.Body, datapath uint32, objects ...*proto.Object) {
	for _, g := range b.Groups {
		m := gproto.Clone(g.Group).(*proto.Group)
		if g.ID < abi.MinSelectGroup {
			m.Objects = objects
		}
		for _, k := range m.Buckets {
			if k.WatchPort != 0 {
				k.WatchDatapath = datapath
			}
		}
		incr.Insert(c, p.groups, topology.AllRows, group{datapath, g.ID, string(marshal(m))})
	}
}

// runGroup emits a group.
func (p *Program) runGroup(c *incr.Ctx, g group) error {
	incr.Emit(c, p.Items, state.Key{Kind: proto.Kind_KIND_GROUP, Key: state.GroupKey(g.datapath, g.id)},
		Item{Scope: Scope{Datapath: g.datapath}, Value: []byte(g.value)})
	return nil
}

// runFwdGroup emits what a forwarding group of a switch contributes. Names that
// are not of ports of the switch are left out of it.
func (p *Program) runFwdGroup(c *incr.Ctx, m topology.Member) error {
	key, err := p.datapathKey.Get(c, m.Row)
	if err != nil || key == 0 {
		return err
	}
	g, ok, err := p.Reader.ReadFwdGroup(c, m, key)
	if err != nil || !ok {
		return err
	}
	ports := make(map[string]uint32)
	for _, name := range p.Reader.Children(c, m.Elem) {
		u, there := p.Reader.Named(c, p.c.LSP.Name, name)
		child := topology.Member{Row: m.Row, Elem: u}
		if !there || !p.ports.Has(c, child) {
			continue
		}
		if port, err := p.port.Get(c, child); err == nil && port != nil {
			ports[name] = port.Key
			g.Children = append(g.Children, name)
		}
	}
	flows, err := pipeline.OfFwdGroup(g)
	if err != nil {
		return err
	}
	body, err := translate.Compile(flows, func(name string) (uint32, error) { return ports[name], nil }, nil, translate.WithGroup(g.ID))
	if err != nil {
		return err
	}
	obj := object(p.c.FwdGroup.Table.Name, g.UUID, g.Name)
	p.emitUnit(c, UnitKey{Switch: m.Row, Object: m.Elem, Part: PartDefault}, body, Scope{Datapath: key}, 0,
		func() ([]pipeline.Flow, error) { return pipeline.OfFwdGroup(g) }, obj)
	return nil
}

func compareGroups(a, b group) int { return a.compare(b) }
