// Package northbound knows what the values of the northbound database mean, as
// ovn-nb(5) documents them: which keys options have and of which type they are,
// what an address, a match or a virtual IP must look like, and which names of
// other rows a row uses. The schema says none of that: to it, all are strings.
//
//	Key   table, column, name --> Type      of each documented key (keys.go)
//	Check row --> []Fault                   what is unknown, of a wrong type, out of range
//	References row --> []Reference          the names that have to lead somewhere
//
// govn nbctl warns with it before it sends, govn lint lists with it, and strict
// mode refuses with it, so all three say the same.
//
// # Contract
//
//   - A fault points at the place: byte offsets in the value.
//   - Nothing is a fault that ovn-nb(5) allows. What OVN accepts and uses in a
//     way that is not documented may be one.
//   - The package reads a row through the interface Row and knows nothing of
//     where it comes from.
//
// # Adding a key
//
// Add it to keys.go. A test reads the installed manual page and fails if a key
// that it documents is not there.
package northbound
