package geneve

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
)

// Port is the UDP port that IANA assigned to Geneve.
const Port = 6081

// ProtocolEthernet is the protocol type of an Ethernet frame (Transparent
// Ethernet Bridging).
const ProtocolEthernet = 0x6558

// Sizes, in bytes.
const (
	HeaderLen       = 8
	OptionHeaderLen = 4
	MaxOptionsLen   = 63 * 4 // six bits of four-byte words
	MaxOptionLen    = 31 * 4 // five bits of four-byte words, without its header
)

// Errors of decoding and encoding.
var (
	// ErrTruncated is returned when the bytes end before the header or its options do.
	ErrTruncated = errors.New("geneve: truncated")
	// ErrVersion is returned when the version is not 0, the only one there is; the packet must
	// be dropped.
	ErrVersion = errors.New("geneve: unknown version")
	// ErrOption is returned when the length of an option does not fit into the options.
	ErrOption = errors.New("geneve: malformed option")
	// ErrCriticalBit is returned when the header's C bit and the options
	// disagree.
	ErrCriticalBit = errors.New("geneve: C bit contradicts the options")
	// ErrRange is returned when a value does not fit its field.
	ErrRange = errors.New("geneve: value out of range")
)

// VNI is a virtual network identifier: the tunnel key of a logical datapath, 24
// bits.
type VNI uint32

// MaxVNI is the largest identifier.
const MaxVNI VNI = 1<<24 - 1

// String prints the identifier as tcpdump does: "vni 0x1".
func (v VNI) String() string { return fmt.Sprintf("vni %#x", uint32(v)) }

// Header is a Geneve header (RFC 8926, section 3.4).
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|Ver|  Opt Len  |O|C|    Rsvd.  |          Protocol Type        |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|        Virtual Network Identifier (VNI)       |    Reserved   |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	~                    Variable-Length Options                    ~
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
type Header struct {
	Control  bool   // O: for the tunnel endpoint, not for the inner network
	Critical bool   // C: an option is critical
	Protocol uint16 // EtherType of what follows, ProtocolEthernet
	VNI      VNI
	Options  []byte // encoded options, in the memory that was decoded
}

// Decode reads a header from the front of a UDP payload and returns what
// follows it. Reserved bits are ignored, as a receiver must.
func Decode(b []byte) (h Header, payload []byte, err error) {
	if len(b) < HeaderLen {
		return Header{}, nil, ErrTruncated
	}
	if b[0]>>6 != 0 {
		return Header{}, nil, ErrVersion
	}
	end := HeaderLen + int(b[0]&0x3f)*4
	if len(b) < end {
		return Header{}, nil, ErrTruncated
	}
	h = Header{
		Control:  b[1]&0x80 != 0,
		Critical: b[1]&0x40 != 0,
		Protocol: binary.BigEndian.Uint16(b[2:]),
		VNI:      VNI(binary.BigEndian.Uint32(b[4:]) >> 8),
		Options:  b[HeaderLen:end:end],
	}
	critical := false
	for o := h.Options; len(o) > 0; {
		n := optionLen(o)
		if n < 0 {
			return Header{}, nil, ErrOption
		}
		critical = critical || o[2]&criticalBit != 0
		o = o[n:]
	}
	if critical != h.Critical {
		return Header{}, nil, ErrCriticalBit
	}
	return h, b[end:], nil
}

// optionLen is the size of the first option with its header, -1 when it does
// not fit.
func optionLen(o []byte) int {
	if len(o) < OptionHeaderLen {
		return -1
	}
	n := OptionHeaderLen + int(o[3]&0x1f)*4
	if n > len(o) {
		return -1
	}
	return n
}

