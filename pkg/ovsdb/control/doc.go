// Package control is what a process that serves databases answers on its control
// socket: the commands of ovsdb-server(1), RUNTIME MANAGEMENT COMMANDS, in its
// words, for "ovs-appctl -t".
//
// # Contract
//
//   - A process may have several servers, each with remotes of its own, where
//     ovsdb-server is one process each. Then a command about remotes takes the name of
//     a database after its other arguments; without it, it is about all of them, and
//     add-remote asks which one is meant.
//   - There are no active-backup pairs: sync-status says that the server is active.
//   - Databases are not added or removed while the process runs.
//
// # Debugging
//
// "list-commands" lists them; what changes remotes is logged by the remotes.
package control
