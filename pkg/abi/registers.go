package abi

// Registers. Logical reg0 to reg9 are Open vSwitch's reg0 to reg9; they are
// zero at the start of the egress pipeline and of another datapath.
const (
	RegLogical0   = 0  // reg0 .. reg9: the logical registers
	RegFlags      = 10 // logical flags, bits below
	RegDNATZone   = 11 // conntrack zone of the datapath for DNAT (routers)
	RegSNATZone   = 12 // conntrack zone of the datapath for SNAT (routers)
	RegZone       = 13 // [0..15] conntrack zone of the logical port
	RegInport     = 14 // logical ingress port key
	RegOutport    = 15 // logical egress port key, or multicast group key
	LogicalRegs   = 10 // how many of them
	TunMetadataID = 0  // tun_metadata0 carries the OVN Geneve option
)

// Bits of the flags register (logical field "flags").
const (
	FlagAllowLoopback = 0  // flags.loopback: may leave by its ingress port
	FlagLocalOnly     = 4  // never to another chassis
	FlagNested        = 5  // came from a nested port
	FlagLookupMAC     = 6  // result of table 67: the address is known, with this Ethernet address
	FlagLookupFDB     = 8  // result of table 72
	FlagLocalport     = 10 // came from a localport
	FlagPortSec       = 12 // result of tables 73 to 75: 1 means drop
	FlagFromTunnel    = 16 // came in by a tunnel
	FlagLookupIP      = 26 // result of table 67: the address is known
	FlagOverlay       = 27 // came from a port on several chassis: through tunnels, though a localnet port leads there
)
