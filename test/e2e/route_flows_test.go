//go:build e2e

package e2e

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"govn/sim/lab"
)

// routedNetwork has routes and policies of every kind on two routers.
var routedNetwork = []string{
	"ls-add s0 -- ls-add s1 -- lr-add r1 -- lr-add r2",
	"lrp-add r1 r1-s0 00:00:00:00:01:01 10.0.0.1/24 fd00::1/64 -- lsp-add s0 s0-r1 -- lsp-set-type s0-r1 router -- lsp-set-addresses s0-r1 router -- lsp-set-options s0-r1 router-port=r1-s0",
	"lrp-add r1 r1-s1 00:00:00:00:01:02 10.1.0.1/24 10.2.0.1/24 fd01::1/64 -- lsp-add s1 s1-r1 -- lsp-set-type s1-r1 router -- lsp-set-addresses s1-r1 router -- lsp-set-options s1-r1 router-port=r1-s1",
	"lrp-add r1 r1-r2 00:00:00:00:01:03 169.254.0.1/30 peer=r2-r1 -- lrp-add r2 r2-r1 00:00:00:00:02:01 169.254.0.2/30 peer=r1-r2",
	"lsp-add s0 vm0 -- lsp-set-addresses vm0 50:54:00:00:00:01\\ 10.0.0.5\\ fd00::5",
	"lr-route-add r1 192.168.1.0/24 10.0.0.5",
	"lr-route-add r1 192.168.2.0/24 10.2.0.5",
	"lr-route-add r1 192.168.3.0/24 99.0.0.5",
	"lr-route-add r1 192.168.4.0/24 99.0.0.5 r1-s1",
	"lr-route-add r1 192.168.5.0/24 discard",
	"--policy=src-ip lr-route-add r1 192.168.6.0/24 10.0.0.5",
	"--policy=src-ip lr-route-add r1 192.168.61.0/24 discard",
	"lr-route-add r1 2001:db8:1::/48 fd00::5",
	"lr-route-add r1 2001:db8:2::/48 fe80::5 r1-s1",
	"lr-route-add r1 192.168.8.5 10.0.0.5",
	"lr-route-add r1 0.0.0.0/0 169.254.0.2",
	"lr-route-add r1 ::/0 fd00::9",
	"lr-route-add r1 192.168.9.77/24 10.0.0.9",
	"set logical_router_port r1-s1 options:route_table=red",
	"--route-table=red lr-route-add r1 192.168.1.0/24 10.0.0.6",
	"--route-table=blue lr-route-add r1 192.168.2.0/24 discard",
	"--route-table=red --policy=src-ip lr-route-add r1 192.168.2.0/24 10.0.0.6",
	"--ecmp lr-route-add r1 192.168.1.0/24 10.0.0.66",
	"--ecmp lr-route-add r1 192.168.1.0/24 10.1.0.66",
	"--ecmp lr-route-add r1 192.168.1.0/24 88.1.0.5",
	"--ecmp lr-route-add r1 2001:db8:1::/48 fd01::5",
	"--ecmp lr-route-add r1 192.168.200.0/24 10.1.0.5",
	"--ecmp lr-route-add r1 192.168.200.0/24 88.1.0.5",
	"--id=@a create Logical_Router_Static_Route ip_prefix=172.20.0.0/16 nexthop=10.0.0.7 options:origin=connected -- add Logical_Router r1 static_routes @a",
	"--id=@a create Logical_Router_Static_Route ip_prefix=172.21.0.0/16 nexthop=\"\" output_port=r1-s0 -- add Logical_Router r1 static_routes @a",
	"lr-route-add r2 10.0.0.0/8 169.254.0.1",
	"lr-policy-add r1 100 ip4.src==10.0.0.0/24 allow",
	"lr-policy-add r1 101 ip4.src==10.0.0.0/24&&inport==\"r1-s0\" drop",
	"lr-policy-add r1 102 ip4.src==10.0.0.7 reroute 10.1.0.9",
	"lr-policy-add r1 103 ip4.src==10.0.0.8 reroute 10.1.0.9 pkt_mark=77",
	"lr-policy-add r1 104 ip4.src==10.0.0.8 allow pkt_mark=12",
	"lr-policy-add r1 105 ip4.src==10.0.0.9 reroute 10.1.0.9,10.0.0.99",
	"lr-policy-add r1 106 ip4.src==10.0.0.10 reroute 10.1.0.9,10.0.0.99,10.2.0.99 pkt_mark=5",
	"lr-policy-add r1 107 ip6.src==fd00::10 reroute fd01::9,fd00::99",
	"lr-policy-add r1 108 ip6.src==fd00::11 reroute fd01::9",
	"lr-policy-add r1 109 ip4.src==10.0.0.11 reroute 77.1.0.9",
	"lr-policy-add r1 110 ip4 drop",
	"lr-policy-add r1 110 1 allow",
	// A gateway router, whose replies go back the way that their requests came.
	"create Logical_Router name=r3 options:chassis=hv1 -- ls-add s3 -- ls-add s4",
	"lrp-add r3 r3-s3 00:00:00:00:03:01 10.3.0.1/24 fd03::1/64 -- lsp-add s3 s3-r3 -- lsp-set-type s3-r3 router -- lsp-set-addresses s3-r3 router -- lsp-set-options s3-r3 router-port=r3-s3",
	"lrp-add r3 r3-s4 00:00:00:00:03:02 10.4.0.1/24 fd04::1/64 -- lsp-add s4 s4-r3 -- lsp-set-type s4-r3 router -- lsp-set-addresses s4-r3 router -- lsp-set-options s4-r3 router-port=r3-s4",
	"--ecmp-symmetric-reply lr-route-add r3 192.168.1.0/24 10.3.0.5",
	"--ecmp-symmetric-reply lr-route-add r3 192.168.1.0/24 10.4.0.5",
	"--ecmp-symmetric-reply lr-route-add r3 192.168.1.0/24 10.4.0.6",
	"--ecmp-symmetric-reply lr-route-add r3 2001:db8:1::/48 fd03::5",
	"--ecmp-symmetric-reply lr-route-add r3 2001:db8:1::/48 fd04::5",
	"--ecmp-symmetric-reply lr-route-add r3 192.168.2.0/24 10.3.0.5",
	"--ecmp --policy=src-ip lr-route-add r3 192.168.3.0/24 10.3.0.5",
	"--ecmp-symmetric-reply --policy=src-ip lr-route-add r3 192.168.3.0/24 10.4.0.5",
	"--ecmp-symmetric-reply --route-table=red lr-route-add r3 192.168.4.0/24 10.3.0.5",
	"--ecmp-symmetric-reply --route-table=red lr-route-add r3 192.168.4.0/24 10.4.0.5",
	"--ecmp-symmetric-reply lr-route-add r1 192.168.201.0/24 10.0.0.5",
	"--ecmp-symmetric-reply lr-route-add r1 192.168.201.0/24 10.1.0.5",
}

