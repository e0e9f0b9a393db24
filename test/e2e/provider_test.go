//go:build e2e

package e2e

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"govn/sim/lab"
)

// The machine outside is behind br-phys of hv2, in VLAN 30; the only way from the
// overlay to that network is the gateway on hv1.
const l2gatewayLab = `
name: l2gateway
chassis:
  - {name: hv1, external-ids: {ovn-bridge-mappings: "physnet1:br-ex"}}
  - {name: hv2}
workloads:
  - {name: vm1, chassis: hv1, mac: "50:54:00:00:00:01", ip: 10.0.0.11/24}
  - {name: vm2, chassis: hv2, mac: "50:54:00:00:00:02", ip: 10.0.0.12/24}
  - {name: out, chassis: hv1, bridge: br-ex, mac: "50:54:00:00:00:99", ip: 10.0.0.99/24}
topology:
  switches:
    - name: sw0
      ports:
        - {name: gw, type: l2gateway, tag: 30, unknown: true, options: {network_name: physnet1, l2gateway-chassis: hv1}}
        - {name: vm1, addresses: ["50:54:00:00:00:01 10.0.0.11"]}
        - {name: vm2, addresses: ["50:54:00:00:00:02 10.0.0.12"]}
`

// An l2gateway port brings a machine on a physical network to all chassis,
// through one of them: what the others send goes there by tunnel.
func TestL2Gateway(t *testing.T) {
	l := up(t, parse(t, l2gatewayLab), lab.ControlGovn)
	must(t)(l.Nbctl(t.Context(), "--timeout=10", "wait-until", "Logical_Switch_Port", "gw", "up=true"))
	if out := must(t)(l.Sbctl(t.Context(), "--bare", "--columns=type,tag,options", "find", "Port_Binding", "logical_port=gw")); strings.Join(strings.Fields(out), " ") != "l2gateway 30 l2gateway-chassis=hv1 network_name=physnet1" {
		t.Errorf("Port_Binding of the gateway: %q", out)
	}
	if out := must(t)(l.Vsctl(t.Context(), "hv1", "get", "Port", "patch-br-int-to-gw", "external_ids:ovn-l2gateway-port")); strings.TrimSpace(out) != "gw" {
		t.Errorf("the patch port is of %q", out)
	}
	// The machine's port on br-ex is an access port of the VLAN.
	must(t)(l.Vsctl(t.Context(), "hv1", "set", "Port", "v-out", "tag=30"))
	tunnels := capture(t, l, "hv2", "udp port 6081")
	must(t)(l.Exec(t.Context(), "vm1", "ping", "-q", "-c", "2", "-i", "0.1", "-w", "5", "10.0.0.99"))
	must(t)(l.Exec(t.Context(), "vm2", "ping", "-q", "-c", "3", "-i", "0.1", "-w", "5", "10.0.0.99"))
	stop(t, tunnels)
	if n := count(t, tunnels, ""); n < 6 {
		t.Errorf("%d packets went through the tunnel, three pings and their answers at least expected", n)
	}
	// The bridge of the network is made anew.
	must(t)(l.Vsctl(t.Context(), "hv1", "del-port", "br-ex", "v-out", "--", "del-br", "br-ex"))
	must(t)(l.Vsctl(t.Context(), "hv1", "add-br", "br-ex", "--", "set", "Bridge", "br-ex", "datapath_type=netdev",
		"--", "add-port", "br-ex", "v-out", "tag=30"))
	eventually(t, 10*time.Second, "ping over the new bridge", func() (bool, string) {
		out, err := l.Exec(t.Context(), "vm2", "ping", "-q", "-c", "1", "-W", "1", "10.0.0.99")
		return err == nil, out
	})
}

