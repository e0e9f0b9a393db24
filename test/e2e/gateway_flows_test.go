//go:build e2e

package e2e

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"govn/sim/lab"
)

// gatewayNetwork has gateways of every kind: a distributed gateway port, one that
// the physical network leads to, a port that resides where its router's gateway
// is, a gateway router.
var gatewayNetwork = []string{
	"ls-add in -- ls-add public -- ls-add vlan -- ls-add join -- lr-add r0 -- lr-add r1 -- lr-add gr",
	"lrp-add r0 r0-in 00:00:00:00:00:01 10.0.0.1/24 fd00::1/64 -- lsp-add in in-r0 -- lsp-set-type in-r0 router -- lsp-set-addresses in-r0 router -- lsp-set-options in-r0 router-port=r0-in",
	"lrp-add r0 r0-public 00:00:00:00:00:02 172.16.0.1/24 2001:db8::1/64 -- lsp-add public public-r0 -- lsp-set-type public-r0 router -- lsp-set-addresses public-r0 router -- lsp-set-options public-r0 router-port=r0-public",
	"lrp-set-gateway-chassis r0-public hv1 20",
	"lsp-add public ln -- lsp-set-type ln localnet -- lsp-set-addresses ln unknown -- lsp-set-options ln network_name=phys",
	"lsp-add in vm1 -- lsp-set-addresses vm1 50:54:00:00:00:01\\ 10.0.0.11",
	"lrp-add r0 r0-vlan 00:00:00:00:00:03 10.0.3.1/24 -- lsp-add vlan vlan-r0 -- lsp-set-type vlan-r0 router -- lsp-set-addresses vlan-r0 router -- lsp-set-options vlan-r0 router-port=r0-vlan",
	"lsp-add vlan lnv -- lsp-set-type lnv localnet -- lsp-set-addresses lnv unknown -- lsp-set-options lnv network_name=phys -- set logical_switch_port lnv tag_request=3",
	"lrp-set-options r0-vlan reside-on-redirect-chassis=true",
	"lrp-add r1 r1-public 00:00:00:00:01:02 172.16.0.2/24 -- lsp-add public public-r1 -- lsp-set-type public-r1 router -- lsp-set-addresses public-r1 router -- lsp-set-options public-r1 router-port=r1-public",
	"lrp-set-gateway-chassis r1-public hv1 20 -- lrp-set-redirect-type r1-public bridged",
	"ha-chassis-group-add shared -- ha-chassis-group-add-chassis shared hv1 30 -- ha-chassis-group-add-chassis shared gone 5 -- lr-add r2",
	"lrp-add r2 r2-public 00:00:00:00:03:02 172.16.0.4/24 -- lsp-add public public-r2 -- lsp-set-type public-r2 router -- lsp-set-addresses public-r2 router -- lsp-set-options public-r2 router-port=r2-public",
	"set logical_router gr options:chassis=hv1",
	"lrp-add gr gr-public 00:00:00:00:02:02 172.16.0.3/24 -- lsp-add public public-gr -- lsp-set-type public-gr router -- lsp-set-addresses public-gr router -- lsp-set-options public-gr router-port=gr-public",
	"lrp-add gr gr-join 00:00:00:00:02:01 100.64.0.1/24 -- lsp-add join join-gr -- lsp-set-type join-gr router -- lsp-set-addresses join-gr router -- lsp-set-options join-gr router-port=gr-join -- lsp-add join vm2 -- lsp-set-addresses vm2 50:54:00:00:00:02\\ 100.64.0.9",
}

