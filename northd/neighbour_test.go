package northd_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	pb "google.golang.org/protobuf/proto"

	"govn/pkg/ovsdb"
	"govn/proto"
	"govn/proto/state"
)

// addRouter adds a router with ports of one network each: name, MAC, network.
func (z *zone) addRouter(t testing.TB, name string, options []any, ports ...[3]string) (lr ovsdb.UUID, lrps []ovsdb.UUID) {
	t.Helper()
	z.nb(t, func(tx *ovsdb.Txn) error {
		var refs []ovsdb.Atom
		for _, p := range ports {
			u := tx.Insert(z.columns.LRP.Table, ovsdb.UUID{}, map[string]ovsdb.Value{
				"name": p[0], "mac": p[1], "networks": ovsdb.NewSet(p[2])})
			lrps, refs = append(lrps, u), append(refs, u)
		}
		lr = tx.Insert(z.columns.LR.Table, ovsdb.UUID{}, map[string]ovsdb.Value{
			"name": name, "ports": ovsdb.NewSet(refs...), "options": ovsdb.MapOf(options...)})
		return tx.Err()
	})
	return lr, lrps
}

// bindings are the rows of MAC_Binding: port, address, Ethernet address.
func (z *zone) bindings() []string {
	var out []string
	m := &z.columns.MACBinding
	for row := range z.store.Snapshot().Rows(m.Table) {
		out = append(out, row.Str(m.LogicalPort)+" "+row.Str(m.IP)+" "+row.Str(m.MAC))
	}
	slices.Sort(out)
	return out
}

func (z *zone) expectBindings(t *testing.T, want ...string) {
	t.Helper()
	if got := z.bindings(); !slices.Equal(got, want) {
		t.Errorf("MAC_Binding has %q, want %q", got, want)
	}
}

// neighbour is what a chassis hears of a neighbour; nil: nothing.
func (z *zone) neighbour(t *testing.T, dp, port uint32, ip string, fixed bool) *proto.NeighbourValue {
	t.Helper()
	it, ok := z.fabric.items[state.Key{Kind: proto.Kind_KIND_NEIGHBOUR, Key: state.NeighbourKey(dp, port, netip.MustParseAddr(ip), fixed)}]
	if !ok {
		return nil
	}
	v := &proto.NeighbourValue{}
	if err := pb.Unmarshal(it.Value, v); err != nil {
		t.Fatal(err)
	}
	return v
}

func heardOf(dp, port uint32, ip string, mac uint64) *proto.Neighbour {
	return &proto.Neighbour{Datapath: dp, Port: port, Ip: netip.MustParseAddr(ip).AsSlice(), Mac: mac}
}

