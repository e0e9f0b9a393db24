//go:build e2e

package e2e

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"govn/sim/lab"
)

// transitNetwork is what an interconnection makes of a transit switch in a zone:
// the zone's router on it, and the router of another zone as a remote port.
var transitNetwork = []string{
	"ls-add in -- lr-add r0",
	"lrp-add r0 r0-in 00:00:00:00:00:01 10.0.0.1/24 -- lsp-add in in-r0 -- lsp-set-type in-r0 router -- lsp-set-addresses in-r0 router -- lsp-set-options in-r0 router-port=r0-in",
	"lsp-add in vm1 -- lsp-set-addresses vm1 50:54:00:00:00:01\\ 10.0.0.11",
	"ls-add ts1 -- set logical_switch ts1 other_config:interconn-ts=ts1 other_config:requested-tnl-key=16711682",
	"lrp-add r0 r0-ts1 00:00:00:00:01:01 169.254.100.1/24 fd00:100::1/64 -- lsp-add ts1 ts1-r0 -- lsp-set-type ts1-r0 router -- lsp-set-addresses ts1-r0 router -- lsp-set-options ts1-r0 router-port=r0-ts1 requested-tnl-key=7",
	"lrp-set-gateway-chassis r0-ts1 hv1 1",
	"lsp-add ts1 ts1-r1 -- lsp-set-type ts1-r1 remote -- lsp-set-addresses ts1-r1 00:00:00:00:02:01\\ 169.254.100.2/24 -- set logical_switch_port ts1-r1 options:requested-tnl-key=9",
	"lr-route-add r0 10.1.0.0/24 169.254.100.2",
}

// transitRemote is what the interconnection writes into the southbound database.
var transitRemote = []string{
	"chassis-add gw9 geneve 203.0.113.99 -- set chassis gw9 other_config:is-remote=true",
	"lsp-bind ts1-r1 gw9",
}

var (
	identities = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)
	// What ovn-controller tells ovn-northd that it can; the fabric has versions. And
	// what only govn has: the state of tunnels to other zones.
	featureFlags = regexp.MustCompile(`(, )?((ct-no-masked-label|mac-binding-timestamp|ovn-ct-lb-related|port-up-notif)=""true""|govn-ic-tunnels=""[^"]*"")`)
)

// TestTransitFlows compares the logical flows and the southbound rows of a transit
// switch with those of stock ovn-northd.
func TestTransitFlows(t *testing.T) {
	const file = `
name: transit
chassis: [{name: hv1, datapath: dummy, external-ids: {ovn-is-interconn: "true"}}]
`
	labs := map[lab.Control]*lab.Lab{}
	for _, c := range []lab.Control{lab.ControlStock, lab.ControlGovn} {
		labs[c] = up(t, parse(t, file), c)
		for _, line := range transitNetwork {
			must(t)(labs[c].Nbctl(t.Context(), append([]string{"--wait=sb"}, words(line)...)...))
		}
		for _, line := range transitRemote {
			must(t)(labs[c].Sbctl(t.Context(), words(line)...))
		}
		must(t)(labs[c].Nbctl(t.Context(), "--wait=hv", "sync"))
	}
	for _, datapath := range []string{"r0", "in", "ts1"} {
		flows := map[lab.Control][]string{}
		for c, l := range labs {
			flows[c] = meanings(t, must(t)(l.Sbctl(t.Context(), "lflow-list", datapath)), routerExceptions[c])
		}
		if diff := cmp.Diff(flows[lab.ControlStock], flows[lab.ControlGovn]); diff != "" {
			t.Errorf("%s: (-stock +govn)\n%s", datapath, diff)
		}
	}
	for _, columns := range [][2]string{
		{"port_binding", "logical_port,type,options,mac,tunnel_key,up"},
		{"datapath_binding", "tunnel_key,external_ids"},
		{"chassis", "name,other_config"},
	} {
		rows := map[lab.Control]string{}
		for c, l := range labs {
			rows[c] = must(t)(l.Sbctl(t.Context(), "--format=csv", "--no-headings", "--columns="+columns[1], "list", columns[0]))
			rows[c] = strings.ReplaceAll(identities.ReplaceAllString(featureFlags.ReplaceAllString(rows[c], ""), "UUID"), "{, ", "{")
			rows[c] = strings.Join(slices.Sorted(strings.Lines(rows[c])), "")
		}
		if diff := cmp.Diff(rows[lab.ControlStock], rows[lab.ControlGovn]); diff != "" {
			t.Errorf("%s: (-stock +govn)\n%s", columns[0], diff)
		}
	}
	up := map[lab.Control]string{}
	for c, l := range labs {
		up[c] = must(t)(l.Nbctl(t.Context(), "--format=csv", "--no-headings", "--columns=name,up", "list", "logical_switch_port"))
		up[c] = strings.Join(slices.Sorted(strings.Lines(up[c])), "") +
			strings.Join(slices.Sorted(slices.Values(strings.Split(must(t)(l.Sbctl(t.Context(), "show")), "Chassis "))), "")
	}
	if diff := cmp.Diff(up[lab.ControlStock], up[lab.ControlGovn]); diff != "" {
		t.Errorf("(-stock +govn)\n%s", diff)
	}
}

