// Package bfd is Bidirectional Forwarding Detection in asynchronous mode (RFC
// 5880): control packets, sessions, and which session a packet belongs to.
//
//	state      hears: down   init   up     admin down   nothing in time
//	----------------------------------------------------------------------
//	down              init   up     .      .            .
//	init              .      up     up     down         down
//	up                down   .      .      down         down
//	admin down        .      .      .      .            .
//
// (the receiver's state, section 6.8.6; a point: it stays).
//
// # Contract
//
// A [Session] is driven by (time, packet) alone: it has no goroutine, no timer,
// no clock, and its jitter comes from a seed, so that equal inputs give equal
// outputs. Its owner
//
//   - gives it what arrives ([Session.Receive]),
//   - calls [Session.Transmit] until it has no more to send, after each packet
//     and whenever [Session.Next] has come,
//   - and gives it packets that have arrived before it says that time has passed,
//     so that a busy owner is no reason for a session to go down.
//
// A [Table] holds many sessions, finds the one that a packet is for, and knows
// which is due next. Neither is safe for concurrent use.
//
// An owner that starts again, or takes a session over from another system that
// had the same discriminator, sets Config.Resume: the peer's own packets say that
// the session is up, and it goes on without a gap. The RFC does not know this;
// to the peer it looks like a few packets lost.
//
// Transport is the owner's: UDP port [Port], TTL 255 in both directions (RFC 5881,
// sections 4 and 5), Ethernet and addresses.
//
// # What is spoken
//
// Asynchronous mode in the active role, poll sequences, changes of timers while a
// session is up. A peer's demand mode is respected and never asked for; the echo
// function is never offered; authentication is not spoken, so that packets with it
// are refused (section 6.8.6).
//
// # Invariants
//
//   - No bytes of a peer make [Decode] panic, and a packet that breaks a rule of
//     section 6.8.6 changes no session.
//   - Not up, a session sends no more often than every [SlowInterval], but for one
//     packet when its state changes and one in answer to each poll.
//   - What a peer asks for can slow a session down, never make it send more often
//     than its own MinTx.
//   - A session that hears nothing for its detection time is down.
//
// # Debugging
//
// [Session.Status] tells states, diagnostics, negotiated times and counts, as
// ovs-appctl bfd/show does; [Packet.String] prints a packet in one line.
package bfd
