// Package nbctl is the command line govn nbctl: ovn-nbctl(8) in syntax, output
// and exit status, towards any OVSDB server with the database OVN_Northbound,
// govn's or a stock ovsdb-server of this version or an older one.
//
// A group of verbs is a file: a []ctl.Command and the functions behind it. What
// all verbs share (options, "--", the generic database commands, --wait) is in
// package ctl, the client in package idl.
//
// # Contract
//
//   - Verbs touch the database only. They do not ask northd anything, except
//     that --wait=sb|hv waits for the counters in NB_Global.
//   - A verb of ovn-nbctl 23.03 is in Program().Commands or in
//     Program().NotYet; a test reads ovn-nbctl --help and finds each.
//   - Sets that can be large (the ports of a switch) are changed by mutation, so
//     that commands that run at the same time do not disturb each other.
//
// # Debugging
//
// govn nbctl -v ... prints every message of the OVSDB protocol. The comparison
// with the stock program is test/interop.
package nbctl
