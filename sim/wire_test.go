package sim

import (
	"bytes"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

const physicalLab = `
name: physical
chassis:
  - {name: hv1, external-ids: {ovn-bridge-mappings: "physnet1:br-phys"}}
  - {name: hv2, external-ids: {ovn-bridge-mappings: "physnet1:br-phys"}}
  - {name: hv3}
workloads:
  - {name: vm1, chassis: hv1, mac: "50:54:00:00:00:01", ip: 10.0.0.11/24}
  - {name: vm2, chassis: hv2, mac: "50:54:00:00:00:02", ip: 10.0.0.12/24}
  - {name: vm3, chassis: hv1, mac: "50:54:00:00:00:03", ip: 10.0.0.13/24}
  - {name: vm4, chassis: hv2, mac: "50:54:00:00:00:04", ip: 10.0.0.14/24}
  - {name: out, chassis: hv2, bridge: br-phys, mac: "50:54:00:00:00:98", ip: 10.0.0.98/24}
  - {name: out20, chassis: hv2, bridge: br-phys, vlan: 20, mac: "50:54:00:00:00:99", ip: 10.0.0.99/24}
  - {name: far20, chassis: hv3, bridge: br-phys, vlan: 20, mac: "50:54:00:00:00:97", ip: 10.0.0.97/24}
topology:
  switches:
    - name: plain
      ports:
        - {name: ln, type: localnet, unknown: true, options: {network_name: physnet1}}
        - {name: vm1, addresses: ["50:54:00:00:00:01 10.0.0.11"]}
        - {name: vm2, addresses: ["50:54:00:00:00:02 10.0.0.12"]}
    - name: tagged
      ports:
        - {name: ln20, type: localnet, tag: 20, unknown: true, options: {network_name: physnet1}}
        - {name: vm3, addresses: ["50:54:00:00:00:03 10.0.0.13"]}
        - {name: vm4, addresses: ["50:54:00:00:00:04 10.0.0.14"]}
`

// The bridges that a physical network is mapped to are one segment, with the
// machines that stand on it, plain and on access ports; what crosses it is in no
// tunnel, and has the tag of its localnet port.
func TestPhysicalNetwork(t *testing.T) {
	s := up(t, load(t, physicalLab), Options{UnderlayMTU: 1600, Trace: true})
	ping := func(from, to string) *PingResult {
		t.Helper()
		s.KeepUnderlay()
		r, err := s.Station(from).Ping(t.Context(), netip.MustParseAddr(to))
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	for _, tt := range []struct {
		from, to string
		answered bool
		vid      int
	}{
		{"vm1", "10.0.0.12", true, 0}, {"vm3", "10.0.0.14", true, 20},
		{"vm1", "10.0.0.98", true, 0}, {"vm3", "10.0.0.99", true, 20}, {"vm3", "10.0.0.97", true, 20},
		{"far20", "10.0.0.99", true, 20}, {"out20", "10.0.0.14", true, 0},
		{"vm1", "10.0.0.99", false, 0}, {"out20", "10.0.0.98", false, 0}, {"out", "10.0.0.99", false, 0},
	} {
		if r := ping(tt.from, tt.to); r.Answered != tt.answered {
			t.Errorf("%s to %s: %+v, want %v", tt.from, tt.to, r, tt.answered)
		}
		sender := s.Station(tt.from)
		found := false
		for _, c := range s.Underlay() {
			if _, _, err := decapsulate(c.Data); err == nil {
				t.Errorf("%s to %s goes through a tunnel", tt.from, tt.to)
			}
			if !bytes.Equal(c.Data[6:12], sender.MAC) || c.Data[0]&1 == 1 {
				continue
			}
			found = true
			if vid, tagged := vlanOf(c.Data); vid != tt.vid || tagged != (tt.vid != 0) {
				t.Errorf("%s to %s: VLAN %d (%v) on the wire, want %d", tt.from, tt.to, vid, tagged, tt.vid)
			}
		}
		if tt.answered && tt.from != "out20" && !found { // its bridge joins it to what it reaches
			t.Errorf("%s to %s: nothing on the wire", tt.from, tt.to)
		}
	}

	// What a broadcast reaches, and each once. out is on a port of all VLANs, so
	// it sees the tag.
	all := slices.Repeat([]byte{0xff}, 6)
	for _, tt := range []struct {
		from string
		want []string
	}{
		{"vm1", []string{"out", "vm2"}}, {"vm3", []string{"far20", "out", "out20", "vm4"}}, {"far20", []string{"out", "out20", "vm3", "vm4"}}, {"out", []string{"vm1", "vm2"}},
	} {
		f := slices.Concat(all, s.Station(tt.from).MAC, []byte{0x88, 0xb5}, make([]byte, 46))
		way := s.Station(tt.from).Send(f)
		if err := s.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		got := way.Delivered()
		slices.Sort(got)
		if !slices.Equal(got, tt.want) {
			t.Errorf("a broadcast of %s reaches %v, want %v", tt.from, got, tt.want)
		}
	}
}

// The wire learns where an address is, forgets it after its time, has faults and
// a size.
func TestWire(t *testing.T) {
	s := up(t, load(t, physicalLab), Options{UnderlayMTU: 1400})
	on := func(from, to string, payload int) (reached []string, way *Node) {
		t.Helper()
		way = s.Station(from).Send(slices.Concat(s.Station(to).MAC, s.Station(from).MAC, []byte{0x88, 0xb5}, make([]byte, payload)))
		if err := s.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		way.Walk(func(d *Node) {
			if d.Kind == NodeWire {
				reached = append(reached, d.To)
			}
		})
		slices.Sort(reached)
		return reached, way
	}
	if got, _ := on("far20", "out20", 46); !slices.Equal(got, []string{"hv1", "hv2"}) {
		t.Errorf("an unknown address is looked for on %v", got)
	}
	on("out20", "far20", 46)
	if got, _ := on("far20", "out20", 46); !slices.Equal(got, []string{"hv2"}) {
		t.Errorf("a known address is looked for on %v", got)
	}
	if err := s.Advance(t.Context(), 301*time.Second); err != nil {
		t.Fatal(err)
	}
	if got, _ := on("far20", "out20", 46); !slices.Equal(got, []string{"hv1", "hv2"}) {
		t.Errorf("after 300 s the address is looked for on %v", got)
	}
	if _, way := on("far20", "out20", 1450); len(way.Delivered()) > 0 || !strings.Contains(ends(way), "MTU of 1400") {
		t.Errorf("1450 bytes: %s", ends(way))
	}
	s.SetFault(LinkDown("hv3", "hv2"))
	if _, way := on("far20", "out20", 46); len(way.Delivered()) > 0 || !strings.Contains(ends(way), "lost") {
		t.Errorf("with the link down: %s", ends(way))
	}
}

// ends says why a packet's ways end.
func ends(way *Node) string {
	var list []string
	way.Walk(func(d *Node) {
		if d.End != "" {
			list = append(list, d.End)
		}
	})
	return strings.Join(list, "; ")
}
