package pipeline

import "govn/northd/topology"

var (
	always = match("1")
	next   = actions("next;")
	drop   = actions("drop;")
	output = actions("output;")
)

// defaults is what happens to a packet that nothing else in a stage is about:
// it goes on.
var defaults = Feature{
	Name: "defaults",
	Switch: func(f *Flows, _ *topology.Switch) {
		for _, s := range switchStages.list {
			if !decides[s] {
				f.Add(s, 0, always, next)
			}
		}
	},
	Router: func(f *Flows, _ *topology.Router) {
		for _, s := range routerStages.list {
			if !decides[s] {
				f.Add(s, 0, always, next)
			}
		}
	},
}

// decides are the stages whose own feature says what the default is.
var decides = map[*Stage]bool{
	LSInCheckPortSec:  true,
	LSInL2Lkup:        true,
	LSInL2Unknown:     true,
	LSOutCheckPortSec: true,
	LSOutApplyPortSec: true,

	LRInAdmission:      true,
	LRInLookupNeighbor: true,
	LRInLearnNeighbor:  true,
	LRInIPRoutingPre:   true,
	LRInIPRouting:      true,
	LRInIPRoutingECMP:  true,
	LRInPolicy:         true,
	LRInPolicyECMP:     true,
	LRInARPResolve:     true,
	LRInARPRequest:     true,
	LROutChkDNATLocal:  true,
	LROutDelivery:      true,
}
