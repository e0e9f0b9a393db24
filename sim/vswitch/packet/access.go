package packet

import (
	"encoding/binary"
	"net/netip"
)

// EtherTypes.
const (
	EthTypeIPv4          = 0x0800
	EthTypeARP           = 0x0806
	EthTypeRARP          = 0x8035
	EthTypeVLAN          = 0x8100
	EthTypeQinQ          = 0x88a8
	EthTypeIPv6          = 0x86dd
	EthTypeMPLS          = 0x8847
	EthTypeMPLSMulticast = 0x8848
	ethTypeNone          = 0x05ff // an 802.3 frame without an EtherType
)

// IP protocols.
const (
	ProtoICMP   = 1
	ProtoIGMP   = 2
	ProtoTCP    = 6
	ProtoUDP    = 17
	ProtoICMPv6 = 58
	ProtoSCTP   = 132
)

// Bits of ct_state that say whether a packet belongs to a connection.
const (
	ctInvalid = 0x10
	ctTracked = 0x20
)

// tagPresent is the bit of a VLAN TCI that OpenFlow takes for "there is a tag".
const tagPresent = 0x1000

// Fragment bits of a Key.
const (
	fragAny   = 1
	fragLater = 2
)

// EthType is the EtherType behind the VLAN tag.
func (k *Key) EthType() uint16 { return uint16(k[wEthType] >> 16) }

// SetEthType sets the EtherType.
func (k *Key) SetEthType(t uint16) { k[wEthType] = k[wEthType]&0xffff | uint32(t)<<16 }

// VLANTCI is the tag, with bit 12 set; 0: none.
func (k *Key) VLANTCI() uint16 { return uint16(k[wEthType]) }

// SetVLANTCI sets the tag.
func (k *Key) SetVLANTCI(t uint16) { k[wEthType] = k[wEthType]&^0xffff | uint32(t) }

// IsIP tells whether the packet is IPv4 or IPv6.
func (k *Key) IsIP() bool { t := k.EthType(); return t == EthTypeIPv4 || t == EthTypeIPv6 }

// Proto is the protocol of an IP packet.
func (k *Key) Proto() uint8 { return uint8(k[wIP] >> 24) }

// TTL is the time to live, or hop limit, of an IP packet.
func (k *Key) TTL() uint8 { return uint8(k[wIP] >> 8) }

// SetTTL sets the time to live.
func (k *Key) SetTTL(t uint8) { k[wIP] = k[wIP]&^0xff00 | uint32(t)<<8 }

// Fragment tells whether the packet is any fragment.
func (k *Key) Fragment() bool { return k[wIP]&fragAny != 0 }

// LaterFragment tells whether the packet is a fragment without layer 4.
func (k *Key) LaterFragment() bool { return k[wIP]&fragLater != 0 }

// PortSrc is the source port, or the ICMP type.
func (k *Key) PortSrc() uint16 { return uint16(k[wPorts] >> 16) }

// PortDst is the destination port, or the ICMP code.
func (k *Key) PortDst() uint16 { return uint16(k[wPorts]) }

// SetPorts sets source and destination port.
func (k *Key) SetPorts(src, dst uint16) { k[wPorts] = uint32(src)<<16 | uint32(dst) }

// TCPFlags are the twelve bits of TCP flags.
func (k *Key) TCPFlags() uint16 { return uint16(k[wFlags] >> 16) }

// InPort is the ingress port in 16 bits.
func (k *Key) InPort() uint16 { return uint16(k[wInPort]) }

// SetInPort sets the ingress port.
func (k *Key) SetInPort(p uint16) { k[wInPort] = uint32(p) }

// Reg is register n.
func (k *Key) Reg(n int) uint32 { return k[wReg+n] }

// SetConjID sets conj_id, for the second lookup of a conjunctive match.
func (k *Key) SetConjID(id uint32) { k[wConjID] = id }

// DPHash is the hash that the datapath has calculated.
func (k *Key) DPHash() uint32 { return k[wDPHash] }

// SetDPHash sets dp_hash.
func (k *Key) SetDPHash(h uint32) { k[wDPHash] = h }

// PktMark is the mark that goes along with the packet.
func (k *Key) PktMark() uint32 { return k[wPktMark] }

// SetPktMark sets the mark.
func (k *Key) SetPktMark(m uint32) { k[wPktMark] = m }

// SetActsetOutput sets the port that the action set will output to.
func (k *Key) SetActsetOutput(p uint32) { k[wActset] = p }

