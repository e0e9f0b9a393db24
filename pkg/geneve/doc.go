// Package geneve encodes and decodes Geneve headers (RFC 8926) and the option
// that carries logical ports between chassis.
//
// A packet between chassis is an Ethernet frame behind this, in UDP to port 6081:
//
//	+--------------------+------------------+------------------------+-------
//	| Geneve header, 8   | option header, 4 | ports, 4               | inner
//	| VNI = datapath key | 0x0102 0x80 len 1| 0, ingress 15, egress 16| frame
//	+--------------------+------------------+------------------------+-------
//
// # Critical options
//
// The type of an option has its critical bit (0x80) set when a receiver that
// does not understand it must not pass the packet on. The header's C bit says
// that at least one option is critical. Header.Verdict applies the rule of
// RFC 8926, section 3.5: an unknown critical option drops the packet, an unknown
// other one is ignored; the O bit, a control packet, keeps the packet from the
// inner network altogether.
//
// # Decoding
//
// Decode allocates nothing: the decoded Header refers to the bytes given. It
// never panics; errors match one of the Err values.
package geneve
