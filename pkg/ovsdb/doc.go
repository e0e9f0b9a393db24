// Package ovsdb is a database store with the data model of RFC 7047, a server of
// its protocol, and a guard for clients of other servers ([Guard]).
//
// # Remotes
//
// [Server.OpenRemotes] is how peers reach a server: by connection methods ([Address])
// that are given, or that a column of the database holds, as the rows of OVN's
// Connection tables, which it follows. A connection has the rights of its remote at
// the moment of each request: all, reading only, or those of a role (RBAC).
//
// # Schemas
//
// A database has two: that of the program, Database.Schema, which is its identity
// and by which Go code reads and writes rows, and that which rows have by now,
// [Store.Schema], which the log holds and [Store.Convert], a client's "convert" and
// [Open] change. As long as the second has all that the first has, tables and columns
// of the first work on rows of the second; changes that a program is told of are of
// its own tables.
//
// # Storage
//
// A [Store] keeps its rows in memory and its log in an [Engine], whose contract is written
// down there and tested by package enginetest. [OpenBolt] is a bbolt file with a
// write-ahead log beside it: a transaction is durable after one sync of the log, and brought
// to bbolt later, with many others (engine_bolt.go, engine_wal.go, walformat.go).
//
//	Txn -> commit: visible -> writeLog: batches -> Engine.Append -> replies, updates
//	                                                |
//	                         FILE.wal, one sync     +-- applier --> FILE, bbolt
//
// To see what a file and its log have: "govn db check", [InspectBolt], and the metrics
// govn_store_*.
//
// # Limits
//
// [Limits] bound what a peer can make a server hold or do. To see which one a peer
// has met, look at the log or at the metrics of [Server.LimitMetrics].
package ovsdb
