package vswitch_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"govn/pkg/geneve"
	"govn/pkg/openflow"
	"govn/sim"
	"govn/sim/lab"
	"govn/sim/vswitch"
)

const network = `
name: flows
underlay: {subnet: 203.0.113.0/24, mtu: 1600}
chassis:
  - {name: hv1, encap-ip: 203.0.113.1}
  - {name: hv2, encap-ip: 203.0.113.2}
workloads:
  - {name: vm1, chassis: hv1, mac: "50:54:00:00:00:01", ip: 10.0.0.11/24}
  - {name: vm2, chassis: hv2, mac: "50:54:00:00:00:02", ip: 10.0.0.12/24}
  - {name: vm3, chassis: hv1, mac: "50:54:00:00:00:03", ip: 10.0.0.13/24}
topology:
  switches:
    - name: sw0
      ports:
        - {name: vm1, addresses: ["50:54:00:00:00:01 10.0.0.11"], port-security: ["50:54:00:00:00:01 10.0.0.11"]}
        - {name: vm2, addresses: ["50:54:00:00:00:02 10.0.0.12"]}
        - {name: vm3, addresses: ["50:54:00:00:00:03 10.0.0.13", unknown]}
`

// renumber gives ports the numbers that the comparison has.
func renumber(t *testing.T, f openflow.Flow, numbers map[uint32]uint32) openflow.Flow {
	t.Helper()
	m, err := openflow.ParseMatch(f.Match)
	if err != nil {
		t.Fatal(err)
	}
	if in, ok := m.Uint(openflow.FieldInPort); ok && numbers[uint32(in)] != 0 {
		m.Set(openflow.FieldInPort, uint64(numbers[uint32(in)]))
	}
	f.Match = m.Encode()
	actions, err := openflow.DecodeActions(f.Actions)
	if err != nil {
		t.Fatal(err)
	}
	for i, a := range actions {
		if out, ok := a.(openflow.Output); ok && numbers[out.Port] != 0 {
			actions[i] = openflow.Output{Port: numbers[out.Port]}
		}
	}
	f.Actions = openflow.EncodeActions(actions)
	return f
}

// The flows that govn's northd and controller make for a chassis do the same to
// packets in the simulator as in Open vSwitch.
func TestGovnFlows(t *testing.T) {
	cfg, err := lab.Parse("network.yaml", []byte(network))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	s, err := sim.Start(ctx, cfg, sim.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	b := s.ChassisNamed("hv1").Bridge("br-int")
	numbers := map[uint32]uint32{}
	next := uint32(vswitch.FirstTestPort)
	for _, p := range b.Ports() {
		switch p.Type {
		case vswitch.PortGeneve:
			numbers[p.Number] = vswitch.TunnelTestPort
		case vswitch.PortLocal, vswitch.PortPatch:
		default:
			numbers[p.Number] = next
			next++
		}
	}
	if next < 3 || len(numbers) < 3 {
		t.Fatalf("ports %v", b.Ports())
	}
	var flows []openflow.Flow
	for _, f := range b.Flows() {
		flows = append(flows, renumber(t, f.Flow, numbers))
	}
	if len(flows) < 60 {
		t.Fatalf("only %d flows", len(flows))
	}
	r := rand.New(rand.NewPCG(5, 6))
	mac := func() []byte { return []byte{0x50, 0x54, 0, 0, 0, byte(1 + r.IntN(4))} }
	ip := func() string { return fmt.Sprintf("10.0.0.%d", 11+r.IntN(4)) }
	var packets []vswitch.Packet
	for range 150 {
		frame := vswitch.TestUDP(ip(), 1000, ip(), 53)
		switch r.IntN(3) {
		case 0:
			frame = vswitch.TestEcho(ip(), ip(), true, 1)
		case 1:
			frame = append([]byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 6, 0, 1, 8, 0, 6, 4, 0, byte(1 + r.IntN(2))}, slices.Concat(mac(), []byte{10, 0, 0, byte(11 + r.IntN(4))}, mac(), []byte{10, 0, 0, byte(11 + r.IntN(4))}, make([]byte, 18))...)
		}
		copy(frame, mac())
		copy(frame[6:], mac())
		if r.IntN(4) == 0 {
			copy(frame, []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
		}
		p := vswitch.Packet{InPort: uint32(vswitch.FirstTestPort + r.IntN(2)), Data: frame}
		if r.IntN(3) == 0 {
			egress := []byte{0, byte(1 + r.IntN(3))}
			if r.IntN(3) == 0 {
				egress = []byte{0x80, byte(r.IntN(2))}
			}
			p.InPort = vswitch.TunnelTestPort
			p.Tunnel = &vswitch.Tunnel{VNI: uint32(1 + r.IntN(2)), Options: []geneve.Option{{Class: 0x102, Type: 0x80, Data: append([]byte{0, 2}, egress...)}}}
		}
		packets = append(packets, p)
	}
	copies := vswitch.CompareWithOVS(t, flows, packets)
	if copies < 50 && !t.Failed() {
		t.Errorf("%d copies of %d packets", copies, len(packets))
	}
	t.Logf("%d flows, %d packets, %d copies", len(flows), len(packets), copies)
}
