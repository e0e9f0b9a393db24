// Package unixctl is a client of the control socket that Open vSwitch and OVN
// daemons (and govn's) have: JSON-RPC over a unix socket, the protocol behind
// "ovs-appctl -t SOCKET COMMAND ARG...". One connection serves any number of
// calls, one after the other, without starting a program for each.
//
// Contract: a [Client] may be used by several goroutines; calls are serialised.
// After an error other than a [*CommandError] the connection is closed and
// further calls fail.
package unixctl
