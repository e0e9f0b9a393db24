package pipeline

import (
	"errors"
	"fmt"

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
		if e, err := MTUBypass(p.Options); err == nil && e != nil {
			mac := logical.MAC("mac", p.MAC)
			f.bypass(LRInChkPktLen, e, next, fmt.Sprintf("outport == %q", p.Name))
			to := fmt.Sprintf("eth.dst == %s && inport == %q", p.MAC, p.Name)
			if p.Gateway.Redirect != "" {
				to += fmt.Sprintf(" && is_chassis_resident(%q)", p.Gateway.Redirect)
			}
			f.bypass(LRInAdmission, e, admit, to, mac)
			f.bypass(LRInAdmission, e, admit, fmt.Sprintf("eth.mcast && inport == %q", p.Name), mac)
		}
	},
	RouterPair: func(f *Flows, in, out *topology.RouterPort) {
		f.tooLarge(LRInLargerPkts, in, out.GatewayMTU, &leavesTooLarge, logical.Port("in", in.Name), logical.Port("out", out.Name))
	},
}

// MTUBypass is the match of packets that are not checked, in options of a port:
// gateway_mtu_bypass. It is nil if there is none.
func MTUBypass(options map[string]string) (*logical.Expr, error) {
	text := options["gateway_mtu_bypass"]
	if text == "" {
		return nil, nil
	}
	e, err := ParseMatch(text)
	if err != nil {
		return nil, err
	}
	if sets, groups := e.Sets(); len(sets)+len(groups) > 0 {
		return nil, errSets
	}
	_, err = logical.LiteralMatch(e)
	return e, err
}

var errSets = errors.New("address sets and port groups cannot be used here")

// bypass lets packets past the check where both matches hold. What is too complex
// together with where does not bypass.
func (f *Flows) bypass(s *Stage, e *logical.Expr, a actionText, where string, args ...logical.Arg) {
	w, err := ParseMatch(where)
	if err != nil {
		return
	}
	if m, err := logical.LiteralMatch(logical.AllOf(w, e)); err == nil {
		f.AddMatch(s, 55, m, a, args...)
	}
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
