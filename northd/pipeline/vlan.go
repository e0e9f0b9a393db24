package pipeline

import "govn/northd/topology"

// vlan drops frames with a VLAN tag, unless other_config:vlan-passthru of the
// switch says that they pass (ovn-nb(5)). Tags of nested and localnet ports are
// gone by then: the chassis takes them off where frames come in.
var vlan = Feature{
	Name: "vlan",
	Switch: func(f *Flows, s *topology.Switch) {
		if !s.Passthru {
			f.Add(LSInCheckPortSec, 100, tagged, drop)
		}
	},
}

var tagged = match("vlan.present")
