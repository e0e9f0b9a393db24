//go:build e2e

package e2e

import (
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"govn/sim/lab"
)

// The physical network of these labs is the underlay's wire: br-phys joins it.
const localnetLab = `
name: localnet
chassis:
  - {name: hv1, external-ids: {ovn-bridge-mappings: "physnet1:br-phys"}}
  - {name: hv2, external-ids: {ovn-bridge-mappings: "physnet1:br-phys"}}
workloads:
  - {name: vm1, chassis: hv1, mac: "50:54:00:00:00:01", ip: 10.0.0.11/24}
  - {name: vm2, chassis: hv2, mac: "50:54:00:00:00:02", ip: 10.0.0.12/24}
  - {name: vm3, chassis: hv1, mac: "50:54:00:00:00:03", ip: 10.0.0.13/24}
  - {name: vm4, chassis: hv2, mac: "50:54:00:00:00:04", ip: 10.0.0.14/24}
  - {name: out, chassis: hv2, bridge: br-phys, mac: "50:54:00:00:00:99", ip: 10.0.0.99/24}
  - {name: out20, chassis: hv2, bridge: br-phys, vlan: 20, mac: "50:54:00:00:00:98", ip: 10.0.0.98/24}
topology:
  switches:
    - name: plain
      ports:
        - {name: ln, type: localnet, unknown: true, options: {network_name: physnet1, localnet_learn_fdb: "true"}}
        - {name: vm1, addresses: ["50:54:00:00:00:01 10.0.0.11"]}
        - {name: vm2, addresses: ["50:54:00:00:00:02 10.0.0.12"]}
    - name: tagged
      ports:
        - {name: ln20, type: localnet, tag: 20, unknown: true, options: {network_name: physnet1}}
        - {name: vm3, addresses: ["50:54:00:00:00:03 10.0.0.13"]}
        - {name: vm4, addresses: ["50:54:00:00:00:04 10.0.0.14"]}
`

// Two hosts of a switch on a physical network talk over that network, tagged or
// not, and through no tunnel; a machine outside is reached and learned; a
// broadcast arrives once.
func TestLocalnet(t *testing.T) {
	l := up(t, parse(t, localnetLab), lab.ControlGovn)
	wire := capture(t, l, "hv1", "")
	must(t)(l.Exec(t.Context(), "vm1", "ping", "-q", "-c", "3", "-i", "0.1", "-w", "5", "10.0.0.12"))
	must(t)(l.Exec(t.Context(), "vm3", "ping", "-q", "-c", "3", "-i", "0.1", "-w", "5", "10.0.0.14"))
	must(t)(l.Exec(t.Context(), "vm1", "ping", "-q", "-c", "3", "-i", "0.1", "-w", "5", "10.0.0.99"))
	must(t)(l.Exec(t.Context(), "vm3", "ping", "-q", "-c", "3", "-i", "0.1", "-w", "5", "10.0.0.98"))
	at2 := capture(t, l, "vm2", "icmp and dst 10.0.0.255")
	_, _ = l.Exec(t.Context(), "vm1", "ping", "-q", "-b", "-c", "1", "-W", "0.3", "10.0.0.255")
	stop(t, at2)
	if got := count(t, at2, ""); got != 1 {
		t.Errorf("vm2 got a broadcast %d times:\n%s", got, must(t)(at2.Text(t.Context(), "-e")))
	}
	stop(t, wire)
	for _, tc := range []struct {
		filter string
		least  int
	}{
		{"ether src 50:54:00:00:00:01 and icmp and not vlan", 6},
		{"ether src 50:54:00:00:00:03 and vlan 20 and icmp", 3},
		{"ether dst 50:54:00:00:00:03 and vlan 20 and icmp", 3},
	} {
		if n := count(t, wire, tc.filter); n < tc.least {
			t.Errorf("%d packets on the wire are %q, at least %d expected", n, tc.filter, tc.least)
		}
	}
	if n := count(t, wire, "udp port 6081"); n > 0 {
		t.Errorf("%d packets went through a tunnel:\n%s", n, must(t)(wire.Text(t.Context(), "-c", "10")))
	}
	eventually(t, 5*time.Second, "the machine outside is learned", func() (bool, string) {
		out := must(t)(l.Sbctl(t.Context(), "--bare", "--columns=mac", "list", "FDB"))
		return strings.Contains(out, "50:54:00:00:00:99"), out
	})

	// Without the mapping the hosts are back on tunnels.
	for _, hv := range []string{"hv1", "hv2"} {
		must(t)(l.Vsctl(t.Context(), hv, "remove", "Open_vSwitch", ".", "external_ids", "ovn-bridge-mappings"))
	}
	eventually(t, 10*time.Second, "no patch port is left", func() (bool, string) {
		out := must(t)(l.Vsctl(t.Context(), "hv1", "list-ports", "br-int")) + must(t)(l.Vsctl(t.Context(), "hv2", "list-ports", "br-phys"))
		return !strings.Contains(out, "patch"), out
	})
	must(t)(l.Nbctl(t.Context(), "--wait=hv", "sync"))
	again := capture(t, l, "hv1", "udp port 6081")
	must(t)(l.Exec(t.Context(), "vm1", "ping", "-q", "-c", "3", "-i", "0.1", "-w", "5", "10.0.0.12"))
	stop(t, again)
	if n := count(t, again, ""); n < 4 {
		t.Errorf("%d packets went through a tunnel, two pings and their answers at least expected", n)
	}
}

