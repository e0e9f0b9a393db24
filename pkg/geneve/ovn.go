package geneve

import (
	"encoding/binary"
	"fmt"
)

// The option that OVN defines (ovn-architecture(7), "Tunnel Encapsulations").
const (
	ClassOVN    = 0x0102
	TypePorts   = 0x80 // critical
	PortsLength = 4    // bytes of data
)

// Largest keys that fit.
const (
	MaxIngress = 1<<15 - 1
	MaxEgress  = 1<<16 - 1
)

// Ports is the value of OVN's option: where in the logical datapath a packet
// came in, and where it goes.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-----------------------------+-------------------------------+
//	|0|        ingress port         |  egress port or multicast grp |
//	+-+-----------------------------+-------------------------------+
type Ports struct {
	Ingress uint16 // 15 bits
	Egress  uint16 // port keys below 32768, multicast groups from there
}

// String prints the value as tcpdump does: "00010002".
func (p Ports) String() string { return fmt.Sprintf("%04x%04x", p.Ingress, p.Egress) }

// Append appends the whole option: header and value.
func (p Ports) Append(b []byte) ([]byte, error) {
	if p.Ingress > MaxIngress {
		return b, fmt.Errorf("%w: ingress port %d", ErrRange, p.Ingress)
	}
	b = append(binary.BigEndian.AppendUint16(b, ClassOVN), TypePorts, PortsLength/4)
	return binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(b, p.Ingress), p.Egress), nil
}

// Ports finds OVN's option in a decoded header. ok is false when it is not
// there or has another length; the reserved bit is ignored.
func (h Header) Ports() (p Ports, ok bool) {
	o, found := h.Lookup(ClassOVN, TypePorts)
	if !found || len(o.Data) != PortsLength {
		return Ports{}, false
	}
	return Ports{
		Ingress: binary.BigEndian.Uint16(o.Data) & MaxIngress,
		Egress:  binary.BigEndian.Uint16(o.Data[2:]),
	}, true
}

// KnownOVN says of an option whether it is the one that chassis understand.
func KnownOVN(class uint16, typ uint8) bool { return class == ClassOVN && typ == TypePorts }

// Encapsulate appends the header that goes before an Ethernet frame from one
// logical port to another.
func Encapsulate(b []byte, vni VNI, p Ports) ([]byte, error) {
	var options [OptionHeaderLen + PortsLength]byte
	o, err := p.Append(options[:0])
	if err != nil {
		return b, err
	}
	return Header{Protocol: ProtocolEthernet, VNI: vni, Options: o}.Append(b)
}
