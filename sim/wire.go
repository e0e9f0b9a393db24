package sim

import (
	"fmt"
	"slices"
	"time"
)

// segment is the Ethernet segment of physical networks: every chassis with an
// uplink has a link to it, and between the links is a switch that learns.
//
//	br-int --patch--> br-phys --eth0--> wire <--eth0-- br-phys <--patch-- br-int
//	                     |                                 |
//	                  stations (machines outside, on access ports or not)
//
// Tunnels cross the same underlay, but are not switched by it: see send.
type segment struct {
	links map[[6]byte]link
}

// link says behind which chassis an address was seen last.
type link struct {
	chassis string
	at      time.Time
}

// wireAge and wireStations are those of a Linux bridge: 300 s, and a number that
// no simulation comes to otherwise than by addresses made up.
const (
	wireAge      = 300 * time.Second
	wireStations = 8192
)

// onWire takes a frame that leaves a chassis by its uplink to the chassis that
// the destination was seen behind, or to all.
func (n *Network) onWire(from *Chassis, frame []byte, at *Node) {
	if len(frame) < ethernetLen {
		at.end("%d bytes are no Ethernet frame", len(frame))
		return
	}
	n.capture(underlayCapture, frame)
	now := n.clock.Now()
	n.mu.Lock()
	if n.wire.links == nil {
		n.wire.links = map[[6]byte]link{}
	}
	src, dst := [6]byte(frame[6:]), [6]byte(frame)
	if _, known := n.wire.links[src]; src[0]&1 == 0 && (known || len(n.wire.links) < wireStations) {
		n.wire.links[src] = link{from.Name, now}
	}
	seen, known := n.wire.links[dst]
	known = known && now.Sub(seen.at) < wireAge
	fault, mtu := n.fault, n.underlayMTU
	n.mu.Unlock()
	on := func(to string) *Node {
		return n.follow(at, &Node{Kind: NodeWire, Where: from.Name, To: to, Port: uplink, Frame: frame})
	}
	if size := l3Size(frame); mtu > 0 && size > mtu {
		on("").end("%d bytes do not fit the underlay's MTU of %d", size, mtu)
		return
	}
	reached := false
	for _, to := range n.Chassis() {
		if to == from || !to.wired || known && to.Name != seen.chassis {
			continue
		}
		reached = true
		d := on(to.Name)
		f := &Frame{From: from.Name, To: to.Name, Data: slices.Clone(frame)}
		if fault != nil && fault(f) {
			d.end("lost on the underlay")
			continue
		}
		n.line.after(wireDelay, func() {
			p := to.vs.portNamed(uplink)
			if p == nil {
				d.end("chassis %q has no port for %s", to.Name, uplink)
				return
			}
			n.process(to, p, f.Data, nil, d)
		})
	}
	if !reached {
		on("").end("nobody else is on the physical network")
	}
}

// enter gives a frame the tag of the access port that it comes in by. The
// modes of ports count where bridges forward by NORMAL only (ovs-vswitchd.conf.db(5),
// "VLAN Configuration"); there is the one: tag without vlan_mode, which is access.
func (p *port) enter(frame []byte) ([]byte, error) {
	if p.want.tag == 0 || p.bridge.secure || len(frame) < ethernetLen {
		return frame, nil
	}
	if vid, tagged := vlanOf(frame); tagged && vid != 0 {
		return nil, fmt.Errorf("interface %q is an access port of VLAN %d and takes no frame of VLAN %d", p.want.name, p.want.tag, vid)
	} else if tagged {
		frame = slices.Delete(slices.Clone(frame), 12, 12+vlanLen)
	}
	return slices.Insert(slices.Clone(frame), 12, 0x81, 0, byte(p.want.tag>>8), byte(p.want.tag)), nil
}

// exit takes the tag from a frame that goes out by an access port; no: the frame
// is of another VLAN and does not.
func (p *port) exit(frame []byte) (_ []byte, ok bool) {
	if p.want.tag == 0 || p.bridge.secure {
		return frame, true
	}
	vid, tagged := vlanOf(frame)
	if !tagged || vid != p.want.tag {
		return nil, false
	}
	return slices.Delete(slices.Clone(frame), 12, 12+vlanLen), true
}

// vlanOf is the VLAN of a frame with a tag of IEEE 802.1Q.
func vlanOf(frame []byte) (vid int, tagged bool) {
	if len(frame) < ethernetLen+vlanLen || frame[12] != 0x81 || frame[13] != 0 {
		return 0, false
	}
	return int(frame[14]&0xf)<<8 | int(frame[15]), true
}

// isUplink tells whether a port is the chassis' link to the wire.
func (c *Chassis) isUplink(p *port) bool {
	return c.wired && p.want.name == uplink && p.tunnel == nil && (p.want.kind == "" || p.want.kind == "system")
}
