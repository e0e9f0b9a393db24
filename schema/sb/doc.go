// Package sb holds the tables of OVN_Southbound: what northd derives from the
// northbound database and what chassis report. The tags are described in
// package schema; the meaning of each column is that of ovn-sb(5).
package sb
