package punt

import (
	"encoding/binary"

	"govn/pkg/abi"
)

// VirtualPorts handles PuntBindVPort: the port that sent the packet has the
// address of a virtual port.
//
//	userdata: | zero (2) | virtual port (4) |     metadata: datapath, reg14: port
type VirtualPorts struct {
	// Bind takes what was seen. It is called for every such packet.
	Bind func(datapath, virtual, parent uint32)
}

// Handle is the [Handler].
func (v *VirtualPorts) Handle(p *Packet) bool {
	if len(p.Userdata) < 6 {
		return false
	}
	port := binary.BigEndian.Uint32(p.Userdata[2:])
	if port < abi.MinPortKey || port > abi.MaxPortKey || p.Inport < abi.MinPortKey || p.Inport > abi.MaxPortKey || port == p.Inport {
		return false
	}
	v.Bind(uint32(p.Datapath), port, p.Inport)
	return true
}
