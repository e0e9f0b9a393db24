package northd_test

import (
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	gproto "google.golang.org/protobuf/proto"

	"govn/northd/fabric"
	"govn/northd/southbound"
	"govn/northd/topology"
	"govn/pkg/ovsdb"
	"govn/proto"
	"govn/proto/control"
)

// edge makes a router between the switch inside and the switch public, which has a
// physical network. It returns the router and its port on public.
func (z *zone) edge(t testing.TB) (lr, lrp ovsdb.UUID) {
	t.Helper()
	c := z.columns
	z.nb(t, func(tx *ovsdb.Txn) error {
		port := func(name string, values map[string]ovsdb.Value) ovsdb.UUID {
			values["name"] = name
			return tx.Insert(c.LSP.Table, ovsdb.UUID{}, values)
		}
		peer := func(of string) map[string]ovsdb.Value {
			return map[string]ovsdb.Value{"type": "router", "addresses": ovsdb.NewSet("router"), "options": ovsdb.MapOf("router-port", of)}
		}
		in := tx.Insert(c.LRP.Table, ovsdb.UUID{}, map[string]ovsdb.Value{"name": "r0-in", "mac": "00:00:00:00:ff:01", "networks": ovsdb.NewSet("10.0.0.1/24")})
		lrp = tx.Insert(c.LRP.Table, ovsdb.UUID{}, map[string]ovsdb.Value{"name": "r0-out", "mac": "00:00:00:00:ff:02", "networks": ovsdb.NewSet("172.16.0.1/24")})
		lr = tx.Insert(c.LR.Table, ovsdb.UUID{}, map[string]ovsdb.Value{"name": "r0", "ports": ovsdb.NewSet(in, lrp)})
		tx.Insert(c.LS.Table, ovsdb.UUID{}, map[string]ovsdb.Value{"name": "inside", "ports": ovsdb.NewSet(port("in-r0", peer("r0-in")))})
		ln := port("ln", map[string]ovsdb.Value{"type": "localnet", "addresses": ovsdb.NewSet("unknown"), "options": ovsdb.MapOf("network_name", "phys")})
		tx.Insert(c.LS.Table, ovsdb.UUID{}, map[string]ovsdb.Value{"name": "public", "ports": ovsdb.NewSet(port("public-r0", peer("r0-out")), ln)})
		return tx.Err()
	})
	return lr, lrp
}

// gatewayChassis says which chassis may host a router port, best first.
func (z *zone) gatewayChassis(t testing.TB, lrp ovsdb.UUID, names ...string) {
	t.Helper()
	z.nb(t, func(tx *ovsdb.Txn) error {
		set := ovsdb.NewSet()
		for i, name := range names {
			set = set.With(tx.Insert(z.columns.GatewayChassis.Table, ovsdb.UUID{}, map[string]ovsdb.Value{
				"name": "r0-out-" + name, "chassis_name": name, "priority": int64(100 - i)}))
		}
		tx.SetColumn(z.columns.LRP.Table, lrp, "gateway_chassis", set)
		return tx.Err()
	})
}

func (z *zone) port(t testing.TB, name string) *ovsdb.Row {
	t.Helper()
	b := &z.columns.PortBinding
	for row := range z.store.Snapshot().Rows(b.Table) {
		if row.Str(b.LogicalPort) == name {
			return row
		}
	}
	return nil
}

