//go:build e2e

package e2e

import (
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"govn/sim/lab"
)

// rarp sends a request of reverse ARP from a workload, as a hypervisor does for a
// virtual machine that has arrived.
func rarp(t *testing.T, l *lab.Lab, from, mac string) {
	t.Helper()
	hex := strings.ReplaceAll(mac, ":", "")
	frame := "ffffffffffff" + hex + "8035" + "0001080006040003" + hex + "00000000" + hex + "00000000"
	must(t)(l.Exec(t.Context(), from, "python3", "-c",
		"import socket, sys; s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW); s.bind(('eth0', 0)); s.send(bytes.fromhex(sys.argv[1]))", frame))
}

// A workload arrives at its second chassis while it still runs at the first one:
// nothing gets there or leaves from there until it says by RARP that it runs. That
// holds over a restart of the controller, and the others hear the packet.
func TestActivationStrategy(t *testing.T) {
	cfg := parse(t, migrationLab)
	cfg.Topology.Port("vm").Options["activation-strategy"] = "rarp"
	l := up(t, cfg, lab.ControlGovn)
	eventually(t, 10*time.Second, "two locations", func() (bool, string) {
		out := strings.Fields(must(t)(l.Sbctl(t.Context(), "--bare", "--columns=chassis,additional_chassis", "find", "Port_Binding", "logical_port=vm")))
		return len(out) == 2, strings.Join(out, " ")
	})
	must(t)(l.Nbctl(t.Context(), "--wait=hv", "sync"))
	must(t)(l.Exec(t.Context(), "peer", "ping", "-q", "-c", "1", "-w", "5", "10.0.0.11"))
	reach := func(what string, dst bool) {
		t.Helper()
		const echo = "icmp[icmptype] == icmp-echo"
		at, there := capture(t, l, "src", echo), capture(t, l, "dst", echo)
		out := must(t)(l.Exec(t.Context(), "peer", "ping", "-c", "5", "-i", "0.1", "-w", "5", "10.0.0.11"))
		stop(t, at)
		stop(t, there)
		a, b := count(t, at, ""), count(t, there, "")
		if a < 4 || (b >= 4) != dst || !dst && b > 0 {
			t.Errorf("%s: %d requests reached the source and %d the destination", what, a, b)
		}
		if dups := strings.Contains(out, "DUP!"); dups != dst {
			t.Errorf("%s: answered by both: %v\n%s", what, dups, out)
		}
	}
	reach("before it runs", false)
	if out, err := l.Exec(t.Context(), "dst", "ping", "-q", "-c", "2", "-i", "0.2", "-W", "1", "10.0.0.13"); err == nil {
		t.Errorf("what the workload sends is not blocked:\n%s", out)
	}
	heard := capture(t, l, "peer", "rarp")
	rarp(t, l, "dst", "50:54:00:00:00:01")
	eventually(t, 5*time.Second, "the others hear that it runs", func() (bool, string) {
		n := count(t, heard, "")
		return n == 1, ""
	})
	stop(t, heard)
	must(t)(l.Nbctl(t.Context(), "--wait=hv", "sync"))
	// What it asked while it was blocked it would not ask again for a second.
	must(t)(l.Exec(t.Context(), "dst", "ip", "neigh", "flush", "all"))
	reach("it runs", true)
	if *control == string(lab.ControlStock) {
		return
	}
	if err := l.Signal("hv2", "controller", unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := l.Start(t.Context(), "hv2", "controller"); err != nil {
		t.Fatal(err)
	}
	must(t)(l.Nbctl(t.Context(), "--wait=hv", "sync"))
	reach("after a restart of the controller", true)

	// It stays, and nothing is left of how it came.
	must(t)(l.Nbctl(t.Context(), "--wait=hv", "set", "Logical_Switch_Port", "vm", "options:requested-chassis=hv2"))
	eventually(t, 5*time.Second, "the note at the interface to go", func() (bool, string) {
		out := must(t)(l.Vsctl(t.Context(), "hv2", "get", "Interface", "v-dst", "external_ids"))
		return !strings.Contains(out, "govn-activated"), out
	})
	must(t)(l.Nbctl(t.Context(), "--wait=hv", "set", "Logical_Switch_Port", "vm", "options:requested-chassis=hv1,hv2"))
	reach("it arrives once more", false)
}
