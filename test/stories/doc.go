// Package stories holds stories that users of an overlay live through, told
// once for every network that can play them: labs on real Open vSwitch
// (test/e2e) and the simulator.
//
//	JoinedNetworks   docs/examples/joined-networks.yaml    docs/stories/joined-networks.md
//	GeneveInGeneve   docs/examples/geneve-in-geneve.yaml   docs/stories/geneve-in-geneve.md
//	Headers          docs/examples/geneve-headers.yaml     docs/stories/geneve-headers.md
//
// A story takes a [Network] that has been built from its example and is up. It
// changes no topology and leaves the network as it was.
//
// # That something does not arrive
//
// A story that expects a packet to be dropped sends another one after it, which
// must arrive: a network keeps the order, so what is not there by then has been
// dropped.
package stories