// A distributed gateway port has a port of type chassisredirect with the HA group
// of its chassis, its router is behind a border for all others, and what it
// answers it answers there only. Without gateway chassis nothing of it is left.
func TestGatewayPort(t *testing.T) {
	z := newZone(t, "")
	_, lrp := z.edge(t)
	before := z.dump()
	z.gatewayChassis(t, lrp, "hv2", "hv1")

	b := &z.columns.PortBinding
	cr := z.port(t, "cr-r0-out")
	if cr == nil || cr.Str(b.Type) != "chassisredirect" || cr.Map(b.Options).Str("distributed-port") != "r0-out" ||
		cr.Map(b.Options).Str("always-redirect") != "true" {
		t.Fatalf("row of the chassisredirect port: %v", cr)
	}
	group, _ := cr.Opt(b.Table.Column("ha_chassis_group"))
	if row := z.store.Snapshot().Row(z.columns.SBHAGroup.Table, group.(ovsdb.UUID)); row == nil ||
		row.Str(z.columns.SBHAGroup.Name) != "r0-out" || row.Set(z.columns.SBHAGroup.HAChassis).Len() != 2 {
		t.Errorf("southbound group: %v", row)
	}
	if got := z.port(t, "r0-out").Map(b.Options).Str("chassis-redirect-port"); got != "cr-r0-out" {
		t.Errorf("chassis-redirect-port is %q", got)
	}
	if got := z.port(t, "public-r0").Set(b.Table.Column("nat_addresses")); !got.Has(`00:00:00:00:ff:02 172.16.0.1 is_chassis_resident("cr-r0-out")`) {
		t.Errorf("nat_addresses %v", got)
	}

	item := z.item(t, "cr-r0-out")
	_, distributed := z.keys(t, "r0-out")
	members := z.fabric.groups[string(item.HaGroup)].Members
	if item.Type != "chassisredirect" || item.Distributed != distributed || fmt.Sprint(members) != "[hv2 hv1]" {
		t.Errorf("item %v, members %v", item, members)
	}
	lan, _ := z.keys(t, "in-r0")
	router, _ := z.keys(t, "r0-out")
	wan, _ := z.keys(t, "public-r0")
	for _, l := range z.fabric.links {
		outer := l.A == min(router, wan) && l.B == max(router, wan)
		if inner := l.A == min(router, lan) && l.B == max(router, lan); !outer && !inner || l.Border != outer ||
			outer && fmt.Sprint(l.Hosts) != "[hv1 hv2]" {
			t.Errorf("link %+v", l)
		}
	}

	want := []string{
		`lr_in_admission 50 eth.dst == 00:00:00:00:ff:02 && inport == "r0-out" && is_chassis_resident("cr-r0-out") -> xreg0[0..47] = 00:00:00:00:ff:02; next;`,
		`lr_in_gw_redirect 50 outport == "r0-out" -> outport = "cr-r0-out"; next;`,
		`ls_in_l2_lkup 50 eth.dst == 00:00:00:00:ff:02 && is_chassis_resident("cr-r0-out") -> outport = "public-r0"; output;`,
	}
	all := z.stages("lr_in_admission", "lr_in_gw_redirect", "ls_in_l2_lkup", "lr_in_ip_input")
	for _, flow := range want {
		if !slices.Contains(all, flow) {
			t.Errorf("no flow %s", flow)
		}
	}
	st := z.View().Status()
	if gw := []control.Gateway{{Port: "cr-r0-out", Type: "chassisredirect",
		Members: []control.Member{{Chassis: "hv2", Priority: 100}, {Chassis: "hv1", Priority: 99}}}}; !reflect.DeepEqual(st.Gateways, gw) {
		t.Errorf("status has the gateways %+v", st.Gateways)
	}
	if text, err := control.String(control.Text, st); err != nil || !strings.Contains(text, "cr-r0-out  chassisredirect  NONE    hv2 100 (NOT THERE), hv1 99 (NOT THERE)") {
		t.Errorf("status as text: %v\n%s", err, text)
	}
	origins, err := z.View().Flows(selector(t, "router-port:r0-out"))
	if text, _ := control.String(control.Text, origins); err != nil || !strings.Contains(text, `only where port "cr-r0-out" is here`) {
		t.Errorf("flows of the port do not name where they hold: %v\n%s", err, text)
	}
	answers := 0
	for _, flow := range all {
		if strings.HasPrefix(flow, "lr_in_ip_input 90 inport == \"r0-out\"") {
			if answers++; !strings.Contains(flow, `is_chassis_resident("cr-r0-out")`) {
				t.Errorf("answered everywhere: %s", flow)
			}
		}
		if strings.HasPrefix(flow, "lr_in_ip_input 80") {
			t.Errorf("an answer that OVN does not give: %s", flow)
		}
	}
	if answers != 2 {
		t.Errorf("%d answers for the gateway port's addresses, want ARP and ND", answers)
	}
	guards := 0
	for _, value := range z.fabric.bodies {
		m := &proto.Body{}
		if err := gproto.Unmarshal(value, m); err != nil {
			t.Fatal(err)
		}
		_, key := z.keys(t, "cr-r0-out")
		for _, f := range m.Flows {
			for _, g := range f.Guard {
				guards++
				if g.Op != proto.Literal_OP_RESIDENT || g.Negated || g.Datapath != router || g.Port != key {
					t.Errorf("guard %v", g)
				}
			}
		}
	}
	if guards == 0 {
		t.Error("no flow is guarded")
	}

	z.gatewayChassis(t, lrp)
	z.releases = true
	z.step(t)
	if after := z.dump(); withoutKeys(after) != withoutKeys(before) {
		t.Errorf("without gateway chassis:\n%s", difference(withoutKeys(after), withoutKeys(before)))
	}
}

// withoutKeys leaves out of a dump the allocated keys, of which some rest.
func withoutKeys(dump string) string {
	var out []string
	for line := range strings.Lines(dump) {
		if !strings.Contains(line, "row Allocation") {
			out = append(out, line)
		}
	}
	return strings.Join(out, "")
}

