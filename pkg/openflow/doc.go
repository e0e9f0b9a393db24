// Package openflow speaks OpenFlow 1.5 with the Nicira extensions to Open
// vSwitch: it encodes and decodes matches, actions and messages, prints them
// as ovs-ofctl does, and holds a connection.
//
//	Match, Action ---> Flow{Table, Priority, Cookie, Match, Actions []byte}
//	                     |
//	  candidates of many units                      installed flows
//	                     v                                 |
//	                  FlowSet --- Changes() ---> FlowMod, GroupMod ...
//	                                                   |
//	                           Conn.Bundle (atomic)    v   Conn.DumpFlows
//	                          <-------- ovs-vswitchd, BRIDGE.mgmt -------->
//
// # Bytes
//
// Matches and actions live encoded: they are made once and travel. A match is
// the sequence of OXM TLVs in canonical order, without the ofp_match header and
// its padding; metadata, where it is there, comes first, so that its value sits
// at a fixed offset. Equal matches have equal bytes: masks that cover all bits
// are left out, masked-out bits are zero, xreg and xxreg are written as the
// 32-bit registers that they consist of. CanonicalMatch makes a match that came
// from elsewhere comparable. Actions are OpenFlow 1.5 action TLVs.
//
// # Printing
//
// The String methods print what ovs-ofctl -O OpenFlow15 prints, so that golden
// tests, logs and a dump of the switch can be compared by eye and by diff.
//
// # Decoding
//
// Bytes from a peer are never trusted: every decoder returns an error that
// matches ErrMalformed and neither panics nor allocates more than in proportion
// to its input. Unknown actions and fields are kept as raw bytes.
//
// # Debugging
//
// ConnOptions.Logger at debug level gets a line per message. ovs-ofctl
// ofp-print HEX says what stock Open vSwitch reads in a message.
package openflow