// Append appends the header with its options. The C bit follows from the
// options, whatever Critical says.
func (h Header) Append(b []byte) ([]byte, error) {
	if h.VNI > MaxVNI {
		return b, fmt.Errorf("%w: %v", ErrRange, h.VNI)
	}
	if len(h.Options) > MaxOptionsLen || len(h.Options)%4 != 0 {
		return b, fmt.Errorf("%w: %d bytes of options", ErrRange, len(h.Options))
	}
	flags := byte(0)
	if h.Control {
		flags |= 0x80
	}
	for o := h.Options; len(o) > 0; {
		n := optionLen(o)
		if n < 0 {
			return b, ErrOption
		}
		if o[2]&criticalBit != 0 {
			flags |= 0x40
		}
		o = o[n:]
	}
	b = append(b, byte(len(h.Options)/4), flags)
	b = binary.BigEndian.AppendUint16(b, h.Protocol)
	b = binary.BigEndian.AppendUint32(b, uint32(h.VNI)<<8)
	return append(b, h.Options...), nil
}

const criticalBit = 0x80

// Option is a tunnel option (RFC 8926, section 3.5).
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|          Option Class         |C|    Type     |R|R|R| Length  |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	~                      Variable-Length Data                     ~
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
type Option struct {
	Class uint16
	Type  uint8 // with its critical bit
	Data  []byte
}

// Critical tells whether a receiver must understand the option.
func (o Option) Critical() bool { return o.Type&criticalBit != 0 }

// Append appends the option with its header.
func (o Option) Append(b []byte) ([]byte, error) {
	if len(o.Data) > MaxOptionLen || len(o.Data)%4 != 0 {
		return b, fmt.Errorf("%w: option of %d bytes", ErrRange, len(o.Data))
	}
	b = append(binary.BigEndian.AppendUint16(b, o.Class), o.Type, byte(len(o.Data)/4))
	return append(b, o.Data...), nil
}

// All iterates over the options of a decoded header, in order.
func (h Header) All() iter.Seq[Option] {
	return func(yield func(Option) bool) {
		for o := h.Options; len(o) > 0; {
			n := optionLen(o)
			if n < 0 || !yield(Option{Class: binary.BigEndian.Uint16(o), Type: o[2], Data: o[OptionHeaderLen:n:n]}) {
				return
			}
			o = o[n:]
		}
	}
}

// Lookup finds the first option of a class and type.
func (h Header) Lookup(class uint16, typ uint8) (Option, bool) {
	for o := h.Options; len(o) > 0; {
		n := optionLen(o)
		if n < 0 {
			break
		}
		if binary.BigEndian.Uint16(o) == class && o[2] == typ {
			return Option{Class: class, Type: typ, Data: o[OptionHeaderLen:n:n]}, true
		}
		o = o[n:]
	}
	return Option{}, false
}

// Verdict is what a tunnel endpoint does with a packet because of its header.
type Verdict uint8

// Verdicts.
const (
	Accept       Verdict = iota // pass the inner packet on
	DropCritical                // an unknown option is critical
	DropControl                 // for the endpoint, and it knows no control packets
	DropProtocol                // what follows is no Ethernet frame
)

func (v Verdict) String() string {
	names := [...]string{"accept", "drop: unknown critical option", "drop: control packet", "drop: unknown protocol"}
	if int(v) < len(names) {
		return names[v]
	}
	return fmt.Sprintf("verdict %d", uint8(v))
}

// Verdict judges a decoded header. known tells which options the endpoint
// understands; nil is KnownOVN.
func (h Header) Verdict(known func(class uint16, typ uint8) bool) Verdict {
	if known == nil {
		known = KnownOVN
	}
	if h.Critical {
		for o := h.Options; len(o) > 0; {
			n := optionLen(o)
			if n < 0 {
				return DropCritical
			}
			if o[2]&criticalBit != 0 && !known(binary.BigEndian.Uint16(o), o[2]) {
				return DropCritical
			}
			o = o[n:]
		}
	}
	switch {
	case h.Control:
		return DropControl
	case h.Protocol != ProtocolEthernet:
		return DropProtocol
	}
	return Accept
}
