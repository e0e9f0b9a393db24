package stories

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// What Geneve with OVN's option takes of the underlay's MTU, in bytes.
const (
	outerIPv4      = 20
	outerUDP       = 8
	geneveHeader   = 8
	ovnOption      = 8 // 4 of header, 4 of ports
	innerEthernet  = 14
	overhead       = outerIPv4 + outerUDP + geneveHeader + ovnOption + innerEthernet
	underlayMTU    = 1500
	containerMTU   = underlayMTU - overhead
	echoHeaders    = 20 + 8 // IPv4, ICMP
	largestEcho    = containerMTU - echoHeaders
	underlayHeader = 14 // Ethernet, which an MTU does not count
)

// JoinedNetworks: two hosts have container networks of one subnet, each half of
// the addresses, and join them at layer 2. Containers reach each other with
// packets that fill the MTU to the last byte; a restart of everything changes no
// key and no flow.
func JoinedNetworks(t *testing.T, n Network) {
	addr := map[string]netip.Addr{
		"a1": netip.MustParseAddr("10.88.0.2"), "a2": netip.MustParseAddr("10.88.0.3"),
		"b1": netip.MustParseAddr("10.88.0.129"), "b2": netip.MustParseAddr("10.88.0.130"),
	}
	ping := func(from, to string, size, count, want int) {
		t.Helper()
		got, err := n.Ping(t.Context(), from, addr[to], size, count)
		if err != nil {
			t.Fatal(err)
		}
		if got != want {
			t.Errorf("%s to %s with %d bytes of data: %d of %d answered, %d expected", from, to, size, got, count, want)
		}
	}
	names := []string{"a1", "a2", "b1", "b2"}
	everybody := func() {
		t.Helper()
		for _, from := range names {
			for _, to := range names {
				if from != to {
					ping(from, to, largestEcho, 1, 1)
				}
			}
		}
	}
	wire := record(t, n, "host-a")
	everybody()
	ping("a1", "b1", largestEcho, 3, 3)
	ping("b2", "a2", largestEcho, 3, 3)
	ping("a1", "b1", largestEcho+1, 1, 0)
	ping("b1", "a1", largestEcho+1, 1, 0)

	// The largest frames fill the underlay, none is a fragment, and each is of
	// the switch that joins the two.
	eventually(t, "a frame that fills the underlay", func() (bool, string) {
		largest := 0
		frames, err := wire.Frames(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range frames {
			largest = max(largest, f.Length)
		}
		return largest == underlayMTU+underlayHeader, fmt.Sprintf("the largest has %d bytes", largest)
	})
	seen := 0
	for _, p := range packets(t, decoderFor(n), wire) {
		for _, ip := range layersOf(p, "ipv4") {
			if ip.Get("fragment_offset") != 0 || ip.Get("mf") != false {
				t.Errorf("a fragment on the underlay:\n%s", textOf(p))
			}
		}
		for _, g := range layersOf(p, "geneve") {
			seen++
			if g.Get("datapath") != "containers" {
				t.Errorf("not of the switch \"containers\":\n%s", textOf(p))
			}
		}
	}
	if seen == 0 {
		t.Error("no Geneve on the underlay")
	}

	keysBefore := keys(n)
	flowsBefore := map[string][]string{}
	for _, host := range []string{"host-a", "host-b"} {
		list, err := n.Flows(t.Context(), host)
		if err != nil {
			t.Fatal(err)
		}
		flowsBefore[host] = list
	}
	if err := n.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if after := keys(n); !slices.Equal(keysBefore, after) || len(after) == 0 {
		t.Errorf("keys before the restart:\n%s\nafter it:\n%s", strings.Join(keysBefore, "\n"), strings.Join(after, "\n"))
	}
	for host, before := range flowsBefore {
		after, err := n.Flows(t.Context(), host)
		if err != nil {
			t.Fatal(err)
		}
		if missing, more := difference(before, after); len(missing)+len(more) > 0 || len(after) == 0 {
			t.Errorf("%s: gone since the restart:\n%s\nnew since:\n%s", host, strings.Join(missing, "\n"), strings.Join(more, "\n"))
		}
	}
	everybody()
}

// difference is what only a has, and what only b has.
func difference(a, b []string) (onlyA, onlyB []string) {
	in := map[string]int{}
	for _, s := range a {
		in[s]++
	}
	for _, s := range b {
		if in[s]--; in[s] < 0 {
			onlyB = append(onlyB, s)
		}
	}
	for _, s := range a {
		if in[s] > 0 {
			in[s]--
			onlyA = append(onlyA, s)
		}
	}
	return onlyA, onlyB
}
