// Package packet turns Ethernet frames into flow keys and changed flow keys
// back into frames.
//
//	bytes, metadata --Parse--> Key --actions--> Key' --Rewrite--> bytes'
//
// A [Key] holds every field that OpenFlow can match, in 32-bit words, so that a
// lookup masks and hashes words. It shares words between fields that no packet
// has at once, as Open vSwitch's struct flow does: the addresses of ARP and of
// IPv4, the ports of TCP and the type and code of ICMP.
//
// # Contract
//
// Parse accepts all bytes. What is truncated or malformed has the fields that
// come before the place where it goes wrong, and zero for the others. Rewrite
// changes only what differs between two keys of the same packet, and corrects
// checksums by the difference, so that a wrong one stays wrong.
package packet
