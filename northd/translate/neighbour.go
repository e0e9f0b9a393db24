package translate

import (
	"fmt"

	"govn/pkg/abi"
	"govn/pkg/logical"
	"govn/pkg/openflow"
)

// Neighbour tables take their arguments in fixed places, as those of OVN do;
// what is there is kept on the stack meanwhile:
//
//	get_arp, get_nd        reg15 port, reg0 or xxreg0 address -> 66 -> eth_dst
//	lookup_arp, lookup_nd  reg14 port, reg0 or xxreg0 address, eth_src -> 67 -> flag
//	put_arp, put_nd        the same, to the controller
var (
	argAddress4 = openflow.FieldReg(abi.RegLogical0)
	argAddress6 = openflow.FieldByName("xxreg0")
	argMAC      = openflow.FieldEthSrc
)

// loaded is an argument and the place that the callee expects it in.
type loaded struct {
	src openflow.Subfield
	dst *openflow.Field
}

// arguments are those of a call: a port, an address, perhaps a MAC.
func arguments(a *logical.Call, port int) ([]loaded, error) {
	places := []*openflow.Field{openflow.FieldReg(port), argAddress4, argMAC}
	if len(a.Args) < 2 || len(a.Args) > len(places) {
		return nil, fmt.Errorf("the action %q has %d arguments", a.Func, len(a.Args))
	}
	if a.Args[1].Field.Bits == 128 {
		places[1] = argAddress6
	}
	var out []loaded
	for i := range a.Args {
		src, err := subfield(a.Args[i].Field)
		if err != nil {
			return nil, err
		}
		if src != openflow.Whole(places[i]) {
			out = append(out, loaded{src, places[i]})
		}
	}
	return out, nil
}

// with does the actions with the arguments in their places and puts back what
// was there. All sources are read before any place is written: one may be the
// place of another.
func (c *compiler) with(args []loaded, actions ...openflow.Action) {
	for _, a := range args {
		c.add(openflow.StackPush{Src: openflow.Whole(a.dst)})
	}
	for i := len(args) - 1; i >= 0; i-- {
		c.add(openflow.StackPush{Src: args[i].src})
	}
	for _, a := range args {
		c.add(openflow.StackPop{Dst: openflow.Whole(a.dst)})
	}
	c.add(actions...)
	for i := len(args) - 1; i >= 0; i-- {
		c.add(openflow.StackPop{Dst: openflow.Whole(args[i].dst)})
	}
}

// getMAC is get_arp and get_nd: the Ethernet destination becomes that of the
// address, or zero.
func getMAC(c *compiler, a *logical.Call) error {
	args, err := arguments(a, abi.RegOutport)
	if err != nil {
		return err
	}
	c.with(args, openflow.SetUint(openflow.FieldEthDst, 0), resubmit(abi.TableMACBinding))
	return nil
}

// putMAC is put_arp and put_nd.
func putMAC(c *compiler, a *logical.Call) error {
	args, err := arguments(a, abi.RegInport)
	if err != nil {
		return err
	}
	opcode := uint16(abi.PuntPutARP)
	if a.Func == logical.PutND {
		opcode = abi.PuntPutND
	}
	c.with(args, punt(opcode, 0, nil))
	return nil
}

// lookupMAC is lookup_arp, lookup_nd, and the forms of them that ask for the
// address whatever its Ethernet address is.
func lookupMAC(c *compiler, a *logical.Call) error {
	args, err := arguments(a, abi.RegInport)
	if err != nil {
		return err
	}
	dst, err := subfield(a.Result)
	if err != nil {
		return err
	}
	flag := abi.FlagLookupMAC
	if len(a.Args) == 2 {
		flag = abi.FlagLookupIP
	}
	c.with(args, setBit(abi.RegFlags, flag, false), resubmit(abi.TableMACLookup))
	c.add(openflow.Move{Src: openflow.Bits(openflow.FieldReg(abi.RegFlags), flag, flag), Dst: dst})
	return nil
}
