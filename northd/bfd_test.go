package northd_test

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	gproto "google.golang.org/protobuf/proto"

	"govn/pkg/ovsdb"
	"govn/proto"
	"govn/proto/state"
)

// gateway adds a gateway router on a chassis, with one port that is attached to
// a switch. It returns the router.
func (z *zone) gateway(t testing.TB, chassis string, networks ...ovsdb.Atom) ovsdb.UUID {
	t.Helper()
	var lr ovsdb.UUID
	z.nb(t, func(tx *ovsdb.Txn) error {
		lrp := tx.Insert(z.columns.LRP.Table, ovsdb.UUID{}, map[string]ovsdb.Value{
			"name": "up", "mac": "00:00:00:00:02:01", "networks": ovsdb.NewSet(networks...)})
		lr = tx.Insert(z.columns.LR.Table, ovsdb.UUID{}, map[string]ovsdb.Value{
			"name": "r0", "ports": ovsdb.NewSet(lrp), "options": ovsdb.MapOf("chassis", chassis)})
		lsp := tx.Insert(z.columns.LSP.Table, ovsdb.UUID{}, map[string]ovsdb.Value{
			"name": "up-peer", "type": "router", "addresses": ovsdb.NewSet("router"), "options": ovsdb.MapOf("router-port", "up")})
		tx.Insert(z.columns.LS.Table, ovsdb.UUID{}, map[string]ovsdb.Value{"name": "net", "ports": ovsdb.NewSet(lsp)})
		return tx.Err()
	})
	return lr
}

func (z *zone) register(t testing.TB, chassis string) {
	t.Helper()
	if err := z.registry.Hello(chassis, &proto.Hello{Encaps: []*proto.Encap{{Type: "geneve", Ip: "10.0.0." + chassis[2:]}}}); err != nil {
		t.Fatal(err)
	}
	z.step(t)
}

// session adds a row of BFD.
func (z *zone) session(t testing.TB, port, peer string, more map[string]ovsdb.Value) (u ovsdb.UUID) {
	t.Helper()
	z.nb(t, func(tx *ovsdb.Txn) error {
		values := map[string]ovsdb.Value{"logical_port": port, "dst_ip": peer}
		for k, v := range more {
			values[k] = v
		}
		u = tx.Insert(z.columns.BFD.Table, ovsdb.UUID{}, values)
		return tx.Err()
	})
	return u
}

// watchedRoute adds a static route of a router by a session.
func (z *zone) watchedRoute(t testing.TB, lr ovsdb.UUID, prefix, nexthop string, session ovsdb.UUID) (u ovsdb.UUID) {
	t.Helper()
	z.nb(t, func(tx *ovsdb.Txn) error {
		u = tx.Insert(z.columns.Route.Table, ovsdb.UUID{}, map[string]ovsdb.Value{
			"ip_prefix": prefix, "nexthop": nexthop, "bfd": ovsdb.NewSet(session)})
		tx.AddToSet(z.columns.LR.Table, lr, "static_routes", u)
		return tx.Err()
	})
	return u
}

// status is that of a session in both databases.
func (z *zone) status(u ovsdb.UUID) string {
	sn := z.store.Snapshot()
	north, _ := sn.Row(z.columns.BFD.Table, u).Opt(z.columns.BFD.Status)
	row := sn.Row(z.columns.SBBFD.Table, u)
	if row == nil {
		return fmt.Sprint(north, " without a row")
	}
	return fmt.Sprint(north, " ", row.Str(z.columns.SBBFD.Status), " ", row.Str(z.columns.SBBFD.ChassisName))
}

// sessionItem is what chassis get of a session, and who gets it.
func (z *zone) sessionItem(t testing.TB, datapath, port uint32, peer string) (*proto.BfdSession, [2]uint32) {
	t.Helper()
	for k, i := range z.fabric.items {
		if k.Kind == proto.Kind_KIND_BFD && k.Key == state.BFDKey(datapath, port, netip.MustParseAddr(peer)) {
			m := &proto.BfdSession{}
			if err := gproto.Unmarshal(i.Value, m); err != nil {
				t.Fatal(err)
			}
			return m, [2]uint32{i.Scope.Datapath, i.Scope.Port}
		}
	}
	return nil, [2]uint32{}
}

