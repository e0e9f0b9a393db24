package controller

import (
	"time"

	"govn/controller/physical"
	"govn/controller/punt"
	"govn/pkg/abi"
	"govn/pkg/openflow"
)

// announceFirst is the pause after the first announcement; it doubles each time
// until announceMax, with which the announcements end (as ovn-controller does).
const (
	announceFirst = time.Second
	announceMax   = 16 * time.Second
)

// announceKey names what is announced: addresses behind a port.
type announceKey struct {
	id        physical.PortID
	addresses string
}

// announcing is an announcement that goes on.
type announcing struct {
	next  time.Time // zero: it was made often enough
	pause time.Duration
	data  [][]byte // the frames
}

// announce tells the networks which addresses came to this chassis, when the
// flows are in, and again after growing pauses. A switch or host that did not
// hear it the first time goes on sending to where they were.
func (c *controller) announce() {
	now := time.Now()
	want := map[announceKey]bool{}
	c.announceAt = time.Time{}
	for id, p := range c.host.Announcers() {
		for _, a := range p.Announce {
			at := id
			if a.Datapath != 0 {
				at = physical.PortID{Datapath: a.Datapath, Port: a.Port}
			}
			if p := c.host.Port(at); p != nil && len(p.HaGroup) > 0 {
				may, due := c.gw.announces(string(p.HaGroup), now)
				c.announceAt = earlier(c.announceAt, due)
				if !may {
					continue // the others do not send here yet, or no longer
				}
			}
			if c.placed[at].Where == physical.Here {
				want[announceKey{id, a.Addresses}] = true
			}
		}
	}
	for key := range c.announcing {
		if !want[key] {
			delete(c.announcing, key)
		}
	}
	for key := range want {
		if c.announcing[key] == nil {
			frames, err := punt.Gratuitous(key.addresses)
			if err != nil {
				c.log.Warn("addresses cannot be announced", "addresses", key.addresses, "err", err)
			}
			c.announcing[key] = &announcing{next: now, pause: announceFirst, data: frames}
		}
	}
	for key, a := range c.announcing {
		if a.next.IsZero() || now.Before(a.next) {
			continue
		}
		for _, frame := range a.data {
			c.m.gateway.announced.Inc()
			c.sendPacket(frame, []openflow.Action{
				openflow.SetUint(openflow.FieldMetadata, uint64(key.id.Datapath)),
				openflow.SetUint(openflow.FieldReg(abi.RegInport), uint64(key.id.Port)),
				openflow.ToTable(abi.TableIngress),
			})
		}
		if a.next = now.Add(a.pause); a.pause > announceMax {
			a.next = time.Time{}
		}
		a.pause *= 2
	}
}

// announceDue is when the next announcement is; zero: never.
func (c *controller) announceDue() time.Time {
	due := c.announceAt
	for _, a := range c.announcing {
		due = earlier(due, a.next)
	}
	return due
}

// earlier is the first of two times, of which zero is never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