// Ports of a gateway router are on its chassis, and so are the ports that lead to
// them; to everybody else the router is behind a border.
func TestGatewayRouter(t *testing.T) {
	z := newZone(t, "")
	lr, _ := z.edge(t)
	z.nb(t, func(tx *ovsdb.Txn) error {
		tx.PutInMap(z.columns.LR.Table, lr, "options", "chassis", "hv1")
		return tx.Err()
	})
	b := &z.columns.PortBinding
	for _, name := range []string{"r0-in", "r0-out", "in-r0", "public-r0"} {
		row, item := z.port(t, name), z.item(t, name)
		if row.Str(b.Type) != "l3gateway" || row.Map(b.Options).Str("l3gateway-chassis") != "hv1" || item.Type != "l3gateway" ||
			fmt.Sprint(z.fabric.groups[string(item.HaGroup)].Members) != "[hv1]" {
			t.Errorf("port %s: %v %v", name, row, item)
		}
	}
	if got := z.port(t, "public-r0").Set(b.Table.Column("nat_addresses")); !got.Has("00:00:00:00:ff:02 172.16.0.1") {
		t.Errorf("nat_addresses %v", got)
	}
	links := 0
	for _, l := range z.fabric.links {
		if links++; !l.Border || fmt.Sprint(l.Hosts) != "[hv1]" {
			t.Errorf("link %+v", l)
		}
	}
	if links != 2 {
		t.Errorf("%d links, want 2", links)
	}
	if n := len(slices.Collect(z.store.Snapshot().Rows(z.columns.SBHAGroup.Table))); n != 0 {
		t.Errorf("%d HA groups in the southbound database", n)
	}
}

// One HA group may have the ports of several routers; BFD runs as NB_Global says.
func TestSharedGroup(t *testing.T) {
	z := newZone(t, "")
	_, lrp := z.edge(t)
	var group ovsdb.UUID
	z.nb(t, func(tx *ovsdb.Txn) error {
		c := z.columns
		a := tx.Insert(c.HAChassis.Table, ovsdb.UUID{}, map[string]ovsdb.Value{"chassis_name": "hv1", "priority": int64(1)})
		b := tx.Insert(c.HAChassis.Table, ovsdb.UUID{}, map[string]ovsdb.Value{"chassis_name": "hv2", "priority": int64(2)})
		group = tx.Insert(c.HAGroup.Table, ovsdb.UUID{}, map[string]ovsdb.Value{"name": "g", "ha_chassis": ovsdb.NewSet(a, b)})
		second := tx.Insert(c.LRP.Table, ovsdb.UUID{}, map[string]ovsdb.Value{"name": "r1-out", "mac": "00:00:00:00:ff:03", "networks": ovsdb.NewSet("172.16.0.2/24"), "ha_chassis_group": ovsdb.NewSet(group)})
		tx.Insert(c.LR.Table, ovsdb.UUID{}, map[string]ovsdb.Value{"name": "r1", "ports": ovsdb.NewSet(second)})
		tx.SetColumn(c.LRP.Table, lrp, "ha_chassis_group", ovsdb.NewSet(group))
		for row := range tx.Rows(c.NBGlobal.Table) {
			tx.PutInMap(c.NBGlobal.Table, row.UUID(), "options", "bfd-min-rx", "123")
		}
		return tx.Err()
	})
	one, other := z.item(t, "cr-r0-out"), z.item(t, "cr-r1-out")
	var only fabric.HAGroup
	for _, only = range z.fabric.groups {
	}
	m := &proto.HAGroup{}
	if err := gproto.Unmarshal(only.Value, m); err != nil {
		t.Fatal(err)
	}
	if string(one.HaGroup) != string(other.HaGroup) || len(z.fabric.groups) != 1 || m.Bfd.GetMinRx() != 123 || m.Members[0].Chassis != "hv2" {
		t.Errorf("%x, %x, %v", one.HaGroup, other.HaGroup, m)
	}
}

