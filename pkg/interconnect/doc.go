// Package interconnect knows what the values of the two databases mean by which
// zones find each other, as ovn-ic-nb(5) and ovn-ic-sb(5) document them: the names
// and addresses that a zone can use, and the keys of options. The schema says none
// of that: to it, all are strings.
//
//	CheckNorthbound, CheckSouthbound   row --> []northbound.Fault
//	Keys                               the keys that are known
//	TransitKeys                        which tunnel key a transit switch gets
//
// govn ic-nbctl and govn ic-sbctl warn with it before they send, govn ic lint lists
// with it. It is to those databases what package northbound is to OVN_Northbound,
// and uses its types.
//
// # Contract
//
//   - A fault points at the place: byte offsets in the value.
//   - What a zone of OVN writes is no fault.
package interconnect
