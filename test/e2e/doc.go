// Package e2e holds the end-to-end tests: stories on real Open vSwitch, with
// the govn binary as users run it, and stock OVN beside it where the two must
// agree.
//
//	go test -tags e2e ./test/e2e            as root, about a minute
//	go test -tags e2e -run Faults ./test/e2e
//
// Each test builds labs of its own with sim/lab, in namespaces whose names begin
// with "e2e", and removes them when it ends, Ctrl-C and time limits included (lab.Guarded).
// TestMain builds the binary once.
// When a test fails, the ends of the logs of all daemons of its labs are printed
// first. With -control stock the stories run on stock OVN alone: most hold there
// too, and one that fails there as well is wrong itself.
//
// # Invariants tested here
//
//   - what is on the wire between hypervisors is what stock OVN puts there;
//   - stock tools get from govn's databases what they get from stock OVN's;
//   - verdicts of random microflows are those of stock OVN;
//   - zones of govn and of stock OVN, linked by either's interconnection, show in
//     their databases and on their wires what zones of nothing but stock OVN show;
//   - no daemon's death loses a packet, except that of ovs-vswitchd itself;
//   - garbage on a socket costs its sender the connection and nobody anything;
//   - the stories of package stories, which docs/stories tells.
package e2e
