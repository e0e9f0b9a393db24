//go:build e2e

package e2e

import (
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"govn/sim/lab"
)

// A network behind a gateway port that the physical network leads to: hv1 has that
// network as well.
const bridgedLab = `
name: bridged
chassis:
  - {name: hv1, external-ids: {ovn-bridge-mappings: "physnet1:br-phys", ovn-chassis-mac-mappings: "physnet1:aa:bb:cc:00:01:01"}}
  - {name: gw1, external-ids: {ovn-bridge-mappings: "physnet1:br-phys", ovn-chassis-mac-mappings: "physnet1:aa:bb:cc:00:02:01"}}
  - {name: gw2, external-ids: {ovn-bridge-mappings: "physnet1:br-phys", ovn-chassis-mac-mappings: "physnet1:aa:bb:cc:00:03:01"}}
  - {name: ext}
workloads:
  - {name: vm, chassis: hv1, mac: "0a:00:00:00:00:01", ip: 10.0.0.1/24, gw: 10.0.0.254}
  - {name: out, chassis: ext, bridge: br-phys, mac: "0a:00:00:00:01:01", ip: 172.16.0.9/24, gw: 172.16.0.254}
topology:
  switches:
    - name: sw0
      ports:
        - {name: sw0-r0, type: router, addresses: [router], options: {router-port: r0-sw0}}
        - {name: vm, addresses: ["0a:00:00:00:00:01 10.0.0.1"]}
    - name: public
      ports:
        - {name: public-r0, type: router, addresses: [router], options: {router-port: r0-public}}
        - {name: public-net, type: localnet, unknown: true, options: {network_name: physnet1}}
  nbctl:
    - lr-add r0
    - lrp-add r0 r0-sw0 0a:00:00:00:ff:01 10.0.0.254/24
    - lrp-add r0 r0-public 0a:00:00:00:ff:02 172.16.0.254/24
    - lrp-set-gateway-chassis r0-public gw1 20
    - lrp-set-gateway-chassis r0-public gw2 10
    - lrp-set-redirect-type r0-public bridged
`

// With redirect-type=bridged what leaves by the gateway goes to it as a frame of
// the physical network, from the address of its chassis to the router's, and is
// routed there once more. When the gateway dies, they go to the one that announced
// itself.
func TestBridgedRedirect(t *testing.T) {
	l := up(t, parse(t, bridgedLab), lab.ControlGovn)
	gatewayIs(t, l, "gw1")
	must(t)(l.Exec(t.Context(), "vm", "ping", "-q", "-c", "1", "-w", "10", "172.16.0.9"))
	wire, out := capture(t, l, "hv1", "inbound"), capture(t, l, "out", "icmp")
	pinged := must(t)(l.Exec(t.Context(), "vm", "ping", "-c", "5", "-i", "0.1", "-w", "5", "172.16.0.9"))
	if strings.Count(pinged, "ttl=63") != 5 {
		t.Errorf("replies, which are routed once:\n%s", pinged)
	}
	for _, c := range []*lab.Capture{wire, out} {
		stop(t, c)
	}
	const echo, toGateway = " and icmp[icmptype] == icmp-echo", "ether dst 0a:00:00:00:ff:02"
	for _, tc := range []struct {
		what   string
		c      *lab.Capture
		filter string
		want   int
	}{
		{"frames from hv1 to the gateway", wire, toGateway + " and ether src aa:bb:cc:00:01:01 and ip[8] == 63" + echo, 5},
		{"frames from hv1 to the machine itself", wire, "ether dst 0a:00:00:00:01:01" + echo, 0},
		{"requests of hv1 in tunnels", wire, "udp port 6081 and greater 140", 0},
		{"requests that were routed twice", out, "ether src 0a:00:00:00:ff:02 and src host 10.0.0.1 and ip[8] == 62" + echo, 5},
	} {
		// tcpdump says that it listens a moment before it does.
		if n := count(t, tc.c, tc.filter); n > tc.want || n < tc.want-1 {
			t.Errorf("%s: %d, want %d:\n%s", tc.what, n, tc.want, must(t)(tc.c.Text(t.Context(), "-e", "-v", "-c", "30")))
		}
	}

	p := startPing(t, l, "vm", "172.16.0.9", gatewayPing)
	p.waitReplies(20, 10*time.Second)
	if err := l.Signal("gw1", "vswitchd", unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	p.waitReplies(50, 20*time.Second)
	sent, received := p.stop()
	t.Logf("failover: %d pings lost, %v", sent-received, time.Duration(sent-received)*gatewayPing)
	if sent-received > 400 { // 4 s
		t.Errorf("failover: %d of %d pings lost", sent-received, sent)
	}
	gatewayIs(t, l, "gw2")
}
