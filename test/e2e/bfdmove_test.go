//go:build e2e

package e2e

import (
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"govn/sim/lab"
)

// A distributed gateway port on gw1, or gw2, whose neighbour outside is watched.
const bfdGateways = `
name: bfd-gateways
chassis:
  - {name: hv1}
  - {name: gw1, external-ids: {ovn-bridge-mappings: "physnet1:br-phys"}}
  - {name: gw2, external-ids: {ovn-bridge-mappings: "physnet1:br-phys"}}
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
    - --bfd lr-route-add r0 10.9.0.1/32 172.16.0.9 r0-public
`

// TestBFDMoves: the session of a gateway port moves with it. When an operator
// moves the port, the neighbour hears nothing of it; when the gateway dies, the
// session is up again at the other one, and the route with it.
func TestBFDMoves(t *testing.T) {
	l := up(t, parse(t, bfdGateways), lab.ControlGovn)
	must(t)(l.Exec(t.Context(), "out", "ip", "address", "add", "10.9.0.1/32", "dev", "lo"))
	id := strings.TrimSpace(must(t)(l.Nbctl(t.Context(), "--bare", "--columns=_uuid", "list", "bfd")))
	must(t)(l.Nbctl(t.Context(), "set", "bfd", id, "min_tx=100", "min_rx=100", "detect_mult=20"))
	out := startPeer(t, l, "out", "172.16.0.9", "172.16.0.254")
	at := func() string {
		// ovn-sbctl 23.03 does not know the column.
		table := strings.TrimSpace(must(t)(l.Exec(t.Context(), "central", "ovsdb-client", "--format=csv", "dump", l.SB(), "OVN_Southbound", "BFD", "chassis_name", "status")))
		lines := strings.Split(table, "\n")
		return strings.ReplaceAll(lines[len(lines)-1], ",", " ")
	}
	is := func(want string) {
		t.Helper()
		took := eventually(t, 20*time.Second, want, func() (bool, string) {
			got := at()
			return got == want, got
		})
		t.Logf("%s after %v", want, took.Round(10*time.Millisecond))
	}
	is("gw1 up")
	eventually(t, 20*time.Second, "gw2 knows that gw1 is there", func() (bool, string) {
		out, err := l.Exec(t.Context(), "gw2", "ovs-appctl", "-t", l.ControlSocket("gw2", "controller"), "bfd/show")
		return err == nil && strings.TrimSpace(out) == "", out
	})
	is("gw1 up")
	ping := startPing(t, l, "vm", "10.9.0.1", 20*time.Millisecond)
	ping.waitReplies(100, 20*time.Second)
	began := len(out.states())

	must(t)(l.Nbctl(t.Context(), "lrp-set-gateway-chassis", "r0-public", "gw2", "30"))
	is("gw2 up")
	ping.waitReplies(ping.replies()+50, 10*time.Second)
	if got := out.states()[began:]; len(got) > 0 {
		t.Errorf("the neighbour came to %s when the port moved", strings.Join(got, " "))
	}
	if sent, received := ping.stop(); sent-received > 50 {
		t.Errorf("%d of %d pings lost when the port moved", sent-received, sent)
	} else {
		t.Logf("%d of %d pings lost when the port moved, 20 ms each", sent-received, sent)
	}

	ping = startPing(t, l, "vm", "10.9.0.1", 20*time.Millisecond)
	ping.waitReplies(10, 10*time.Second)
	for _, daemon := range []string{"controller", "vswitchd"} {
		if err := l.Signal("gw2", daemon, unix.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	is("gw1 up")
	ping.waitReplies(ping.replies()+50, 20*time.Second)
	sent, received := ping.stop()
	t.Logf("%d of %d pings lost when the gateway died, the neighbour came to %s", sent-received, sent, strings.Join(out.states(), " "))
	if sent-received > 250 { // 5 s
		t.Errorf("%d of %d pings lost when the gateway died", sent-received, sent)
	}
}
