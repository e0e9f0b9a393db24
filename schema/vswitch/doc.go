// Package vswitch holds the tables and columns of the Open_vSwitch database that
// a controller uses. The tags are described in package schema; the meaning of
// each column is that of ovs-vswitchd.conf.db(5). Columns of later releases are
// left out, so that the models fit the server of Open vSwitch 3.1 as well.
package vswitch
