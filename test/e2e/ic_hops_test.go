//go:build e2e

package e2e

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"govn/pkg/geneve"
	"govn/sim/lab"
)

// seen is an ICMP echo in a tunnel, as captured.
type seen struct {
	From, To netip.Addr // tunnel endpoints
	VNI      geneve.VNI
	Ports    geneve.Ports
	Type     string // request, reply
	TTL      uint8  // of the inner packet
}

// hopSize is how many bytes the pings of hops carry, by which they are known: late
// answers to others may be about.
const hopSize = 77

// hops pings from east to west and back, and compares what is on each of the four
// wires with the keys in the databases:
//
//	vm1 -> worker_east ====> gw_east ====> gw_west ====> worker_west -> vm2
//	           router_east         ts1           net_west
func (w *linked) hops() {
	w.t.Helper()
	east, west := w.zones[0], w.zones[1]
	captures := map[string]*lab.Capture{}
	for _, z := range w.zones {
		for _, ch := range w.Config().ChassisOf(z.name) {
			c, err := w.Capture(w.t.Context(), ch.Name, "underlay", "udp port 6081")
			if err != nil {
				w.t.Fatal(err)
			}
			captures[ch.Name] = c
		}
	}
	const n = 3
	for i, z := range w.zones {
		out := must(w.t)(w.Exec(w.t.Context(), z.vm(), "ping", "-s", fmt.Sprint(hopSize), "-c", fmt.Sprint(n), "-i", "0.2", "-W", "2", w.zones[1-i].vmAddr()))
		if !strings.Contains(out, fmt.Sprintf(" %d received", n)) || strings.Count(out, "ttl=62") != n {
			w.t.Errorf("ping from %s: want %d replies with ttl=62:\n%s", z.name, n, out)
		}
	}
	want := map[string]map[seen]int{}
	for _, z := range w.zones {
		for _, ch := range w.Config().ChassisOf(z.name) {
			want[ch.Name] = map[seen]int{}
		}
	}
	// What goes from one workload to the other: n requests, and n replies to the
	// other's.
	for i, z := range w.zones {
		other := w.zones[1-i]
		add := func(from, to *linkedZone, fromKind, toKind string, vni geneve.VNI, ports geneve.Ports, ttl uint8) {
			for _, kind := range []string{"request", "reply"} {
				s := seen{from.encap(w.t, fromKind), to.encap(w.t, toKind), vni, ports, kind, ttl}
				want[fromKind+"_"+from.name][s] += n
				want[toKind+"_"+to.name][s] += n
			}
		}
		add(z, z, "worker", "gw", z.datapathKey(w.t, z.router()), z.ports(w.t, z.router()+"-net_"+z.name, "cr-"+z.router()+"-ts1"), 63)
		add(z, other, "gw", "gw", z.datapathKey(w.t, "ts1"), z.ports(w.t, z.onTS(), other.onTS()), 63)
		add(other, other, "gw", "worker", other.datapathKey(w.t, "net_"+other.name), other.ports(w.t, "net_"+other.name+"-"+other.router(), other.vm()), 62)
	}
	for _, name := range sortedNames(captures) {
		if err := captures[name].Stop(); err != nil {
			w.t.Fatal(err)
		}
		got := map[seen]int{}
		for _, s := range echoes(w.t, captures[name]) {
			got[s]++
		}
		if diff := cmp.Diff(want[name], got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
			w.t.Errorf("on the wire of %s: (-databases +wire)\n%s", name, diff)
		}
	}
	// The keys of the transit switch are the same in all databases.
	for _, what := range []string{east.onTS(), west.onTS()} {
		ic := w.icKey("port_binding", "logical_port="+what)
		if e, x := east.key(w.t, "Port_Binding", what), west.key(w.t, "Port_Binding", what); e != ic || x != ic {
			w.t.Errorf("key of port %q: %d in east, %d in west, %d in the interconnection", what, e, x, ic)
		}
	}
	if e, x, ic := east.key(w.t, "Datapath_Binding", "ts1"), west.key(w.t, "Datapath_Binding", "ts1"), w.icKey("datapath_binding", "transit_switch=ts1"); e != ic || x != ic || ic < 16711681 {
		w.t.Errorf("key of ts1: %d in east, %d in west, %d in the interconnection, which gives them from 16711681 on", e, x, ic)
	}
}

// key is a tunnel key in a zone's southbound database.
func (z *linkedZone) key(t *testing.T, table, name string) int {
	t.Helper()
	out := must(t)(z.Sbctl(t.Context(), "get", table, name, "tunnel_key"))
	key, err := strconv.Atoi(strings.TrimSpace(out))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (z *linkedZone) datapathKey(t *testing.T, name string) geneve.VNI {
	t.Helper()
	return geneve.VNI(z.key(t, "Datapath_Binding", name))
}

func (z *linkedZone) ports(t *testing.T, ingress, egress string) geneve.Ports {
	t.Helper()
	return geneve.Ports{Ingress: uint16(z.key(t, "Port_Binding", ingress)), Egress: uint16(z.key(t, "Port_Binding", egress))}
}

// encap is the tunnel endpoint of a chassis by its kind: worker, gw.
func (z *linkedZone) encap(t *testing.T, kind string) netip.Addr {
	t.Helper()
	for _, ch := range z.l.Config().ChassisOf(z.name) {
		if ch.Name == kind+"_"+z.name {
			return ch.EncapIP
		}
	}
	t.Fatalf("zone %s has no %s", z.name, kind)
	return netip.Addr{}
}

// icKey is a tunnel key in the interconnection's southbound database.
func (w *linked) icKey(table, where string) int {
	w.t.Helper()
	key, err := strconv.Atoi(strings.TrimSpace(w.icSbctl("--bare", "--columns=tunnel_key", "find", table, where)))
	if err != nil {
		w.t.Fatal(err)
	}
	return key
}

// echoes are the ICMP echoes in the tunnels of a capture.
func echoes(t *testing.T, c *lab.Capture) (list []seen) {
	t.Helper()
	for data := range frames(t, c) {
		const eth, ip, udp = 14, 20, 8
		if len(data) < eth+ip+udp || binary.BigEndian.Uint16(data[12:]) != 0x0800 || data[eth] != 0x45 {
			t.Fatalf("strange packet % x", data)
		}
		h, inner, err := geneve.Decode(data[eth+ip+udp:])
		if err != nil {
			t.Fatalf("% x: %v", data, err)
		}
		p := gopacket.NewPacket(inner, layers.LayerTypeEthernet, gopacket.NoCopy)
		network, _ := p.Layer(layers.LayerTypeIPv4).(*layers.IPv4)
		icmp, _ := p.Layer(layers.LayerTypeICMPv4).(*layers.ICMPv4)
		if network == nil || icmp == nil || len(icmp.Payload) != hopSize {
			continue // ARP, another ping
		}
		s := seen{VNI: h.VNI, TTL: network.TTL, Type: "request"}
		s.From, _ = netip.AddrFromSlice(data[eth+12 : eth+16])
		s.To, _ = netip.AddrFromSlice(data[eth+16 : eth+20])
		if icmp.TypeCode.Type() == layers.ICMPv4TypeEchoReply {
			s.Type = "reply"
		}
		var ok bool
		if s.Ports, ok = h.Ports(); !ok {
			t.Errorf("an echo without the ports' option: % x", data)
		}
		list = append(list, s)
	}
	return list
}
