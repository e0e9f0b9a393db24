// Package icctl is the command lines govn ic-nbctl and govn ic-sbctl:
// ovn-ic-nbctl(8) and ovn-ic-sbctl(8) in syntax, output and exit status, towards
// any OVSDB server with the databases OVN_IC_Northbound and OVN_IC_Southbound,
// govn's or a stock ovsdb-server.
//
//	Northbound   the transit switches that an operator wants
//	Southbound   the zones, with gateways, ports and routes on those switches
//
// # Contract
//
//   - Verbs touch the database only.
//   - Like the stock programs they have no daemon, no --wait and no variable with
//     options: neither does anybody answer for the other zones.
//   - What names and addresses mean is told by package interconnect: a value that
//     no zone can use is pointed at before it is sent.
//
// # Debugging
//
// govn ic-sbctl -v ... prints every message of the OVSDB protocol. The comparison
// with the stock programs is test/interop.
package icctl