// What a gateway cannot do is listed, and the rest of it works.
func TestGatewayProblems(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(z *zone, tx *ovsdb.Txn, lr, lrp ovsdb.UUID)
		want   string
	}{
		{"no such chassis", func(z *zone, tx *ovsdb.Txn, _, lrp ovsdb.UUID) {}, topology.ErrNoChassis.Error() + ", " + topology.ErrMemberAway.Error()},
		{"no chassis at all", func(z *zone, tx *ovsdb.Txn, _, lrp ovsdb.UUID) {
			gone := tx.Insert(z.columns.GatewayChassis.Table, ovsdb.UUID{}, map[string]ovsdb.Value{"name": "y", "chassis_name": "gone"})
			tx.SetColumn(z.columns.LRP.Table, lrp, "gateway_chassis", ovsdb.NewSet(gone))
		}, topology.ErrNoMember.Error()},
		{"gateway router", func(z *zone, tx *ovsdb.Txn, lr, _ ovsdb.UUID) {
			tx.PutInMap(z.columns.LR.Table, lr, "options", "chassis", "gone")
		}, topology.ErrGatewayRouter.Error()},
		{"no network", func(z *zone, tx *ovsdb.Txn, _, lrp ovsdb.UUID) {
			tx.SetColumn(z.columns.LRP.Table, lrp, "networks", ovsdb.NewSet())
		}, topology.ErrNoNetwork.Error()},
		{"redirect-type", func(z *zone, tx *ovsdb.Txn, _, lrp ovsdb.UUID) {
			tx.PutInMap(z.columns.LRP.Table, lrp, "options", "redirect-type", "vlan")
		}, topology.ErrRedirectType.Error()},
		{"two gateways", func(z *zone, tx *ovsdb.Txn, lr, _ ovsdb.UUID) {
			gc := tx.Insert(z.columns.GatewayChassis.Table, ovsdb.UUID{}, map[string]ovsdb.Value{"name": "x", "chassis_name": "hv1"})
			p := tx.Insert(z.columns.LRP.Table, ovsdb.UUID{}, map[string]ovsdb.Value{"name": "r0-x", "mac": "00:00:00:00:ff:09", "networks": ovsdb.NewSet("172.17.0.1/24"), "gateway_chassis": ovsdb.NewSet(gc)})
			tx.AddToSet(z.columns.LR.Table, lr, "ports", p)
			in := z.store.Snapshot().Lookup(z.columns.LRP.Table, 0, "r0-in")
			tx.PutInMap(z.columns.LRP.Table, in.UUID(), "options", "reside-on-redirect-chassis", "true")
		}, topology.ErrManyGateways.Error()},
	} {
		t.Run(tc.name, func(t *testing.T) {
			z := newZone(t, "")
			z.register(t, "hv1")
			lr, lrp := z.edge(t)
			z.gatewayChassis(t, lrp, "hv1", "hv2")
			z.nb(t, func(tx *ovsdb.Txn) error { tc.change(z, tx, lr, lrp); return tx.Err() })
			if got := z.problems(); !strings.Contains(got, tc.want) || !strings.Contains(got, "ambiguous") {
				t.Errorf("problems:\n%s\nwant %q", got, tc.want)
			}
			z.register(t, "hv2")
			if got := z.problems(); strings.Contains(got, topology.ErrNoChassis.Error()) && !strings.Contains(got, `"gone"`) {
				t.Errorf("the chassis are there now:\n%s", got)
			}
		})
	}
}

// TestGatewayUsers: what the fabric tells about the users of a group stands in
// ref_chassis; what an earlier process wrote there does not.
func TestGatewayUsers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "zone.db")
	z, err := openZone(path)
	if err != nil {
		t.Fatal(err)
	}
	z.register(t, "hv1")
	z.register(t, "hv2")
	_, lrp := z.edge(t)
	z.gatewayChassis(t, lrp, "hv2")
	users := func() (list []string) {
		for row := range z.store.Snapshot().Rows(z.columns.SBHAGroup.Table) {
			for u := range row.Set(z.columns.SBHAGroup.RefChassis).All() {
				list = append(list, u.(ovsdb.UUID).String())
			}
		}
		return list
	}
	tell := func(names ...string) {
		key := topology.HAGroupID{Kind: topology.HAGatewayChassis, Row: lrp}.Key()
		z.fabric.users = []fabric.HAUsers{{Group: string(key[:]), Chassis: names}}
		z.nb(t, func(tx *ovsdb.Txn) error {
			tx.Insert(z.columns.LS.Table, ovsdb.UUID{}, map[string]ovsdb.Value{"name": "another"})
			return tx.Err()
		})
	}
	want := []string{southbound.ChassisUUID("hv1").String()}
	if tell("hv1"); !slices.Equal(users(), want) {
		t.Errorf("ref_chassis %q, want %q", users(), want)
	}
	if tell(); len(users()) != 0 {
		t.Errorf("ref_chassis %q of a group that nobody uses", users())
	}
	tell("hv1")
	if err := z.close(); err != nil {
		t.Fatal(err)
	}
	if z = newZone(t, path); len(users()) != 0 {
		t.Errorf("ref_chassis %q, of an earlier process", users())
	}
}
