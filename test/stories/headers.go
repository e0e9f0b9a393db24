package stories

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/gopacket/gopacket/layers"

	"govn/pkg/geneve"
	"govn/sim/decode"
)

// drill is one header, and what becomes of a packet behind it.
type drill struct {
	name   string
	h      header
	port   uint16 // UDP; 0: 6081
	sender string // tunnel endpoint; "": that of hv1

	// arrives tells whether Open vSwitch gives the packet inside to vm2.
	arrives bool
	// says is what govn decode prints about the packet, a piece of its text.
	says []string
}

// drills are the headers for a switch with the ports vm1 and vm2; docs/stories/geneve-headers.md has them as a table.
// Those that arrive come first: the userspace datapath of Open vSwitch keeps a
// dropped packet as an entry that matches the endpoints and the VNI, but no
// option, and drops with it what has no entry of its own yet.
func drills(sw logicalSwitch) []drill {
	in, out, yes, no := sw.port("vm1"), sw.port("vm2"), true, false
	return []drill{
		{name: "as a chassis sends it", h: header{vni: sw.vni, options: ports(in, out)}, arrives: true,
			says: []string{sw.vni.String() + ` = switch "sw0", hv1 to hv2  flags [C]`, fmt.Sprintf(`inport "vm1" (%d), outport "vm2" (%d)`, in, out)}},
		{name: "to everybody", h: header{vni: sw.vni, options: ports(in, 32768)}, arrives: true,
			says: []string{`multicast group "_MC_flood" (32768)`}},
		{name: "O bit", h: header{vni: sw.vni, options: ports(in, out), control: true}, arrives: true,
			says: []string{"flags [OC]", "drop: control packet"}},
		{name: "C bit missing", h: header{vni: sw.vni, options: ports(in, out), critical: &no}, arrives: true,
			says: []string{"flags [none]", "C bit contradicts the options: the option is critical, and the C bit is 0"}},
		{name: "unknown option", h: header{vni: sw.vni, options: append(ports(in, out), unknown(false)...)}, arrives: true,
			says: []string{"option class 0xff00 Experimental type 0x01: deadbeef"}},
		{name: "unknown option first", h: header{vni: sw.vni, options: append(unknown(false), ports(in, out)...)}, arrives: true,
			says: []string{fmt.Sprintf(`outport "vm2" (%d)`, out)}},
		{name: "reserved bits", h: header{vni: sw.vni, options: ports(in, out), reserved: 0x3f}, arrives: true, says: []string{"flags [C]"}},

		{name: "C bit alone", h: header{vni: sw.vni, options: unknown(false), critical: &yes},
			says: []string{"flags [C]", "the C bit is 1, and no option is critical"}},
		{name: "unknown critical option", h: header{vni: sw.vni, options: append(ports(in, out), unknown(true)...)},
			says: []string{"option class 0xff00 Experimental type 0x81 critical: deadbeef", "drop: unknown critical option"}},
		{name: "unknown critical option first", h: header{vni: sw.vni, options: append(unknown(true), ports(in, out)...)},
			says: []string{"drop: unknown critical option"}},
		{name: "no option", h: header{vni: sw.vni}, says: []string{sw.vni.String(), "flags [none]"}},
		{name: "version 1", h: header{version: 1, vni: sw.vni, options: ports(in, out)}, says: []string{"broken at byte 42 (geneve): unknown version: version 1"}},
		{name: "options that run out of the packet", h: header{vni: sw.vni, options: ports(in, out), optLength: 60},
			says: []string{"broken at byte ", "of 248 bytes of options"}},
		{name: "option that runs out of the options", h: header{vni: sw.vni, options: append(ports(in, out), 0xff, 0, 1, 5)},
			says: []string{"broken at byte 58 (geneve): malformed option: an option of 24 bytes where 4 are left"}},
		{name: "IPv4 inside", h: header{vni: sw.vni, options: ports(in, out), protocol: 0x0800}, says: []string{"proto IPv4 0x0800", "drop: unknown protocol"}},
		{name: "VNI of no datapath", h: header{vni: 0xabcdef, options: ports(in, out)}, says: []string{"vni 0xabcdef, hv1 to hv2", "no datapath has the tunnel key 0xabcdef"}},
		{name: "port that does not exist", h: header{vni: sw.vni, options: ports(in, 77)}, says: []string{`outport 77`}},
		{name: "another UDP port", h: header{vni: sw.vni, options: ports(in, out)}, port: 6082, says: []string{"udp     40000 > 6082", "data "}},
		{name: "the same VNI from a stranger", h: header{vni: sw.vni, options: ports(in, out)}, sender: "203.0.113.77",
			says: []string{sw.vni.String() + "  flags [C]", "203.0.113.77 is no tunnel endpoint of a chassis: a chassis takes nothing from it"}},
	}
}

// Headers: somebody on the underlay sends Geneve headers that no chassis sends.
// What Open vSwitch lets through to a workload, and what govn decode says.
func Headers(t *testing.T, n Network) {
	hv1, hv2 := endpoints(t, n, "hv1", "hv2")
	workload, wire := record(t, n, "vm2"), record(t, n, "hv2")
	// inject sends text behind a header and returns the frame inside and that
	// on the underlay.
	inject := func(d drill, text string) (inner, outer []byte) {
		t.Helper()
		sender, port := hv1, d.port
		if d.sender != "" {
			sender.ip = netip.MustParseAddr(d.sender)
		}
		if port == 0 {
			port = geneve.Port
		}
		inner = datagram(t, vm1, vm2, 7, []byte(text))
		outer = datagram(t, sender, hv2, port, append(d.h.bytes(), inner...))
		if err := n.Inject(t.Context(), "hv2", outer); err != nil {
			t.Fatal(err)
		}
		return inner, outer
	}
	all := drills(findSwitch(t, n, "sw0"))
	for _, d := range all {
		inner, outer := inject(d, d.name)
		after, _ := inject(all[0], "after: "+d.name)
		eventually(t, d.name+": the good packet after it", func() (bool, string) { return Has(t, workload, after), "" })
		if got := Has(t, workload, inner); got != d.arrives {
			t.Errorf("%s: the workload gets it: %v, expected %v", d.name, got, d.arrives)
		}
		eventually(t, d.name+": the packet on the underlay", func() (bool, string) { return Has(t, wire, outer), "" })
		said := textOf(decoderFor(n).Decode(decode.Frame{Number: 1, Link: layers.LinkTypeEthernet, Length: len(outer), Data: outer}))
		for _, want := range d.says {
			if !strings.Contains(said, want) {
				t.Errorf("%s: govn decode does not say %q:\n%s", d.name, want, said)
			}
		}
	}
}
