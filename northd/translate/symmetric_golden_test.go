package translate

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"govn/northd/pipeline"
	"govn/northd/topology"
	"govn/pkg/abi"
	"govn/pkg/logical"
)

// TestGoldenSymmetric compares the flows of routes whose replies go back the way that
// their requests came with testdata; -update rewrites it.
func TestGoldenSymmetric(t *testing.T) {
	exit := func(name string, key uint32, source string) topology.Exit {
		return topology.Exit{Name: name, Key: key, MAC: topology.MAC{0, 0, 0, 0, 1, byte(key)}, Source: netip.MustParseAddr(source)}
	}
	hop := func(next string, at topology.Exit, symmetric bool) topology.Hop {
		return topology.Hop{Next: netip.MustParseAddr(next), Exit: at, Symmetric: symmetric}
	}
	v4 := []topology.Hop{hop("10.0.0.5", exit("a", 1, "10.0.0.1"), true), hop("10.0.0.6", exit("a", 1, "10.0.0.1"), true), hop("10.1.0.5", exit("b", 2, "10.1.0.1"), true)}
	v6 := []topology.Hop{hop("fd00::5", exit("a", 1, "fd00::1"), false), hop("fd01::5", exit("b", 2, "fd01::1"), true)}
	keys := func(name string) (uint32, error) { return map[string]uint32{"a": 1, "b": 2}[name], nil }
	var b strings.Builder
	for _, tc := range []struct {
		name, prefix string
		g            topology.RouteGroup
	}{
		{"two ports", "192.168.1.0/24", topology.RouteGroup{ID: 1, OneChassis: true, Hops: v4}},
		{"one of two routes says so, IPv6", "2001:db8::/48", topology.RouteGroup{ID: 2, OneChassis: true, Hops: v6}},
		{"by source", "192.168.2.0/24", topology.RouteGroup{ID: 3, OneChassis: true, Hops: v4[1:], RouteKey: topology.RouteKey{Source: true}}},
		{"in a table", "192.168.3.0/24", topology.RouteGroup{ID: 4, TableID: 7, OneChassis: true, Hops: v4[1:], RouteKey: topology.RouteKey{Table: "red"}}},
		{"of another zone", "192.168.4.0/24", topology.RouteGroup{ID: 5, OneChassis: true, Hops: v4[1:], RouteKey: topology.RouteKey{Connected: true}}},
		{"in a distributed router", "192.168.5.0/24", topology.RouteGroup{ID: 6, Hops: v4}},
		{"one route", "192.168.6.0/24", topology.RouteGroup{OneChassis: true, Hops: v4[:1]}},
	} {
		tc.g.Prefix = netip.MustParsePrefix(tc.prefix)
		flows, err := pipeline.OfRoutes(&tc.g)
		if err != nil {
			t.Fatalf("%s: %v", tc.name, err)
		}
		body, err := Compile(flows, keys, nil)
		if err != nil {
			t.Fatalf("%s: %v", tc.name, err)
		}
		fmt.Fprintf(&b, "-- %s --\n", tc.name)
		for i := range flows {
			fmt.Fprintf(&b, "%s\n", &flows[i])
		}
		b.WriteString("\n" + print(t, body))
	}
	path := filepath.Join("testdata", "symmetric.txt")
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

// TestConnectionBits: the names of the logical language are the bits that outlive
// upgrades.
func TestConnectionBits(t *testing.T) {
	for _, tc := range []struct {
		name       string
		low, width int
	}{
		{"ct_mark.ecmp_reply_port", abi.MarkECMPReplyPort, abi.WidthECMPReplyPort},
		{"ct_label.ecmp_reply_eth", abi.LabelECMPReplyEth, abi.WidthECMPReplyEth},
	} {
		f := logical.Default().MustField(tc.name)
		of, low, err := place(f)
		if err != nil || low != tc.low || f.Bits != tc.width || !strings.HasPrefix(tc.name, of.Name) {
			t.Errorf("%s is %d bits of %v from %d, %v; want %d from %d", tc.name, f.Bits, of, low, err, tc.width, tc.low)
		}
	}
}

// TestBadCommits: what connection tracking is asked that cannot be.
func TestBadCommits(t *testing.T) {
	for _, tc := range []struct{ actions, want string }{
		{"commit_ecmp_nh(ipv6 = false, proto = icmp);", `proto of "commit_ecmp_nh" is "icmp"`},
		{"commit_ecmp_nh(ipv6 = maybe, proto = tcp);", `ipv6 of "commit_ecmp_nh" is "maybe"`},
		{"commit_ecmp_nh(ipv6 = true);", `proto of "commit_ecmp_nh" is ""`},
		{"clone { ct_next; };", `"ct_next" cannot be inside of "clone"`},
	} {
		list, err := logical.ParseActions(tc.actions, logical.Default())
		if err != nil {
			t.Fatalf("%s: %v", tc.actions, err)
		}
		c := &compiler{stage: pipeline.LRInDefrag}
		if err := c.all(list); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %s", tc.actions, err, tc.want)
		}
	}
}
