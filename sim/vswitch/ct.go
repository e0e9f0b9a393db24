package vswitch

import (
	"govn/pkg/openflow"
	"govn/sim/vswitch/conntrack"
	"govn/sim/vswitch/packet"
)

// request is what a ct action asks connection tracking for. Actions inside of
// it write the mark and label of a copy of the key; which bits they wrote shows
// by running them on zeros and on ones.
func request(x *execution, a openflow.CT) conntrack.Request {
	k := &x.cur.Key
	r := conntrack.Request{Zone: a.Zone, Commit: a.Commit, Force: a.Force}
	if a.ZoneSrc.Field != nil {
		r.Zone = uint16(k.Subfield(a.ZoneSrc).Lo)
	}
	ones := packet.U128{Hi: ^uint64(0), Lo: ^uint64(0)}
	low, high := *k, *k
	low.SetCTMark(0)
	low.SetCTLabel(packet.U128{})
	high.SetCTMark(^uint32(0))
	high.SetCTLabel(ones)
	for _, n := range a.Actions {
		switch n := n.(type) {
		case openflow.NAT:
			r.Translate, r.NAT = true, n
		case openflow.SetField:
			for _, c := range []*packet.Key{&low, &high} {
				c.SetMasked(n.Field, packet.Number(n.Value[:n.Field.Size()]), packet.Number(n.Mask[:n.Field.Size()]))
			}
		case openflow.Move:
			v := k.Subfield(n.Src)
			low.SetSubfield(n.Dst, v)
			high.SetSubfield(n.Dst, v)
		}
	}
	// A bit that is the same in both was written.
	r.Mark, r.MarkMask = low.CTMark(), ^(low.CTMark() ^ high.CTMark())
	l, h := low.CTLabel(), high.CTLabel()
	r.Label, r.LabelMask = l, packet.U128{Hi: ^(l.Hi ^ h.Hi), Lo: ^(l.Lo ^ h.Lo)}
	return r
}
