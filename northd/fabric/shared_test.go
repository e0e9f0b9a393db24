package fabric

import (
	"testing"

	"govn/proto"
)

// What several datapaths have is not taken away with one of them, also where it was said
// again between the two that it came with.
func TestSharedItemSaidAgain(t *testing.T) {
	group := func(value string) HAGroup {
		return HAGroup{Key: "g", Value: marshal(&proto.HAGroup{Name: value}), Members: []string{"hv1"}}
	}
	user := func(dp, port uint32) ItemChange {
		p := portOf(dp, port, "cr")
		p.Value = marshal(&proto.Port{Name: "cr", Type: typeRedirect, HaGroup: []byte("g")})
		return p
	}
	for name, steps := range map[string][]Batch{
		"chassis": {
			{Bindings: []Binding{{1, 2, "hv2", true, nil, nil}}},
			{Chassis: []ChassisInfo{infoOf("hv2")}},
			{Bindings: []Binding{{2, 2, "hv2", true, nil, nil}}},
			{Bindings: []Binding{{1, 2, "", false, nil, nil}}},
		},
		"HA group": {
			{HAGroups: []HAGroup{group("a")}, Items: []ItemChange{user(1, 2)}},
			{HAGroups: []HAGroup{group("a")}},
			{Items: []ItemChange{user(2, 2)}},
			{Items: []ItemChange{gone(user(1, 2))}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			bed := testBed(t, Options{})
			bed.Apply(Batch{
				Revision: 1, NbCfg: 1,
				Items:    []ItemChange{datapathOf(1, "one"), portOf(1, 1, "p1"), datapathOf(2, "two"), portOf(2, 1, "p2")},
				Bindings: []Binding{{1, 1, "hv1", true, nil, nil}, {2, 1, "hv1", true, nil, nil}},
				Chassis:  []ChassisInfo{infoOf("hv1"), infoOf("hv2")},
			})
			f := newFake("hv1")
			f.connect(t, bed)
			defer f.disconnect()
			for i, b := range steps {
				b.Revision, b.NbCfg = uint64(2+i), int64(2+i)
				bed.Apply(b)
				f.reach(t, b.NbCfg)
			}
			want := map[string]Key{"chassis": chassisKey("hv2"), "HA group": haGroupKey("g")}[name]
			if _, there := f.contents()[want]; !there {
				t.Error("it is not there")
			}
			if n := bed.metric(t, "govn_fabric_resyncs_total"); n != 0 {
				t.Errorf("%v resyncs", n)
			}
		})
	}
}
