// Package proto holds the gRPC contract between northd and the chassis
// controllers, and the code generated from it.
//
// # The state of a chassis
//
// What northd wants on a chassis is a set of items. An item has a kind, a key
// that is unique within the kind, and a value: the encoding of the message that
// the kind names. Nothing else is part of the state, so one mechanism serves
// all kinds: a frame is a list of items put and keys deleted, and the digest is
// an order-free sum over the items.
//
//	kind      key                              value
//	BODY      hash of the value (16 bytes)     Body
//	UNIT      unit id (16 bytes)               Unit
//	DATAPATH  tunnel key (4)                   Datapath
//	PORT      datapath key (4), port key (4)   Port
//	CHASSIS   chassis name                     Chassis
//	FDB       datapath key (4), MAC (6)        Fdb
//
// Integers in keys are big endian. Values are marshalled deterministically.
// The digest of an item is the first 16 bytes of SHA-256 over kind (4 bytes),
// length of key (4 bytes), key and value; the digest of a state is the sum of
// its items' digests, as two big-endian 64-bit words added without carry.
//
// # Frames
//
// A frame takes a chassis from one revision to another. It comes in one or more
// chunks and is applied when the last one is there. A snapshot frame replaces
// the whole state, except that bodies whose hash the chassis named in its Hello
// are kept without being sent again, where the frame names them in keep.
//
// # Flows
//
// A Body holds encoded OpenFlow: match as OXM TLVs, actions as OpenFlow 1.5
// action TLVs. They hold nothing of a host. Relocations name the places where
// the chassis writes the datapath key of the unit.
//
// # Invariants
//
//   - An item of an unknown kind that is marked critical is refused with a
//     status; one that is not is kept in the state and digest, and not used.
//   - A frame of a lower term than the last one is refused.
//   - The package imports nothing of govn.
package proto
