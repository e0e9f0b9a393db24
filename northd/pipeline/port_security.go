package pipeline

import (
	"govn/northd/topology"
	"govn/pkg/logical"
)

// portSecurity lets a port send from and receive to its own addresses only
// (ovn-nb(5), port_security), and drops what a switch never forwards: frames
// from a multicast source, whatever a disabled port sends. The
// addresses themselves are compiled into tables of their own, see
// translate.PortSecurity.
var portSecurity = Feature{
	Name: "port-security",
	Switch: func(f *Flows, _ *topology.Switch) {
		f.Add(LSInCheckPortSec, 100, fromMulticast, drop)
		f.Add(LSInCheckPortSec, 50, always, checkIn)
		f.Add(LSInApplyPortSec, 50, refused, drop)
		f.Add(LSOutCheckPortSec, 100, toMulticast, accept)
		f.Add(LSOutCheckPortSec, 0, always, checkOut)
		f.Add(LSOutApplyPortSec, 50, refused, drop)
		f.Add(LSOutApplyPortSec, 0, always, output)
	},
	Resident: func(f *Flows, p *topology.Port) {
		if !p.Enabled && p.Type != topology.TypeExternal { // nothing comes in by an external port
			f.Add(LSInCheckPortSec, 100, fromPort, refuse, logical.Port("port", p.Name))
		}
	},
}

var (
	fromMulticast = match("eth.src[40]")
	toMulticast   = match("eth.mcast")
	refused       = match("reg0[15] == 1")
	fromPort      = match("inport == {port}")
	checkIn       = actions("reg0[15] = check_in_port_sec(); next;")
	checkOut      = actions("reg0[15] = check_out_port_sec(); next;")
	accept        = actions("reg0[15] = 0; next;")
	refuse        = actions("reg0[15] = 1; next;")
)
