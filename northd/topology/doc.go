// Package topology reads the databases for the compiler: typed, recorded and
// one column at a time.
//
// # Recorded reads
//
// A [Reader] stands on one snapshot of the store. Queries read through it, and
// each read is recorded in the running query as a cell of pkg/incr: a column of
// a row, one key of a map column, the entry of an index, whether present or
// absent. [Reader.Advance] moves it to the next snapshot and touches the cells
// that the commits in between changed.
//
// A set column that may grow large is no cell but a [List]: queries walk it
// with incr.Each, one child per element, and never read it whole.
//
// # Allocation
//
// Tunnel keys are not computed but allocated. An [Allocator] runs before the
// compiler does, gives a key to what has none, and writes it to the private
// database, where queries read it. A key that is no longer used rests until it
// is released.
//
// VLAN tags of nested ports are given out in the same way, by [Tags], but into
// the northbound rows themselves. [Groups] gives ids to OpenFlow groups that are
// of one object, [RouteNumbers] numbers route tables and alternatives of a router;
// both are free as soon as what had them is gone.
//
// # Invariants
//
//   - Between two calls of Advance the reader's answers do not change.
//   - What is read is recorded; there is no way to read without a context but
//     the functions named Peek.
//   - A key is never given to a second owner before it was released.
package topology
