// Package state is the state that a chassis holds: a set of items, changed by
// frames. Northd and the controller share it, so that both mean the same by a
// digest, a chunk and a snapshot.
//
// # The way of a frame
//
//	chunk 1   chunk 2   chunk 3 (last)
//	   |         |         |
//	   v         v         v        term, cluster, digest
//	+---------------------------+   agree        +--------+
//	|          pending          | -------------> |  items | ---> []Change
//	+---------------------------+                +--------+
//	                            |   disagree
//	                            +-------------> error, items unchanged
//
// Chunks collect in pending and change nothing. The last chunk is applied as a
// whole or not at all: an error leaves the items as they were. A chunk that
// begins another revision than the pending one replaces what is pending; so
// does the first chunk of a new stream after [State.Abort].
//
// # Contract
//
//   - After a digest that differs ([ErrDigest]) the state waits for a snapshot;
//     frames that are none are refused with [ErrAwaitSnapshot]. The chassis
//     asks for the snapshot once, at ErrDigest.
//   - A frame of a lower term of the same cluster is refused ([ErrTerm]); so is
//     a difference that is older than the state ([ErrStale]) or of another
//     cluster ([ErrCluster]). A snapshot is taken from any cluster.
//   - A term that rises clears nothing.
//   - An item of an unknown kind is held and counts in the digest, but does not
//     come out as a change. If it is critical, [State.Refused] names it.
//   - The memory of pending chunks is bounded ([ErrTooLarge]).
//   - A State is not safe for concurrent use. Values handed out are shared;
//     nobody may write to them.
//
// # Debugging
//
// [State.Digest] is what both sides compare; [State.Check] recomputes it from
// the items and names the first item that does not fit.
package state
