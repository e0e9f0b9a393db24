package pipeline

import (
	"govn/northd/topology"
	"govn/pkg/logical"
)

// OfExternal is what keeps a router on a switch from hearing an external port, a
// machine on a physical network, on more than one chassis: only the one that hosts
// the port takes from the localnet port what the machine sends to the router, or
// asks about it (ovn-northd(8), "Ingress table 24: External ports").
func OfExternal(p, localnet, router *topology.Port) ([]Flow, error) {
	return Collect(func(f *Flows) {
		for _, own := range p.Addresses {
			args := func(more ...logical.Arg) []logical.Arg {
				return append(more, logical.Port("localnet", localnet.Name), logical.Port("port", p.Name), logical.MAC("src", own.MAC))
			}
			for _, a := range router.Addresses {
				f.Add(LSInExternalPort, 100, externalToRouter, drop, args(logical.MAC("mac", a.MAC))...)
				for _, ip := range a.V4 {
					f.Add(LSInExternalPort, 100, externalARP, drop, args(logical.IP("ip", ip.Addr()))...)
				}
				for _, ip := range a.V6 {
					f.Add(LSInExternalPort, 100, externalND, drop,
						args(logical.IP("ip", ip.Addr()), logical.IP("node", topology.SolicitedNode(ip.Addr())))...)
				}
			}
		}
	})
}

var (
	externalToRouter = match("inport == {localnet} && eth.src == {src} && eth.dst == {mac} && !is_chassis_resident({port})")
	externalARP      = match("inport == {localnet} && eth.src == {src} && !is_chassis_resident({port}) && arp.tpa == {ip} && arp.op == 1")
	externalND       = match("inport == {localnet} && eth.src == {src} && !is_chassis_resident({port}) && nd_ns && ip6.dst == {{ip}, {node}} && nd.target == {ip}")
)
