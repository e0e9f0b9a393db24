package pipeline

import (
	"govn/northd/topology"
	"govn/pkg/logical"
)

// l2 finds the egress port by destination: multicast goes everywhere, a known
// address to its port, a learned one to where it was learned, and the rest to
// the ports that accept unknown addresses, if there are any.
var l2 = Feature{
	Name: "l2",
	Switch: func(f *Flows, s *topology.Switch) {
		f.Add(LSInL2Lkup, 70, toMulticast, flood)
		f.Add(LSInL2Lkup, 0, always, getFDB)
		if s.HasUnknown {
			f.Add(LSInL2Unknown, 50, nowhere, floodUnknown)
		} else {
			f.Add(LSInL2Unknown, 50, nowhere, drop)
		}
		f.Add(LSInL2Unknown, 0, always, output)
	},
	Port: func(f *Flows, p *topology.Port) {
		if p.Type == topology.TypeExternal { // it is where the physical network has it
			return
		}
		port := logical.Port("port", p.Name)
		if !p.Enabled {
			f.Add(LSInL2Unknown, 50, toPort, drop, port)
		}
		for _, a := range p.Addresses {
			if p.Enabled {
				m, cr := toMAC, logical.Arg{}
				if p.Peer != nil && a.MAC == p.Peer.MAC {
					m, cr = atGateway(answersAt(&p.Peer.Gateway), toMAC, toMACThere)
				}
				f.Add(LSInL2Lkup, 50, m, deliver, logical.MAC("mac", a.MAC), port, cr)
			} else {
				f.Add(LSInL2Lkup, 50, toMAC, drop, logical.MAC("mac", a.MAC))
			}
		}
	},
}

var (
	toMAC        = match("eth.dst == {mac}")
	toMACThere   = match("eth.dst == {mac} && is_chassis_resident({cr})")
	toPort       = match("outport == {port}")
	nowhere      = match(`outport == "none"`)
	flood        = actions(`outport = "_MC_flood"; output;`)
	floodUnknown = actions(`outport = "_MC_unknown"; output;`)
	deliver      = actions("outport = {port}; output;")
	getFDB       = actions("outport = get_fdb(eth.dst); next;")
)
