package pipeline

import (
	"govn/northd/topology"
	"govn/pkg/logical"
)

// virtual lets the chassis see which of its parents has the address of a virtual
// port: the one that announces it, or answers for it (ovn-nb(5), virtual). The
// switch does not answer: the parent does.
var virtual = Feature{
	Name: "virtual",
	Port: func(f *Flows, p *topology.Port) {
		if p.Virtual == nil || !p.Virtual.IP.IsValid() {
			return
		}
		ip := p.Virtual.IP
		for _, parent := range p.Virtual.Parents {
			args := []logical.Arg{logical.Port("parent", parent.Name), logical.Port("port", p.Name), logical.IP("ip", ip)}
			if ip.Is4() {
				f.Add(LSInARPRsp, 100, arpOfVirtual, bindVirtual, args...)
			} else {
				f.Add(LSInARPRsp, 100, ndOfVirtual, bindVirtual, append(args, logical.IP("node", topology.SolicitedNode(ip)))...)
			}
		}
	},
}

var (
	arpOfVirtual = match("inport == {parent} && ((arp.op == 1 && arp.spa == {ip} && arp.tpa == {ip}) || (arp.op == 2 && arp.spa == {ip}))")
	ndOfVirtual  = match("inport == {parent} && ((nd_ns && ip6.dst == {{ip}, {node}} && nd.target == {ip}) || (nd_na && nd.target == {ip}))")
	bindVirtual  = actions("bind_vport({port}, inport); next;")
)

// virtualNeighbour resolves the address of a virtual port to the parent that has
// it. As long as none has, the address is zero, for which the router asks the
// switch: what it learned before may be wrong.
func (f *Flows) virtualNeighbour(a *topology.Attachment, v *topology.Virtual) {
	if !v.IP.IsValid() {
		return
	}
	var mac topology.MAC
	if v.Parent != nil {
		mac = v.Parent.MAC
	}
	f.neighbour(a, v.IP, mac)
}
