package vswitch

import (
	"testing"

	"govn/pkg/openflow"
)

// Port numbers of CompareWithOVS.
const (
	FirstTestPort  = 1
	TunnelTestPort = 7
)

// CompareWithOVS installs flows in a real and a simulated switch, by govn's own
// connection, and sends packets through both. It returns how many copies came
// out.
func CompareWithOVS(t *testing.T, flows []openflow.Flow, packets []Packet) (copies int) {
	t.Helper()
	o := newOracle(t)
	for _, target := range []string{o.s, o.o} {
		c, _ := dial(t, target, 0)
		var messages []openflow.Message
		for _, f := range flows {
			messages = append(messages, openflow.AddFlow(f))
		}
		if err := c.Bundle(t.Context(), messages); err != nil {
			t.Fatal(err)
		}
	}
	o.both("dump-flows")
	for _, p := range packets {
		switch {
		case p.Tunnel != nil:
			p.Tunnel.Src, p.Tunnel.Dst = remoteEndpoint, localEndpoint
		}
		copies += o.compare(p)
		if t.Failed() {
			return copies
		}
	}
	return copies
}

// Makers of frames.
var (
	TestUDP  = udp
	TestEcho = echo
)
