// Package conntrack tracks connections of IP packets and translates their
// addresses, as the ct action of Open vSwitch asks for.
//
//	       key + zone
//	           |                 commit
//	           v                   v
//	tuple --> lookup --none--> new connection --> original and reply tuple
//	           |                                  (reply: of translated packets)
//	           v
//	      update state, translate forward or back
//
// # Contract
//
// Track changes addresses and ports of the key that it is given; its caller
// rewrites the bytes. States are those of Open vSwitch's userspace datapath: a
// UDP connection is established when a reply was seen, a TCP connection when its
// handshake was answered; sequence numbers are not judged. A packet that cannot
// belong to a connection (a later fragment, a bad checksum, a protocol without
// tuples) is invalid. An ICMP error about a connection is related to it; with
// translation its outer address is translated, what it quotes is not.
//
// A Table can be used from several goroutines. Connections end by Expire, by
// FlushZone, or when their last packet was too long ago.
package conntrack
