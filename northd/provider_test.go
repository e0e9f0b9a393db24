package northd_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	gproto "google.golang.org/protobuf/proto"

	"govn/northd/fabric"
	"govn/pkg/ovsdb"
	"govn/proto"
	"govn/proto/state"
)

// ofType is a port of a type, with options.
func ofType(kind string, p map[string]ovsdb.Value, options ...ovsdb.Atom) map[string]ovsdb.Value {
	return with(with(p, "type", kind), "options", ovsdb.MapOf(options...))
}

// keys are the tunnel keys of a port.
func (z *zone) keys(t *testing.T, name string) (datapath, port uint32) {
	t.Helper()
	b := &z.columns.PortBinding
	for row := range z.store.Snapshot().Rows(b.Table) {
		if row.Str(b.LogicalPort) == name {
			u, _ := row.Ref(b.Datapath)
			return uint32(z.store.Snapshot().Row(z.columns.Datapath.Table, u).Int(z.columns.Datapath.TunnelKey)), uint32(row.Int(b.TunnelKey))
		}
	}
	t.Fatalf("no Port_Binding %q", name)
	return 0, 0
}

// item is the PORT item of a port.
func (z *zone) item(t *testing.T, name string) *proto.Port {
	t.Helper()
	dp, key := z.keys(t, name)
	m := &proto.Port{}
	got := z.fabric.items[fabric.Key{Kind: proto.Kind_KIND_PORT, Key: state.PortKey(dp, key)}]
	if err := gproto.Unmarshal(got.Value, m); err != nil {
		t.Fatal(err)
	}
	return m
}

// An l2gateway port is bound to the chassis that its options name, as soon as and
// as long as that is there.
func TestL2GatewayBinding(t *testing.T) {
	z := newZone(t, "")
	_, rows := z.addSwitch(t, "sw0", ofType("l2gateway", port("gw"), "network_name", "phys", "l2gateway-chassis", "hv1"))
	z.expectBound(t, map[string]string{"gw": ""})
	z.hello(t, "hv2", "host2", 1, "gw") // an interface of that name is none of its
	z.expectBound(t, map[string]string{"gw": ""})
	z.hello(t, "hv1", "host1", 1)
	z.expectBound(t, map[string]string{"gw": "hv1"})
	if m := z.item(t, "gw"); m.Type != "l2gateway" || m.Options["network_name"] != "phys" {
		t.Errorf("item %v", m)
	}
	z.nb(t, func(tx *ovsdb.Txn) error {
		tx.PutInMap(z.columns.LSP.Table, rows[0], "options", "l2gateway-chassis", "hv2")
		return tx.Err()
	})
	z.expectBound(t, map[string]string{"gw": "hv2"})
	z.nb(t, func(tx *ovsdb.Txn) error {
		tx.DelFromMap(z.columns.LSP.Table, rows[0], "options", "l2gateway-chassis")
		return tx.Err()
	})
	var got []string
	for _, p := range z.View().Lint().Problems {
		got = append(got, p.Reason)
	}
	if fmt.Sprint(got) != "[an l2gateway port needs l2gateway-chassis]" {
		t.Errorf("problems %q", got)
	}
}

// While a workload moves its port is bound to two chassis: the second one at
// once, and the port stays up when that becomes the first.
func TestAdditionalChassis(t *testing.T) {
	z := newZone(t, "")
	_, rows := z.addSwitch(t, "sw0", with(port("vm1"), "options", ovsdb.MapOf("requested-chassis", "hv1,hv2")))
	dp, key := uint32(0), uint32(0)
	binding := func() string {
		z.step(t)
		dp, key = z.keys(t, "vm1")
		b := z.fabric.bindings[[2]uint32{dp, key}]
		return fmt.Sprintf("%s %v %t", b.Chassis, b.Additional, b.Up)
	}
	expect := func(want string) {
		t.Helper()
		if got := binding(); got != want {
			t.Errorf("bound to %s, want %s", got, want)
		}
	}
	request := func(chassis string) {
		z.nb(t, func(tx *ovsdb.Txn) error {
			tx.PutInMap(z.columns.LSP.Table, rows[0], "options", "requested-chassis", chassis)
			return tx.Err()
		})
	}
	acked := func(name string) {
		if err := z.progress.Applied(name, z.last.Revision, z.at()); err != nil {
			t.Fatal(err)
		}
	}
	z.hello(t, "hv1", "host1", 1, "vm1")
	binding()
	acked("hv1")
	expect("hv1 [] true")
	z.hello(t, "hv2", "host2", 2, "vm1")
	expect("hv1 [hv2] true")
	z.hello(t, "hv3", "host3", 3, "vm1") // nobody asked
	expect("hv1 [hv2] true")
	request("hv2")
	expect("hv2 [] true")
	request("hv3,host2")
	expect("hv3 [hv2] false")
	z.registry.Report("hv2", &proto.Report{InterfacesGone: []string{"vm1"}})
	expect("hv3 [] false")
}

