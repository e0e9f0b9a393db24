package pipeline

import (
	"govn/northd/topology"
	"govn/pkg/logical"
)

// gatewayMTU tells who sends packets that are larger than options:gateway_mtu of
// the port that they leave or came in by (ovn-nb(5), gateway_mtu): ICMP with the
// MTU, from the port that they came in by. The check counts the Ethernet header.
var gatewayMTU = Feature{
	Name: "gateway-mtu",
	RouterPort: func(f *Flows, p *topology.RouterPort) {
		if p.GatewayMTU == 0 {
			return
		}
		f.Add(LRInChkPktLen, 50, toPort, checkLength, logical.Port("port", p.Name), frameMTU(p))
		f.tooLarge(LRInIPInput, p, p.GatewayMTU, &cameTooLarge, logical.Port("in", p.Name))
	},
	RouterPair: func(f *Flows, in, out *topology.RouterPort) {
		f.tooLarge(LRInLargerPkts, in, out.GatewayMTU, &leavesTooLarge, logical.Port("in", in.Name), logical.Port("out", out.Name))
	},
}

// frameMTU is the largest frame of a port.
func frameMTU(p *topology.RouterPort) logical.Arg {
	const ethernet = 14
	return logical.Int("frame", uint64(p.GatewayMTU)+ethernet)
}

// tooLarge answers what came in by a port and exceeds an MTU.
func (f *Flows) tooLarge(s *Stage, in *topology.RouterPort, mtu uint32, m *versions, args ...logical.Arg) {
	args = append(args, logical.MAC("mac", in.MAC), logical.Int("mtu", uint64(mtu)))
	if len(in.V4) > 0 {
		f.Add(s, 150, m.v4, fragmentationNeeded, append(args, logical.IP("ip", in.V4[0].Addr()))...)
	}
	if len(in.V6) > 0 {
		f.Add(s, 150, m.v6, packetTooBig, append(args, logical.IP("ip", in.V6[0].Addr()))...)
	}
}

// versions is a match for each IP version.
type versions struct{ v4, v6 matchText }

var (
	checkLength  = actions("reg9[1] = check_pkt_larger({frame}); next;")
	cameTooLarge = versions{
		match("inport == {in} && ip4 && reg9[1] && reg9[0] == 0"),
		match("inport == {in} && ip6 && reg9[1] && reg9[0] == 0"),
	}
	leavesTooLarge = versions{
		match("inport == {in} && outport == {out} && ip4 && reg9[1] && reg9[0] == 0"),
		match("inport == {in} && outport == {out} && ip6 && reg9[1] && reg9[0] == 0"),
	}
	fragmentationNeeded = actions("icmp4_error { reg9[0] = 1; reg9[1] = 0; eth.dst = {mac}; ip4.dst = ip4.src; ip4.src = {ip}; ip.ttl = 255; " +
		"icmp4.type = 3; icmp4.code = 4; icmp4.frag_mtu = {mtu}; next(pipeline=ingress, table=0); };")
	packetTooBig = actions("icmp6_error { reg9[0] = 1; reg9[1] = 0; eth.dst = {mac}; ip6.dst = ip6.src; ip6.src = {ip}; ip.ttl = 255; " +
		"icmp6.type = 2; icmp6.code = 0; icmp6.frag_mtu = {mtu}; next(pipeline=ingress, table=0); };")
)
