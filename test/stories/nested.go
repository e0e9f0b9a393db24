package stories

import (
	"bytes"
	"testing"

	"govn/pkg/geneve"
	"govn/sim/decode"
)

// GeneveInGeneve: workloads are tunnel endpoints themselves. Their Geneve, with
// VNIs and options of their own, crosses the overlay untouched, and a capture of
// the underlay shows both levels: the outer one with the names of the overlay,
// the inner one as it is.
func GeneveInGeneve(t *testing.T, n Network) {
	inside := func(text string) []byte {
		return datagram(t, workload("0a:00:00:00:00:01", "192.168.7.1"), workload("0a:00:00:00:00:02", "192.168.7.2"), 7, []byte(text))
	}
	sw0 := findSwitch(t, n, "sw0")
	for _, tc := range []struct {
		name string
		h    header
	}{
		{"plain", header{vni: 0x123456}},
		{"the overlay's VNI", header{vni: sw0.vni}},
		// What would be OVN's in the underlay is a workload's own business here.
		{"options that the overlay uses", header{vni: sw0.vni, options: ports(0x7fff, 0xffff)}},
		{"options that nobody knows", header{vni: 0xffffff, options: append(unknown(true), unknown(false)...), control: true}},
	} {
		for _, way := range []struct {
			from, to, chassis, peer string
			src, dst                host
		}{{"vm1", "vm2", "hv1", "hv2", vm1, vm2}, {"vm2", "vm1", "hv2", "hv1", vm2, vm1}} {
			arrived, wire := record(t, n, way.to), record(t, n, way.chassis)
			sent := datagram(t, way.src, way.dst, geneve.Port, append(tc.h.bytes(), inside(tc.name+" from "+way.from)...))
			if err := n.Send(t.Context(), way.from, sent); err != nil {
				t.Fatal(err)
			}
			eventually(t, tc.name+": the same bytes at "+way.to, func() (bool, string) {
				frames, err := arrived.Frames(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				said := "nothing from " + way.from
				for _, f := range frames {
					if bytes.Equal(f.Data, sent) {
						return true, ""
					}
					if bytes.HasPrefix(f.Data, sent[:12]) {
						said = textOf((&decode.Decoder{}).Decode(f))
					}
				}
				return false, said
			})
			var both *decode.Packet
			eventually(t, tc.name+": both levels on the underlay of "+way.chassis, func() (bool, string) {
				frames, err := wire.Frames(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				for _, f := range frames {
					if bytes.HasSuffix(f.Data, sent) {
						both = decoderFor(n).Decode(f)
					}
				}
				return both != nil, ""
			})
			levels := layersOf(both, "geneve")
			if len(levels) != 2 {
				t.Fatalf("%s: %d Geneve headers:\n%s", tc.name, len(levels), textOf(both))
			}
			outer, inner := levels[0], levels[1]
			for field, want := range map[string]any{"vni": uint32(sw0.vni), "datapath": "sw0", "from_chassis": way.chassis, "to_chassis": way.peer,
				"inport": decode.Port{Key: sw0.port(way.from), Name: way.from}, "outport": decode.Port{Key: sw0.port(way.to), Name: way.to}} {
				if got := outer.Get(field); got != want {
					t.Errorf("%s: %s outside is %v, want %v", tc.name, field, got, want)
				}
			}
			if got := inner.Get("vni"); got != uint32(tc.h.vni) {
				t.Errorf("%s: VNI inside is %v, want %v", tc.name, got, tc.h.vni)
			}
			if got := inner.Get("control"); got != tc.h.control {
				t.Errorf("%s: O bit inside is %v", tc.name, got)
			}
			if got := inner.Get("datapath"); got != nil {
				t.Errorf("%s: the VNI inside has got the name %q, which is the overlay's", tc.name, got)
			}
			if both.Broken() || len(layersOf(both, "ipv4")) != 3 {
				t.Errorf("%s: the packet is not what was sent:\n%s", tc.name, textOf(both))
			}
		}
	}
}
