package oracle

import "govn/sim/lab"

// nesting is where the nested ports of a topology are.
type nesting struct {
	places map[string]place             // by logical port
	ports  map[string]map[string]string // parent and tag to nested port
}

type place struct{ parent, tci string }

func newNesting(cfg *lab.Config) nesting {
	n := nesting{places: map[string]place{}, ports: map[string]map[string]string{}}
	for _, sw := range cfg.Topology.Switches {
		for _, p := range sw.Ports {
			if p.Parent == "" {
				continue
			}
			n.places[p.Name] = place{p.Parent, tci(p.Tag)}
			if n.ports[p.Parent] == nil {
				n.ports[p.Parent] = map[string]string{}
			}
			n.ports[p.Parent][tci(p.Tag)] = p.Name
		}
	}
	return n
}

// enter is the port whose interface a microflow comes in by, and the packet as
// it is there.
func (n nesting) enter(m *Microflow) (port string, p Packet) {
	at, ok := n.places[m.Inport]
	if !ok {
		return m.Inport, m.Packet
	}
	p = clone(m.Packet)
	p["vlan.tci"] = at.tci
	return at.parent, p
}

// leave is the port that a packet leaves by on the interface of a port. Of a
// nested one it takes off the tag.
func (n nesting) leave(port string, p Packet) string {
	child := n.ports[port][p["vlan.tci"]]
	if child == "" {
		return port
	}
	delete(p, "vlan.tci")
	return child
}
