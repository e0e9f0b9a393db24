package pipeline

import (
	"govn/northd/topology"
	"govn/pkg/logical"
)

// gateway sends what leaves by a distributed gateway port to the chassis that
// hosts it: there, the chassisredirect port that stands for it is the port itself
// (ovn-northd(8), "Ingress Table 20: Gateway Redirect"). What comes in by the port
// is looked at on that chassis only; see atGateway.
var gateway = Feature{
	Name: "gateway",
	RouterPort: func(f *Flows, p *topology.RouterPort) {
		g := &p.Gateway
		if g.Redirect == "" {
			return
		}
		port, cr := logical.Port("port", p.Name), logical.Port("cr", g.Redirect)
		f.Add(LRInGWRedirect, 50, toPort, redirect, port, cr)
		if g.Bridged { // the physical network brings it there, to the port's own address
			f.Add(LRInARPResolve, 50, toElsewhere, resolved, port, cr, logical.MAC("mac", p.MAC))
		}
	},
}

var (
	redirect    = actions("outport = {cr}; next;")
	toElsewhere = match("outport == {port} && !is_chassis_resident({cr})")
)

// answersAt is the chassisredirect port that has to be resident where a router
// port answers for its addresses to a switch with a physical network: its own one,
// or that of the gateway where the switch enters the router. It is "" where the
// port answers everywhere.
func answersAt(g *topology.Gateway) string {
	switch {
	case !g.Localnet:
		return ""
	case g.Redirect != "":
		return g.Redirect
	}
	return g.Reside
}

// atGateway picks a template by whether a chassisredirect port has to be resident,
// and fills the hole for that port.
func atGateway(cr string, everywhere, there matchText) (matchText, logical.Arg) {
	if cr == "" {
		return everywhere, logical.Arg{}
	}
	return there, logical.Port("cr", cr)
}
