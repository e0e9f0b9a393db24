package sim

import (
	"fmt"
	"time"

	"govn/sim/vswitch"
)

// NodeKind says where a packet is.
type NodeKind uint8

// Kinds of nodes.
const (
	NodeStation    NodeKind = iota // leaves a workload
	NodeSwitch                     // in the flow tables of a chassis
	NodeWire                       // between two chassis, in a tunnel or on the physical network
	NodeDelivered                  // reached a workload
	NodeController                 // leaves a chassis because its controller says so
)

// Node is one place on a packet's way. The ways branch where copies are made.
type Node struct {
	Kind   NodeKind
	At     time.Time // simulated
	Where  string    // workload or chassis
	To     string    // NodeWire: chassis at the other end
	Port   string    // NodeSwitch: interface that it came in by
	Bridge string    // NodeSwitch: bridge that the interface is of
	Frame  []byte    // as it is here, without outer headers
	Outer  *Outer    // NodeWire; nil: on the physical network, without a tunnel
	Trace  *vswitch.Trace
	End    string // why the way ends here, "" where it goes on or was delivered
	Next   []*Node
}

// end says why a packet goes no further. The first reason counts.
func (d *Node) end(format string, args ...any) {
	if d.End == "" {
		d.End = fmt.Sprintf(format, args...)
	}
}

// Walk visits a node and all that follow, in the order of the way.
func (d *Node) Walk(fn func(*Node)) {
	fn(d)
	for _, next := range d.Next {
		next.Walk(fn)
	}
}

// Delivered are the workloads that the packet, or a copy of it, reached; answers
// that they gave are not followed.
func (d *Node) Delivered() []string {
	var names []string
	var walk func(*Node)
	walk = func(d *Node) {
		if d.Kind == NodeDelivered {
			names = append(names, d.Where)
			return
		}
		for _, next := range d.Next {
			walk(next)
		}
	}
	walk(d)
	return names
}

// follow makes a node after another one; after nil, a way of its own.
func (n *Network) follow(at, d *Node) *Node {
	d.At = n.clock.Now()
	if at == nil {
		return n.root(d)
	}
	at.Next = append(at.Next, d)
	return d
}

// root begins a way, and keeps it if somebody records.
func (n *Network) root(d *Node) *Node {
	d.At = n.clock.Now()
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.recording {
		n.journeys = append(n.journeys, d)
	}
	return d
}

// Record keeps the ways of the packets that begin from now on, until Journeys.
func (n *Network) Record() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.recording, n.journeys = true, nil
}

// Journeys are the ways that were recorded, in order of their beginnings.
func (n *Network) Journeys() []*Node {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.recording = false
	return n.journeys
}
