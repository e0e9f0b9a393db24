package pipeline

import (
	"govn/northd/topology"
	"govn/pkg/logical"
)

// localnet lets requests from a physical network go where they want: many
// chassis see them, and the one with the answering port, not each of them,
// replies (ovn-northd(8), "ARP/ND responder").
var localnet = Feature{
	Name: "localnet",
	Resident: func(f *Flows, p *topology.Port) {
		if p.Type == topology.TypeLocalnet {
			f.Add(LSInARPRsp, 100, fromPort, next, logical.Port("port", p.Name))
		}
	},
}
