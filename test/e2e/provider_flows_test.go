//go:build e2e

package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"govn/sim/lab"
)

// providerNetwork has ports of every type that leads to a physical network, and
// virtual ports, with a router on each switch.
var providerNetwork = []string{
	"ls-add p1 -- ls-add p2 -- ls-add p3 -- lr-add r",
	"lsp-add p1 ln1 -- lsp-set-type ln1 localnet -- lsp-set-addresses ln1 unknown -- lsp-set-options ln1 network_name=physnet1 ethtype=802.11ad -- set logical_switch_port ln1 tag_request=20",
	"lsp-add p1 ln2 -- lsp-set-type ln2 localnet -- lsp-set-addresses ln2 unknown -- lsp-set-options ln2 network_name=physnet2 localnet_learn_fdb=true",
	"lsp-add p2 gw -- lsp-set-type gw l2gateway -- lsp-set-addresses gw unknown -- lsp-set-options gw network_name=physnet1 l2gateway-chassis=hv1 -- set logical_switch_port gw tag_request=30",
	"lsp-add p2 gwmac -- lsp-set-type gwmac l2gateway -- lsp-set-addresses gwmac 50:54:00:00:00:70\\ 10.0.2.70 -- lsp-set-options gwmac network_name=physnet1 l2gateway-chassis=nosuch",
	"lsp-add p1 vm1 -- lsp-set-addresses vm1 50:54:00:00:00:01\\ 10.0.1.11\\ fd01::11 -- lsp-add p1 vm2 -- lsp-set-addresses vm2 50:54:00:00:00:02\\ 10.0.1.12",
	"lsp-add p2 vm3 -- lsp-set-addresses vm3 50:54:00:00:00:03\\ 10.0.2.13",
	"lrp-add r r-p1 00:00:00:00:01:01 10.0.1.1/24 fd01::1/64 -- lsp-add p1 p1-r -- lsp-set-type p1-r router -- lsp-set-addresses p1-r router -- lsp-set-options p1-r router-port=r-p1",
	"lrp-add r r-p2 00:00:00:00:01:02 10.0.2.1/24 -- lsp-add p2 p2-r -- lsp-set-type p2-r router -- lsp-set-addresses p2-r router -- lsp-set-options p2-r router-port=r-p2",
	"lsp-add p1 vip -- lsp-set-type vip virtual -- lsp-set-addresses vip 50:54:00:00:00:50\\ 10.0.1.50 -- lsp-set-options vip virtual-ip=10.0.1.50 virtual-parents=vm1,vm2,vm3,nobody",
	"lsp-add p1 vip6 -- lsp-set-type vip6 virtual -- lsp-set-addresses vip6 50:54:00:00:00:51\\ fd01::51 -- lsp-set-options vip6 virtual-ip=fd01::51 virtual-parents=vm2",
	"lsp-add p1 vnone -- lsp-set-type vnone virtual -- lsp-set-addresses vnone 50:54:00:00:00:52\\ 10.0.1.52",
	"ha-chassis-group-add g -- ha-chassis-group-add-chassis g hv1 20 -- ha-chassis-group-add-chassis g hv2 10",
	"lsp-add p1 ex -- lsp-set-type ex external -- lsp-set-addresses ex 50:54:00:00:00:60\\ 10.0.1.60\\ fd01::60 -- lsp-add p1 exnone -- lsp-set-type exnone external -- lsp-set-addresses exnone 50:54:00:00:00:61\\ 10.0.1.61",
	"lsp-add p3 exoff -- lsp-set-type exoff external -- lsp-set-addresses exoff 50:54:00:00:00:62\\ 10.0.3.62 -- lsp-set-enabled exoff disabled",
	"lsp-add p3 moving -- lsp-set-options moving requested-chassis=hv1,hv2 -- lsp-set-addresses moving 50:54:00:00:00:63",
}

// TestProviderFlows compares the logical flows and the port bindings of these
// types with those of stock OVN.
func TestProviderFlows(t *testing.T) {
	const file = `
name: provider
chassis: [{name: hv1, datapath: dummy}, {name: hv2, datapath: dummy}]
`
	labs := map[lab.Control]*lab.Lab{}
	for _, c := range []lab.Control{lab.ControlStock, lab.ControlGovn} {
		labs[c] = up(t, parse(t, file), c)
	}
	var g errgroup.Group
	for _, l := range labs {
		g.Go(func() error {
			for _, line := range providerNetwork {
				if out, err := l.Nbctl(t.Context(), append([]string{"--wait=sb"}, words(line)...)...); err != nil {
					return fmt.Errorf("%s: %w: %s", line, err, out)
				}
			}
			group, err := l.Nbctl(t.Context(), "--bare", "--columns=_uuid", "find", "HA_Chassis_Group", "name=g")
			if err != nil {
				return err
			}
			if _, err := l.Nbctl(t.Context(), "--wait=hv", "set", "Logical_Switch_Port", "ex", "ha_chassis_group="+strings.TrimSpace(group)); err != nil {
				return err
			}
			for _, w := range []lab.Workload{{Name: "vm1", Chassis: "hv1"}, {Name: "here", Port: "moving", Chassis: "hv1"}, {Name: "there", Port: "moving", Chassis: "hv2"}} {
				if err := l.Attach(t.Context(), w); err != nil {
					return err
				}
			}
			for _, name := range []string{"vm1", "gw", "moving"} {
				if _, err := l.Nbctl(t.Context(), "--timeout=20", "wait-until", "Logical_Switch_Port", name, "up=true"); err != nil {
					return fmt.Errorf("%s: %w", name, err)
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	for _, datapath := range []string{"p1", "p2", "p3", "r"} {
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
	eventually(t, 10*time.Second, "the same port bindings", func() (bool, string) {
		rows := map[lab.Control]string{}
		for c, l := range labs {
			names := map[string]string{}
			for line := range strings.Lines(must(t)(l.Sbctl(t.Context(), "--format=csv", "--no-headings", "--columns=_uuid,name", "list", "Chassis"))) {
				u, name, _ := strings.Cut(strings.TrimSpace(line), ",")
				names[u] = name
			}
			text := must(t)(l.Sbctl(t.Context(), "--format=csv", "--no-headings",
				"--columns=logical_port,type,options,mac,tag,parent_port,virtual_parent,up,chassis,additional_chassis,requested_chassis,requested_additional_chassis", "list", "Port_Binding"))
			for u, name := range names {
				text = strings.ReplaceAll(text, u, name)
			}
			rows[c] = strings.Join(slices.Sorted(strings.Lines(text)), "")
		}
		diff := cmp.Diff(rows[lab.ControlStock], rows[lab.ControlGovn])
		return diff == "", diff
	})
}
