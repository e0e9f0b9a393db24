// Package ovsdb is a database store with the data model of RFC 7047 and a
// server of its protocol.
package ovsdb
