//go:build e2e

package e2e

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"govn/pkg/logical"
	"govn/sim/lab"
)

// routerNetwork has everything that a router without gateway can be connected
// to: switches with ports of all kinds, another router on the same switch, a
// second port on it, a peer router, a disabled port, a port without networks of
// others, an MTU.
var routerNetwork = []string{
	"ls-add s1 -- ls-add s2 -- ls-add s4 -- ls-add s5 -- lr-add r1 -- lr-add r2 -- lr-add r3 -- lr-add roff -- set logical_router roff enabled=false",
	"lrp-add r1 r1-s1 00:00:00:00:01:01 10.0.1.1/24 fd01::1/64 -- lsp-add s1 s1-r1 -- lsp-set-type s1-r1 router -- lsp-set-addresses s1-r1 router -- lsp-set-options s1-r1 router-port=r1-s1",
	"lrp-add r1 r1-s2 00:00:00:00:01:02 10.0.2.1/24 -- lsp-add s2 s2-r1 -- lsp-set-type s2-r1 router -- lsp-set-addresses s2-r1 00:00:00:00:01:02\\ 10.0.2.1 -- lsp-set-options s2-r1 router-port=r1-s2",
	"lsp-add s1 vm1 -- lsp-set-addresses vm1 50:54:00:00:00:01\\ 10.0.1.11\\ fd01::11 -- lsp-add s2 vm2 -- lsp-set-addresses vm2 50:54:00:00:00:02\\ 10.0.2.11\\ 10.9.9.9",
	"lsp-add s1 off1 -- lsp-set-addresses off1 50:54:00:00:00:0f\\ 10.0.1.99 -- lsp-set-enabled off1 disabled",
	"lsp-add s1 unk -- lsp-set-addresses unk 50:54:00:00:00:0e\\ 10.0.1.88 unknown",
	"lsp-add s1 mac -- lsp-set-addresses mac 50:54:00:00:00:0d",
	"lsp-add s1 lport -- lsp-set-type lport localport -- lsp-set-addresses lport 50:54:00:00:00:0c\\ 10.0.1.77",
	"lrp-add r2 r2-s1 00:00:00:00:02:01 10.0.1.2/24 -- lsp-add s1 s1-r2 -- lsp-set-type s1-r2 router -- lsp-set-addresses s1-r2 router -- lsp-set-options s1-r2 router-port=r2-s1",
	"lrp-add r1 r1-s1b 00:00:00:00:01:07 10.0.1.7/24 -- lsp-add s1 s1-r1b -- lsp-set-type s1-r1b router -- lsp-set-addresses s1-r1b router -- lsp-set-options s1-r1b router-port=r1-s1b",
	"lrp-add r1 r1-r3 00:00:00:00:01:03 169.254.0.1/30 fdff::1/64 peer=r3-r1 -- lrp-add r3 r3-r1 00:00:00:00:03:01 169.254.0.2/30 fdff::2/64 peer=r1-r3",
	"lrp-add r1 r1-off 00:00:00:00:01:04 10.0.4.1/24 -- set logical_router_port r1-off enabled=false -- lsp-add s4 s4-r1 -- lsp-set-type s4-r1 router -- lsp-set-addresses s4-r1 router -- lsp-set-options s4-r1 router-port=r1-off -- lsp-add s4 vm4 -- lsp-set-addresses vm4 50:54:00:00:00:04\\ 10.0.4.11",
	"lrp-add r1 r1-lone 00:00:00:00:01:05 10.0.5.1/32 -- set logical_router_port r1-s2 options:gateway_mtu=1400 options:gateway_mtu_bypass=tcp",
	"lsp-add s5 s5-none -- lsp-set-type s5-none router -- lsp-set-addresses s5-none 00:00:00:00:09:09\\ 10.0.9.9 -- lsp-set-options s5-none router-port=nosuch",
	"lrp-add roff roff-s5 00:00:00:00:05:01 10.0.7.1/24 -- lsp-add s5 s5-roff -- lsp-set-type s5-roff router -- lsp-set-addresses s5-roff router -- lsp-set-options s5-roff router-port=roff-s5",
	"lsp-add s5 vm5",
	"set logical_router r2 options:dynamic_neigh_routers=true",
	"set logical_router r3 options:always_learn_from_arp_request=false",
	`set logical_router_port r1-s1 ipv6_ra_configs={address_mode=slaac,mtu="1450",router_preference=HIGH,route_info="HIGH-aef1::/48,LOW-aef2::/96",rdnss="fd01::53",dnssl="a.b,c.d",send_periodic="true",max_interval="10"}`,
	`set logical_router_port r1-s2 ipv6_ra_configs={address_mode=dhcpv6_stateful,mtu="1000",router_preference=MEDIUM}`,
	`set logical_router_port r2-s1 ipv6_ra_configs={address_mode=slaac}`,
	"lsp-set-enabled s1-r2 disabled",
	`set logical_switch_port s1-r1 options:arp_proxy="169.254.239.254\ 169.254.239.2"`,
}

