package translate

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"govn/northd/pipeline"
	"govn/northd/topology"
)

// TestGoldenBFD compares what a session adds to the flows of a router port, and
// to a route out of it, with testdata; -update rewrites it.
func TestGoldenBFD(t *testing.T) {
	port := &topology.RouterPort{Name: "up", Datapath: 1, Key: 1, Enabled: true, Addresses: topology.Addresses{MAC: topology.MAC{0, 0, 0, 0, 2, 1},
		V4: []netip.Prefix{netip.MustParsePrefix("172.16.0.1/24")}, V6: []netip.Prefix{netip.MustParsePrefix("fd00::1/64"), netip.MustParsePrefix("fe80::1/64")}}}
	keys := func(string) (uint32, error) { return port.Key, nil }
	added := func(logic func() ([]pipeline.Flow, error)) string {
		var texts [2][]string
		for i, on := range []bool{false, true} {
			port.BFD = on
			flows, err := logic()
			if err != nil {
				t.Fatal(err)
			}
			for j := range flows {
				texts[i] = append(texts[i], flows[j].String())
			}
			body, err := Compile(flows, keys, nil)
			if err != nil {
				t.Fatal(err)
			}
			texts[i] = append(texts[i], strings.Split(strings.TrimSpace(print(t, body)), "\n")...)
		}
		for _, line := range texts[0] {
			if !slices.Contains(texts[1], line) {
				t.Errorf("gone: %s", line)
			}
		}
		return strings.Join(slices.DeleteFunc(texts[1], func(line string) bool { return slices.Contains(texts[0], line) }), "\n") + "\n"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "-- port --\n%s", added(func() ([]pipeline.Flow, error) { return pipeline.OfRouterPort(port) }))
	for _, r := range []struct {
		prefix, next string
		key          topology.RouteKey
	}{
		{"10.9.0.0/16", "172.16.0.2", topology.RouteKey{}}, {"fd09::/64", "fd00::2", topology.RouteKey{}},
		{"10.9.0.0/16", "172.16.0.2", topology.RouteKey{Source: true}}, {"10.9.0.0/16", "172.16.0.2", topology.RouteKey{Table: "blue", Source: true}},
		{"10.9.0.0/16", "", topology.RouteKey{Connected: true}},
	} {
		g := &topology.RouteGroup{RouteKey: r.key, Hops: make([]topology.Hop, 1)}
		g.Prefix = netip.MustParsePrefix(r.prefix)
		if r.key.Table != "" {
			g.TableID = 1
		}
		if r.next != "" {
			g.Hops[0].Next = netip.MustParseAddr(r.next)
		}
		fmt.Fprintf(&b, "\n-- route %s via %s, source %t, table %q --\n%s", r.prefix, r.next, r.key.Source, r.key.Table, added(func() ([]pipeline.Flow, error) {
			g.Hops[0].Exit = port.Exit(port.V4[0].Addr())
			if g.Prefix.Addr().Is6() {
				g.Hops[0].Exit = port.Exit(port.V6[0].Addr())
			}
			return pipeline.OfRoutes(g)
		}))
	}
	path := filepath.Join("testdata", "bfd.txt")
	if *update {
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if b.String() != string(want) {
		t.Errorf("the flows differ from %s; got:\n%s", path, b.String())
	}
}