// TestRouteFlows compares the logical flows of static routes and policies with
// those of stock ovn-northd. Groups of alternatives and their members have
// numbers, and the two number them otherwise.
func TestRouteFlows(t *testing.T) {
	const file = `
name: routes
chassis: [{name: hv1, datapath: dummy}]
`
	labs := map[lab.Control]*lab.Lab{}
	for _, c := range []lab.Control{lab.ControlStock, lab.ControlGovn} {
		labs[c] = up(t, parse(t, file), c)
	}
	var g errgroup.Group
	for _, l := range labs {
		g.Go(func() error {
			for _, line := range routedNetwork {
				if out, err := l.Nbctl(t.Context(), append([]string{"--wait=sb"}, words(line)...)...); err != nil {
					return fmt.Errorf("%s: %w: %s", line, err, out)
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	for _, router := range []string{"r1", "r2", "r3"} {
		flows := map[lab.Control]string{}
		for c, l := range labs {
			list := meanings(t, must(t)(l.Sbctl(t.Context(), "lflow-list", router)), routerExceptions[c])
			list = slices.DeleteFunc(list, func(f string) bool { return !routingStage.MatchString(f) })
			if len(list) < 10 {
				t.Errorf("%s: %s has only %d flows of routing", router, c, len(list))
			}
			flows[c] = withoutNumbers(list)
		}
		if n := strings.Count(flows[lab.ControlStock], "commit_ecmp_nh"); (n > 0) != (router == "r3") {
			t.Errorf("%s: %d flows of stock remember connections", router, n)
		}
		if diff := cmp.Diff(flows[lab.ControlStock], flows[lab.ControlGovn]); diff != "" {
			t.Errorf("%s: (-stock +govn)\n%s", router, diff)
		}
	}
	// What stock OVN leaves out in silence is named.
	lint, _ := run(t, "", "lint", "-t", labs[lab.ControlGovn].ControlSocket("central", "northd")) // its status says that there is something
	for _, want := range []string{"99.0.0.5: no port of the router reaches it", "88.1.0.5: no port", "77.1.0.9: no port", "works on gateway routers only", "works in the main route table only"} {
		if !strings.Contains(lint, want) {
			t.Errorf("lint does not say %q:\n%s", want, lint)
		}
	}
}

var (
	routingStage = regexp.MustCompile(` lr_in_(ip_routing|ip_routing_pre|ip_routing_ecmp|policy|policy_ecmp|defrag|ecmp_stateful) |lr_in_(arp_request|arp_resolve) priority=200 `)
	chooses      = regexp.MustCompile(`^(\d+) .*reg8\[0\.\.15\] = ([1-9]\d*); reg8\[16\.\.31\] = select\(([0-9, ]+)\);`)
	chosen       = regexp.MustCompile(`^(\d+) \S+_ecmp priority=100 match=\(\[reg8 == 0x([0-9a-f]+)\]\) action=\((.*)\)$`) // member, then group in 16 bits
)

// withoutNumbers joins each flow that chooses with the actions of what it chooses
// from, in order, and leaves out the numbers by which they are connected.
func withoutNumbers(list []string) string {
	members := map[string][]string{} // by table and group
	var out []string
	for _, f := range list {
		m := chosen.FindStringSubmatch(f)
		if m == nil {
			continue
		}
		both, err := strconv.ParseUint(m[2], 16, 32)
		if err != nil {
			out = append(out, f)
			continue
		}
		key := fmt.Sprint(m[1], " ", both&0xffff)
		members[key] = append(members[key], m[3])
	}
	for _, f := range list {
		if chosen.MatchString(f) {
			continue
		}
		if m := chooses.FindStringSubmatch(f); m != nil {
			var table int
			_, _ = fmt.Sscan(m[1], &table)
			all := members[fmt.Sprint(table+1, " ", m[2])]
			slices.Sort(all)
			f = strings.Replace(f, "reg8[0..15] = "+m[2]+";", "reg8[0..15] = GROUP;", 1) + fmt.Sprintf(" one of %d: %s", strings.Count(m[3], ",")+1, strings.Join(all, " | "))
		}
		out = append(out, f)
	}
	slices.Sort(out)
	return strings.Join(out, "\n")
}