func arpOf(from string, flows string) bool {
	return strings.Contains(flows, `inport == "`+from+`" && ((arp.op == 1 && arp.spa == 10.0.0.50 && arp.tpa == 10.0.0.50`)
}

// A virtual port is bound to the chassis whose port announces the address: the
// last one counts, whatever its clock says. It goes with that port, and a restart
// of northd changes nothing.
func TestVirtualPort(t *testing.T) {
	path := filepath.Join(t.TempDir(), "zone.db")
	z, err := openZone(path)
	if err != nil {
		t.Fatal(err)
	}
	z.releases = true
	vip := ofType("virtual", port("vip", "50:54:00:00:00:50 10.0.0.50"), "virtual-ip", "10.0.0.50", "virtual-parents", "vm1, vm2,nobody,vm3")
	_, rows := z.addSwitch(t, "sw0", port("vm1", "50:54:00:00:00:01 10.0.0.1"), port("vm2"), vip)
	z.addSwitch(t, "sw1", port("vm3"))
	z.step(t)
	flows := z.flowText("ls_in_arp_rsp")
	if !arpOf("vm1", flows) || !arpOf("vm2", flows) || arpOf("vm3", flows) || strings.Contains(flows, "match=(arp.tpa == 10.0.0.50") {
		t.Errorf("flows:\n%s", flows)
	}
	z.hello(t, "hv1", "host1", 1, "vm1")
	z.hello(t, "hv2", "host2", 1, "vm2")
	z.expectBound(t, map[string]string{"vip": ""})
	dp, key := z.keys(t, "vip")
	_, vm1 := z.keys(t, "vm1")
	_, vm2 := z.keys(t, "vm2")
	claim := func(chassis string, parent uint32, since int64) {
		z.registry.Report(chassis, &proto.Report{ClaimsPut: []*proto.Claim{{Datapath: dp, Port: key, Since: since, Parent: parent}}})
	}
	expect := func(chassis, parent string) {
		t.Helper()
		z.expectBound(t, map[string]string{"vip": chassis})
		if m := z.item(t, "vip"); m.Parent != parent {
			t.Errorf("the address is behind %q, want %q", m.Parent, parent)
		}
	}
	claim("hv1", vm2, 1) // vm2 is not there
	expect("", "")
	claim("hv1", vm1, 1_000_000)
	expect("hv1", "vm1")
	claim("hv2", vm2, 5) // its clock is slow
	expect("hv2", "vm2")
	z.registry.Report("hv1", &proto.Report{ClaimsGone: []*proto.Claim{{Datapath: dp, Port: key, Parent: vm1}}})
	expect("hv2", "vm2")

	// A restart: whoever comes back first, and does not say it again.
	if err := z.close(); err != nil {
		t.Fatal(err)
	}
	z = newZone(t, path)
	expect("hv2", "vm2")
	z.hello(t, "hv1", "host1", 1, "vm1")
	expect("hv2", "vm2")
	z.hello(t, "hv2", "host2", 1, "vm2")
	expect("hv2", "vm2")
	z.registry.Report("hv2", &proto.Report{InterfacesGone: []string{"vm2"}})
	expect("", "")
	z.hello(t, "hv2", "host2", 1, "vm2")
	claim("hv2", vm2, 7)
	expect("hv2", "vm2")
	z.nb(t, func(tx *ovsdb.Txn) error {
		tx.PutInMap(z.columns.LSP.Table, rows[2], "options", "virtual-parents", "vm1")
		return tx.Err()
	})
	expect("", "")
}

