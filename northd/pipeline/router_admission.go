package pipeline

import (
	"govn/northd/topology"
	"govn/pkg/logical"
)

// routerAdmission lets a frame into a router that is for the port that it came
// in by, or for everybody, and keeps the port's Ethernet address for the answers
// of later stages: xreg0[0..47].
var routerAdmission = Feature{
	Name: "router-admission",
	Router: func(f *Flows, _ *topology.Router) {
		f.Add(LRInAdmission, 100, neverRouted, drop)
		f.Add(LRInAdmission, 0, always, drop)
	},
	RouterPort: func(f *Flows, p *topology.RouterPort) {
		if !p.Enabled {
			return
		}
		port, mac := logical.Port("port", p.Name), logical.MAC("mac", p.MAC)
		let := admit
		if p.GatewayMTU > 0 {
			let = admitChecked
		}
		m, cr := atGateway(p.Gateway.Redirect, toPortMAC, toGatewayMAC)
		f.Add(LRInAdmission, 50, m, let, port, mac, frameMTU(p), cr)
		f.Add(LRInAdmission, 50, mcastIn, let, port, mac, frameMTU(p))
		if p.Peer.ProxyMAC != (topology.MAC{}) {
			f.Add(LRInAdmission, 50, toProxyMAC, let, port, mac, frameMTU(p), logical.MAC("proxy", p.Peer.ProxyMAC))
		}
	},
}

var (
	neverRouted  = match("vlan.present || eth.src[40]")
	toPortMAC    = match("eth.dst == {mac} && inport == {port}")
	toGatewayMAC = match("eth.dst == {mac} && inport == {port} && is_chassis_resident({cr})")
	toProxyMAC   = match("eth.dst == {proxy} && inport == {port}")
	mcastIn      = match("eth.mcast && inport == {port}")
	admit        = actions("xreg0[0..47] = {mac}; next;")
	admitChecked = actions("reg9[1] = check_pkt_larger({frame}); xreg0[0..47] = {mac}; next;")
)
