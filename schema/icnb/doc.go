// Package icnb holds the tables of OVN_IC_Northbound, what an operator writes
// about the networks that join zones: one struct for a table. The tags are
// described in package schema; the meaning of each column is that of
// ovn-ic-nb(5).
package icnb
