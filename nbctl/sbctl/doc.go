// Package sbctl is the command line govn sbctl: ovn-sbctl(8) in syntax, output
// and exit status, towards any OVSDB server with the database OVN_Southbound.
//
// Verbs touch the database only. The logical flows of govn's own server are
// rendered when they are asked for, and what northd owns cannot be written
// there: such a command ends with the server's permission error.
//
// Of ovn-sbctl, "lflow-list --ovs" is refused: OpenFlow flows belong to a
// hypervisor, and govn flows finds them there by name.
package sbctl
