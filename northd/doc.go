// Package northd is the central daemon: it serves the northbound and the
// southbound database, compiles the one into the other and into OpenFlow, and
// feeds the chassis.
//
//	OVSDB clients --> store --> Zone.round --+--> southbound.Writer --> store
//	                    ^                    +--> fabric.Apply --> chassis
//	                    |                                            |
//	                    +---- Registry, Progress <---- reports, acks +
//
// # A round
//
// One goroutine runs rounds. A round takes all commits that are there, lets the
// stages before the compile give keys, addresses and VLAN tags, evaluates what
// the commits touched, writes the southbound rows that changed, and repeats until
// nothing is left to do; then it hands the fabric one batch. What clients commit
// meanwhile is the next round.
//
// # Invariants
//
//   - A batch stands for exactly one revision of the store: the reader's
//     snapshot is at the last commit that was taken in.
//   - A frame leaves only when its revision is durable.
//   - After a restart a round writes nothing and the fabric has the same state.
//
// # Debugging
//
// The control socket answers status, lint, flows and explain (package views, off
// the rounds' way) and fabric/status. An object that cannot be used is logged
// when that begins and when it ends.
package northd
