package abi

// Key ranges (ovn-sb(5), ovn-architecture(7)).
const (
	MinDatapathKey       = 1
	MaxDatapathKeyLocal  = 1<<24 - 1 - 65535 // allocated by a zone
	MinDatapathKeyGlobal = MaxDatapathKeyLocal + 1
	MaxDatapathKey       = 1<<24 - 1 // transit switches end here
	MinPortKey           = 1
	MaxPortKey           = 1<<15 - 1
	MinGroupKey          = 1 << 15
	MaxGroupKey          = 1<<16 - 1

	GroupFlood         = 32768 // _MC_flood
	GroupUnknown       = 32769 // _MC_unknown
	GroupMrouterFlood  = 32770 // _MC_mrouter_flood
	GroupStatic        = 32771 // _MC_static
	GroupFloodL2       = 32772 // _MC_flood_l2
	MinIPMulticastKey  = 32773
	MaxConntrackZone   = 65535
	ConjChassisMAC     = 100 // conjunction: from another chassis' router; those of northd begin at MinConjunction
	MinConjunction     = 256
	GeneveOptionClass  = 0x0102
	GeneveOptionType   = 0x80
	GeneveOptionLength = 4
)

// Ids of OpenFlow groups. The upper two bits say who numbers them, as the owner
// in a flow's cookie does, because a group has no cookie: groups with other ids
// are not govn's.
const (
	MinAllocatedGroup = 1 << 30   // given out by northd
	MaxAllocatedGroup = 1<<31 - 1 //
	MinSelectGroup    = 1 << 31   // the id says what the group does; see northd/translate
	MaxSelectGroup    = 1<<31 + 1<<30 - 1
)

// OwnGroup reports whether a group id is one of govn's.
func OwnGroup(id uint32) bool { return id >= MinAllocatedGroup && id <= MaxSelectGroup }

// Owners of a flow: the upper 4 bits of its cookie.
const (
	OwnerNorthd   = 1 // a body of northd
	OwnerFixed    = 2 // the chassis' fixed flows
	OwnerPort     = 3 // a port of the chassis
	OwnerTunnel   = 4 // a tunnel and the ports behind it
	OwnerGroup    = 5 // multicast groups
	OwnerLearned  = 6 // FDB and neighbours
	OwnerSwitched = 7 // flows that Open vSwitch learns by itself
)

// Cookie is the cookie of a flow: 4 bits owner, 28 bits flow id, 32 bits
// content hash.
func Cookie(owner uint8, id uint32, content uint32) uint64 {
	return uint64(owner&0xf)<<60 | uint64(id&0xfffffff)<<32 | uint64(content)
}

// CookieOwner is the owner in a cookie.
func CookieOwner(c uint64) uint8 { return uint8(c >> 60) }

// CookieFlowID is the flow id in a cookie.
func CookieFlowID(c uint64) uint32 { return uint32(c>>32) & 0xfffffff }

// CookieContent is the content hash in a cookie.
func CookieContent(c uint64) uint32 { return uint32(c) }

// Opcodes of packets sent to the controller: the first two bytes of userdata,
// big endian.
//
//	| opcode (2) | zero (2) | argument (4), zero if the opcode has none | what the opcode says |
const (
	PuntPutFDB = 1 // eth_src was seen on (metadata, reg14); the packet goes on by itself
	PuntNDNA   = 2 // answer a neighbour solicitation: make the advertisement, then do the actions that follow

	// 3 to 19 are of routers, 20 to 29 of switches.

	PuntBindVPort = 20 // what reg14 sends has the address of a virtual port; argument: key of that port; the packet goes on by itself

	PuntActivate = 21 // a RARP packet of an additional location of reg14 that is not in use yet

	PuntARP        = 3  // next hop reg0 is not known: hold the packet, make a request for it, then do the actions that follow
	PuntNDNS       = 4  // likewise next hop xxreg0, a neighbour solicitation
	PuntPutARP     = 5  // reg0 is at eth_src behind (metadata, reg14); the packet goes on by itself
	PuntPutND      = 6  // likewise xxreg0
	PuntICMP4      = 7  // make an ICMPv4 error of the packet, then do the actions; argument: MTU of the next hop, or 0
	PuntICMP6      = 8  // likewise ICMPv6
	PuntTCPReset   = 9  // make a reset of the TCP segment, then do the actions
	PuntNDNARouter = 10 // as PuntNDNA, of a router
	PuntNDRAOpts   = 11 // paused: make a router advertisement of the solicitation; argument: where the result goes, see ResultBit; the body of the advertisement follows
	PuntSCTPAbort  = 12 // make the answer to an SCTP packet of no association, then do the actions

	PuntBFD = 14 // a BFD packet for the router port (metadata, reg14)
)

// ResultBit says where a paused packet gets its result, in the argument of its
// opcode: register in the second byte from the right, bit in the right one.
func ResultBit(register, bit int) uint32 { return uint32(register)<<8 | uint32(bit) }

// ParseResultBit is the inverse of ResultBit; ok is false where no logical
// register has such a bit.
func ParseResultBit(v uint32) (register, bit int, ok bool) {
	register, bit = int(v>>8), int(v&0xff)
	return register, bit, register < LogicalRegs && bit < 32
}