func stop(t *testing.T, c *lab.Capture) {
	t.Helper()
	if err := c.Stop(); err != nil {
		t.Fatal(err)
	}
}

// emit sends a frame of the experimental type 88b5 from a workload, with a VLAN
// tag unless vid is 0. The kernel of the lab need not know VLANs.
func emit(t *testing.T, l *lab.Lab, from, dst, src string, vid byte) {
	t.Helper()
	frame := strings.ReplaceAll(dst+src, ":", "")
	if vid != 0 {
		frame += "810000" + hex.EncodeToString([]byte{vid})
	}
	frame += "88b5" + strings.Repeat("00", 46)
	must(t)(l.Exec(t.Context(), from, "python3", "-c",
		"import socket, sys; s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW); s.bind(('eth0', 0)); s.send(bytes.fromhex(sys.argv[1]))", frame))
}

// arrivals is how often a frame that send emits arrives at a workload. Each
// frame that has to arrive is followed by nothing, so the count waits for it.
func arrivals(t *testing.T, l *lab.Lab, at, filter string, least int, send func()) int {
	t.Helper()
	c := capture(t, l, at, filter)
	send()
	if least > 0 {
		eventually(t, 5*time.Second, "frames "+filter+" at "+at, func() (bool, string) {
			text, err := c.Text(t.Context(), "-e")
			return err == nil && strings.Count(text, "\n") >= least, text
		})
	}
	stop(t, c)
	return count(t, c, "")
}

const nestedLab = `
name: nested
chassis: [{name: hv1}, {name: hv2}]
workloads:
  - {name: vm1, chassis: hv1, mac: "50:54:00:00:00:01", ip: 10.0.0.11/24}
  - {name: vm2, chassis: hv2, mac: "50:54:00:00:00:02", ip: 10.0.0.12/24}
topology:
  switches:
    - name: outer
      ports:
        - {name: vm1, addresses: ["50:54:00:00:00:01 10.0.0.11"]}
        - {name: vm2, addresses: ["50:54:00:00:00:02 10.0.0.12"]}
    - name: inner
      ports:
        - {name: c1, parent: vm1, tag: 10, addresses: ["50:54:00:00:01:01 10.1.0.1"]}
        - {name: c2, parent: vm2, tag: 20, addresses: ["50:54:00:00:01:02 10.1.0.2"]}
        - {name: c3, parent: vm1, addresses: ["50:54:00:00:01:03 10.1.0.3"]}
`

// Containers in two workloads are on a switch of their own, each behind a VLAN
// of its workload's interface; also two in one workload.
func TestNestedPorts(t *testing.T) {
	l := up(t, parse(t, nestedLab), lab.ControlGovn)
	const c1, c2, c3, vm2 = "50:54:00:00:01:01", "50:54:00:00:01:02", "50:54:00:00:01:03", "50:54:00:00:00:02"
	if out := must(t)(l.Nbctl(t.Context(), "--bare", "--columns=name,tag,up", "find", "Logical_Switch_Port", "name=c3")); strings.Join(strings.Fields(out), " ") != "c3 1 true" {
		t.Errorf("the third container is %q, tag 1 and up expected", out)
	}
	must(t)(l.Exec(t.Context(), "vm1", "ping", "-q", "-c", "1", "-w", "5", "10.0.0.12"))
	for _, tc := range []struct {
		name, at, filter, dst, src string
		vid                        byte
		want                       int
	}{
		{"to the other workload's", "vm2", "vlan 20 and ether proto 0x88b5", c2, c1, 10, 1},
		{"to its sibling", "vm1", "vlan 1 and ether proto 0x88b5", c3, c1, 10, 1},
		{"to all", "vm2", "vlan 20 and ether proto 0x88b5", "ff:ff:ff:ff:ff:ff", c1, 10, 1},
		{"of a VLAN that is nobody's", "vm2", "ether proto 0x88b5 or vlan", c2, c1, 99, 0},
		{"across switches", "vm2", "ether proto 0x88b5 or vlan", vm2, c1, 10, 0},
	} {
		if got := arrivals(t, l, tc.at, tc.filter, tc.want, func() { emit(t, l, "vm1", tc.dst, tc.src, tc.vid) }); got != tc.want {
			t.Errorf("a frame %s arrived %d times, want %d", tc.name, got, tc.want)
		}
	}
	// A container goes with its workload.
	if err := l.Detach(t.Context(), "vm1"); err != nil {
		t.Fatal(err)
	}
	must(t)(l.Nbctl(t.Context(), "wait-until", "Logical_Switch_Port", "c1", "up=false"))
}

