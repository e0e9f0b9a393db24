// Package icsb holds the tables of OVN_IC_Southbound, by which zones tell each
// other what they have on the networks that join them: one struct for a table.
// The tags are described in package schema; the meaning of each column is that
// of ovn-ic-sb(5).
package icsb
