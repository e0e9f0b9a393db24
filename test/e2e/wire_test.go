//go:build e2e

package e2e

import (
	"os/exec"
	"strings"
	"testing"

	"govn/sim/lab"
)

// Ping works both ways between the hypervisors of the example, and the tunnel
// carries the metadata of OVN.
func TestWire(t *testing.T) {
	l := up(t, load(t, twoHypervisors), lab.ControlGovn)
	wire, err := l.Capture(t.Context(), "hv1", "underlay", "udp port 6081")
	if err != nil {
		t.Fatal(err)
	}
	defer wire.Stop()
	must(t)(l.Exec(t.Context(), "vm1", "ping", "-c", "2", "-i", "0.2", "-w", "5", "10.0.0.12"))
	must(t)(l.Exec(t.Context(), "vm2", "ping", "-c", "2", "-i", "0.2", "-w", "5", "10.0.0.11"))
	// Nobody has this address: the request goes to every port of the switch.
	// Nobody answers either, so ping fails.
	_, _ = l.Exec(t.Context(), "vm1", "ping", "-c", "1", "-W", "0.3", "10.0.0.99")
	if err := wire.Stop(); err != nil {
		t.Fatal(err)
	}
	text := must(t)(wire.Text(t.Context(), "-e", "-vv"))
	const header = "Geneve, Flags [C], vni 0x1, proto TEB (0x6558), options [class Open Virtual Networking (OVN) (0x102) type 0x80(C) len 8 data "
	for _, tc := range []struct{ option, packet string }{
		{"00010002]", "10.0.0.11 > 10.0.0.12: ICMP echo request"},
		{"00020001]", "10.0.0.12 > 10.0.0.11: ICMP echo reply"},
		{"00018000]", "who-has 10.0.0.99"},
	} {
		if !hasPacket(text, header+tc.option, tc.packet) {
			t.Errorf("no packet with %q and %q on the wire:\n%s", header+tc.option, tc.packet, text)
		}
	}
}

// hasPacket finds a packet whose text has all words. A packet is a line that
// begins with a time, and the indented ones after it.
func hasPacket(text string, words ...string) bool {
	var packet strings.Builder
	found := false
	check := func() {
		p := packet.String()
		all := p != ""
		for _, w := range words {
			all = all && strings.Contains(p, w)
		}
		found = found || all
		packet.Reset()
	}
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "\t") && !strings.HasPrefix(line, " ") {
			check()
		}
		packet.WriteString(line)
	}
	check()
	return found
}

// The command line does what docs/lab.md says.
func TestLabCommand(t *testing.T) {
	dir := t.TempDir()
	args := func(verb string, more ...string) []string {
		return append([]string{"lab", verb, "--name", "e2ecli", "--dir", dir + "/r", twoHypervisors}, more...)
	}
	govnRun := func(args ...string) string {
		t.Helper()
		out, err := exec.CommandContext(t.Context(), govn, args...).CombinedOutput()
		if err != nil {
			t.Fatalf("govn %v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command(govn, args("down")...).CombinedOutput(); err != nil {
			t.Errorf("down: %v\n%s", err, out)
		}
	})
	out := govnRun(args("up")...)
	for _, want := range []string{`lab "e2ecli" is up`, "ping -c 3 10.0.0.12", "udp port 6081"} {
		if !strings.Contains(out, want) {
			t.Errorf("up does not say %q:\n%s", want, out)
		}
	}
	if out := govnRun(args("status")...); strings.Contains(out, "broken") || !strings.Contains(out, "controller") {
		t.Errorf("status:\n%s", out)
	}
	if out := govnRun(args("exec", "vm1", "ping", "-c", "1", "-w", "5", "10.0.0.12")...); !strings.Contains(out, "1 received") {
		t.Errorf("exec:\n%s", out)
	}
	if out := govnRun(args("down")...); !strings.Contains(out, "is down") {
		t.Errorf("down:\n%s", out)
	}
	if out := govnRun(args("status")...); !strings.Contains(out, "is not up") {
		t.Errorf("status after down:\n%s", out)
	}
}
