package vswitch

import (
	"fmt"
	"net/netip"
)

// PortType says what is behind a port.
type PortType uint8

// Types of ports.
const (
	PortNormal   PortType = iota // a workload or an uplink
	PortInternal                 // an interface of the host
	PortLocal                    // the bridge's own interface, number PortNumberLocal
	PortGeneve                   // a tunnel
	PortPatch                    // another bridge of the same switch
)

var portTypeNames = [...]string{"normal", "internal", "local", "geneve", "patch"}

func (t PortType) String() string {
	if int(t) < len(portTypeNames) {
		return portTypeNames[t]
	}
	return fmt.Sprintf("port type %d", uint8(t))
}

// Port is a port of a bridge.
type Port struct {
	Number uint32 // required; 1 to 0xfeff, or openflow.PortLocal
	Name   string // required; at most 15 bytes reach controllers
	Type   PortType
	MAC    [6]byte
	Down   bool // no link: nothing is sent, groups take other buckets
	Dead   bool // nobody answers at the other end: what is sent is sent, bundles and groups take other ports

	// Of a patch port: where its packets come out.
	Peer       *Bridge
	PeerNumber uint32

	// Of a tunnel: the endpoints of the outer header. Invalid: from the flow
	// (tun_dst and tun_src).
	RemoteIP, LocalIP netip.Addr
	// FlowKey takes the VNI from the flow (tun_id), as key=flow does;
	// otherwise it is VNI.
	FlowKey bool
	VNI     uint32
}