// Metadata is the metadata field.
func (k *Key) Metadata() uint64 { return uint64(k[wMetadata])<<32 | uint64(k[wMetadata+1]) }

// SetMetadata sets the metadata field.
func (k *Key) SetMetadata(v uint64) { k[wMetadata], k[wMetadata+1] = uint32(v>>32), uint32(v) }

// TunID is the tunnel key.
func (k *Key) TunID() uint64 { return uint64(k[wTunID])<<32 | uint64(k[wTunID+1]) }

// SetTunID sets the tunnel key.
func (k *Key) SetTunID(v uint64) { k[wTunID], k[wTunID+1] = uint32(v>>32), uint32(v) }

// TunOption is the value of tun_metadata n; ok is false when the option is not
// there.
func (k *Key) TunOption(n int) (v uint32, ok bool) {
	return k[wTunMeta+n], k[wTunPresent]&(1<<n) != 0
}

// SetTunOption sets tun_metadata n.
func (k *Key) SetTunOption(n int, v uint32) {
	k[wTunMeta+n] = v
	k[wTunPresent] |= 1 << n
}

// DeleteTunOption takes tun_metadata n away.
func (k *Key) DeleteTunOption(n int) {
	k[wTunMeta+n] = 0
	k[wTunPresent] &^= 1 << n
}

// TunSrc and TunDst are the endpoints of the tunnel; invalid: none.
func (k *Key) TunSrc() netip.Addr { return k.tunAddr(wTunSrc, wTunSrc6) }

// TunDst is the remote endpoint for packets that go out.
func (k *Key) TunDst() netip.Addr { return k.tunAddr(wTunDst, wTunDst6) }

// SetTunSrc sets the source endpoint.
func (k *Key) SetTunSrc(a netip.Addr) { k.setTunAddr(a, wTunSrc, wTunSrc6) }

// SetTunDst sets the destination endpoint.
func (k *Key) SetTunDst(a netip.Addr) { k.setTunAddr(a, wTunDst, wTunDst6) }

func (k *Key) tunAddr(v4, v6 int) netip.Addr {
	if k[v4] != 0 {
		return k.addr4(v4)
	}
	if a := k.addr6(v6); !a.IsUnspecified() {
		return a
	}
	return netip.Addr{}
}

func (k *Key) setTunAddr(a netip.Addr, v4, v6 int) {
	switch a = a.Unmap(); {
	case a.Is4():
		k.setAddr(v4, a)
	case a.Is6():
		k.setAddr(v6, a)
	}
}

func (k *Key) addr4(w int) netip.Addr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], k[w])
	return netip.AddrFrom4(b)
}

func (k *Key) addr6(w int) netip.Addr {
	var b [16]byte
	k.put(b[:], w)
	return netip.AddrFrom16(b)
}

// put writes words from w on into b.
func (k *Key) put(b []byte, w int) {
	for i := 0; i+4 <= len(b); i += 4 {
		binary.BigEndian.PutUint32(b[i:], k[w+i/4])
	}
}

func (k *Key) setAddr(w int, a netip.Addr) {
	b := a.AsSlice()
	for i := 0; i < len(b); i += 4 {
		k[w+i/4] = binary.BigEndian.Uint32(b[i:])
	}
}

func (k *Key) mac(w int) (m [6]byte) {
	binary.BigEndian.PutUint16(m[:], uint16(k[w]))
	binary.BigEndian.PutUint32(m[2:], k[w+1])
	return m
}

func (k *Key) setMAC(w int, b []byte) {
	k[w] = uint32(binary.BigEndian.Uint16(b))
	k[w+1] = binary.BigEndian.Uint32(b[2:])
}

// EthDst is the destination address.
func (k *Key) EthDst() [6]byte { return k.mac(wEthDst) }

// EthSrc is the source address.
func (k *Key) EthSrc() [6]byte { return k.mac(wEthSrc) }

// IPSrc is the source address of an IP packet.
func (k *Key) IPSrc() netip.Addr { return k.ipAddr(wIPSrc, wIP6Src) }

// IPDst is the destination address of an IP packet.
func (k *Key) IPDst() netip.Addr { return k.ipAddr(wIPDst, wIP6Dst) }

// SetIPSrc sets the source address; it must be of the packet's family.
func (k *Key) SetIPSrc(a netip.Addr) { k.setIPAddr(a, wIPSrc, wIP6Src) }

