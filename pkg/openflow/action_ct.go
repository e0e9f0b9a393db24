package openflow

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// CT sends the packet through connection tracking.
type CT struct {
	Commit  bool     // keep the connection
	Force   bool     // with Commit: begin anew when it exists in the other direction
	Zone    uint16   // when ZoneSrc.Field is nil
	ZoneSrc Subfield // 16 bits that hold the zone
	Table   uint8    // recirculate to this table, CTNoTable: do not
	ALG     uint16   // port of the helper: 21 ftp, 69 tftp, 0 none
	Actions []Action // NAT, and SetField or Move to ct_mark and ct_label
}

// CTNoTable is CT.Table of an action that does not recirculate.
const CTNoTable = 0xff

const (
	ctCommit = 1
	ctForce  = 2
)

// AppendTo appends NXAST_CT.
func (a CT) AppendTo(b []byte) []byte {
	start := len(b)
	flags := uint16(0)
	if a.Commit {
		flags |= ctCommit
	}
	if a.Force {
		flags |= ctForce
	}
	b = put16(nicira(b, nxCT, 0), flags)
	if a.ZoneSrc.Field != nil {
		b = put16(put32(b, a.ZoneSrc.Field.Header()), a.ZoneSrc.ofsNBits())
	} else {
		b = put16(put32(b, 0), a.Zone)
	}
	b = put16(putZeros(append(b, a.Table), 3), a.ALG)
	for _, n := range a.Actions {
		b = n.AppendTo(b)
	}
	return setLen(b, start, 2)
}

func (a CT) String() string {
	var s, exec []string
	if a.Commit {
		s = append(s, "commit")
	}
	if a.Force {
		s = append(s, "force")
	}
	if a.Table != CTNoTable {
		s = append(s, fmt.Sprintf("table=%d", a.Table))
	}
	if a.ZoneSrc.Field != nil {
		s = append(s, "zone="+a.ZoneSrc.String())
	} else if a.Zone != 0 {
		s = append(s, fmt.Sprintf("zone=%d", a.Zone))
	}
	for _, n := range a.Actions {
		if nat, ok := n.(NAT); ok {
			s = append(s, nat.String())
		} else {
			exec = append(exec, n.String())
		}
	}
	if len(exec) > 0 {
		s = append(s, "exec("+strings.Join(exec, ",")+")")
	}
	switch a.ALG {
	case 0:
	case 21:
		s = append(s, "alg=ftp")
	case 69:
		s = append(s, "alg=tftp")
	default:
		s = append(s, fmt.Sprintf("alg=%d", a.ALG))
	}
	return "ct(" + strings.Join(s, ",") + ")"
}

func decodeCT(r *reader, depth int) Action {
	flags, src, zone := r.u16(), r.u32(), r.u16()
	a := CT{Commit: flags&ctCommit != 0, Force: flags&ctForce != 0, Zone: zone}
	if src != 0 {
		f := FieldByHeader(src)
		if f == nil {
			r.fail("unknown field %#08x", src)
		}
		a.Zone, a.ZoneSrc = 0, r.packed(f, zone)
	}
	a.Table = r.u8()
	r.skip(3)
	a.ALG = r.u16()
	if r.err == nil {
		a.Actions, r.err = decodeActions(r.b, depth+1)
	}
	return a
}

// CTClear forgets what connection tracking said of the packet.
type CTClear struct{}

// AppendTo appends the action.
func (CTClear) AppendTo(b []byte) []byte { return putZeros(nicira(b, nxCTClear, 16), 6) }

func (CTClear) String() string { return "ct_clear" }

// NAT is the part of CT that translates addresses. Without Src and Dst it
// applies the translation that the connection has.
type NAT struct {
	Src, Dst         bool // which address; at most one
	Min, Max         netip.Addr
	PortMin, PortMax uint16 // 0: none
	Persistent       bool   // the same address for the same host
	Hash, Random     bool   // how the port is chosen
}

