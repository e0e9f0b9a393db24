// Package classifier finds the flow of the highest priority that matches a
// packet.
//
//	Table
//	  subtable mask A, highest priority 100     hash of the key under A --> rules
//	  subtable mask B, highest priority 50      hash of the key under B --> rules
//
// A table is a tuple space (Srinivasan, Suri, Varghese: Packet Classification
// using Tuple Space Search, SIGCOMM 1999): a subtable for every distinct mask,
// looked up from the highest priority down until no other can win. Conjunctive
// flows are resolved as ovs-actions(7) describes: flows with conjunction
// actions never win themselves, but when every clause of a conjunction has one
// that matches, the lookup is done again with its conj_id.
//
// # Contract
//
// A Table is for one goroutine at a time. Rules are compared by pointer; two
// rules of the same priority and match cannot both be in a table. Which of
// several matching rules of one priority is found is not defined.
package classifier
