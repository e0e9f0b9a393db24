package translate

import (
	"fmt"

	"govn/pkg/logical"
	"govn/pkg/openflow"
)

// fragMTU are the fields that only exist in a packet that the controller makes:
// the MTU of the next hop in "fragmentation needed" (RFC 1191) and "packet too
// big" (RFC 4443, 3.2).
var fragMTU = map[string]bool{"icmp4.frag_mtu": true, "icmp6.frag_mtu": true}

// fragMTU makes the MTU part of what the controller is told.
func (c *compiler) fragMTU(a *logical.Set) error {
	if c.nested != logical.ICMP4Error && c.nested != logical.ICMP6Error {
		return fmt.Errorf("the field %q is only in packets that icmp4_error and icmp6_error make", a.Field.Name)
	}
	if v := a.Value.Value; v.Hi != 0 || v.Lo > 1<<32-1 || a.Value.Masked {
		return fmt.Errorf("the field %q cannot be set to %s", a.Field.Name, a.Value.String())
	}
	c.argument = uint32(a.Value.Value.Lo)
	return nil
}

// checkPktLarger is check_pkt_larger.
func checkPktLarger(c *compiler, a *logical.Call) error {
	dst, err := subfield(a.Result)
	if err != nil {
		return err
	}
	c.add(openflow.CheckPktLarger{Length: uint16(a.Args[0].Const.Value.Lo), Dst: dst})
	return nil
}
