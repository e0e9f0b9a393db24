package vswitch

import (
	"govn/pkg/openflow"
	"govn/sim/vswitch/packet"
)

// Reserved ports in 16 bits (OpenFlow 1.0, section 5.2.1).
const (
	portMax        = 0xff00 // the first that is no port
	portUnset      = 0xfff7
	portInPort     = 0xfff8
	portTable      = 0xfff9
	portNormal     = 0xfffa
	portFlood      = 0xfffb
	portAll        = 0xfffc
	portController = 0xfffd
	portLocal      = 0xfffe
	portNone       = 0xffff
)

// portNumber is a number that a port can have, in 16 bits.
func portNumber(n uint32) (uint16, bool) {
	p, ok := packet.PortFrom32(n)
	return p, ok && (p < portMax && p != 0 || p == portLocal)
}

// description is a port as controllers see it.
func (p *Port) description() openflow.Port {
	d := openflow.Port{Number: p.Number, MAC: p.MAC, Name: p.Name, State: stateLive}
	if p.Down {
		d.State = stateLinkDown
	}
	return d
}

// States of a port (OpenFlow 1.5, section 7.2.1.1).
const (
	stateLinkDown = 1
	stateLive     = 4
)