// bind makes one chassis host a port, or (with none) nobody.
func (z *zone) bind(t testing.TB, port, chassis string) {
	t.Helper()
	b, d := &z.columns.PortBinding, &z.columns.Datapath
	for row := range z.store.Snapshot().Rows(b.Table) {
		if row.Str(b.LogicalPort) != port {
			continue
		}
		u, _ := row.Ref(b.Datapath)
		c := []*proto.Claim{{Datapath: uint32(z.store.Snapshot().Row(d.Table, u).Int(d.TunnelKey)), Port: uint32(row.Int(b.TunnelKey)), Since: 1}}
		for _, name := range []string{"hv1", "hv2"} {
			if name == chassis {
				z.registry.Report(name, &proto.Report{ClaimsPut: c})
			} else {
				z.registry.Report(name, &proto.Report{ClaimsGone: c})
			}
		}
	}
	z.step(t)
}

// TestBFD follows a session: idle, used by a route, up, down, at another chassis.
func TestBFD(t *testing.T) {
	path := filepath.Join(t.TempDir(), "z.db")
	z := newZone(t, path)
	before := z.Program().Engine.Stats()
	z.register(t, "hv1")
	z.register(t, "hv2")
	lr := z.gateway(t, "hv1", "172.16.0.1/24", "fd00::1/64")
	u := z.session(t, "up", "172.16.0.2", map[string]ovsdb.Value{"min_tx": ovsdb.NewSet(int64(100)), "detect_mult": ovsdb.NewSet(int64(3))})
	z.bind(t, "up", "hv1")
	if got := z.status(u); got != "admin_down admin_down hv1" {
		t.Errorf("nobody uses it: %s", got)
	}
	dp := uint32(z.store.Snapshot().Row(z.columns.Datapath.Table, lr).Int(z.columns.Datapath.TunnelKey))
	item, scope := z.sessionItem(t, dp, 1, "172.16.0.2")
	if item == nil || !item.AdminDown || item.SourcePort != 49152 || item.MinTx != 100 || item.MinRx != 1000 || item.DetectMult != 3 ||
		item.Mac != 0x0201 || item.Host != 1 || scope != [2]uint32{dp, 0} || netip.AddrFrom4([4]byte(item.Source)).String() != "172.16.0.1" {
		t.Fatalf("item %v for %v", item, scope)
	}
	for _, want := range []string{"ip4.dst == 172.16.0.1 && udp.dst == 3784", "handle_bfd_msg();"} {
		if !strings.Contains(z.flowText("lr_in_ip_input"), want) {
			t.Errorf("no flow with %s", want)
		}
	}
	if n := strings.Count(z.flowText("lr_in_ip_routing"), "udp.dst == 3784"); n != 3 {
		t.Errorf("%d routes for BFD, want one for each network", n)
	}

	route := z.watchedRoute(t, lr, "0.0.0.0/0", "172.16.0.2", u)
	if n := strings.Count(z.flowText("lr_in_ip_routing"), "udp.dst == 3784"); n != 3 {
		t.Errorf("%d routes for BFD, the one that is down has none", n)
	}
	via := func() bool { return strings.Contains(z.flowText("lr_in_ip_routing"), "reg0 = 172.16.0.2") }
	say := func(chassis, state string) {
		t.Helper()
		z.registry.Report(chassis, &proto.Report{Bfd: []*proto.BfdStatus{{Datapath: dp, Port: 1, Peer: []byte{172, 16, 0, 2}, Discriminator: item.Discriminator, State: state}}})
		z.step(t)
	}
	expect := func(what, status string, used bool) {
		t.Helper()
		if got := z.status(u); got != status || via() != used {
			t.Errorf("%s: status %s, route %v; want %s, %v", what, got, via(), status, used)
		}
	}
	expect("used", "down down hv1", false)
	if item, _ := z.sessionItem(t, dp, 1, "172.16.0.2"); item.AdminDown {
		t.Error("the chassis is told that it is administratively down")
	}
	say("hv1", "up")
	expect("up", "up up hv1", true)
	if n := strings.Count(z.flowText("lr_in_ip_routing"), "udp.dst == 3784"); n != 4 {
		t.Errorf("%d routes for BFD, want one for each network and one for the route", n)
	}
	say("hv2", "down") // what others say does not count ...
	say("hv1", "nonsense")
	expect("others", "up up hv1", true)
	z.bind(t, "up", "hv2") // ... until it is theirs
	expect("hv2 has said that it is down", "down down hv2", false)
	say("hv2", "up")
	say("hv1", "down")
	expect("up at hv2", "up up hv2", true)
	say("hv2", "down")
	expect("down", "down down hv2", false)
	say("hv2", "up")
	z.bind(t, "up", "")
	expect("nowhere", "down down ", false)
	z.bind(t, "up", "hv2")
	expect("back", "up up hv2", true)

	dump := z.dump()
	if diff := difference(dump, z.full(t, path)); diff != "" {
		t.Errorf("a compile from scratch differs:\n%s", diff)
	}

	z.nb(t, func(tx *ovsdb.Txn) error {
		tx.DelFromSet(z.columns.LR.Table, lr, "static_routes", route)
		return tx.Err()
	})
	expect("not used any more", "admin_down admin_down hv2", false)
	z.nb(t, func(tx *ovsdb.Txn) error { tx.Delete(z.columns.BFD.Table, u); return tx.Err() })
	if strings.Contains(z.flowText("lr_in"), "3784") || z.store.Snapshot().Row(z.columns.SBBFD.Table, u) != nil {
		t.Error("something is left of the session")
	}
	z.nb(t, func(tx *ovsdb.Txn) error {
		tx.Delete(z.columns.LR.Table, lr)
		for row := range tx.Rows(z.columns.LS.Table) {
			tx.Delete(z.columns.LS.Table, row.UUID())
		}
		return tx.Err()
	})
	z.removeChassis(t)
	if after := z.Program().Engine.Stats(); after.Nodes != before.Nodes {
		t.Errorf("%d nodes, %d before", after.Nodes, before.Nodes)
	}
}

