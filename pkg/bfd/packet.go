package bfd

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// Port is the UDP port that control packets go to; their source port is of
// MinSourcePort to MaxSourcePort (RFC 5881, section 4).
const (
	Port          = 3784
	MinSourcePort = 49152
	MaxSourcePort = 65535
)

// TTL of packets between neighbours: others are to be discarded (RFC 5881, section 5).
const TTL = 255

// Version of the protocol.
const Version = 1

// Len is the length of a control packet without authentication, in bytes.
const Len = 24

const lenAuth = Len + 2 // the least with an authentication section

// MaxInterval is the longest time that a packet can hold.
const MaxInterval = (1<<32 - 1) * time.Microsecond

// Errors of a packet that must be discarded (RFC 5880, section 6.8.6).
var (
	// ErrVersion is returned for a version other than 1.
	ErrVersion = errors.New("bfd: version is not 1")
	// ErrLength is returned when the length field is less than a packet needs or
	// more than there is.
	ErrLength = errors.New("bfd: wrong length")
	// ErrMult is returned for a detection multiplier of zero.
	ErrMult = errors.New("bfd: detection multiplier is zero")
	// ErrMultipoint is returned when the M bit is set.
	ErrMultipoint = errors.New("bfd: multipoint bit is set")
	// ErrDiscriminator is returned when the sender's discriminator is zero.
	ErrDiscriminator = errors.New("bfd: sender has no discriminator")
	// ErrState is returned when the sender does not know our discriminator in a
	// state where it must.
	ErrState = errors.New("bfd: init or up without the receiver's discriminator")
	// ErrAuth is returned for a packet with authentication, which is not in use.
	ErrAuth = errors.New("bfd: authentication is not in use")
	// ErrNoSession is returned when no session has the discriminator or, where
	// the packet holds none, the addresses.
	ErrNoSession = errors.New("bfd: no session")
	// ErrAdminDown is returned for a packet to a session that is down by
	// administration: it is noted and has no effect.
	ErrAdminDown = errors.New("bfd: session is administratively down")
)

// State of a session.
type State uint8

const (
	AdminDown State = 0
	Down      State = 1
	Init      State = 2
	Up        State = 3
)

// String is the name that the status columns of OVN and Open vSwitch use.
func (s State) String() string {
	return [...]string{"admin_down", "down", "init", "up"}[s&3]
}

// Diag says why a session left the state up.
type Diag uint8

const (
	DiagNone         Diag = 0
	DiagTimeExpired  Diag = 1
	DiagEchoFailed   Diag = 2
	DiagNeighbor     Diag = 3 // the neighbour signalled that it is down
	DiagPlaneReset   Diag = 4
	DiagPathDown     Diag = 5
	DiagConcatenated Diag = 6
	DiagAdminDown    Diag = 7
	DiagReverse      Diag = 8 // reverse concatenated path down
)

var diagNames = [...]string{
	"No Diagnostic", "Control Detection Time Expired", "Echo Function Failed",
	"Neighbor Signaled Session Down", "Forwarding Plane Reset", "Path Down",
	"Concatenated Path Down", "Administratively Down", "Reverse Concatenated Path Down",
}

// String is the name of the diagnostic in Open vSwitch's bfd_status.
func (d Diag) String() string {
	if int(d) < len(diagNames) {
		return diagNames[d]
	}
	return fmt.Sprintf("Reserved %d", uint8(d))
}

// Packet is a control packet (RFC 5880, section 4.1).
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	| 1   |  Diag   |Sta|P|F|C|A|D|M|  Detect Mult  |    Length     |
//	|                       My Discriminator                        |
//	|                      Your Discriminator                       |
//	|               Desired Min TX Interval, microseconds           |
//	|               Required Min RX Interval, microseconds          |
//	|             Required Min Echo RX Interval, microseconds       |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
type Packet struct {
	Diag        Diag
	State       State
	Poll        bool
	Final       bool
	Independent bool // C: the sender's BFD does not share fate with its control plane
	Demand      bool
	Mult        uint8
	MyDiscr     uint32
	YourDiscr   uint32        // 0: not known
	MinTx       time.Duration // desired, whole microseconds
	MinRx       time.Duration // required, whole microseconds; 0: no periodic packets wanted
	MinEchoRx   time.Duration // required, whole microseconds; 0: no echo
}

