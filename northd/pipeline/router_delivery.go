package pipeline

import (
	"govn/northd/topology"
	"govn/pkg/logical"
)

// delivery lets packets out of a router by its enabled ports.
var delivery = Feature{
	Name: "delivery",
	Router: func(f *Flows, _ *topology.Router) {
		f.Add(LROutChkDNATLocal, 0, always, notLocalDNAT)
		f.Add(LROutSNAT, 120, ndSolicitation, next)
		f.Add(LROutDelivery, 0, always, drop)
	},
	RouterPort: func(f *Flows, p *topology.RouterPort) {
		if p.Enabled {
			f.Add(LROutDelivery, 100, toPort, output, logical.Port("port", p.Name))
		}
	},
}

var (
	notLocalDNAT   = actions("reg9[4] = 0; next;")
	ndSolicitation = match("nd_ns")
)