const (
	natSrc        = 1
	natDst        = 2
	natPersistent = 4
	natHash       = 8
	natRandom     = 16

	natIPv4Min = 1
	natIPv4Max = 2
	natIPv6Min = 4
	natIPv6Max = 8
	natPortMin = 16
	natPortMax = 32
)

// AppendTo appends NXAST_NAT.
func (a NAT) AppendTo(b []byte) []byte {
	start := len(b)
	flags, present := uint16(0), uint16(0)
	for _, f := range []struct {
		on  bool
		bit uint16
	}{{a.Src, natSrc}, {a.Dst, natDst}, {a.Persistent, natPersistent}, {a.Hash, natHash}, {a.Random, natRandom}} {
		if f.on {
			flags |= f.bit
		}
	}
	v6 := uint16(0)
	if a.Min.Is6() {
		v6 = 2
	}
	if a.Min.IsValid() {
		present |= natIPv4Min << v6
		if a.Max.IsValid() && a.Max != a.Min {
			present |= natIPv4Max << v6
		}
	}
	if a.PortMin != 0 {
		present |= natPortMin
		if a.PortMax != 0 && a.PortMax != a.PortMin {
			present |= natPortMax
		}
	}
	b = put16(put16(putZeros(nicira(b, nxNAT, 0), 2), flags), present)
	if a.Min.IsValid() {
		b = append(b, a.Min.AsSlice()...)
		if present&(natIPv4Max|natIPv6Max) != 0 {
			b = append(b, a.Max.AsSlice()...)
		}
	}
	if present&natPortMin != 0 {
		b = put16(b, a.PortMin)
	}
	if present&natPortMax != 0 {
		b = put16(b, a.PortMax)
	}
	return setLen(pad8(b, start), start, 2)
}

func (a NAT) String() string {
	if !a.Src && !a.Dst {
		return "nat"
	}
	s := "nat(src"
	if a.Dst {
		s = "nat(dst"
	}
	if a.Min.IsValid() {
		// The colon of a port could be read as part of an IPv6 address.
		brackets := a.Min.Is6() && a.PortMin != 0
		addr := func(ip netip.Addr) string {
			if brackets {
				return "[" + ip.String() + "]"
			}
			return ip.String()
		}
		s += "=" + addr(a.Min)
		if a.Max.IsValid() && a.Max != a.Min {
			s += "-" + addr(a.Max)
		}
	}
	if a.PortMin != 0 {
		if !a.Min.IsValid() {
			s += "="
		}
		s += ":" + strconv.Itoa(int(a.PortMin))
		if a.PortMax != 0 && a.PortMax != a.PortMin {
			s += "-" + strconv.Itoa(int(a.PortMax))
		}
	}
	if a.Persistent {
		s += ",persistent"
	}
	if a.Hash {
		s += ",hash"
	}
	if a.Random {
		s += ",random"
	}
	return s + ")"
}

func decodeNAT(r *reader, _ int) Action {
	r.skip(2)
	flags, present := r.u16(), r.u16()
	a := NAT{
		Src: flags&natSrc != 0, Dst: flags&natDst != 0,
		Persistent: flags&natPersistent != 0, Hash: flags&natHash != 0, Random: flags&natRandom != 0,
	}
	if a.Src && a.Dst {
		r.fail("both src and dst")
	}
	addr := func(bit uint16, n int, dst *netip.Addr) {
		if present&bit != 0 {
			if ip, ok := netip.AddrFromSlice(r.take(n)); ok {
				*dst = ip
			}
		}
	}
	addr(natIPv4Min, 4, &a.Min)
	addr(natIPv4Max, 4, &a.Max)
	if present&(natIPv4Min|natIPv4Max) != 0 && present&(natIPv6Min|natIPv6Max) != 0 {
		r.fail("both IPv4 and IPv6 addresses")
	}
	addr(natIPv6Min, 16, &a.Min)
	addr(natIPv6Max, 16, &a.Max)
	if present&natPortMin != 0 {
		a.PortMin = r.u16()
	}
	if present&natPortMax != 0 {
		a.PortMax = r.u16()
	}
	if a.Max.IsValid() && !a.Min.IsValid() {
		r.fail("a range without its first address")
	}
	return a
}
