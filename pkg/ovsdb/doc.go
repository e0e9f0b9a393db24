// Package ovsdb is a database store with the data model of RFC 7047, a server of
// its protocol, and a guard for clients of other servers ([Guard]).
//
// # Remotes
//
// [Server.OpenRemotes] is how peers reach a server: by connection methods ([Address])
// that are given, or that a column of the database holds, as the rows of OVN's
// Connection tables, which it follows. A connection has the rights of its remote at
// the moment of each request: all, reading only, or those of a role (RBAC).
package ovsdb
