package pipeline

import (
	"govn/northd/topology"
	"govn/pkg/logical"
)

// fdb learns the Ethernet addresses behind a port that accepts unknown
// addresses and has no port security: one of a workload, of another switch, or
// of a physical network where options:localnet_learn_fdb says so (ovn-nb(5)).
var fdb = Feature{
	Name: "fdb",
	Resident: func(f *Flows, p *topology.Port) {
		if !Learns(p) {
			return
		}
		f.Add(LSInLookupFDB, 100, fromPort, lookupFDB, logical.Port("port", p.Name))
		f.Add(LSInPutFDB, 100, notLearned, putFDB, logical.Port("port", p.Name))
	},
}

// Learns reports whether source addresses are learned on the port.
func Learns(p *topology.Port) bool {
	if p.Type != topology.TypeVIF && p.Type != topology.TypeSwitch && !p.LearnFDB {
		return false
	}
	return p.Enabled && p.Unknown && len(p.PortSecurity) == 0
}

var (
	notLearned = match("inport == {port} && reg0[11] == 0")
	lookupFDB  = actions("reg0[11] = lookup_fdb(inport, eth.src); next;")
	putFDB     = actions("put_fdb(inport, eth.src); next;")
)
