// Package ctl is the engine of the command lines govn nbctl and govn sbctl: the
// syntax of ovn-nbctl(8), the generic database commands, tables of results, and
// the loop that runs commands as one transaction.
//
//	options  [--] command  [--  command ...]
//	   |            |
//	   |            +-- parse: which verb, its options, number of arguments
//	   +-- connect -> read schema -> Needs of all commands -> one snapshot
//	                                     |
//	             +-----------------------+
//	             v
//	       Run of each command, on a transaction that reads its own writes
//	             |  wait-until not satisfied, or what was verified has changed:
//	             |  wait for an update and run all again
//	             v
//	       commit -> Post of each command -> output -> --wait=sb|hv
//
// A Program is a table of Commands and of the ways to name rows; this package
// adds the generic commands. Packages nbctl and nbctl/sbctl declare Programs.
//
// # Contract
//
//   - Nothing is printed before the transaction is committed; an error leaves
//     the database as it was, prints "PROGRAM: MESSAGE" and returns status 1.
//   - A timeout (-t) returns 142, which is what a shell shows for ovn-nbctl,
//     which dies of SIGALRM.
//   - Output is ovn-nbctl's, byte for byte. Where that has no order (rows of a
//     table), it is that of the UUIDs.
//   - A column is read by a verb only if the verb's Needs asked for it.
package ctl