const passthruLab = `
name: passthru
chassis: [{name: hv1}, {name: hv2}]
workloads:
  - {name: vm1, chassis: hv1, mac: "50:54:00:00:00:01", ip: 10.0.0.11/24}
  - {name: vm2, chassis: hv2, mac: "50:54:00:00:00:02", ip: 10.0.0.12/24}
topology:
  switches:
    - name: sw0
      ports:
        - {name: vm1, addresses: ["50:54:00:00:00:01 10.0.0.11"]}
        - {name: vm2, addresses: ["50:54:00:00:00:02 10.0.0.12"]}
`

// A frame with a VLAN tag passes only where vlan-passthru says so, and keeps it.
func TestVLANPassthru(t *testing.T) {
	l := up(t, parse(t, passthruLab), lab.ControlGovn)
	const vm1, vm2 = "50:54:00:00:00:01", "50:54:00:00:00:02"
	tagged := func() { emit(t, l, "vm1", vm2, vm1, 30) }
	plain := func() { emit(t, l, "vm1", vm2, vm1, 0) }
	must(t)(l.Exec(t.Context(), "vm1", "ping", "-q", "-c", "1", "-w", "5", "10.0.0.12"))
	if got := arrivals(t, l, "vm2", "ether proto 0x88b5 or vlan", 1, func() { tagged(); plain() }); got != 1 {
		t.Errorf("%d frames arrived, one, which has no tag, expected", got)
	}
	must(t)(l.Nbctl(t.Context(), "--wait=hv", "set", "Logical_Switch", "sw0", "other_config:vlan-passthru=true"))
	if got := arrivals(t, l, "vm2", "vlan 30 and ether proto 0x88b5", 1, tagged); got != 1 {
		t.Errorf("%d tagged frames arrived with vlan-passthru", got)
	}
	must(t)(l.Exec(t.Context(), "vm1", "ping", "-q", "-c", "1", "-w", "5", "10.0.0.12"))
}

const localportLab = `
name: localport
chassis: [{name: hv1}, {name: hv2}]
workloads:
  - {name: vm1, chassis: hv1, mac: "50:54:00:00:00:01", ip: 10.0.0.11/24}
  - {name: vm2, chassis: hv2, mac: "50:54:00:00:00:02", ip: 10.0.0.12/24}
  - {name: meta1, port: meta, chassis: hv1, mac: "50:54:00:00:00:0f", ip: 10.0.0.254/24}
  - {name: meta2, port: meta, chassis: hv2, mac: "50:54:00:00:00:0f", ip: 10.0.0.254/24}
topology:
  switches:
    - name: sw0
      ports:
        - {name: vm1, addresses: ["50:54:00:00:00:01 10.0.0.11"]}
        - {name: vm2, addresses: ["50:54:00:00:00:02 10.0.0.12"]}
        - {name: meta, type: localport, addresses: ["50:54:00:00:00:0f 10.0.0.254"]}
`

// Each chassis answers at the localport's address by itself, and what the
// localport sends goes to no other chassis.
func TestLocalport(t *testing.T) {
	l := up(t, parse(t, localportLab), lab.ControlGovn)
	for vm, hv := range map[string]string{"vm1": "meta1", "vm2": "meta2"} {
		c := capture(t, l, hv, "icmp")
		must(t)(l.Exec(t.Context(), vm, "ping", "-q", "-c", "2", "-i", "0.1", "-w", "5", "10.0.0.254"))
		stop(t, c)
		if n := count(t, c, ""); n < 4 {
			t.Errorf("%s saw %d of the packets of %s", hv, n, vm)
		}
	}
	wire := capture(t, l, "hv1", "udp port 6081")
	at2 := capture(t, l, "vm2", "ether src 50:54:00:00:00:0f")
	must(t)(l.Exec(t.Context(), "meta1", "ping", "-q", "-c", "1", "-w", "5", "10.0.0.11"))
	send(t, l, "meta1", "10.0.0.12", 3)
	send(t, l, "meta1", "10.0.0.77", 1) // asks everybody
	stop(t, wire)
	stop(t, at2)
	if n := count(t, wire, "") + count(t, at2, ""); n > 0 {
		t.Errorf("%d packets of the localport left its chassis:\n%s", n, must(t)(wire.Text(t.Context())))
	}
	if out := must(t)(l.Nbctl(t.Context(), "--bare", "--columns=up", "find", "Logical_Switch_Port", "name=meta")); strings.TrimSpace(out) != "false" {
		t.Errorf("the localport is up: %q", out)
	}
}