func (z *zone) removeChassis(t testing.TB) {
	t.Helper()
	_, err := z.store.Update(z.ctx, z.schemas.SB, ovsdb.OwnerClient, func(tx *ovsdb.Txn) error {
		for row := range tx.Rows(z.columns.Chassis.Table) {
			tx.Delete(z.columns.Chassis.Table, row.UUID())
		}
		return tx.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	z.step(t)
}

// TestBFDNumbers: ports and discriminators are all different, stay over a
// restart, and are free again when their session is gone.
func TestBFDNumbers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "z.db")
	z, err := openZone(path)
	if err != nil {
		t.Fatal(err)
	}
	z.gateway(t, "hv1", "172.16.0.1/16")
	for i := range 100 {
		z.session(t, "up", fmt.Sprintf("172.16.1.%d", i+1), nil)
	}
	numbers := func() map[string][2]int64 {
		out, seen := map[string][2]int64{}, map[int64]bool{}
		b := &z.columns.SBBFD
		for row := range z.store.Snapshot().Rows(b.Table) {
			at := [2]int64{row.Int(b.SrcPort), row.Int(b.Disc)}
			if seen[at[0]] || seen[at[1]] || at[1] == 0 {
				t.Errorf("%s has %v, as another one", row.Str(b.DstIP), at)
			}
			seen[at[0]], seen[at[1]] = true, true
			out[row.Str(b.DstIP)] = at
		}
		return out
	}
	first := numbers()
	if len(first) != 100 {
		t.Fatalf("%d rows", len(first))
	}
	if err := z.close(); err != nil {
		t.Fatal(err)
	}
	z = newZone(t, path)
	if got := fmt.Sprint(numbers()); got != fmt.Sprint(first) {
		t.Errorf("after a restart %s, before %v", got, first)
	}
	var freed int64
	z.nb(t, func(tx *ovsdb.Txn) error {
		for row := range tx.Rows(z.columns.BFD.Table) {
			freed = first[row.Str(z.columns.BFD.DstIP)][0]
			tx.Delete(z.columns.BFD.Table, row.UUID())
			break
		}
		return tx.Err()
	})
	z.session(t, "up", "172.16.2.1", nil)
	if got := numbers(); len(got) != 100 || got["172.16.2.1"][0] == freed {
		t.Errorf("%d rows, the new one has %v and %d was freed", len(got), got["172.16.2.1"], freed)
	}
}