const virtualLab = `
name: virtual
chassis: [{name: hv1}, {name: hv2}, {name: hv3}]
workloads:
  - {name: vm1, chassis: hv1, mac: "50:54:00:00:00:01", ip: 10.0.0.11/24, gw: 10.0.0.1}
  - {name: vm2, chassis: hv2, mac: "50:54:00:00:00:02", ip: 10.0.0.12/24, gw: 10.0.0.1}
  - {name: vm3, chassis: hv3, mac: "50:54:00:00:01:03", ip: 10.0.1.13/24, gw: 10.0.1.1}
topology:
  switches:
    - name: sw0
      ports:
        - {name: vm1, addresses: ["50:54:00:00:00:01 10.0.0.11"]}
        - {name: vm2, addresses: ["50:54:00:00:00:02 10.0.0.12"]}
        - {name: vip, type: virtual, addresses: ["50:54:00:00:00:50 10.0.0.50"], options: {virtual-ip: 10.0.0.50, virtual-parents: "vm1,vm2"}}
    - name: sw1
      ports:
        - {name: vm3, addresses: ["50:54:00:00:01:03 10.0.1.13"]}
  nbctl:
    - lr-add lr0
    - lrp-add lr0 lr0-sw0 00:00:00:00:ff:01 10.0.0.1/24 -- lsp-add sw0 sw0-lr0 -- lsp-set-type sw0-lr0 router -- lsp-set-addresses sw0-lr0 router -- lsp-set-options sw0-lr0 router-port=lr0-sw0
    - lrp-add lr0 lr0-sw1 00:00:00:00:ff:02 10.0.1.1/24 -- lsp-add sw1 sw1-lr0 -- lsp-set-type sw1-lr0 router -- lsp-set-addresses sw1-lr0 router -- lsp-set-options sw1-lr0 router-port=lr0-sw1
`

// announce sends a gratuitous ARP request for the virtual address.
func announce(t *testing.T, l *lab.Lab, from, mac string) {
	t.Helper()
	m := strings.ReplaceAll(mac, ":", "")
	frame := "ffffffffffff" + m + "0806" + "0001080006040001" + m + "0a000032" + "000000000000" + "0a000032"
	must(t)(l.Exec(t.Context(), from, "python3", "-c",
		"import socket, sys; s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW); s.bind(('eth0', 0)); s.send(bytes.fromhex(sys.argv[1]))", frame))
}

