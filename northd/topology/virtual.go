package topology

import (
	"encoding/binary"
	"net/netip"
	"strings"

	"govn/pkg/incr"
	"govn/pkg/ovsdb"
)

// Option keys of virtual ports (ovn-nb(5), Logical_Switch_Port).
const (
	optionVirtualIP      = "virtual-ip"
	optionVirtualParents = "virtual-parents"
)

// Virtual is what a virtual port has besides what every port has.
type Virtual struct {
	IP      netip.Addr // options:virtual-ip; not valid: none that can be used
	Parents []VirtualParent
	// Parent is the one of them that has the address now; nil: none.
	Parent *VirtualParent
}

// VirtualParent is a port of the same switch that may have the address.
type VirtualParent struct {
	Name string
	Key  uint32
	MAC  MAC // of its first address
}

// readVirtual reads who may have the address of a virtual port, and who has it:
// the parent that the chassis reported which the port is bound to. Parents that
// the switch does not have are left out.
func (r *Reader) readVirtual(c *incr.Ctx, p *Port) {
	l, b := &r.C.LSP, &r.C.PortBinding
	v := &Virtual{}
	p.Virtual = v
	text, _ := r.Option(c, l.Options, p.UUID, optionVirtualIP)
	v.IP, _ = netip.ParseAddr(strings.TrimSpace(text))
	list, _ := r.Option(c, l.Options, p.UUID, optionVirtualParents)
	has := ""
	if _, bound := r.Opt(c, b.Chassis, p.UUID); bound {
		name, _ := r.Opt(c, b.VirtualParent, p.UUID)
		has, _ = name.(string)
	}
	for name := range strings.SplitSeq(list, ",") {
		u, ok := r.Named(c, l.Name, strings.TrimSpace(name))
		if !ok {
			continue
		}
		key, ok := r.Key(c, KindPort, p.Switch, u)
		if !ok || r.Str(c, l.Type, u) != TypeVIF {
			continue
		}
		parent := VirtualParent{Name: strings.TrimSpace(name), Key: key, MAC: r.firstMAC(c, u)}
		v.Parents = append(v.Parents, parent)
		if parent.Name == has {
			v.Parent = &parent
		}
	}
}

// firstMAC is the Ethernet address of the first address of a port, zero if it has
// none.
func (r *Reader) firstMAC(c *incr.Ctx, u ovsdb.UUID) MAC {
	for _, col := range []*ovsdb.ColumnSchema{r.C.LSP.Addresses, r.C.LSP.DynamicAddresses} {
		for a := range r.Set(c, col, u).All() {
			if addr, err := ParseAddresses(a.(string)); err == nil {
				return addr.MAC
			}
		}
	}
	return MAC{}
}

// Key is the tunnel key of a parent.
func (v *Virtual) key(name string) (uint32, bool) {
	if v == nil {
		return 0, false
	}
	for _, p := range v.Parents {
		if p.Name == name {
			return p.Key, true
		}
	}
	return 0, false
}

// PortKey is the tunnel key of a port that the flows of this one may name:
// itself, or what it depends on.
func (p *Port) PortKey(name string) (uint32, bool) {
	if name == p.Name {
		return p.Key, true
	}
	return p.Virtual.key(name)
}

func (v *Virtual) appendHash(b []byte) []byte {
	if v == nil {
		return append(b, 0)
	}
	b = append(b, 1)
	b = appendText(b, v.IP.String())
	has := ""
	if v.Parent != nil {
		has = v.Parent.Name
	}
	b = appendText(b, has)
	b = binary.BigEndian.AppendUint32(b, uint32(len(v.Parents)))
	for _, p := range v.Parents {
		b = appendText(b, p.Name)
		b = binary.BigEndian.AppendUint32(b, p.Key)
		b = appendText(b, p.MAC.String())
	}
	return b
}
