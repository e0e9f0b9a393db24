// Package fabric decides which chassis gets which part of what northd has
// compiled, and serves it: one gRPC stream per chassis.
//
// # What it holds
//
//	Apply(Batch)                                      one chassis' stream
//	     |                                                   ^
//	     v                                                   | frames
//	+--------------------- zone -----------------------+     |
//	|  datapath 7            datapath 9                |  +--------+
//	|  +----------------+    +----------------+        |  | sender | sent: what the
//	|  | group, log     |    | group, log     | -----> |  +--------+ chassis has
//	|  +----------------+    +----------------+        |     ^
//	|   | group for hv1       | group for hv2            |     | wake, dirty datapaths
//	|   | group for hv2                                  |     |
//	+----------------------------------------------------+-----+
//
// A group is an immutable pair of trees: items, whose keys are in no other
// group, and shared items (bodies, chassis), which several groups may hold. A
// datapath has one group that goes to every chassis where it is local, and one
// small group per chassis for what only that chassis gets: the items of
// resident ports, and its own view of a port that is moving. A batch replaces
// groups and never changes one, so a sender computes differences between what
// its chassis was sent and what it should have without holding a lock.
//
// # Locality
//
// A datapath is local to a chassis where a port of it is bound, or where links
// that are no borders connect it to such a one. The chassis gets: the items of
// its local datapaths, those of its resident ports, every body that a unit
// among them names, and the other chassis that have a port there. It receives
// nothing about anything else, not a byte. A link may be a border for all but a
// few: the chassis that may host a distributed gateway port or a gateway router
// see what is behind it, the others do not.
//
// # HA groups
//
// A port whose PORT item names an HA group has no chassis of its own: it counts
// as bound to every member, so that each has what it needs to take over, and
// which of them is active is not known here. HA_GROUP items are shared, like
// those of chassis; a member also gets one HA_USER item for each other chassis
// with the datapath, so that it knows who watches it.
//
// # Ports
//
// A PORT item comes without chassis and up. The fabric fills them in: the
// chassis that a port is bound to sees its own name at once. The others go on
// seeing the published chassis, the last one that said its flows are in, until
// the new one is up; then they see the new one. Nobody is published while a
// port is unbound. Port.up is true exactly where Port.chassis is not empty. The
// additional chassis of a port, to which its workload moves, are shown to all at
// once, and get what the first one gets; when one of them becomes the first, all
// see that at once, too.
//
// # Frames
//
// A stream is at a revision. What happened since then is coalesced into one
// frame: the keys come from the log of each datapath that changed, or, where
// the log does not reach back that far, from the difference of the trees. A
// frame is sent when its revision is durable. A revision that changes nothing
// for a chassis is not sent, unless nb_cfg changed or a port that it has waits
// for the acknowledgement to be up (one that was unplugged and plugged in again
// within a revision). A snapshot is sent to a chassis that holds another state
// than the desired one, and to one that asks for it; a few at a time.
//
// # Concurrency
//
// Apply, Status, StopSending and Close may be called from any goroutine. Apply
// never waits for a chassis. Events are called from the streams' goroutines,
// for one chassis name one at a time and in order: Hello, then Report and
// Acked, then Lost unless another stream took the name over.
//
// # Invariants
//
//   - What a chassis was sent is a function of the batches alone: it equals what
//     a chassis that connects now would get.
//   - The digest of a frame is that of the state after it; it is maintained by
//     difference, and the receiver verifies it.
//   - A peer can end its own stream; it cannot make memory grow without bound.
//   - No frame comes before the first Apply, since an empty snapshot would clear
//     a chassis.
//
// # Debugging
//
// Server.Status says per chassis what was sent, received and applied. The
// metrics govn_fabric_* count frames, bytes by kind of item, snapshots, resyncs
// and log misses. A resync means that a digest differed, and is a bug.
package fabric
