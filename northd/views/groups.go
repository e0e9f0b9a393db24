package views

import (
	"slices"
	"strings"

	"govn/northd/translate"
	"govn/pkg/abi"
	"govn/pkg/openflow"
	"govn/proto"
	"govn/proto/control"
)

// groupsOf are the OpenFlow groups that a flow of a body uses. What their
// buckets watch, each chassis has its own answer to.
func groupsOf(f *proto.Flow, b *translate.Body) []control.OFGroup {
	if len(b.Groups) == 0 {
		return nil
	}
	list, err := openflow.DecodeActions(f.Actions)
	if err != nil {
		return nil
	}
	var out []control.OFGroup
	for _, id := range openflow.GroupsUsed(list) {
		i := slices.IndexFunc(b.Groups, func(g translate.Group) bool { return g.ID == id })
		if i < 0 {
			continue
		}
		m := b.Groups[i].Group
		desc := openflow.GroupDesc{ID: id, GroupType: uint8(m.Type - proto.Group_TYPE_ALL), SelectionMethod: m.SelectionMethod}
		g := control.OFGroup{ID: id, Kind: desc.Kind(), Shared: id >= abi.MinSelectGroup}
		if len(m.Fields) > 0 {
			g.Kind += ",fields(" + strings.Join(m.Fields, ",") + ")"
		}
		for _, k := range m.Buckets {
			bucket := openflow.Bucket{ID: k.Id, Weight: uint16(k.Weight), Actions: k.Actions}
			g.Buckets = append(g.Buckets, control.OFBucket{Text: bucket.Format(desc.GroupType)})
		}
		out = append(out, g)
	}
	return out
}
