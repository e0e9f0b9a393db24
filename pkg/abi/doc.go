// Package abi is what northd and the chassis agree on about Open vSwitch: the
// register map, the table map, the key ranges, the layout of a flow's cookie
// and of the userdata of packets sent to the controller.
//
// Northd compiles flows that use these numbers; the controller writes the
// flows around them. A change of any meaning here is a new [Version]. Both
// sides support a version and the one before it. Conntrack mark and label bits
// are part of it and are never renumbered, because connections outlive
// upgrades.
//
// The numbers are local to a chassis: what chassis share is on the wire (the
// Geneve VNI and option) and in the southbound database (the tunnel keys).
package abi
