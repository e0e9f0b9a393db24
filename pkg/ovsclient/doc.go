// Package ovsclient keeps a libovsdb client connected to a database that may be
// away, or lie.
//
//	Keep --again and again--> session: guard --> libovsdb --> monitor --> Follow
//
// # Contract
//
//   - The connection goes through ovsdb.Guard, so that no message of the server
//     makes libovsdb panic.
//   - Who sets Guard.Rows is told the rows by the guard, as differences, and the
//     cache is empty: for tables that are large, or have columns that are.
//   - Follow is called with a cache that holds everything which is monitored, and
//     must return when the connection has ended or the context has.
//   - Keep returns when the context ends, and leaves no goroutine behind.
//
// # Debugging
//
// Each end of a connection is logged with the reason and the time until the next
// attempt. That a server cannot be reached is a warning at first, when the reason
// is another one, and once a minute; all attempts are there with the level debug.
package ovsclient
