//go:build e2e

package e2e

import (
	"testing"
	"time"

	"govn/sim/lab"
)

// A machine outside that answers is never asked for by broadcast, though the
// hypervisor that sends to it does not hear it: its answers come to the gateway. A
// broadcast from the router's address would teach the bridges outside where the
// router is, at the wrong moment for a gateway port that moves.
func TestProbesAreNoBroadcasts(t *testing.T) {
	l := up(t, parse(t, failbackLab), lab.ControlGovn)
	nbctl(t, l, "--wait=hv", "set", "logical_router", "r0", "options:mac_binding_age_threshold=2") // asked after 1 s of silence
	gatewayIs(t, l, "gw1")
	p := startPing(t, l, "vm", "172.16.0.9", 100*time.Millisecond)
	p.waitReplies(100, 20*time.Second) // a hypervisor that hears nobody asks everybody at first: after 2, 4 and 8 s
	const asks = "ether src 0a:00:00:00:ff:02 and arp[6:2] = 1 and arp[24:4] = 0xac100009"
	all := capture(t, l, "out", asks+" and ether broadcast")
	alone := capture(t, l, "out", asks+" and ether dst 0a:00:00:00:01:01")
	p.waitReplies(80, 20*time.Second)
	stop(t, all)
	stop(t, alone)
	if n := count(t, alone, ""); n < 3 {
		t.Errorf("it was asked %d times in 8 s, although the threshold is 2 s", n)
	}
	if n := count(t, all, ""); n > 1 {
		t.Errorf("everybody was asked %d times in 8 s for a machine that answers", n)
	}
	p.stop()
}
