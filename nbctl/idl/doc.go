// Package idl is a client of an OVSDB server for programs that learn the schema
// from the server: a replica of some columns of some tables, and transactions
// on it that read their own writes.
//
//	conn, err := idl.Dial(ctx, idl.Options{Remotes: "unix:/run/ovn/ovnnb_db.sock", Database: "OVN_Northbound"})
//	db := idl.NewDB(conn)
//	db.Need("Logical_Switch", "name")      // what to read
//	err = db.Load(ctx, false)              // one consistent snapshot
//	txn := db.Begin()
//	txn.Insert("Logical_Switch").Set("name", idl.String("sw0"))
//	result, err := txn.Commit(ctx)
//
// # Why not libovsdb's client
//
// github.com/ovn-org/libovsdb is what govn uses towards Open vSwitch. Its client
// wants a Go struct for each table when it is compiled, and fails on a server
// whose schema lacks a column; the generic database commands (list, find, set)
// work on whatever the server has, newer or older. It holds integers as float64
// where it has no struct, and it builds an indexed cache by reflection, which
// takes longer than all of ovn-nbctl. So the operations of a transaction are
// libovsdb's (ovsdb.Operation and the types of its values), and reading is done
// here: a synchronous connection without goroutines and a decoder that goes from
// the bytes of a row to its columns, with the schema of pkg/ovsdb at hand.
//
// # Invariants
//
//   - A snapshot is one reply: to a monitor_cond request where whole tables are
//     needed or changes are awaited, otherwise to a transaction of selects.
//   - What Need did not name cannot be read by mistake: Row.Get of such a column
//     notes an error that Commit returns.
//   - A column that decided something is verified: Commit puts a wait before the
//     operations, and ErrTryAgain says that someone else was faster.
//   - References to rows of the same transaction are named UUIDs in the request;
//     within the program a row has its UUID from the beginning.
//   - The package starts no goroutine. Deadlines and cancellation come from the
//     context of each call.
//
// # Debugging
//
// Options.Trace receives each message as it is sent and received
// (govn nbctl -vjsonrpc:dbg).
package idl
