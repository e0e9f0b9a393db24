package controller

import (
	"fmt"
	"strings"
	"testing"

	"govn/pkg/abi"
	"govn/pkg/eventually"
	"govn/pkg/openflow"
	"govn/proto"
	"govn/proto/state"
)

// group makes the item of a select group of datapath 5 with a bucket for each
// port, whose end of life it watches.
func group(id uint32, ports ...uint32) item {
	m := &proto.Group{Type: proto.Group_TYPE_SELECT, SelectionMethod: "dp_hash",
		Objects: []*proto.Object{{Table: "Forwarding_Group", Uuid: make([]byte, 16), Name: "fg"}}}
	for i, p := range ports {
		m.Buckets = append(m.Buckets, &proto.Bucket{Id: uint32(i), Weight: 1, WatchDatapath: 5, WatchPort: p,
			Actions: openflow.EncodeActions([]openflow.Action{
				openflow.SetUint(openflow.FieldReg(abi.RegOutport), uint64(p)), openflow.ToTable(abi.TableRemoteOutput)})})
	}
	return item{state.Key{Kind: proto.Kind_KIND_GROUP, Key: state.GroupKey(5, id)}, marshal(m)}
}

func toGroup(id uint32) []byte {
	return openflow.EncodeActions([]openflow.Action{openflow.Group{ID: id}})
}

// groups are the groups of Open vSwitch, as text in the order of their ids.
func (l *lab) groups() string {
	l.t.Helper()
	conn, err := openflow.Dial(l.t.Context(), l.ovs.Mgmt, openflow.ConnOptions{})
	if err != nil {
		l.t.Fatal(err)
	}
	defer conn.Close()
	dump, err := conn.DumpGroups(l.t.Context())
	if err != nil {
		l.t.Fatal(err)
	}
	lines := map[uint32]string{}
	for _, g := range dump {
		lines[g.ID] = g.String() + "\n"
	}
	var b strings.Builder
	for _, id := range sortedKeys(lines) {
		b.WriteString(lines[id])
	}
	return b.String()
}

// TestGroups: groups are installed before the flows that use them and deleted
// after them, their buckets live with the ports that they watch, and a restart
// of the controller or of Open vSwitch ends with the same groups.
func TestGroups(t *testing.T) {
	l := newLab(t)
	l.start()
	eventually.That(t, "integration bridge", func() bool { return strings.Contains(l.ovs.Vsctl("list-br"), "br-int") })
	l.plug("vm1", "vm2")
	l.topology()
	const id = abi.MinAllocatedGroup
	use := unit(20, 5, 20, toGroup(id))
	if ack := l.n.applied(l.n.put(append(use, group(id, 1, 2, 3))...)); len(ack.Failed) > 0 {
		t.Fatalf("failed: %v", ack.Failed)
	}
	eventually.That(t, "port of the tunnel", func() bool { return ofport(l, "ovn-hv2-0") != "[]" })
	bucket := func(i int, name string, port int) string {
		return fmt.Sprintf(",bucket=bucket_id:%d,watch_port:%s,actions=set_field:0x%x->reg15,resubmit(,37)", i, ofport(l, name), port)
	}
	want := fmt.Sprintf("group_id=%d,type=select,selection_method=dp_hash", id) + bucket(0, "tap-vm1", 1) + bucket(1, "tap-vm2", 2) + bucket(2, "ovn-hv2-0", 3) + "\n"
	eventually.That(t, "group with three buckets", func() bool { return l.groups() == want })
	if out := l.ovs.Ofctl("dump-groups"); !strings.Contains(out, "selection_method=dp_hash") {
		t.Errorf("ovs-ofctl says\n%s", out)
	}

	// A restart touches nothing: the group keeps its counters.
	l.ovs.Ofctl("packet-out", fmt.Sprintf("in_port=%s,packet=ffffffffffff5054000000aa0800000000000000000000000000,actions=group:%d", ofport(l, "tap-vm1"), id))
	if n := groupPackets(t, l, id); n != 1 {
		t.Fatalf("the group counts %d packets after one", n)
	}
	l.ovs.Ofctl("add-group", "group_id=7,type=all,bucket=actions=drop") // not ours
	l.stop()
	number := l.n.put(unit(21, 5, 21, resubmit(22))...)
	l.start()
	l.n.applied(number)
	if n := groupPackets(t, l, id); n != 1 {
		t.Errorf("the group was touched: it counts %d packets", n)
	}
	if got := l.groups(); !strings.Contains(got, "group_id=7,") || !strings.Contains(got, want) {
		t.Errorf("groups after a restart:\n%s", got)
	}
	l.ovs.Ofctl("del-groups", "group_id=7")

	// A port that goes takes its bucket along.
	l.ovs.Vsctl("del-port", "br-int", "tap-vm2")
	eventually.That(t, "no bucket for a port that is gone", func() bool { return !strings.Contains(l.groups(), "bucket_id:1") })

	// Another Open vSwitch gets all of it again.
	want = l.groups()
	l.ovs.KillVswitchd()
	l.ovs.StartVswitchd()
	eventually.That(t, "group after the restart", func() bool { return canConnect(l) && l.groups() == want && l.flows() == l.wanted() })

	// The flow and the group end together.
	l.n.applied(l.n.put(append(gone(use), item{key: group(id).key})...))
	if got := l.groups(); got != "" {
		t.Errorf("groups are left:\n%s", got)
	}
	l.check()
}