// SetIPDst sets the destination address; it must be of the packet's family.
func (k *Key) SetIPDst(a netip.Addr) { k.setIPAddr(a, wIPDst, wIP6Dst) }

func (k *Key) ipAddr(v4, v6 int) netip.Addr {
	switch k.EthType() {
	case EthTypeIPv4:
		return k.addr4(v4)
	case EthTypeIPv6:
		return k.addr6(v6)
	}
	return netip.Addr{}
}

func (k *Key) setIPAddr(a netip.Addr, v4, v6 int) {
	if a.Is4() {
		k.setAddr(v4, a)
	} else {
		k.setAddr(v6, a)
	}
}

// Connection is what connection tracking says of a packet. Addresses and ports
// are those of the connection's first packet, before translation.
type Connection struct {
	State    uint32
	Zone     uint16
	Mark     uint32
	Label    U128
	Proto    uint8
	Src, Dst netip.Addr
	SrcPort  uint16
	DstPort  uint16
}

// SetConnection writes the ct fields.
func (k *Key) SetConnection(c Connection) {
	k.ClearConnection()
	k[wCTState], k[wCTMark] = c.State, c.Mark
	k[wCTZone] = uint32(c.Zone)<<16 | uint32(c.Proto)
	k[wCTLabel], k[wCTLabel+1] = uint32(c.Label.Hi>>32), uint32(c.Label.Hi)
	k[wCTLabel+2], k[wCTLabel+3] = uint32(c.Label.Lo>>32), uint32(c.Label.Lo)
	k[wCTPorts] = uint32(c.SrcPort)<<16 | uint32(c.DstPort)
	if c.Src.Is4() {
		k.setAddr(wCTIPSrc, c.Src)
		k.setAddr(wCTIPDst, c.Dst)
	} else if c.Src.Is6() {
		k.setAddr(wCTIP6Src, c.Src)
		k.setAddr(wCTIP6Dst, c.Dst)
	}
}

// ClearConnection makes the packet untracked.
func (k *Key) ClearConnection() {
	for w := wCTState; w < wordCount; w++ {
		k[w] = 0
	}
}

// CTMark and CTLabel are what actions of a ct action write.
func (k *Key) CTMark() uint32 { return k[wCTMark] }

// CTLabel is the label of the connection.
func (k *Key) CTLabel() U128 {
	return U128{uint64(k[wCTLabel])<<32 | uint64(k[wCTLabel+1]), uint64(k[wCTLabel+2])<<32 | uint64(k[wCTLabel+3])}
}

// SetCTMark sets the mark.
func (k *Key) SetCTMark(m uint32) { k[wCTMark] = m }

// SetCTLabel sets the label.
func (k *Key) SetCTLabel(l U128) {
	k[wCTLabel], k[wCTLabel+1] = uint32(l.Hi>>32), uint32(l.Hi)
	k[wCTLabel+2], k[wCTLabel+3] = uint32(l.Lo>>32), uint32(l.Lo)
}

// CTZone is the zone of the connection.
func (k *Key) CTZone() uint16 { return uint16(k[wCTZone] >> 16) }

// CTState is ct_state.
func (k *Key) CTState() uint32 { return k[wCTState] }

// UseConnectionAddresses replaces addresses, protocol and ports by those of the
// connection, for a lookup of resubmit(,table,ct).
func (k *Key) UseConnectionAddresses() {
	switch k.EthType() {
	case EthTypeIPv4:
		k[wIPSrc], k[wIPDst] = k[wCTIPSrc], k[wCTIPDst]
	case EthTypeIPv6:
		copy(k[wIP6Src:wIP6Src+8], k[wCTIP6Src:wCTIP6Src+8])
	}
	k[wIP] = k[wIP]&0xffffff | k[wCTZone]<<24
	k[wPorts] = k[wCTPorts]
}

// ClearMetadata forgets what does not go along through a patch port: tunnel,
// metadata, registers, connection.
func (k *Key) ClearMetadata() {
	mark := k[wPktMark]
	for w := range wEthDst {
		k[w] = 0
	}
	k[wPktMark] = mark
	k.ClearConnection()
}

// CopyMetadata takes from src what does not stand in the frame.
func (k *Key) CopyMetadata(src *Key) {
	copy(k[:wEthDst], src[:wEthDst])
	copy(k[wCTState:], src[wCTState:])
}

// SetProto sets the protocol of an IP packet.
func (k *Key) SetProto(p uint8) { k[wIP] = k[wIP]&0xffffff | uint32(p)<<24 }
