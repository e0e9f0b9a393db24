package sim

import (
	"net"
	"slices"
	"testing"

	"govn/pkg/ovsdb"
)

// The same networks as on real Open vSwitch in test/e2e: two VLANs with a
// distributed router between them, a gateway to a third one on one chassis, and an
// address that moves between two workloads.
const providerLab = `
name: provider
chassis:
  - {name: hv1, external-ids: {ovn-bridge-mappings: "physnet1:br-phys", ovn-chassis-mac-mappings: "physnet1:aa:bb:cc:00:01:01"}}
  - {name: hv2, external-ids: {ovn-bridge-mappings: "physnet1:br-phys", ovn-chassis-mac-mappings: "physnet1:aa:bb:cc:00:02:01"}}
  - {name: hv3}
workloads:
  - {name: vm1, chassis: hv1, mac: "50:54:00:00:00:01", ip: 10.0.0.11/24, gw: 10.0.0.1}
  - {name: vm2, chassis: hv2, mac: "50:54:00:00:00:02", ip: 10.0.1.12/24, gw: 10.0.1.1}
  - {name: vm3, chassis: hv3, mac: "50:54:00:00:00:03", ip: 10.0.2.13/24}
  - {name: out30, chassis: hv2, bridge: br-phys, vlan: 30, mac: "50:54:00:00:00:99", ip: 10.0.2.99/24}
  - {name: a, chassis: hv1, mac: "50:54:00:00:03:01", ip: 10.0.3.1/24}
  - {name: b, chassis: hv2, mac: "50:54:00:00:03:02", ip: 10.0.3.2/24}
topology:
  switches:
    - name: sw10
      ports:
        - {name: ln10, type: localnet, tag: 10, unknown: true, options: {network_name: physnet1}}
        - {name: vm1, addresses: ["50:54:00:00:00:01 10.0.0.11"]}
    - name: sw20
      ports:
        - {name: ln20, type: localnet, tag: 20, unknown: true, options: {network_name: physnet1, ethtype: 802.11ad}}
        - {name: vm2, addresses: ["50:54:00:00:00:02 10.0.1.12"]}
    - name: sw30
      ports:
        - {name: gw, type: l2gateway, tag: 30, unknown: true, options: {network_name: physnet1, l2gateway-chassis: hv1}}
        - {name: vm3, addresses: ["50:54:00:00:00:03 10.0.2.13"]}
    - name: shared
      ports:
        - {name: a, addresses: ["50:54:00:00:03:01 10.0.3.1"]}
        - {name: b, addresses: ["50:54:00:00:03:02 10.0.3.2"]}
        - {name: vip, type: virtual, addresses: ["50:54:00:00:03:50 10.0.3.50"], options: {virtual-ip: 10.0.3.50, virtual-parents: "a,b"}}
  nbctl:
    - lr-add lr0
    - lrp-add lr0 lr0-sw10 00:00:00:00:ff:01 10.0.0.1/24 -- lsp-add sw10 sw10-lr0 -- lsp-set-type sw10-lr0 router -- lsp-set-addresses sw10-lr0 router -- lsp-set-options sw10-lr0 router-port=lr0-sw10
    - lrp-add lr0 lr0-sw20 00:00:00:00:ff:02 10.0.1.1/24 -- lsp-add sw20 sw20-lr0 -- lsp-set-type sw20-lr0 router -- lsp-set-addresses sw20-lr0 router -- lsp-set-options sw20-lr0 router-port=lr0-sw20
`

func TestProviderNetworks(t *testing.T) {
	s := up(t, load(t, providerLab), Options{UnderlayMTU: 1600})
	// The router's packets come from the chassis, in the tag of the network.
	s.KeepUnderlay()
	if r := ping(t, s, "vm1", "10.0.1.12"); !r.Answered {
		t.Fatalf("between the VLANs: %+v", r)
	}
	sources := map[string]bool{}
	for _, c := range s.Underlay() {
		if c.Data[0]&1 == 0 {
			sources[net.HardwareAddr(c.Data[6:12]).String()+" "+net.HardwareAddr(c.Data[12:16]).String()] = true
		}
	}
	if !sources["aa:bb:cc:00:01:01 88:a8:00:14"] || !sources["aa:bb:cc:00:02:01 81:00:00:0a"] || len(sources) != 2 {
		t.Errorf("sources and tags on the wire: %v", sources)
	}

	// A chassis without the network reaches it through the gateway's.
	s.KeepUnderlay()
	if r := ping(t, s, "vm3", "10.0.2.99"); !r.Answered {
		t.Fatalf("through the gateway: %+v", r)
	}
	tunnelled := 0
	for _, c := range s.Underlay() {
		if _, _, err := decapsulate(c.Data); err == nil {
			tunnelled++
		}
	}
	if tunnelled < 2 {
		t.Errorf("%d packets went through a tunnel", tunnelled)
	}

	// The address is that of the one that announces it last.
	b := &s.Zone.Columns.PortBinding
	parent := func() string {
		for row := range s.Zone.Store.Snapshot().Rows(b.Table) {
			if up, _ := row.Opt(b.Up); row.Str(b.LogicalPort) == "vip" && up == ovsdb.Atom(true) {
				name, _ := row.Opt(b.VirtualParent)
				text, _ := name.(string)
				return text
			}
		}
		return ""
	}
	for _, name := range []string{"a", "b", "a"} {
		mac := s.Station(name).MAC
		announcement := slices.Concat(slices.Repeat([]byte{0xff}, 6), mac, []byte{8, 6, 0, 1, 8, 0, 6, 4, 0, 1}, mac,
			[]byte{10, 0, 3, 50}, make([]byte, 6), []byte{10, 0, 3, 50}, make([]byte, 18))
		s.Station(name).Send(announcement)
		run(t, s)
		if err := s.Zone.Until(within(t), "the address is "+name+"'s", func() bool { return parent() == name }); err != nil {
			t.Fatal(err)
		}
	}
}
