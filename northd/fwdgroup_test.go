package northd_test

import (
	"strings"
	"testing"

	gproto "google.golang.org/protobuf/proto"

	"govn/pkg/abi"
	"govn/pkg/openflow"
	"govn/pkg/ovsdb"
	"govn/proto"
	"govn/proto/state"
)

// fwdGroup adds a forwarding group to a switch.
func (z *zone) fwdGroup(t testing.TB, ls ovsdb.UUID, name, vip, vmac string, liveness bool, children ...string) ovsdb.UUID {
	t.Helper()
	var u ovsdb.UUID
	z.nb(t, func(tx *ovsdb.Txn) error {
		ports := ovsdb.NewSet()
		for _, p := range children {
			ports = ports.With(p)
		}
		u = tx.Insert(z.columns.FwdGroup.Table, ovsdb.UUID{}, map[string]ovsdb.Value{
			"name": name, "vip": vip, "vmac": vmac, "liveness": liveness, "child_port": ports})
		tx.AddToSet(z.columns.LS.Table, ls, "forwarding_groups", u)
		return tx.Err()
	})
	return u
}

// groups are the OpenFlow groups that chassis get, as text by id.
func (z *zone) groups(t testing.TB) map[uint32]string {
	t.Helper()
	out := make(map[uint32]string)
	for k, i := range z.fabric.items {
		if k.Kind != proto.Kind_KIND_GROUP {
			continue
		}
		_, id, _ := state.ParseGroupKey(k.Key)
		m := &proto.Group{}
		if err := gproto.Unmarshal(i.Value, m); err != nil {
			t.Fatal(err)
		}
		g := openflow.GroupDesc{ID: id, GroupType: uint8(m.Type - proto.Group_TYPE_ALL), SelectionMethod: m.SelectionMethod}
		for _, b := range m.Buckets {
			g.Buckets = append(g.Buckets, openflow.Bucket{ID: b.Id, Weight: uint16(b.Weight), WatchPort: b.WatchPort, Actions: b.Actions})
		}
		out[id] = g.String()
	}
	return out
}

func (z *zone) flowText(table string) string {
	flows, stop := z.flows.Watch(func([]ovsdb.Change) {})
	stop()
	var out []string
	for _, f := range flows {
		if text := rowText(z.columns.LogicalFlow, f); strings.Contains(text, table) {
			out = append(out, text)
		}
	}
	return strings.Join(out, "\n")
}

