// Package translate turns logical flows into encoded OpenFlow without a
// datapath: the bodies that chassis install.
//
// A logical match becomes one OpenFlow match per term of its disjunctive normal
// form; logical fields become registers as pkg/abi says; names of ports become
// their tunnel keys. Every match begins with the metadata field, whose value is
// left zero: a relocation that the chassis fills with the key of the unit's
// datapath.
//
// # Invariants
//
//   - Same flows, same bytes: a body depends on nothing else, so that equal
//     bodies have equal hashes and are stored, sent and kept once.
//   - A body holds nothing of a host: no OpenFlow port, no conntrack zone.
//   - The cookie of a flow names its logical flow (flow id) and its content.
package translate