// TestBFDProblems: a session that cannot run is named, and is there in both
// databases.
func TestBFDProblems(t *testing.T) {
	for _, tt := range []struct{ port, peer, column, text string }{
		{"none", "172.16.0.2", "logical_port", "no router has this port"},
		{"up-peer", "172.16.0.2", "logical_port", "no router has this port"},
		{"up", "peer", "dst_ip", "is no IP address"},
		{"up", "10.0.0.2", "dst_ip", "is in no network of the router port"},
		{"up", "fd01::2", "dst_ip", "is in no network of the router port"},
	} {
		z := newZone(t, "")
		z.register(t, "hv1")
		z.gateway(t, "hv1", "172.16.0.1/24", "fd00::1/64")
		u := z.session(t, tt.port, tt.peer, nil)
		if got := z.status(u); got != "admin_down admin_down " {
			t.Errorf("%s %s: status %s", tt.port, tt.peer, got)
		}
		problems := z.View().Lint().Problems
		if len(problems) != 1 || problems[0].Column != tt.column || !strings.Contains(fmt.Sprint(problems[0]), tt.text) {
			t.Errorf("%s %s: %v", tt.port, tt.peer, problems)
		}
	}
	z := newZone(t, "")
	z.register(t, "hv1")
	lr := z.gateway(t, "hv1", "172.16.0.1/24")
	dp := uint32(z.store.Snapshot().Row(z.columns.Datapath.Table, lr).Int(z.columns.Datapath.TunnelKey))
	z.session(t, "up", "172.16.0.2", map[string]ovsdb.Value{"min_tx": ovsdb.NewSet(int64(1)), "min_rx": ovsdb.NewSet(int64(0)), "detect_mult": ovsdb.NewSet(int64(1000))})
	if problems := fmt.Sprint(z.View().Lint().Problems); !strings.Contains(problems, "min_tx: 1 ms is not of 10 to 4294967 ms") ||
		!strings.Contains(problems, "detect_mult: 1000 is not of 1 to 255") || strings.Contains(problems, "min_rx") {
		t.Errorf("limits: %s", problems)
	}
	if item, _ := z.sessionItem(t, dp, 1, "172.16.0.2"); item == nil || item.DetectMult != 255 || item.MinTx != 1 || item.MinRx != 0 {
		t.Errorf("item %v", item)
	}
	z = newZone(t, "")
	z.gateway(t, "", "172.16.0.1/24")
	z.session(t, "up", "172.16.0.2", nil)
	if problems := z.View().Lint().Problems; len(problems) != 1 || !strings.Contains(fmt.Sprint(problems[0]), "no one chassis hosts the port") {
		t.Errorf("a distributed port: %v", problems)
	}
}

// TestBFDGatewayPort: the session of a distributed gateway port runs where its
// chassisredirect port is.
func TestBFDGatewayPort(t *testing.T) {
	z := newZone(t, "")
	z.register(t, "hv1")
	lr := z.gateway(t, "", "172.16.0.1/24")
	z.nb(t, func(tx *ovsdb.Txn) error {
		tx.DelFromMap(z.columns.LR.Table, lr, "options", "chassis")
		for lrp := range tx.Rows(z.columns.LRP.Table) {
			g := tx.Insert(z.columns.GatewayChassis.Table, ovsdb.UUID{}, map[string]ovsdb.Value{
				"name": "up_hv1", "chassis_name": "hv1", "priority": int64(1)})
			tx.AddToSet(z.columns.LRP.Table, lrp.UUID(), "gateway_chassis", g)
			break
		}
		return tx.Err()
	})
	u := z.session(t, "up", "172.16.0.2", nil)
	b := &z.columns.PortBinding
	var row *ovsdb.Row
	for r := range z.store.Snapshot().Rows(b.Table) {
		if r.Str(b.LogicalPort) == "cr-up" {
			row = r
		}
	}
	if row == nil {
		t.Fatal("no chassisredirect port")
	}
	dp := uint32(z.store.Snapshot().Row(z.columns.Datapath.Table, lr).Int(z.columns.Datapath.TunnelKey))
	item, _ := z.sessionItem(t, dp, 1, "172.16.0.2")
	if item == nil || int64(item.Host) != row.Int(b.TunnelKey) || item.Host == 1 {
		t.Errorf("item %v, the chassisredirect port is %d", item, row.Int(b.TunnelKey))
	}
	z.bind(t, "cr-up", "hv1")
	if got := z.status(u); got != "admin_down admin_down hv1" {
		t.Errorf("status %s", got)
	}
}