// TestFwdGroup follows a forwarding group: what its flows and its OpenFlow group
// are, a child that comes later, one that goes, and its end.
func TestFwdGroup(t *testing.T) {
	z := newZone(t, "")
	before := z.Program().Engine.Stats()
	z.addSwitch(t, "sw0", port("c1"), port("c2"))
	ls := z.firstSwitch(t)
	u := z.fwdGroup(t, ls, "fg", "10.0.0.100", "00:11:22:33:44:55", true, "c1", "c2", "c3")
	const id = abi.MinAllocatedGroup
	want := "group_id=1073741824,type=select,selection_method=dp_hash" +
		",bucket=bucket_id:0,watch_port:1,actions=set_field:0x1->reg15,resubmit(,37)" +
		",bucket=bucket_id:1,watch_port:2,actions=set_field:0x2->reg15,resubmit(,37)"
	if got := z.groups(t)[id]; got != want {
		t.Errorf("group is\n%s, want\n%s", got, want)
	}
	for _, text := range []string{
		`actions=fwd_group(liveness="true", childports="c1", "c2");`,
		`actions=eth.dst = eth.src; eth.src = 00:11:22:33:44:55; arp.op = 2;`,
	} {
		if flows := z.flowText("priority=50"); !strings.Contains(flows, text) {
			t.Errorf("no flow %q in\n%s", text, flows)
		}
	}
	problems := func() string {
		var out []string
		for _, p := range z.View().Lint().Problems {
			out = append(out, p.String())
		}
		return strings.Join(out, "\n")
	}
	if got := problems(); !strings.Contains(got, `child_port "c3": switch "sw0" has no port of this name`) {
		t.Errorf("lint says %q", got)
	}
	// The third child comes, a port of another switch does not count.
	z.addSwitch(t, "sw1", port("c3"))
	if strings.Contains(z.groups(t)[id], "bucket_id:2") {
		t.Errorf("a port of another switch is a child: %s", z.groups(t)[id])
	}
	z.nb(t, func(tx *ovsdb.Txn) error {
		c3 := tx.Lookup(z.columns.LSP.Table, 0, "c3").UUID()
		for sw := range tx.Referrers(z.columns.LS.Ports, c3) {
			tx.DelFromSet(z.columns.LS.Table, sw, "ports", c3)
			break
		}
		tx.AddToSet(z.columns.LS.Table, ls, "ports", c3)
		return tx.Err()
	})
	if got := z.groups(t)[id]; !strings.Contains(got, "bucket_id:2,watch_port:3,actions=set_field:0x3->reg15") {
		t.Errorf("the third child is not in %s", got)
	}
	if got := problems(); strings.Contains(got, "c3") {
		t.Errorf("lint still says %q", got)
	}
	// An address that cannot be used leaves the group out, and names it.
	z.nb(t, func(tx *ovsdb.Txn) error {
		tx.SetColumn(z.columns.FwdGroup.Table, u, "vip", "fd00::1")
		return tx.Err()
	})
	if got := problems(); len(z.groups(t)) != 0 || !strings.Contains(got, `Forwarding_Group "fg"`) || !strings.Contains(got, "fd00::1") {
		t.Errorf("groups %v, lint says %q", z.groups(t), got)
	}
	z.nb(t, func(tx *ovsdb.Txn) error {
		var all []ovsdb.UUID
		for row := range tx.Rows(z.columns.LS.Table) {
			all = append(all, row.UUID())
		}
		for _, u := range all {
			tx.Delete(z.columns.LS.Table, u)
		}
		return tx.Err()
	})
	if now := z.Program().Engine.Stats(); now.Nodes != before.Nodes || now.Edges != before.Edges || len(z.fabric.items) != 0 {
		t.Errorf("%d nodes, %d edges and %d items are left of %d and %d", now.Nodes, now.Edges, len(z.fabric.items), before.Nodes, before.Edges)
	}
}

// TestGroupIDs says which ids forwarding groups get: the lowest that are free,
// the same after a restart, and free again at once.
func TestGroupIDs(t *testing.T) {
	path := t.TempDir() + "/zone.db"
	z, err := openZone(path)
	if err != nil {
		t.Fatal(err)
	}
	z.addSwitch(t, "sw0", port("c1"))
	ls := z.firstSwitch(t)
	var rows []ovsdb.UUID
	for _, name := range []string{"a", "b", "c"} {
		rows = append(rows, z.fwdGroup(t, ls, name, "10.0.0.100", "00:11:22:33:44:55", false, "c1"))
	}
	z.nb(t, func(tx *ovsdb.Txn) error {
		tx.DelFromSet(z.columns.LS.Table, ls, "forwarding_groups", rows[1])
		return tx.Err()
	})
	z.fwdGroup(t, ls, "d", "10.0.0.101", "00:11:22:33:44:56", false, "c1")
	had := z.groups(t)
	if len(had) != 3 || had[abi.MinAllocatedGroup+1] == "" {
		t.Errorf("groups are %v: the free id is not taken", had)
	}
	if err := z.close(); err != nil {
		t.Fatal(err)
	}
	again := newZone(t, path)
	for id, text := range again.groups(t) {
		if had[id] != text {
			t.Errorf("group %d is %q after a restart, %q before", id, text, had[id])
		}
	}
	if len(again.groups(t)) != 3 {
		t.Errorf("groups after a restart: %v", again.groups(t))
	}
}