// TestTransitTunnels: of two chassis with a port on a transit switch, only the
// gateway between zones has a tunnel to a chassis of another zone, as in stock OVN.
func TestTransitTunnels(t *testing.T) {
	const file = `
name: tunnels
chassis: [{name: hv1, datapath: dummy, external-ids: {ovn-is-interconn: "true"}}, {name: hv2, datapath: dummy}]
`
	for _, c := range []lab.Control{lab.ControlStock, lab.ControlGovn} {
		l := up(t, parse(t, file), c)
		for _, line := range append(slices.Clone(transitNetwork), "lsp-add ts1 vm8 -- lsp-set-addresses vm8 unknown", "lsp-add ts1 vm9 -- lsp-set-addresses vm9 unknown") {
			must(t)(l.Nbctl(t.Context(), append([]string{"--wait=sb"}, words(line)...)...))
		}
		for _, line := range transitRemote {
			must(t)(l.Sbctl(t.Context(), words(line)...))
		}
		for chassis, port := range map[string]string{"hv1": "vm8", "hv2": "vm9"} {
			must(t)(l.Vsctl(t.Context(), chassis, "add-port", "br-int", port, "--", "set", "Interface", port, "external_ids:iface-id="+port))
			must(t)(l.Nbctl(t.Context(), "--timeout=10", "wait-until", "Logical_Switch_Port", port, "up=true"))
		}
		must(t)(l.Nbctl(t.Context(), "--wait=hv", "sync"))
		ends := func(chassis string) string {
			return must(t)(l.Vsctl(t.Context(), chassis, "--bare", "--columns=options", "find", "Interface", "type=geneve"))
		}
		eventually(t, 5*time.Second, "a tunnel from the gateway", func() (bool, string) {
			out := ends("hv1")
			return strings.Contains(out, "203.0.113.99"), out
		})
		if out := ends("hv2"); !strings.Contains(out, "203.0.113.1") || strings.Contains(out, "203.0.113.99") {
			t.Errorf("%s: the tunnels of a chassis that is no gateway:\n%s", c, out)
		}
	}
}

// TestTransitKeys: a port gets the key that the interconnection gave it though
// another has it, also when there are chassis of other zones, which acknowledge
// nothing.
func TestTransitKeys(t *testing.T) {
	const file = `
name: keys
chassis: [{name: hv1, datapath: dummy, external-ids: {ovn-is-interconn: "true"}}]
`
	l := up(t, parse(t, file), lab.ControlGovn)
	for _, line := range append(slices.Clone(transitNetwork), "lsp-add ts1 vm8 -- lsp-set-addresses vm8 unknown") {
		must(t)(l.Nbctl(t.Context(), append([]string{"--wait=sb"}, words(line)...)...))
	}
	for _, line := range transitRemote {
		must(t)(l.Sbctl(t.Context(), words(line)...))
	}
	key := func(port string) string {
		return strings.TrimSpace(must(t)(l.Sbctl(t.Context(), "get", "Port_Binding", port, "tunnel_key")))
	}
	wanted := key("vm8")
	must(t)(l.Nbctl(t.Context(), "--wait=hv", "set", "Logical_Switch_Port", "ts1-r1", "options:requested-tnl-key="+wanted))
	eventually(t, 5*time.Second, "the remote port has the key "+wanted, func() (bool, string) {
		has := key("ts1-r1")
		return has == wanted, has
	})
}
