// Package sbctl is the command line govn sbctl: ovn-sbctl(8) in syntax, output
// and exit status, towards any OVSDB server with the database OVN_Southbound.
//
// Verbs touch the database only. The logical flows of govn's own server are
// rendered when they are asked for, and what northd owns cannot be written
// there: such a command ends with the server's permission error.
//
// lflow-list --ovs finds the OpenFlow flows of a row by the first 32 bits of its
// UUID, as OVN's chassis writes them into cookies. A chassis of govn has other
// cookies: govn flows finds its flows by name.
package sbctl