// TestNeighbours: from a report to a row, to the items of chassis, and away.
func TestNeighbours(t *testing.T) {
	z := newZone(t, "")
	lr, ports := z.addRouter(t, "r1", nil, [3]string{"rp1", "00:00:00:00:00:01", "10.0.0.1/24"}, [3]string{"rp2", "00:00:00:00:00:02", "fd02::1/64"})
	z.registry.Report("hv1", &proto.Report{NeighboursPut: []*proto.Neighbour{
		heardOf(1, 1, "10.0.0.9", 0x0a0000000001), heardOf(1, 2, "fd02::9", 0x0a0000000002),
		heardOf(1, 7, "10.0.0.8", 1), heardOf(9, 1, "10.0.0.8", 1), heardOf(1, 1, "10.0.0.7", 0), {Datapath: 1, Port: 1, Ip: []byte{1}, Mac: 1},
	}})
	z.step(t)
	z.expectBindings(t, "rp1 10.0.0.9 0a:00:00:00:00:01", "rp2 fd02::9 0a:00:00:00:00:02")
	if v := z.neighbour(t, 1, 2, "fd02::9", false); v.GetMac() != 0x0a0000000002 {
		t.Errorf("item %v", v)
	}
	z.registry.Report("hv2", &proto.Report{NeighboursPut: []*proto.Neighbour{heardOf(1, 1, "10.0.0.9", 0x0a0000000003)}})
	z.step(t)
	z.expectBindings(t, "rp1 10.0.0.9 0a:00:00:00:00:03", "rp2 fd02::9 0a:00:00:00:00:02")
	if v := z.neighbour(t, 1, 1, "10.0.0.9", false); v.GetMac() != 0x0a0000000003 {
		t.Errorf("item %v", v)
	}
	// A row that is deleted by hand goes on the chassis.
	m := &z.columns.MACBinding
	_, err := z.store.Update(z.ctx, z.schemas.SB, ovsdb.OwnerClient, func(tx *ovsdb.Txn) error {
		for row := range tx.Rows(m.Table) {
			if row.Str(m.IP) == "10.0.0.9" {
				tx.Delete(m.Table, row.UUID())
				break
			}
		}
		return tx.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	z.step(t)
	if v := z.neighbour(t, 1, 1, "10.0.0.9", false); v != nil {
		t.Errorf("a row that is deleted is still an item: %v", v)
	}
	// A port goes with what was learned on it, a router as well.
	z.registry.Report("hv1", &proto.Report{NeighboursPut: []*proto.Neighbour{heardOf(1, 1, "10.0.0.9", 0x0a0000000001)}})
	z.step(t)
	z.nb(t, func(tx *ovsdb.Txn) error { tx.DelFromSet(z.columns.LR.Table, lr, "ports", ports[0]); return tx.Err() })
	z.expectBindings(t, "rp2 fd02::9 0a:00:00:00:00:02")
	z.nb(t, func(tx *ovsdb.Txn) error { tx.Delete(z.columns.LR.Table, lr); return tx.Err() })
	z.expectBindings(t)
	z.registry.Report("hv1", &proto.Report{NeighboursPut: []*proto.Neighbour{heardOf(1, 2, "fd02::9", 1)}})
	z.step(t)
	z.expectBindings(t)
}

// TestNeighbourAging: rows that nobody uses go, those that are used stay, and a
// limit makes it gradual.
func TestNeighbourAging(t *testing.T) {
	z := newZone(t, "")
	lr, _ := z.addRouter(t, "r1", nil, [3]string{"rp1", "00:00:00:00:00:01", "10.0.0.1/24"})
	start := time.Now()
	var all []*proto.Neighbour
	for i := range 4 {
		all = append(all, heardOf(1, 1, fmt.Sprintf("10.0.0.1%d", i), 0x0a0000000001))
	}
	z.registry.Report("hv1", &proto.Report{NeighboursPut: all})
	z.step(t)
	age := func(at time.Duration, want ...string) {
		t.Helper()
		if err := z.Age(z.ctx, start.Add(at)); err != nil {
			t.Fatal(err)
		}
		z.step(t)
		var got []string
		for _, b := range z.bindings() {
			got = append(got, strings.Fields(b)[1])
		}
		if !slices.Equal(got, want) {
			t.Errorf("after %v %v are left, want %v", at, got, want)
		}
	}
	threshold := func(text string) {
		t.Helper()
		z.nb(t, func(tx *ovsdb.Txn) error {
			tx.PutInMap(z.columns.LR.Table, lr, "options", "mac_binding_age_threshold", text)
			return tx.Err()
		})
	}
	age(time.Hour, "10.0.0.10", "10.0.0.11", "10.0.0.12", "10.0.0.13")
	threshold("10.0.0.10/32:0;20")
	age(19*time.Second, "10.0.0.10", "10.0.0.11", "10.0.0.12", "10.0.0.13")
	z.registry.SetClock(func() time.Time { return start.Add(19 * time.Second) })
	z.registry.Report("hv1", &proto.Report{NeighboursSeen: all[1:2]})
	z.step(t)
	z.nb(t, func(tx *ovsdb.Txn) error {
		for g := range tx.Rows(z.columns.NBGlobal.Table) {
			tx.PutInMap(z.columns.NBGlobal.Table, g.UUID(), "options", "mac_binding_removal_limit", "1")
			break
		}
		return tx.Err()
	})
	age(30*time.Second, "10.0.0.10", "10.0.0.11", "10.0.0.13") // the limit
	age(31*time.Second, "10.0.0.10", "10.0.0.11", "10.0.0.13")
	age(36*time.Second, "10.0.0.10", "10.0.0.11") // the rest five seconds later
	age(38*time.Second, "10.0.0.10", "10.0.0.11")
	age(40*time.Second, "10.0.0.10") // seen at 19 s
	age(time.Hour, "10.0.0.10")
	threshold("soon")
	if got := z.View().Lint().Problems; len(got) != 1 || got[0].Column != "options:mac_binding_age_threshold" {
		t.Errorf("problems: %v", got)
	}
	if d := z.datapath(t, 1); d.MacBindingAgeThreshold != "" {
		t.Errorf("the chassis hear %q", d.MacBindingAgeThreshold)
	}
	threshold("60")
	if d := z.datapath(t, 1); d.MacBindingAgeThreshold != "60" {
		t.Errorf("the chassis hear %q", d.MacBindingAgeThreshold)
	}
}

// datapath is what the chassis hear of a datapath.
func (z *zone) datapath(t *testing.T, key uint32) *proto.Datapath {
	t.Helper()
	d := &proto.Datapath{}
	if err := pb.Unmarshal(z.fabric.items[state.Key{Kind: proto.Kind_KIND_DATAPATH, Key: state.DatapathKey(key)}].Value, d); err != nil {
		t.Fatal(err)
	}
	return d
}

// TestStaticMACBinding: from northbound to southbound and to the chassis.
func TestStaticMACBinding(t *testing.T) {
	z := newZone(t, "")
	z.addRouter(t, "r1", nil, [3]string{"rp1", "00:00:00:00:00:01", "10.0.0.1/24"})
	put := func(port, ip, mac string, override bool) (u ovsdb.UUID) {
		z.nb(t, func(tx *ovsdb.Txn) error {
			u = tx.Insert(z.columns.StaticMAC.Table, ovsdb.UUID{}, map[string]ovsdb.Value{
				"logical_port": port, "ip": ip, "mac": mac, "override_dynamic_mac": override})
			return tx.Err()
		})
		return u
	}
	mine := put("rp1", "10.0.0.9", "0a:00:00:00:00:01", true)
	put("nowhere", "10.0.0.9", "0a:00:00:00:00:01", false)
	put("rp1", "10.0.0.300", "0a:00:00:00:00:01", false)
	sb := &z.columns.SBStaticMAC
	row := z.store.Snapshot().Row(sb.Table, mine)
	if row == nil || row.Str(sb.LogicalPort) != "rp1" || row.Str(sb.IP) != "10.0.0.9" || row.Str(sb.MAC) != "0a:00:00:00:00:01" || !row.Bool(sb.OverrideDynamic) {
		t.Errorf("southbound row %v", row)
	}
	if v := z.neighbour(t, 1, 1, "10.0.0.9", true); v.GetMac() != 0x0a0000000001 || !v.GetOverride() {
		t.Errorf("item %v", v)
	}
	var columns []string
	for _, p := range z.View().Lint().Problems {
		columns = append(columns, p.Column)
	}
	slices.Sort(columns)
	if !slices.Equal(columns, []string{"ip", "logical_port"}) {
		t.Errorf("problems in %v", columns)
	}
	_, err := z.store.Update(z.ctx, z.schemas.SB, ovsdb.OwnerClient, func(tx *ovsdb.Txn) error { tx.Delete(sb.Table, mine); return tx.Err() })
	if err == nil {
		t.Error("a client may delete northd's row")
	}
	z.nb(t, func(tx *ovsdb.Txn) error { tx.Delete(z.columns.StaticMAC.Table, mine); return tx.Err() })
	if z.store.Snapshot().Row(sb.Table, mine) != nil || z.neighbour(t, 1, 1, "10.0.0.9", true) != nil {
		t.Error("it is still there")
	}
}

// TestAdvertisements: what a router port tells hosts, in the item of the port and
// in the options of its row.
func TestAdvertisements(t *testing.T) {
	z := newZone(t, "")
	_, ports := z.addRouter(t, "r1", nil, [3]string{"rp1", "00:00:00:00:00:01", "fd01::1/64"})
	configure := func(kv ...any) (*proto.RouterAdvertisement, map[string]string) {
		t.Helper()
		z.nb(t, func(tx *ovsdb.Txn) error {
			tx.SetColumn(z.columns.LRP.Table, ports[0], "ipv6_ra_configs", ovsdb.MapOf(kv...))
			return tx.Err()
		})
		p := &proto.Port{}
		if err := pb.Unmarshal(z.fabric.items[state.Key{Kind: proto.Kind_KIND_PORT, Key: state.PortKey(1, 1)}].Value, p); err != nil {
			t.Fatal(err)
		}
		options := map[string]string{}
		b := &z.columns.PortBinding
		for k, v := range z.store.Snapshot().Row(b.Table, ports[0]).Map(b.Options).All() {
			options[k.(string)] = v.(string)
		}
		return p.Advertise, options
	}
	if ra, options := configure(); ra != nil || len(options) != 0 {
		t.Errorf("without configuration: %v, %v", ra, options)
	}
	if ra, options := configure("address_mode", "slaac"); len(ra.GetMessage()) != 16+8+32 || ra.MaxInterval != 0 || len(options) != 0 {
		t.Errorf("when asked: %v, %v", ra, options)
	}
	ra, options := configure("address_mode", "slaac", "send_periodic", "true", "max_interval", "2", "min_interval", "9", "mtu", "1450", "rdnss", "10.0.0.1", "router_preference", "LOW")
	if ra.GetMaxInterval() != 4 || ra.GetMinInterval() != 3 || len(ra.Message) != 16+8+8+32 {
		t.Errorf("periodic: %v", ra)
	}
	want := map[string]string{"ipv6_ra_send_periodic": "true", "ipv6_ra_address_mode": "slaac", "ipv6_ra_max_interval": "4", "ipv6_ra_min_interval": "3",
		"ipv6_ra_prefixes": "fd01::/64", "ipv6_ra_prf": "LOW", "ipv6_ra_src_addr": "fe80::200:ff:fe00:1", "ipv6_ra_src_eth": "00:00:00:00:00:01",
		"ipv6_ra_mtu": "1450", "ipv6_ra_rdnss": "10.0.0.1"}
	if fmt.Sprint(options) != fmt.Sprint(want) {
		t.Errorf("options %v, want %v", options, want)
	}
	if got := z.View().Lint().Problems; len(got) != 1 || got[0].Column != "ipv6_ra_configs" || !strings.Contains(fmt.Sprint(got[0]), "10.0.0.1") {
		t.Errorf("problems: %v", got)
	}
	if ra, _ := configure("address_mode", "bogus"); ra != nil {
		t.Errorf("a mode that there is none of: %v", ra)
	}
}
