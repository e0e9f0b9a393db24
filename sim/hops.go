package sim

import (
	"fmt"
	"slices"
	"strings"
)

// path is a way that does not branch, from a workload on: nil where it does, or
// where it ends before it reaches another workload.
func path(d *Node) []*Node {
	if d.Kind != NodeStation {
		return nil
	}
	nodes := []*Node{d}
	for d.Kind != NodeDelivered {
		if len(d.Next) != 1 {
			return nil
		}
		d = d.Next[0]
		nodes = append(nodes, d)
	}
	return nodes
}

// Hops prints, for packets that cross several tunnels on their way, where they
// go and what the header of each tunnel says:
//
//	vm1 -> worker_east -> gw_east -> gw_west -> worker_west -> vm2
func (t *Teller) Hops(list []*Node) error {
	for _, first := range list {
		first.Walk(func(d *Node) {
			if nodes := path(d); nodes != nil {
				t.hops(nodes)
			}
		})
	}
	return t.err
}

func (t *Teller) hops(nodes []*Node) {
	begin, end := nodes[0], nodes[len(nodes)-1]
	tunnels := slices.DeleteFunc(slices.Clone(nodes), func(d *Node) bool { return d.Kind != NodeWire || d.Outer == nil })
	if len(tunnels) < 2 {
		return
	}
	names := []string{begin.Where, tunnels[0].Where}
	from, to := 0, 0
	for _, w := range tunnels {
		names = append(names, w.To)
		from, to = max(from, len(w.Where)), max(to, len(w.To))
	}
	names = append(names, end.Where)
	for i, name := range names {
		names[i] = t.paint(inkHost, name)
	}
	t.line()
	t.line("  ", Summary(begin.Frame), ": ttl ", ttlOf(begin.Frame), ", and ", ttlOf(end.Frame), " at its end")
	t.line("  ", strings.Join(names, t.glyph(" → ", " -> ")))
	const vnis, datapaths = len("vni 0xffffff"), 14
	for _, w := range tunnels {
		z, vni := t.s.ZoneOf(w.Where), uint32(w.Outer.Geneve.VNI)
		ports := ""
		if w.Outer.HasPorts {
			ports = fmt.Sprintf("from %q (%d) to %q (%d)", z.PortName(vni, uint32(w.Outer.Ports.Ingress)), w.Outer.Ports.Ingress,
				z.PortName(vni, uint32(w.Outer.Ports.Egress)), w.Outer.Ports.Egress)
		}
		t.line("    ", pad(w.Where, from), t.glyph(" → ", " -> "), pad(w.To, to), "  ttl ", ttlOf(w.Frame), "  ",
			t.paint(inkWire, pad(w.Outer.Geneve.VNI.String(), vnis)), " ", t.paint(inkObject, pad(fmt.Sprintf("%q", z.DatapathName(vni)), datapaths)),
			" ", t.paint(inkObject, ports))
	}
}

// ttlOf is the TTL or hop limit of the IP packet in a frame; "-": it is none.
func ttlOf(frame []byte) string {
	const etherType = 12
	if len(frame) < ethernetLen+ipv4Len {
		return "-"
	}
	switch ip := frame[ethernetLen:]; {
	case frame[etherType] == 0x08 && frame[etherType+1] == 0x00:
		return fmt.Sprint(ip[8])
	case frame[etherType] == 0x86 && frame[etherType+1] == 0xdd:
		return fmt.Sprint(ip[7])
	}
	return "-"
}
