package translate

import (
	"encoding/binary"
	"fmt"

	"govn/pkg/abi"
	"govn/pkg/logical"
	"govn/pkg/openflow"
)

// Connections that came by one of several routes are in two tables, which Open
// vSwitch fills by itself: one finds packets of the connection that come by the same
// way, one finds replies. What is in neither is looked at again. The times are those
// of OVN.
const (
	ecmpIdle = 20 // seconds without a packet
	ecmpHard = 30 // seconds, so that a next hop that moved is seen
)

// checkECMPNext is chk_ecmp_nh_mac and chk_ecmp_nh.
func checkECMPNext(c *compiler, a *logical.Call) error {
	table := uint8(abi.TableECMPNext)
	if a.Func == logical.ChkECMPNHMAC {
		table = abi.TableECMPNextMAC
	}
	return c.lookup(a, abi.FlagECMPNext, table)
}

// transports are the protocols that commit_ecmp_nh takes, and their fields.
var transports = map[string]struct {
	proto    uint8
	src, dst *openflow.Field
}{
	"tcp":  {6, openflow.FieldTCPSrc, openflow.FieldTCPDst},
	"udp":  {17, openflow.FieldUDPSrc, openflow.FieldUDPDst},
	"sctp": {132, openflow.FieldSCTPSrc, openflow.FieldSCTPDst},
}

// learnECMPNext is commit_ecmp_nh: both tables get to know the connection of the
// packet.
func (c *compiler) learnECMPNext(a *logical.Options) error {
	args := make(map[string]string)
	for _, o := range a.Options {
		if len(o.Values) == 1 {
			args[o.Name] = o.Values[0].Text
		}
	}
	l4, ok := transports[args["proto"]]
	if !ok {
		return fmt.Errorf("proto of %q is %q, not tcp, udp or sctp", a.Func, args["proto"])
	}
	etherType, src, dst := uint16(0x0800), openflow.FieldIPv4Src, openflow.FieldIPv4Dst
	switch args["ipv6"] {
	case "false":
	case "true":
		etherType, src, dst = 0x86dd, openflow.FieldIPv6Src, openflow.FieldIPv6Dst
	default:
		return fmt.Errorf("ipv6 of %q is %q, not true or false", a.Func, args["ipv6"])
	}
	same := func(f *openflow.Field) openflow.LearnSpec { return copied(f, f) }
	kind := constantMatch(openflow.FieldEthType, binary.BigEndian.AppendUint16(nil, etherType))
	proto := constantMatch(openflow.FieldIPProto, []byte{0, l4.proto})
	found := openflow.LearnSpec{Kind: openflow.LearnLoad, Bits: 1, Value: []byte{0, 1},
		Dst: openflow.Bits(openflow.FieldReg(abi.RegFlags), abi.FlagECMPNext, abi.FlagECMPNext)}
	c.learnConnection(abi.TableECMPNextMAC, same(openflow.FieldMetadata), same(openflow.FieldEthSrc), kind,
		same(src), same(dst), proto, same(l4.src), same(l4.dst), found)
	c.learnConnection(abi.TableECMPNext, same(openflow.FieldMetadata), kind,
		copied(src, dst), copied(dst, src), proto, copied(l4.src, l4.dst), copied(l4.dst, l4.src), found)
	return nil
}

// learnConnection has a table learn a flow, which goes with the flow that learned
// it.
func (c *compiler) learnConnection(table uint8, specs ...openflow.LearnSpec) {
	c.add(openflow.Learn{Table: table, Priority: openflow.DefaultPriority, Cookie: abi.Cookie(abi.OwnerSwitched, c.flow, 0),
		IdleTimeout: ecmpIdle, HardTimeout: ecmpHard, DeleteLearned: true, Specs: specs})
}

// copied matches a field against what another one of the packet is now.
func copied(dst, src *openflow.Field) openflow.LearnSpec {
	return openflow.LearnSpec{Kind: openflow.LearnMatch, Bits: dst.Bits, Src: openflow.Whole(src), Dst: openflow.Whole(dst)}
}

// constantMatch matches a field against a value.
func constantMatch(f *openflow.Field, value []byte) openflow.LearnSpec {
	return openflow.LearnSpec{Kind: openflow.LearnMatch, Bits: f.Bits, Value: value, Dst: openflow.Whole(f)}
}
