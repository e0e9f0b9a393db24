package sim

import (
	"bytes"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const interconnected = "../docs/examples/interconnect.yaml"

// A packet crosses from zone to zone by the gateways, with the key of the transit
// switch between them, and its way is told tunnel by tunnel.
func TestZones(t *testing.T) {
	s := up(t, loadFile(t, interconnected), Options{Trace: true})
	r := ping(t, s, "vm1", "192.168.2.10")
	var b strings.Builder
	tell := NewTeller(s, &b, Style{})
	if !r.Answered || r.TTL != 62 {
		err := tell.Ways(within(t), r.Journeys)
		t.Fatalf("ping: answered %v with ttl %d, want 62: %s\n%s%v", r.Answered, r.TTL, r.Why, b.String(), err)
	}
	if err := tell.Hops(r.Journeys); err != nil {
		t.Fatal(err)
	}
	want := `
  ICMP echo request 192.168.1.10 to 192.168.2.10, seq 1: ttl 64, and 62 at its end
  vm1 -> worker_east -> gw_east -> gw_west -> worker_west -> vm2
    worker_east -> gw_east      ttl 63  vni 0x2      "router_east"  from "router_east-net_east" (1) to "cr-router_east-ts1" (3)
    gw_east     -> gw_west      ttl 63  vni 0xff0002 "ts1"          from "ts1-router_east" (1) to "ts1-router_west" (2)
    gw_west     -> worker_west  ttl 62  vni 0x1      "net_west"     from "net_west-router_west" (1) to "vm2" (2)

  ICMP echo reply 192.168.2.10 to 192.168.1.10, seq 1: ttl 64, and 62 at its end
  vm2 -> worker_west -> gw_west -> gw_east -> worker_east -> vm1
    worker_west -> gw_west      ttl 63  vni 0x2      "router_west"  from "router_west-net_west" (1) to "cr-router_west-ts1" (3)
    gw_west     -> gw_east      ttl 63  vni 0xff0002 "ts1"          from "ts1-router_west" (2) to "ts1-router_east" (1)
    gw_east     -> worker_east  ttl 62  vni 0x1      "net_east"     from "net_east-router_east" (1) to "vm1" (2)
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("hops (-want +got):\n%s", diff)
	}
	key, err := s.IC.Sbctl(within(t), "--bare", "--columns=tunnel_key", "find", "Datapath_Binding", "transit_switch=ts1")
	if err != nil || strings.TrimSpace(key) != "16711682" {
		t.Errorf("key of the transit switch in the interconnection: %q, %v, want that of the packets, 0xff0002", key, err)
	}
	b.Reset()
	if err := tell.Ways(within(t), r.Journeys); err != nil {
		t.Fatal(err)
	}
	// Each chassis' tables are explained by the database of its zone.
	for _, want := range []string{
		`Logical_Router_Static_Route "192.168.2.0/24"`, `outport == "router_east-ts1" && reg0 == 169.254.100.2  Logical_Switch_Port "ts1-router_west"`,
		`Geneve    vni 0xff0002 = "ts1"`, `Logical_Router_Port "router_west-net_west"`,
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the way does not say %q:\n%s", want, b.String())
		}
	}
}

// What one zone routes another learns, and forgets.
func TestZonesLearn(t *testing.T) {
	s := up(t, loadFile(t, interconnected), Options{})
	east, west := s.ZoneNamed("east"), s.ZoneNamed("west")
	if _, err := west.Nbctl(within(t), "lr-route-add", "router_west", "10.9.0.0/16", "192.168.2.10"); err != nil {
		t.Fatal(err)
	}
	if err := east.AwaitRoute(within(t), netip.MustParsePrefix("10.9.0.0/16")); err != nil {
		t.Fatal(err)
	}
	if err := s.Settle(within(t)); err != nil {
		t.Fatal(err)
	}
	if r := ping(t, s, "vm1", "10.9.0.1"); r.Answered || r.Why == "" {
		t.Errorf("nobody has 10.9.0.1, and it answers: %+v", r)
	} else if d := delivered(r); d != "vm2" {
		t.Errorf("the packet to 10.9.0.1 reached %q, want vm2, the next hop", d)
	}
	routes := func() string {
		out, err := east.Nbctl(within(t), "lr-route-list", "router_east")
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	if _, err := west.Nbctl(within(t), "lr-route-del", "router_west", "10.9.0.0/16"); err != nil {
		t.Fatal(err)
	}
	if err := east.Until(within(t), "the route is forgotten", func() bool { return !strings.Contains(routes(), "10.9.0.0/16") }); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(routes(), "192.168.2.0/24") {
		t.Errorf("the other route is forgotten, too:\n%s", routes())
	}
}

// delivered is who got the last packet of a ping.
func delivered(r *PingResult) string {
	for i := len(r.Journeys) - 1; i >= 0; i-- {
		if d := r.Journeys[i].Delivered(); len(d) > 0 {
			return strings.Join(d, " ")
		}
	}
	return ""
}

// Two runs have the same captures.
func TestZonesAgain(t *testing.T) {
	var first []byte
	for range 2 {
		s := up(t, loadFile(t, interconnected), Options{})
		dir := t.TempDir()
		if err := s.CaptureFiles(dir, "x"); err != nil {
			t.Fatal(err)
		}
		if r := ping(t, s, "vm2", "192.168.1.10"); !r.Answered {
			t.Fatal(r.Why)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(filepath.Join(dir, "x.pcap"))
		if err != nil {
			t.Fatal(err)
		}
		if first != nil && !bytes.Equal(first, data) {
			t.Errorf("the captures of two runs differ: %d and %d bytes", len(first), len(data))
		}
		first = data
	}
}