// An address moves between two workloads: the router sends to the one that said
// last that it has it, also while and after daemons are restarted.
func TestVirtualPort(t *testing.T) {
	l := up(t, parse(t, virtualLab), lab.ControlGovn)
	take := func(vm, mac, other string) {
		t.Helper()
		_, _ = l.Exec(t.Context(), other, "ip", "addr", "del", "10.0.0.50/32", "dev", "eth0")
		must(t)(l.Exec(t.Context(), vm, "ip", "addr", "add", "10.0.0.50/32", "dev", "eth0"))
		announce(t, l, vm, mac)
		eventually(t, 5*time.Second, "the address is "+vm+"'s", func() (bool, string) {
			out := must(t)(l.Sbctl(t.Context(), "--bare", "--columns=virtual_parent,up", "find", "Port_Binding", "logical_port=vip"))
			return strings.Join(strings.Fields(out), " ") == vm+" true", out
		})
	}
	reaches := func(vm string) {
		t.Helper()
		must(t)(l.Nbctl(t.Context(), "--wait=hv", "sync"))
		c := capture(t, l, vm, "icmp and dst 10.0.0.50")
		must(t)(l.Exec(t.Context(), "vm3", "ping", "-q", "-c", "3", "-i", "0.1", "-w", "5", "10.0.0.50"))
		stop(t, c)
		if n := count(t, c, ""); n < 3 {
			t.Errorf("%s, which has the address, saw %d of the packets", vm, n)
		}
	}
	take("vm1", "50:54:00:00:00:01", "vm2")
	reaches("vm1")
	take("vm2", "50:54:00:00:00:02", "vm1")
	reaches("vm2")
	for _, d := range [][2]string{{"hv2", "controller"}, {"central", "northd"}} {
		if err := l.Signal(d[0], d[1], unix.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	for _, d := range [][2]string{{"central", "northd"}, {"hv2", "controller"}} {
		if err := l.Start(t.Context(), d[0], d[1]); err != nil {
			t.Fatal(err)
		}
	}
	reaches("vm2")
	if err := l.Detach(t.Context(), "vm2"); err != nil {
		t.Fatal(err)
	}
	eventually(t, 5*time.Second, "nobody has the address", func() (bool, string) {
		out := must(t)(l.Sbctl(t.Context(), "--bare", "--columns=virtual_parent,chassis,up", "find", "Port_Binding", "logical_port=vip"))
		return strings.Join(strings.Fields(out), " ") == "false", out
	})
	take("vm1", "50:54:00:00:00:01", "vm1")
	reaches("vm1")
}

// Two VLANs of one physical network with a distributed router between them.
const vlanRouterLab = `
name: vlanrouter
chassis:
  - {name: hv1, external-ids: {ovn-bridge-mappings: "physnet1:br-phys", ovn-chassis-mac-mappings: "physnet1:aa:bb:cc:00:01:01"}}
  - {name: hv2, external-ids: {ovn-bridge-mappings: "physnet1:br-phys", ovn-chassis-mac-mappings: "physnet1:aa:bb:cc:00:02:01"}}
workloads:
  - {name: vm1, chassis: hv1, mac: "50:54:00:00:00:01", ip: 10.0.0.11/24, gw: 10.0.0.1}
  - {name: vm2, chassis: hv2, mac: "50:54:00:00:00:02", ip: 10.0.1.12/24, gw: 10.0.1.1}
topology:
  switches:
    - name: sw20
      ports:
        - {name: ln20, type: localnet, tag: 20, unknown: true, options: {network_name: physnet1}}
        - {name: vm1, addresses: ["50:54:00:00:00:01 10.0.0.11"]}
    - name: sw30
      ports:
        - {name: ln30, type: localnet, tag: 30, unknown: true, options: {network_name: physnet1}}
        - {name: vm2, addresses: ["50:54:00:00:00:02 10.0.1.12"]}
  nbctl:
    - lr-add lr0
    - lrp-add lr0 lr0-sw20 00:00:00:00:ff:01 10.0.0.1/24 -- lsp-add sw20 sw20-lr0 -- lsp-set-type sw20-lr0 router -- lsp-set-addresses sw20-lr0 router -- lsp-set-options sw20-lr0 router-port=lr0-sw20
    - lrp-add lr0 lr0-sw30 00:00:00:00:ff:02 10.0.1.1/24 -- lsp-add sw30 sw30-lr0 -- lsp-set-type sw30-lr0 router -- lsp-set-addresses sw30-lr0 router -- lsp-set-options sw30-lr0 router-port=lr0-sw30
`

// The physical network sees each chassis send from its own address, and the
// workloads see the router's.
func TestChassisMACMappings(t *testing.T) {
	l := up(t, parse(t, vlanRouterLab), lab.ControlGovn)
	wire, at1, at2 := capture(t, l, "hv1", ""), capture(t, l, "vm1", "icmp"), capture(t, l, "vm2", "icmp")
	must(t)(l.Exec(t.Context(), "vm1", "ping", "-q", "-c", "3", "-i", "0.1", "-w", "5", "10.0.1.12"))
	for _, c := range []*lab.Capture{wire, at1, at2} {
		stop(t, c)
	}
	for _, tc := range []struct {
		c           *lab.Capture
		filter      string
		least, most int
	}{
		{wire, "ether src aa:bb:cc:00:01:01 and vlan 30 and icmp", 3, 3},
		{wire, "ether src aa:bb:cc:00:02:01 and vlan 20 and icmp", 3, 3},
		{wire, "ether src 00:00:00:00:ff:01 or ether src 00:00:00:00:ff:02", 0, 0},
		{wire, "udp port 6081", 0, 0},
		{at2, "ether src 00:00:00:00:ff:02 and icmp[icmptype] == icmp-echo", 3, 3},
		{at1, "ether src 00:00:00:00:ff:01 and icmp[icmptype] == icmp-echoreply", 3, 3},
	} {
		if n := count(t, tc.c, tc.filter); n < tc.least || n > tc.most {
			t.Errorf("%d packets are %q, %d to %d expected:\n%s", n, tc.filter, tc.least, tc.most, must(t)(wire.Text(t.Context(), "-e", "-c", "20")))
		}
	}
	// Without the mapping the router's address is on the wire.
	must(t)(l.Vsctl(t.Context(), "hv1", "remove", "Open_vSwitch", ".", "external_ids", "ovn-chassis-mac-mappings"))
	eventually(t, 5*time.Second, "the address of hv1 is used no more", func() (bool, string) {
		out := must(t)(l.Ofctl(t.Context(), "hv1", "dump-flows", "table=65"))
		return !strings.Contains(out, "aa:bb:cc:00:01:01"), out
	})
	must(t)(l.Exec(t.Context(), "vm1", "ping", "-q", "-c", "1", "-w", "5", "10.0.1.12"))
}

const migrationLab = `
name: migration
chassis: [{name: hv1}, {name: hv2}, {name: hv3}]
workloads:
  - {name: src, port: vm, chassis: hv1, mac: "50:54:00:00:00:01", ip: 10.0.0.11/24}
  - {name: dst, port: vm, chassis: hv2, mac: "50:54:00:00:00:01", ip: 10.0.0.11/24}
  - {name: peer, chassis: hv3, mac: "50:54:00:00:00:03", ip: 10.0.0.13/24}
topology:
  switches:
    - name: sw0
      ports:
        - {name: vm, addresses: ["50:54:00:00:00:01 10.0.0.11"], options: {requested-chassis: "hv1,hv2"}}
        - {name: peer, addresses: ["50:54:00:00:00:03 10.0.0.13"]}
`

// While a workload moves, both of its chassis get what is sent to it; then the
// second one alone, and no packet is lost on the way.
func TestLiveMigration(t *testing.T) {
	l := up(t, parse(t, migrationLab), lab.ControlGovn)
	bound := func(want string) {
		t.Helper()
		eventually(t, 10*time.Second, "bound to "+want, func() (bool, string) {
			var names []string
			for _, column := range []string{"chassis", "additional_chassis"} {
				name := "-"
				if u := strings.TrimSpace(must(t)(l.Sbctl(t.Context(), "--bare", "--columns="+column, "find", "Port_Binding", "logical_port=vm"))); u != "" {
					name = strings.TrimSpace(must(t)(l.Sbctl(t.Context(), "--bare", "--columns=name", "list", "Chassis", u)))
				}
				names = append(names, name)
			}
			got := strings.Join(names, " ")
			return got == want, got
		})
		must(t)(l.Nbctl(t.Context(), "--wait=hv", "sync"))
	}
	bound("hv1 hv2")
	// Only the source runs.
	must(t)(l.Exec(t.Context(), "dst", "ip", "link", "set", "eth0", "arp", "off"))
	must(t)(l.Exec(t.Context(), "dst", "ip", "addr", "flush", "dev", "eth0"))
	src, dst := capture(t, l, "src", "icmp[icmptype] == icmp-echo"), capture(t, l, "dst", "icmp[icmptype] == icmp-echo")
	must(t)(l.Exec(t.Context(), "peer", "ping", "-q", "-c", "5", "-i", "0.1", "-w", "5", "10.0.0.11"))
	stop(t, src)
	stop(t, dst)
	if a, b := count(t, src, ""), count(t, dst, ""); a < 5 || b < 5 {
		t.Errorf("%d requests reached the source and %d the destination, 5 expected", a, b)
	}
	// The workload runs on the destination now.
	p := startPing(t, l, "peer", "10.0.0.11", pingInterval)
	p.waitReplies(5, 5*time.Second)
	must(t)(l.Exec(t.Context(), "dst", "ip", "addr", "add", "10.0.0.11/24", "dev", "eth0"))
	must(t)(l.Exec(t.Context(), "dst", "ip", "link", "set", "eth0", "arp", "on"))
	must(t)(l.Exec(t.Context(), "src", "ip", "addr", "flush", "dev", "eth0"))
	p.waitReplies(5, 5*time.Second)
	must(t)(l.Nbctl(t.Context(), "--wait=hv", "set", "Logical_Switch_Port", "vm", "options:requested-chassis=hv2"))
	bound("hv2 -")
	p.waitReplies(10, 5*time.Second)
	after := capture(t, l, "src", "icmp")
	p.waitReplies(5, 5*time.Second)
	stop(t, after)
	if n := count(t, after, ""); n > 0 {
		t.Errorf("%d packets still reach the source", n)
	}
	sent, received := p.stop()
	if sent-received > 3 { // between the two address changes nobody, or both, answer
		t.Errorf("%d of %d pings answered", received, sent)
	}
}

// The machine outside is known as an external port; its gateway is a router that
// is on both hypervisors with the network.
const externalLab = `
name: external
chassis:
  - {name: hv1, external-ids: {ovn-bridge-mappings: "physnet1:br-phys", ovn-chassis-mac-mappings: "physnet1:aa:bb:cc:00:01:01"}}
  - {name: hv2, external-ids: {ovn-bridge-mappings: "physnet1:br-phys", ovn-chassis-mac-mappings: "physnet1:aa:bb:cc:00:02:01"}}
workloads:
  - {name: vm1, chassis: hv1, mac: "50:54:00:00:00:01", ip: 10.0.1.11/24, gw: 10.0.1.1}
  - {name: vm2, chassis: hv2, mac: "50:54:00:00:00:02", ip: 10.0.1.12/24, gw: 10.0.1.1}
  - {name: out, chassis: hv2, bridge: br-phys, vlan: 20, mac: "50:54:00:00:00:60", ip: 10.0.0.60/24, gw: 10.0.0.1}
topology:
  switches:
    - name: sw0
      ports:
        - {name: ln, type: localnet, tag: 20, unknown: true, options: {network_name: physnet1}}
        - {name: ex, type: external, addresses: ["50:54:00:00:00:60 10.0.0.60"]}
    - name: sw1
      ports:
        - {name: vm1, addresses: ["50:54:00:00:00:01 10.0.1.11"]}
        - {name: vm2, addresses: ["50:54:00:00:00:02 10.0.1.12"]}
  nbctl:
    - lr-add lr0
    - lrp-add lr0 lr0-sw0 00:00:00:00:ff:01 10.0.0.1/24 -- lsp-add sw0 sw0-lr0 -- lsp-set-type sw0-lr0 router -- lsp-set-addresses sw0-lr0 router -- lsp-set-options sw0-lr0 router-port=lr0-sw0
    - lrp-add lr0 lr0-sw1 00:00:00:00:ff:02 10.0.1.1/24 -- lsp-add sw1 sw1-lr0 -- lsp-set-type sw1-lr0 router -- lsp-set-addresses sw1-lr0 router -- lsp-set-options sw1-lr0 router-port=lr0-sw1
    - ha-chassis-group-add g -- ha-chassis-group-add-chassis g hv1 20 -- ha-chassis-group-add-chassis g hv2 10
`

// One chassis, the best of the group, takes what the machine sends to the router:
// each packet arrives once, whoever hosts the port.
func TestExternalPort(t *testing.T) {
	l := up(t, parse(t, externalLab), lab.ControlGovn)
	group := strings.TrimSpace(must(t)(l.Nbctl(t.Context(), "--bare", "--columns=_uuid", "find", "HA_Chassis_Group", "name=g")))
	must(t)(l.Nbctl(t.Context(), "--wait=hv", "set", "Logical_Switch_Port", "ex", "ha_chassis_group="+group))
	hosted := func(chassis string) {
		t.Helper()
		eventually(t, 10*time.Second, "the port is hosted by "+chassis, func() (bool, string) {
			u := strings.TrimSpace(must(t)(l.Sbctl(t.Context(), "--bare", "--columns=chassis", "find", "Port_Binding", "logical_port=ex")))
			if u == "" {
				return false, "nobody"
			}
			name := strings.TrimSpace(must(t)(l.Sbctl(t.Context(), "--bare", "--columns=name", "list", "Chassis", u)))
			return name == chassis, name
		})
		must(t)(l.Nbctl(t.Context(), "--timeout=10", "wait-until", "Logical_Switch_Port", "ex", "up=true"))
		must(t)(l.Nbctl(t.Context(), "--wait=hv", "sync"))
		// As long as the members do not see each other, or one hands over to the
		// other, both host the port.
		for _, vm := range []string{"vm1", "vm2"} {
			eventually(t, 15*time.Second, "each request arrives once at "+vm+" while "+chassis+" hosts the port", func() (bool, string) {
				c := capture(t, l, vm, "icmp[icmptype] == icmp-echo")
				must(t)(l.Exec(t.Context(), "out", "ping", "-q", "-c", "3", "-i", "0.1", "-w", "5", "10.0.1.1"+vm[2:]))
				stop(t, c)
				return count(t, c, "") == 3, must(t)(c.Text(t.Context(), "-e"))
			})
		}
		for _, hv := range []string{"hv1", "hv2"} {
			out := must(t)(l.Ofctl(t.Context(), hv, "dump-flows", "table=32"))
			if drops := strings.Contains(out, "dl_dst=00:00:00:00:ff:01 actions=drop"); drops != (hv != chassis) {
				t.Errorf("%s drops what the machine sends to the router: %t, while %s hosts the port:\n%s", hv, drops, chassis, out)
			}
		}
	}
	hosted("hv1")
	must(t)(l.Nbctl(t.Context(), "--wait=hv", "ha-chassis-group-add-chassis", "g", "hv2", "30"))
	hosted("hv2")
}

const segmentsLab = `
name: segments
chassis:
  - {name: hv1, external-ids: {ovn-bridge-mappings: "physnet1:br-ex1,physnet2:br-ex2"}}
workloads:
  - {name: vm1, chassis: hv1, mac: "50:54:00:00:00:01", ip: 10.0.0.11/24}
  - {name: out1, chassis: hv1, bridge: br-ex1, mac: "50:54:00:00:00:91", ip: 10.0.0.91/24}
  - {name: out2, chassis: hv1, bridge: br-ex2, vlan: 40, mac: "50:54:00:00:00:92", ip: 10.0.0.92/24}
topology:
  switches:
    - name: sw0
      ports:
        - {name: ln1, type: localnet, unknown: true, options: {network_name: physnet1}}
        - {name: ln2, type: localnet, tag: 40, unknown: true, options: {network_name: physnet2}}
        - {name: vm1, addresses: ["50:54:00:00:00:01 10.0.0.11"]}
`

// Two physical networks of one switch, one plain and one tagged, are one network;
// a mapping that goes takes its network away and comes back.
func TestSeveralLocalnetPorts(t *testing.T) {
	l := up(t, parse(t, segmentsLab), lab.ControlGovn)
	for _, way := range [][2]string{{"vm1", "10.0.0.91"}, {"vm1", "10.0.0.92"}, {"out1", "10.0.0.92"}, {"out2", "10.0.0.91"}} {
		must(t)(l.Exec(t.Context(), way[0], "ping", "-q", "-c", "2", "-i", "0.1", "-w", "5", way[1]))
	}
	mappings := func(text, ports string) {
		t.Helper()
		must(t)(l.Vsctl(t.Context(), "hv1", "set", "Open_vSwitch", ".", "external_ids:ovn-bridge-mappings="+ovsQuote(text)))
		eventually(t, 10*time.Second, "patch ports "+ports, func() (bool, string) {
			var got []string
			for port := range strings.FieldsSeq(must(t)(l.Vsctl(t.Context(), "hv1", "list-ports", "br-int"))) {
				if strings.HasPrefix(port, "patch-") {
					got = append(got, port)
				}
			}
			return strings.Join(got, " ") == ports, strings.Join(got, " ")
		})
		must(t)(l.Nbctl(t.Context(), "--wait=hv", "sync"))
	}
	mappings("physnet1:br-ex1", "patch-br-int-to-ln1")
	must(t)(l.Exec(t.Context(), "vm1", "ping", "-q", "-c", "1", "-w", "5", "10.0.0.91"))
	if out, err := l.Exec(t.Context(), "vm1", "ping", "-q", "-c", "2", "-i", "0.1", "-w", "1", "10.0.0.92"); err == nil {
		t.Errorf("a network that is not mapped is reached:\n%s", out)
	}
	mappings("physnet1:br-ex1,physnet2:br-ex2", "patch-br-int-to-ln1 patch-br-int-to-ln2")
	must(t)(l.Exec(t.Context(), "vm1", "ping", "-q", "-c", "1", "-w", "5", "10.0.0.92"))
}

// ovsQuote makes a text one value for ovs-vsctl.
func ovsQuote(text string) string { return strconv.Quote(text) }
