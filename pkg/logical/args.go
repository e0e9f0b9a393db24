package logical

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

// Value is what a hole of a template is bound to: a constant or a set of them.
type Value struct {
	c    Constant
	list []Constant
	set  bool
}

// Arg is a value for the hole called Name.
type Arg struct {
	Name  string
	Value Value
}

// constants are the elements of v.
func (v *Value) constants() []Constant {
	if v.set {
		return v.list
	}
	return []Constant{v.c}
}

// Port is the name of a logical port or a multicast group.
func Port(name, port string) Arg {
	return Arg{name, Value{c: Constant{Form: FormString, Text: port}}}
}

// Text is any other string, such as a meter's name in log().
func Text(name, s string) Arg { return Port(name, s) }

// Word is a bare word, such as a severity in log().
func Word(name, s string) Arg { return Arg{name, Value{c: Constant{Form: FormName, Text: s}}} }

// MAC is an Ethernet address.
func MAC(name string, mac [6]byte) Arg { return Arg{name, Value{c: macConstant(mac)}} }

// IP is an IPv4 or IPv6 address. An IPv4 address in IPv6 form counts as IPv6.
func IP(name string, ip netip.Addr) Arg { return Arg{name, Value{c: addrConstant(ip)}} }

// Prefix is a CIDR prefix. Bits behind the prefix are ignored; one of full
// length is the address alone.
func Prefix(name string, p netip.Prefix) Arg { return Arg{name, Value{c: prefixConstant(p)}} }

// Int is an unsigned number.
func Int(name string, n uint64) Arg { return Arg{name, Value{c: Constant{Value: U64(n)}}} }

// Bits is a number under a mask. Bits of value outside of the mask are
// ignored.
func Bits(name string, value, mask U128) Arg {
	return Arg{name, Value{c: Constant{Form: FormHex, Masked: true, Value: value.And(mask), Mask: mask}}}
}

// PortSet is a set of names; the match holds for any of them, without any for
// none.
func PortSet(name string, ports []string) Arg {
	list := make([]Constant, len(ports))
	for i, p := range ports {
		list[i] = Constant{Form: FormString, Text: p}
	}
	return Arg{name, Value{list: list, set: true}}
}

// IPSet is a set of addresses and prefixes.
func IPSet(name string, prefixes []netip.Prefix) Arg {
	list := make([]Constant, len(prefixes))
	for i, p := range prefixes {
		list[i] = prefixConstant(p)
	}
	return Arg{name, Value{list: list, set: true}}
}

// MACSet is a set of Ethernet addresses.
func MACSet(name string, macs [][6]byte) Arg {
	list := make([]Constant, len(macs))
	for i, m := range macs {
		list[i] = macConstant(m)
	}
	return Arg{name, Value{list: list, set: true}}
}

// IntSet is a set of numbers.
func IntSet(name string, ns []uint64) Arg {
	list := make([]Constant, len(ns))
	for i, n := range ns {
		list[i] = Constant{Value: U64(n)}
	}
	return Arg{name, Value{list: list, set: true}}
}

func macConstant(m [6]byte) Constant {
	n := uint64(m[0])<<40 | uint64(m[1])<<32 | uint64(m[2])<<24 | uint64(m[3])<<16 | uint64(m[4])<<8 | uint64(m[5])
	return Constant{Form: FormMAC, Value: U64(n)}
}

func addrConstant(ip netip.Addr) Constant {
	switch {
	case !ip.IsValid(): // fits no field
		return Constant{Form: FormName, Text: "invalid-address"}
	case ip.Is4():
		return Constant{Form: FormIPv4, Value: addrBits(ip)}
	}
	return Constant{Form: FormIPv6, Value: addrBits(ip)}
}

func prefixConstant(p netip.Prefix) Constant {
	c := addrConstant(p.Addr())
	if p.IsValid() && !p.IsSingleIP() {
		c.Masked, c.Mask = true, prefixMask(p.Bits(), p.Addr().BitLen())
		c.Value = c.Value.And(c.Mask)
	}
	return c
}

// appendKey appends bytes that are equal for equal values only.
func (v *Value) appendKey(b []byte) []byte {
	if !v.set {
		return v.c.appendKey(append(b, 0))
	}
	b = binary.AppendUvarint(append(b, 1), uint64(len(v.list)))
	for i := range v.list {
		b = v.list[i].appendKey(b)
	}
	return b
}

func (c *Constant) appendKey(b []byte) []byte {
	b = append(b, byte(c.Form))
	if !c.Numeric() {
		return append(binary.AppendUvarint(b, uint64(len(c.Text))), c.Text...)
	}
	b = binary.AppendUvarint(binary.AppendUvarint(b, c.Value.Hi), c.Value.Lo)
	if !c.Masked {
		return append(b, 0)
	}
	return binary.AppendUvarint(binary.AppendUvarint(append(b, 1), c.Mask.Hi), c.Mask.Lo)
}

// bindArgs orders the arguments as the holes are and checks them against the
// places where these stand. Arguments for no hole are an error, if all is set.
func bindArgs(holes []string, uses []holeUse, args []Arg, all bool) ([]Value, error) {
	if len(holes) == 0 && (len(args) == 0 || !all) {
		return nil, nil
	}
	if len(holes) != len(args) && all {
		return nil, fmt.Errorf("%w: %d arguments for %d holes %q", ErrArgument, len(args), len(holes), holes)
	}
	vals := make([]Value, len(holes))
	for h, name := range holes {
		found := false
		for i := range args {
			if args[i].Name == name {
				vals[h], found = args[i].Value, true
				break
			}
		}
		if !found {
			return nil, fmt.Errorf("%w: no argument for hole %q", ErrArgument, name)
		}
	}
	for i := range uses {
		if err := uses[i].check(holes, vals); err != nil {
			return nil, err
		}
	}
	return vals, nil
}

func (u *holeUse) check(holes []string, vals []Value) error {
	v := &vals[u.hole]
	if v.set && u.one {
		return fmt.Errorf("%w: hole %q takes one value, not a set", ErrArgument, holes[u.hole])
	}
	if !v.set {
		return u.checkConstant(holes, &v.c)
	}
	for i := range v.list {
		if err := u.checkConstant(holes, &v.list[i]); err != nil {
			return err
		}
	}
	return nil
}

func (u *holeUse) checkConstant(holes []string, c *Constant) error {
	if u.exact && c.Masked {
		return fmt.Errorf("%w: hole %q takes no mask", ErrArgument, holes[u.hole])
	}
	if u.field == nil {
		return nil
	}
	if u.field.Kind == Resident {
		if c.Form != FormString {
			return fmt.Errorf("%w: hole %q takes a port", ErrArgument, holes[u.hole])
		}
		return nil
	}
	if msg := checkConstant(u.field, c); msg != "" {
		return fmt.Errorf("%w: hole %q: %s", ErrArgument, holes[u.hole], msg)
	}
	return nil
}
