package sim

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"govn/pkg/ovsdb"
)

// Bidirectional forwarding detection on tunnels is no packets here, since a
// network with nothing to do has to come to rest, but what would come of them:
//
//   - a session is up where both ends want it and the underlay carries frames
//     both ways; that it came up is seen at once;
//   - an end that hears nothing more gives the session up after its detection
//     time, in simulated time;
//   - one whose other end says that its path is down is up and does not forward.

// bfdEnd is one end of a session: what Interface:bfd of a tunnel says.
type bfdEnd struct {
	port         *port
	remote       netip.Addr
	enabled      bool
	pathDown     bool          // cpath_down
	minRx, minTx time.Duration // 1 s and 100 ms by default
	mult         int
}

// bfdStatus is what one end has come to.
type bfdStatus struct{ up, forwarding bool }

// bfdProbes is how many frames in a row have to be lost for the underlay to be
// broken.
const bfdProbes = 3

// bfdEnds are the ends of sessions on a chassis.
func (v *vswitchd) bfdEnds() []bfdEnd {
	v.mu.RLock()
	defer v.mu.RUnlock()
	var out []bfdEnd
	for _, br := range v.bridges {
		for _, p := range br.ports {
			if p.tunnel == nil || p.err != nil || !p.tunnel.remote.IsValid() {
				continue
			}
			o := p.want.bfd
			number := func(key string, otherwise int) int {
				n, err := strconv.Atoi(o[key])
				if err != nil || n <= 0 {
					return otherwise
				}
				return n
			}
			out = append(out, bfdEnd{
				port: p, remote: p.tunnel.remote, enabled: o["enable"] == "true", pathDown: o["cpath_down"] == "true",
				minRx: time.Duration(number("min_rx", 1000)) * time.Millisecond,
				minTx: time.Duration(number("min_tx", 100)) * time.Millisecond, mult: number("mult", 3),
			})
		}
	}
	slices.SortFunc(out, func(a, b bfdEnd) int { return cmp.Compare(a.port.want.name, b.port.want.name) })
	return out
}

// watch brings all sessions to what both ends, and the underlay between them,
// make of them now.
func (n *Network) watch() {
	n.watching.Lock()
	defer n.watching.Unlock()
	all := n.Chassis()
	ends := make(map[*Chassis][]bfdEnd, len(all))
	for _, c := range all {
		ends[c] = c.vs.bfdEnds()
	}
	for _, c := range all {
		for _, e := range ends[c] {
			n.mu.Lock()
			peer, fault := n.byIP[e.remote], n.fault
			n.mu.Unlock()
			var now bfdStatus
			detect := time.Duration(e.mult) * e.minRx
			if peer != nil {
				i := slices.IndexFunc(ends[peer], func(o bfdEnd) bool { return o.remote == c.EncapIP })
				if i >= 0 {
					o := ends[peer][i]
					detect = time.Duration(o.mult) * max(e.minRx, o.minTx)
					now.up = e.enabled && o.enabled && carries(fault, c, peer) && carries(fault, peer, c)
					now.forwarding = now.up && !o.pathDown
				}
			}
			n.settleBFD(c, &e, now, detect)
		}
	}
}

// carries tells whether the underlay takes frames from one chassis to the other.
func carries(fault Fault, from, to *Chassis) bool {
	if fault == nil {
		return true
	}
	for range bfdProbes {
		if !fault(&Frame{From: from.Name, To: to.Name, Data: make([]byte, ethernetLen+ipv4Len+udpLen)}) {
			return true
		}
	}
	return false
}

// settleBFD makes a status what the switch acts on and the database says. Silence
// is noticed when the detection time is over.
func (n *Network) settleBFD(c *Chassis, e *bfdEnd, now bfdStatus, detect time.Duration) {
	p := e.port
	if e.enabled && p.bfd.up && !now.up {
		at := n.clock.Now()
		switch {
		case p.silent.IsZero():
			p.silent = at.Add(detect)
			n.line.after(detect, n.watch)
			return
		case at.Before(p.silent):
			return
		}
	}
	p.silent = time.Time{}
	if p.bfd == now && p.bfdOn == e.enabled {
		return
	}
	p.bfd, p.bfdOn = now, e.enabled
	c.vs.setLiveness(p, !e.enabled || now.forwarding)
	status := map[string]string{}
	if e.enabled {
		state, remote := "down", "down"
		if now.up {
			state, remote = "up", "up"
		}
		status = map[string]string{"state": state, "remote_state": remote, "forwarding": strconv.FormatBool(now.forwarding),
			"diagnostic": "No Diagnostic", "remote_diagnostic": "No Diagnostic"}
		if now.up && !now.forwarding {
			status["remote_diagnostic"] = "Concatenated Path Down"
		}
	}
	d := c.db
	err := d.update(context.Background(), daemon, func(tx *ovsdb.Txn) {
		if tx.Row(d.iface, p.want.row) != nil {
			tx.SetColumn(d.iface, p.want.row, "bfd_status", ovsdb.StringMap(status))
		}
	})
	if err != nil && c.net.ctx.Err() == nil {
		c.log.Error("BFD status not written", "tunnel", p.want.name, "err", err)
	}
}

// setLiveness tells the bridge whether a tunnel leads anywhere.
func (v *vswitchd) setLiveness(p *port, alive bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if br := p.bridge; br.numbers[p.number] == p {
		p.made.Dead = !alive
		br.sw.SetPort(p.made)
	}
}
