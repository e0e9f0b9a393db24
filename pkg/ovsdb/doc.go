// Package ovsdb is a database store with the data model of RFC 7047, a server of
// its protocol, and a guard for clients of other servers ([Guard]).
package ovsdb