// TestGatewayFlows compares the logical flows and the southbound ports of
// gateways with those of stock ovn-northd.
func TestGatewayFlows(t *testing.T) {
	const file = `
name: gateways
chassis: [{name: hv1, datapath: dummy}]
`
	labs := map[lab.Control]*lab.Lab{}
	for _, c := range []lab.Control{lab.ControlStock, lab.ControlGovn} {
		labs[c] = up(t, parse(t, file), c)
		for _, line := range gatewayNetwork {
			must(t)(labs[c].Nbctl(t.Context(), append([]string{"--wait=sb"}, words(line)...)...))
		}
		shared := strings.TrimSpace(must(t)(labs[c].Nbctl(t.Context(), "--bare", "--columns=_uuid", "find", "HA_Chassis_Group", "name=shared")))
		must(t)(labs[c].Nbctl(t.Context(), "--wait=sb", "set", "Logical_Router_Port", "r2-public", "ha_chassis_group="+shared))
	}
	for _, datapath := range []string{"r0", "r1", "r2", "gr", "in", "public", "vlan", "join"} {
		flows := map[lab.Control][]string{}
		for c, l := range labs {
			flows[c] = meanings(t, must(t)(l.Sbctl(t.Context(), "lflow-list", datapath)), routerExceptions[c])
		}
		if diff := cmp.Diff(flows[lab.ControlStock], flows[lab.ControlGovn]); diff != "" {
			t.Errorf("%s: (-stock +govn)\n%s", datapath, diff)
		}
	}
	bindings := map[lab.Control]string{}
	for c, l := range labs {
		bindings[c] = must(t)(l.Sbctl(t.Context(), "--format=csv", "--no-headings", "--columns=logical_port,type,options,mac,nat_addresses", "list", "port_binding"))
		bindings[c] = strings.Join(slices.Sorted(strings.Lines(bindings[c])), "")
	}
	if diff := cmp.Diff(bindings[lab.ControlStock], bindings[lab.ControlGovn]); diff != "" {
		t.Errorf("port bindings: (-stock +govn)\n%s", diff)
	}
	groups := map[lab.Control]string{}
	for c, l := range labs {
		groups[c] = haGroups(t, l)
	}
	if diff := cmp.Diff(groups[lab.ControlStock], groups[lab.ControlGovn]); diff != "" {
		t.Errorf("HA groups: (-stock +govn)\n%s", diff)
	}
	if !strings.Contains(groups[lab.ControlGovn], "cr-r2-public: shared: gone none 5, hv1 hv1 30") {
		t.Errorf("HA groups:\n%s", groups[lab.ControlGovn])
	}
}

// haGroups are the southbound HA groups that ports have: of each member the name
// that it was given, the chassis, and the priority.
func haGroups(t *testing.T, l *lab.Lab) string {
	t.Helper()
	get := func(table, uuid, column string) string {
		return strings.Trim(strings.TrimSpace(must(t)(l.Sbctl(t.Context(), "--bare", "--columns="+column, "list", table, uuid))), `"`)
	}
	var out []string
	for line := range strings.Lines(must(t)(l.Sbctl(t.Context(), "--format=csv", "--no-headings", "--columns=logical_port,ha_chassis_group,gateway_chassis", "list", "port_binding"))) {
		fields := strings.SplitN(strings.TrimSpace(line), ",", 3)
		if fields[2] != "[]" {
			t.Errorf("%s: gateway_chassis %s", fields[0], fields[2])
		}
		if fields[1] == "[]" {
			continue
		}
		var members []string
		for _, m := range strings.Fields(get("HA_Chassis_Group", fields[1], "ha_chassis")) {
			chassis := "none"
			if u := get("HA_Chassis", m, "chassis"); u != "" {
				chassis = get("Chassis", u, "name")
			}
			name := strings.TrimSpace(must(t)(l.Sbctl(t.Context(), "get", "HA_Chassis", m, "external_ids:chassis-name")))
			members = append(members, strings.Trim(name, `"`)+" "+chassis+" "+get("HA_Chassis", m, "priority"))
		}
		slices.Sort(members)
		out = append(out, fields[0]+": "+get("HA_Chassis_Group", fields[1], "name")+": "+strings.Join(members, ", "))
	}
	slices.Sort(out)
	return strings.Join(out, "\n")
}
