// Package ndra makes the ICMPv6 message of a router advertisement (RFC 4861,
// 4.2) from options as the logical action put_nd_ra_opts names them (ovn-sb(5)):
//
//	addr_mode          slaac, dhcpv6_stateful, dhcpv6_stateless
//	slla               Ethernet address of the router port
//	mtu                bytes; less than 1280 is none
//	router_preference  HIGH, MEDIUM, LOW (RFC 4191)
//	rdnss              IPv6 address of a resolver (RFC 8106)
//	dnssl              domains, with commas (RFC 8106)
//	route_info         HIGH-aef1::/48,LOW-aef2::/96 (RFC 4191)
//	prefix             IPv6 prefix of the link, again for each
//
// The checksum is left zero: it depends on the addresses of the packet.
//
// # Invariants
//
//   - An option that cannot be used is an error and changes nothing.
package ndra
