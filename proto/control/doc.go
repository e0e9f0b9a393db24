// Package control is what the daemons answer on their control sockets to the
// commands that people look at a zone with: types with a JSON form for programs
// and a text form for people.
//
//	command   asked of              answer
//	status    northd                Status
//	status    controller            Host
//	lint      northd                Problems
//	flows     northd, controller    Origins of what an object became
//	explain   northd, controller    Origins of what a cookie stands for
//
// # Contract
//
// Every command takes --format=json or --format=text as its first argument;
// text is the default, so that ovs-appctl can be used. The JSON form of a type is
// read back into the same type. Fields are added, never given another meaning.
//
// An [Origin] goes both ways between OpenFlow and the northbound database:
//
//	Logical_Switch_Port "vm1" --> logical flow, table, priority, match --> OpenFlow flows
//	                          <--                                      <-- cookie
//
// northd knows all three; a chassis knows the first and the last, with counters,
// and adds the flows that it makes itself (ports, tunnels, groups).
//
// The package imports nothing of govn.
package control