// Bits of the second byte.
const (
	bitPoll        = 1 << 5
	bitFinal       = 1 << 4
	bitIndependent = 1 << 3
	bitAuth        = 1 << 2
	bitDemand      = 1 << 1
	bitMultipoint  = 1 << 0
)

// Append adds the packet to b. Times are cut to whole microseconds and to
// [MaxInterval].
func (p *Packet) Append(b []byte) []byte {
	flags := byte(p.State&3) << 6
	for bit, set := range map[byte]bool{bitPoll: p.Poll, bitFinal: p.Final, bitIndependent: p.Independent, bitDemand: p.Demand} {
		if set {
			flags |= bit
		}
	}
	b = append(b, Version<<5|byte(p.Diag)&0x1f, flags, p.Mult, Len)
	b = binary.BigEndian.AppendUint32(b, p.MyDiscr)
	b = binary.BigEndian.AppendUint32(b, p.YourDiscr)
	b = binary.BigEndian.AppendUint32(b, micros(p.MinTx))
	b = binary.BigEndian.AppendUint32(b, micros(p.MinRx))
	return binary.BigEndian.AppendUint32(b, micros(p.MinEchoRx))
}

func micros(d time.Duration) uint32 {
	return uint32(min(max(d, 0), MaxInterval) / time.Microsecond)
}

// Decode reads the payload of a UDP datagram and makes those checks of RFC 5880,
// section 6.8.6, that need no session. Bytes behind the packet are ignored.
func Decode(b []byte) (Packet, error) {
	if len(b) < Len {
		return Packet{}, fmt.Errorf("%w: %d bytes", ErrLength, len(b))
	}
	if v := b[0] >> 5; v != Version {
		return Packet{}, fmt.Errorf("%w: %d", ErrVersion, v)
	}
	flags, length := b[1], int(b[3])
	if length > len(b) || length < Len || flags&bitAuth != 0 && length < lenAuth {
		return Packet{}, fmt.Errorf("%w: field says %d of %d bytes", ErrLength, length, len(b))
	}
	p := Packet{
		Diag: Diag(b[0] & 0x1f), State: State(flags >> 6),
		Poll: flags&bitPoll != 0, Final: flags&bitFinal != 0,
		Independent: flags&bitIndependent != 0, Demand: flags&bitDemand != 0,
		Mult: b[2], MyDiscr: binary.BigEndian.Uint32(b[4:]), YourDiscr: binary.BigEndian.Uint32(b[8:]),
		MinTx: interval(b[12:]), MinRx: interval(b[16:]), MinEchoRx: interval(b[20:]),
	}
	switch {
	case p.Mult == 0:
		return Packet{}, ErrMult
	case flags&bitMultipoint != 0:
		return Packet{}, ErrMultipoint
	case p.MyDiscr == 0:
		return Packet{}, ErrDiscriminator
	case p.YourDiscr == 0 && p.State != Down && p.State != AdminDown:
		return Packet{}, fmt.Errorf("%w: state %v", ErrState, p.State)
	case flags&bitAuth != 0:
		return Packet{}, ErrAuth
	}
	return p, nil
}

func interval(b []byte) time.Duration {
	return time.Duration(binary.BigEndian.Uint32(b)) * time.Microsecond
}

// String is the packet in one line.
func (p Packet) String() string {
	flags := ""
	for _, f := range []struct {
		set  bool
		name string
	}{{p.Poll, " poll"}, {p.Final, " final"}, {p.Independent, " independent"}, {p.Demand, " demand"}} {
		if f.set {
			flags += f.name
		}
	}
	return fmt.Sprintf("bfd %v%s diag=%q mult=%d discr=%#x/%#x tx=%v rx=%v echo=%v",
		p.State, flags, p.Diag.String(), p.Mult, p.MyDiscr, p.YourDiscr, p.MinTx, p.MinRx, p.MinEchoRx)
}