// What is used, but does not do all that it was made for, is listed.
func TestProviderProblems(t *testing.T) {
	z := newZone(t, "")
	z.addSwitch(t, "sw0", ofType("localnet", port("ln"), "network_name", "phys", "ethtype", "qinq"), ofType("external", port("ex0")),
		ofType("l2gateway", port("gw"), "network_name", "phys", "l2gateway-chassis", "hv9"),
		ofType("virtual", port("v0"), "virtual-ip", "10.0.0.300", "virtual-parents", "gw"), ofType("virtual", port("v1"), "virtual-ip", "10.0.0.30", "virtual-parents", "gw"))
	z.step(t)
	var got []string
	for _, p := range z.View().Lint().Problems {
		got = append(got, fmt.Sprintf("%s %s: %s [%s]", p.Name, p.Column, p.Reason, p.Effect))
	}
	want := []string{
		"ex0 ha_chassis_group: an external port needs chassis that may host it; without them no router hears it [ambiguous]",
		`gw options: l2gateway-chassis "hv9": there is no chassis of that name [ambiguous]`,
		`ln options: "qinq": ethtype is neither 802.11q nor 802.11ad, and counts as the former [ambiguous]`,
		"v0 options: virtual-ip is no IP address; no chassis will have the port [ambiguous]",
		"v1 options: none of virtual-parents is a port of a workload on this switch; no chassis will have the port [ambiguous]",
	}
	if !slices.Equal(got, want) {
		t.Errorf("problems\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	z.hello(t, "hv9", "host9", 1)
	if n := len(z.View().Lint().Problems); n != len(want)-1 {
		t.Errorf("%d problems when the chassis is there", n)
	}
}

// An external port is bound to the chassis that says it hosts it; everywhere else
// the router on its switch does not hear it, by whatever localnet port it comes.
// The switch neither answers for it nor knows where it is.
func TestExternalPort(t *testing.T) {
	z := newZone(t, "")
	z.addRouter(t, "lr", nil, [3]string{"lr-sw0", "00:00:00:00:ff:01", "10.0.0.1/24"})
	_, rows := z.addSwitch(t, "sw0", ofType("localnet", port("ln"), "network_name", "phys"), ofType("localnet", port("ln2"), "network_name", "phys2"),
		ofType("router", port("sw0-lr", "router"), "router-port", "lr-sw0"), ofType("external", port("ex", "50:54:00:00:00:60 10.0.0.60")))
	z.hello(t, "hv1", "host1", 1)
	z.hello(t, "hv2", "host2", 1)
	groups := z.schemas.NB.Table("HA_Chassis_Group")
	z.nb(t, func(tx *ovsdb.Txn) error {
		member := tx.Insert(z.schemas.NB.Table("HA_Chassis"), ovsdb.UUID{}, map[string]ovsdb.Value{"chassis_name": "hv1", "priority": int64(20)})
		second := tx.Insert(z.schemas.NB.Table("HA_Chassis"), ovsdb.UUID{}, map[string]ovsdb.Value{"chassis_name": "hv2", "priority": int64(10)})
		g := tx.Insert(groups, ovsdb.UUID{}, map[string]ovsdb.Value{"name": "g", "ha_chassis": ovsdb.NewSet(member, second)})
		tx.SetColumn(z.columns.LSP.Table, rows[3], "ha_chassis_group", ovsdb.NewSet(g))
		return tx.Err()
	})
	z.step(t)
	var got []string
	for line := range strings.Lines(z.flowText("ls_in_external_port")) {
		_, match, _ := strings.Cut(line, "match=")
		if match, _, _ = strings.Cut(match, " pipeline="); match != "1" {
			got = append(got, match)
		}
	}
	slices.Sort(got)
	var want []string
	for _, ln := range []string{"ln", "ln2"} {
		for _, rest := range []string{
			`!is_chassis_resident("ex") && arp.tpa == 10.0.0.1 && arp.op == 1`,
			`!is_chassis_resident("ex") && nd_ns && ip6.dst == {fe80::200:ff:fe00:ff01, ff02::1:ff00:ff01} && nd.target == fe80::200:ff:fe00:ff01`,
			`eth.dst == 00:00:00:00:ff:01 && !is_chassis_resident("ex")`,
		} {
			want = append(want, fmt.Sprintf(`inport == %q && eth.src == 50:54:00:00:00:60 && %s`, ln, rest))
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("flows\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for _, table := range []string{"ls_in_l2_lkup", "ls_in_arp_rsp"} {
		if flows := z.flowText(table); strings.Contains(flows, "50:54:00:00:00:60") || strings.Contains(flows, "10.0.0.60") {
			t.Errorf("the switch knows the external port:\n%s", flows)
		}
	}
	if m := z.item(t, "ex"); len(m.HaGroup) != 16 || len(m.Groups) != 0 {
		t.Errorf("item %v", m)
	}
	dp, key := z.keys(t, "ex")
	claim := []*proto.Claim{{Datapath: dp, Port: key, Since: 5}}
	z.expectBound(t, map[string]string{"ex": ""})
	z.registry.Report("hv1", &proto.Report{ClaimsPut: claim})
	z.expectBound(t, map[string]string{"ex": "hv1"})
	z.registry.Report("hv2", &proto.Report{ClaimsPut: claim}) // it took over, hv1 does not know yet
	z.expectBound(t, map[string]string{"ex": "hv2"})
	z.registry.Report("hv2", &proto.Report{ClaimsGone: claim})
	z.expectBound(t, map[string]string{"ex": "hv1"})
	z.registry.Report("hv1", &proto.Report{ClaimsGone: claim})
	z.expectBound(t, map[string]string{"ex": ""})
	nodes := z.Program().Engine.Stats().Nodes
	z.nb(t, func(tx *ovsdb.Txn) error {
		for u := range tx.Referrers(z.columns.LS.Ports, rows[3]) {
			tx.DelFromSet(z.columns.LS.Table, u, "ports", rows[3])
		}
		return tx.Err()
	})
	z.step(t)
	if now := z.Program().Engine.Stats().Nodes; now >= nodes || strings.Contains(z.flowText("ls_in_external_port"), "eth.src") {
		t.Errorf("%d nodes, %d while the port was there", now, nodes)
	}
}
