// Package ipam gives addresses to logical switch ports that ask for them
// (ovn-nb(5), "IP Address Assignment").
//
//	Logical_Switch:other_config   subnet, exclude_ips, ipv6_prefix, mac_only
//	NB_Global:options             mac_prefix                       \
//	Logical_Switch_Port:addresses "dynamic", ...                    > IPAM --> Logical_Switch_Port:dynamic_addresses
//	    and what others have: static addresses, those of router ports /
//
// It is a stage before the compile, like the allocation of tunnel keys, and not
// part of it. The column dynamic_addresses is at once its result and its
// memory: what stands there is kept as long as it can be. An index of what is in
// use, per switch, is built at the start and follows the commits, so that a port
// more costs the same on a switch of three ports and of 30,000.
//
// # Choice
//
// As ovn-northd 23.03 does: the lowest free IPv4 address, never the first nor the
// last of the subnet, nor one that is excluded or that another port of the
// switch has; a MAC of the prefix and the low three bytes of the IPv4 address
// plus one, or the next one that is free in the zone; an IPv6 address by EUI-64. An
// address that somebody else takes statically is given up. Of several ports in
// one commit those with a wish come first, then those whose name sorts first.
//
// # Invariants
//
//   - On one switch no IPv4 address is given to two ports.
//   - A port without an IPv4 address, or without the one it wishes for, gets it
//     as soon as it is free: a stage that runs over a database that was settled
//     before writes nothing.
//
// # Debugging
//
// What cannot be had is among the problems (govn nbctl lint): a subnet that does
// not parse, one that is exhausted, a wish that is taken, an address that two ports
// have.
package ipam
