// Package aging reads how long learned entries are kept: the option
// mac_binding_age_threshold of a logical router (ovn-nb(5)), which northd and the
// chassis both go by.
//
//	60                                                 all addresses, after 60 seconds
//	192.168.0.0/16:300;192.168.10.0/24:0;fd00::/8:600;60    by prefix, and the rest
//
// Of the prefixes that hold an address the longest counts; 0 means that entries
// stay. It does no I/O and knows no clock.
//
// # Debugging
//
// [Parse] names the part of the text that cannot be read.
package aging
