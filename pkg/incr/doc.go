// Package incr is the incremental engine: a memo table of pure functions whose
// reads are recorded, so that a change re-runs what read it and nothing else.
//
//	Touch(cell), Change(collection, key, element)          input, between Runs
//	     |
//	     v
//	+---- Run ---------------------------------------------+
//	|  cells -----> queries -----> units --Emit--> sinks   |----> Drain: (key, old, new)
//	|                  ^              |                    |
//	|                  |            Insert                 |
//	|               Has, Any          v                    |
//	|                  +---------- relations --Each--> units, one an element
//	+------------------------------------------------------+
//
// A [Query] is a function from a key to a value; a [Unit] is one from a key to
// effects: what it emits to a [Sink] and inserts into a relation. Both read
// cells ([Ctx.Read]), other queries, and elements of a [Collection]. A Run marks
// what read the cells that were touched and evaluates it in topological order;
// where a value comes out with the hash that it had, its readers stay as they
// are. A unit that does not run again keeps its effects, one that does replaces
// them by difference.
//
// # Contract
//
//   - A function must be pure: all that it depends on it reads through its Ctx.
//     What is absent is read as well. Values are immutable.
//   - No function sees a whole collection. [Each] keeps one child unit alive for
//     every element, [Has] and [Any] ask about one and about emptiness.
//   - Errors are values: a unit that fails emits nothing and has a status; its
//     readers get the error. A panic in a function is such an error too.
//   - Registration, Touch, Change, Root and Run do not overlap and belong to one
//     goroutine at a time. Run uses as many workers as [Options] says and has
//     ended them when it returns.
//
// # Invariants
//
//   - After Run the state is that of a fresh engine with the same inputs, in any
//     order and with any number of workers.
//   - A node lives while a root reaches it; created and deleted again, an object
//     leaves no node, edge or byte.
//   - A cycle is an error that names its path, in whatever order it came to be.
//   - Of two units that emit one key the one with the lesser identity has it; the
//     other carries a [ConflictError] until it is alone.
//
// # Debugging
//
// Explain of a query or unit says what it read and who reads it; [RunStats] counts
// executions by function; [Engine.Errors] lists the units that fail.
package incr
