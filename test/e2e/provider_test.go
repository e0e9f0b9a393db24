//go:build e2e

package e2e

import (
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
