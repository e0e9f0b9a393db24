// Package vswitch is the OVSDB side of a chassis: it reads what the controller
// is told by Open_vSwitch:external_ids and which interfaces are plugged in, and
// writes what the controller owns there.
//
//	Open_vSwitch --bridges--> Bridge --ports--> Port --interfaces--> Interface
//	 external_ids              br-int            ovn-hv2-0            ofport, options:remote_ip
//	 (Config)                  ct-zone-PORT      ovn-chassis-id       iface-id, ovn-installed
//
// # Contract
//
// Reading: [Client.Changed] signals, [Client.Take] returns the differences since
// the last Take, by interface name; after a (re)connection the first Delta is
// full. Writing: [Client.Want] takes the whole wish; the client compares it with
// what is there and writes the difference in one transaction, again and again
// until they agree. Wishes may be repeated; the last one counts. A wish shares
// what did not change with the one before, and only what a wish or a row changed
// is looked at again (todo.go), so a port more costs what a port costs.
//
// # Invariants
//
//   - Only br-int, and ports with external_ids:ovn-chassis-id,
//     ovn-localnet-port or ovn-l2gateway-port, are created, changed or deleted.
//   - A transaction touches map keys one by one, never whole maps that others
//     write to as well.
//
// # Debugging
//
// Every transaction is logged with what it does; ovsdb-client monitor on the
// same socket shows the rest.
package vswitch
