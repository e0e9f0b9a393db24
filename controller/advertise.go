package controller

import (
	"math/rand/v2"
	"time"

	"govn/controller/physical"
	"govn/controller/punt"
	"govn/pkg/abi"
	"govn/pkg/openflow"
	"govn/proto"
)

// Router ports that say so advertise themselves to the hosts of this chassis
// (RFC 4861, 6.2.4): each chassis to its own, so that nothing of it crosses a
// tunnel.
//
//	PORT item with advertise.max_interval --> plan --> frame into the switch of the peer, local only
const (
	// The first ones come soon after another, so that a host that was started
	// with the network need not wait (RFC 4861, 10).
	firstAdvertisements = 3
	firstInterval       = 16 * time.Second
)

// advertising is the plan of one router port.
type advertising struct {
	sent int
	next time.Time
}

// advertises follows the router ports.
func (c *controller) advertises(id physical.PortID, now time.Time) {
	p := c.host.Port(id)
	if p.GetAdvertise().GetMaxInterval() == 0 || p.PeerDatapath == 0 || p.Mac == 0 {
		delete(c.advertised, id)
		return
	}
	a := c.advertised[id]
	if a == nil {
		a = &advertising{next: now}
		c.advertised[id] = a
	}
	a.next = minTime(a.next, now.Add(interval(p.Advertise)))
}

func minTime(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// interval is the time to the next advertisement, somewhere between least and
// most so that routers do not come to send together.
func interval(r *proto.RouterAdvertisement) time.Duration {
	least := time.Duration(min(r.MinInterval, r.MaxInterval)) * time.Second
	most := time.Duration(r.MaxInterval) * time.Second
	return least + rand.N(most-least+1)
}

// advertise sends what is due and returns when the next one is; zero: never.
func (c *controller) advertise(now time.Time) (next time.Time) {
	for id, a := range c.advertised {
		p := c.host.Port(id)
		if p == nil {
			delete(c.advertised, id)
			continue
		}
		if !now.Before(a.next) {
			wait := interval(p.Advertise)
			if c.session != nil && c.residentsIn[p.PeerDatapath] > 0 {
				c.sendAdvertisement(p)
				a.sent++
			}
			if a.sent < firstAdvertisements {
				wait = min(wait, firstInterval)
			}
			a.next = now.Add(wait)
		}
		if next.IsZero() || a.next.Before(next) {
			next = a.next
		}
	}
	return next
}

func (c *controller) sendAdvertisement(p *proto.Port) {
	frame := punt.RouterAdvertisement(p.Mac, p.Advertise.Message)
	if frame == nil {
		return
	}
	c.advertisements++
	c.sendPacket(frame, []openflow.Action{
		openflow.SetUint(openflow.FieldMetadata, uint64(p.PeerDatapath)),
		openflow.SetUint(openflow.FieldReg(abi.RegInport), uint64(p.PeerPort)),
		openflow.SetBits(openflow.FieldReg(abi.RegFlags), abi.FlagLocalOnly, abi.FlagLocalOnly, 1),
		openflow.ToTable(abi.TableIngress),
	})
}
