// Package nb holds the tables of OVN_Northbound, what an operator writes: one
// struct for a table. The tags are described in package schema; the meaning of
// each column is that of ovn-nb(5).
package nb
