// Package schema declares the databases that govn serves or uses, each once, as
// Go types: a table is a struct, a column is a field.
//
//	package          database
//	schema/nb        OVN_Northbound 7.19.0    served
//	schema/sb        OVN_Southbound 21.11.0   served
//	schema/icnb      OVN_IC_Northbound 1.4.0  of the networks that join zones
//	schema/icsb      OVN_IC_Southbound 2.7.0  what zones tell each other
//	schema/vswitch   Open_vSwitch 8.3.1       the part that a controller uses
//	schema           _GOVN 1.0.0              private: keys that were given out
//
// The JSON schema of RFC 7047 section 3.2 is derived from the types by
// reflection when it is asked for first, and kept. The structs serve as
// libovsdb models as they are.
//
// # Tags
//
// The tag ovsdb names the column; _uuid is the row's own identity. The Go type
// says the shape: T is exactly one, *T is at most one, []T a set, map[K]V a map;
// T is int (OVSDB integer, 64 bits), float64, bool or string. The tag db holds
// the rest, separated by commas. On the _uuid field it describes the table:
//
//	table=NAME     name of the table, required
//	root           rows live without being referenced
//	maxrows=N      at most N rows
//	index=A+B      columns A and B together are unique; may be repeated
//
// On any other field it describes the column; with the prefix "value." it
// describes the values of a map, without it the keys:
//
//	uuid           the string is a UUID that refers to nothing
//	ref=TABLE      the string is a UUID, a strong reference to a row of TABLE
//	weak           the reference is weak: it goes when the row goes
//	range=A..B     least and greatest integer; either may be missing
//	maxlen=N       greatest length of a string, in characters
//	enum=A|B       the only values
//	min=N, max=N   least and greatest number of elements of a set
//	ephemeral      lost when the server restarts
//	immutable      set on insert only
//
// # Invariants
//
//   - A struct whose tags do not parse, or that refers to a table that is not
//     declared, panics when the database is first used; the tests use all.
//   - The JSON and its checksum are functions of the declarations alone.
//   - The package imports nothing of govn but its own parts.
//
// To see what is generated: govn schema northbound.
package schema
