// Package interop compares command lines of govn with the stock programs of OVN:
// scripts of commands run by both, each on a database of its own, must print
// the same, end with the same status and leave the same database.
//
// A script is a file testdata/*.script. A line is a command line in shell
// syntax; "~ LINE" compares the output without regard to the order of lines;
// "? LINE" compares no more than the status and that there is a message, where
// govn's message says more; "NAME = LINE" keeps the output for ${NAME}; "sb ..." runs the southbound
// program. "#" begins a comment.
//
// UUIDs are replaced by <uuid> in output; in the databases at the end each is
// replaced by a name made of what the row holds, so that references count.
//
// Clients of the database are stock as well: ovsdb-client, Debian's Python IDL
// (testdata/idl.py) and a Go program on libovsdb run on our server and on
// ovsdb-server, through restarts, and must see the same.
package interop