// routerExceptions are the flows that only one of the two has.
var routerExceptions = map[lab.Control]*regexp.Regexp{
	lab.ControlStock: regexp.MustCompile(lflowExceptions[lab.ControlStock].String() +
		`|^ls_out_pre_lb priority=110 .* action=\(ct_clear; next;\)$` + // connection tracking
		`|handle_dhcpv6_reply`), // prefix delegation
	lab.ControlGovn: lflowExceptions[lab.ControlGovn],
}

// TestRouterFlows compares the logical flows of routers and their switches with
// those of stock ovn-northd: stages, priorities, and what matches and actions
// mean.
func TestRouterFlows(t *testing.T) {
	const file = `
name: routers
chassis: [{name: hv1, datapath: dummy}]
`
	labs := map[lab.Control]*lab.Lab{}
	for _, c := range []lab.Control{lab.ControlStock, lab.ControlGovn} {
		labs[c] = up(t, parse(t, file), c)
	}
	var g errgroup.Group
	for _, l := range labs {
		g.Go(func() error {
			for _, line := range routerNetwork {
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
	for _, datapath := range []string{"r1", "r2", "r3", "s1", "s2", "s4", "s5"} {
		flows := map[lab.Control][]string{}
		for c, l := range labs {
			flows[c] = meanings(t, must(t)(l.Sbctl(t.Context(), "lflow-list", datapath)), routerExceptions[c])
		}
		if diff := cmp.Diff(flows[lab.ControlStock], flows[lab.ControlGovn]); diff != "" {
			t.Errorf("%s: (-stock +govn)\n%s", datapath, diff)
		}
		if len(flows[lab.ControlStock]) < 30 {
			t.Errorf("%s: only %d flows are compared", datapath, len(flows[lab.ControlStock]))
		}
	}
	for c, l := range labs { // a router that is not enabled is nothing
		if out, err := l.Sbctl(t.Context(), "lflow-list", "roff"); err == nil {
			t.Errorf("%s lists a disabled router:\n%s", c, out)
		}
	}
	bindings := map[lab.Control]string{}
	for c, l := range labs {
		bindings[c] = must(t)(l.Sbctl(t.Context(), "--format=csv", "--no-headings", "--columns=logical_port,type,options,mac", "list", "port_binding"))
		bindings[c] = strings.Join(slices.Sorted(strings.Lines(bindings[c])), "")
	}
	if diff := cmp.Diff(bindings[lab.ControlStock], bindings[lab.ControlGovn]); diff != "" {
		t.Errorf("port bindings: (-stock +govn)\n%s", diff)
	}
}

var flowLine = regexp.MustCompile(`^  table=(\d+) *\(([a-z0-9_]+) *\), priority=(\d+) *, match=\((.*)\), action=\((.*)\)$`)

// meanings are the flows of a list, each once, in a spelling that two with the
// same meaning share.
func meanings(t *testing.T, list string, except *regexp.Regexp) []string {
	t.Helper()
	symbols := logical.Default()
	var out []string
	for line := range strings.Lines(list) {
		line = strings.TrimRight(line, "\n")
		m := flowLine.FindStringSubmatch(line)
		if m == nil {
			if !strings.HasPrefix(line, "Datapath: ") {
				t.Errorf("no flow: %q", line)
			}
			continue
		}
		if except.MatchString(fmt.Sprintf("%s priority=%s match=(%s) action=(%s)", m[2], m[3], m[4], m[5])) {
			continue
		}
		match := m[4]
		if e, err := logical.ParseMatch(match, symbols); err != nil {
			t.Errorf("match of %q: %v", line, err)
		} else if conjs, err := e.Normalize(nil); err == nil {
			match = fmt.Sprint(conjs)
		}
		acts, err := logical.ParseActions(m[5], symbols)
		if err != nil {
			t.Errorf("actions of %q: %v", line, err)
		}
		out = append(out, fmt.Sprintf("%s %s priority=%s match=(%s) action=(%s)", m[1], m[2], m[3], match, logical.FormatActions(acts)))
	}
	if len(out) == 0 {
		t.Errorf("no flows in %q", list)
	}
	slices.Sort(out)
	return slices.Compact(out)
}