// groupPackets is how many packets a group counts; a change of it begins anew.
func groupPackets(t *testing.T, l *lab, id uint32) (n int) {
	t.Helper()
	out := l.ovs.Ofctl("dump-group-stats")
	_, text, ok := strings.Cut(out, fmt.Sprintf("group_id=%d,", id))
	_, text, _ = strings.Cut(text, "packet_count=")
	if _, err := fmt.Sscanf(text, "%d", &n); !ok || err != nil {
		t.Fatalf("group stats: %v\n%s", err, out)
	}
	return n
}

// TestBadGroup: a group that Open vSwitch refuses is left out with the flows
// that use it, both are named, and all else is in. Once it is right, they are in.
func TestBadGroup(t *testing.T) {
	l := newLab(t)
	l.start()
	eventually.That(t, "integration bridge", func() bool { return strings.Contains(l.ovs.Vsctl("list-br"), "br-int") })
	l.plug("vm1", "vm2")
	l.n.applied(l.topology())
	const id = abi.MinAllocatedGroup + 5
	right := group(id, 1, 2)
	wrong := right
	wrong.value = marshal(&proto.Group{Type: proto.Group_TYPE_INDIRECT}) // has to have a bucket
	ack := l.n.applied(l.n.put(append(append(unit(20, 5, 20, toGroup(id)), unit(21, 5, 21, resubmit(22))...), wrong)...))
	var kinds []string
	for _, f := range ack.Failed {
		kinds = append(kinds, fmt.Sprintf("kind %d, body %d", f.Kind, len(f.Body)))
	}
	if got := strings.Join(kinds, "; "); got != "kind 0, body 16; kind 8, body 0" {
		t.Errorf("failed: %s: %v", got, ack.Failed)
	}
	if !strings.Contains(l.flows(), "table=21, priority=50") || strings.Contains(l.flows(), "table=20, priority=50") || l.groups() != "" {
		t.Errorf("flows:\n%s\ngroups:\n%s", l.flows(), l.groups())
	}
	if ack := l.n.applied(l.n.put(right)); len(ack.Failed) != 0 {
		t.Errorf("failed: %v", ack.Failed)
	}
	if !strings.Contains(l.flows(), "table=20, priority=50") || !strings.Contains(l.groups(), "bucket_id:1") {
		t.Errorf("flows:\n%s\ngroups:\n%s", l.flows(), l.groups())
	}
	// What goes wrong later leaves what is there.
	if ack := l.n.applied(l.n.put(wrong)); len(ack.Failed) != 1 {
		t.Errorf("failed: %v", ack.Failed)
	}
	if !strings.Contains(l.flows(), "table=20, priority=50") || !strings.Contains(l.groups(), "bucket_id:1") {
		t.Errorf("flows:\n%s\ngroups:\n%s", l.flows(), l.groups())
	}
	l.check()
}
