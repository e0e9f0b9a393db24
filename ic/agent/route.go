package agent

import (
	"net"
	"net/netip"
	"strings"

	"govn/pkg/incr"
)

// Options of NB_Global for routes (ovn-nb(5)).
const (
	optionAdv          = "ic-route-adv"
	optionLearn        = "ic-route-learn"
	optionAdvDefault   = "ic-route-adv-default"
	optionLearnDefault = "ic-route-learn-default"
	optionDenylist     = "ic-route-denylist"
	optionBlacklist    = "ic-route-blacklist" // its name before OVN 24.03
)

// Origins of routes (ovn-ic-sb(5), Route).
const (
	originConnected = "connected"
	originStatic    = "static"
)

// denied tells whether a prefix is in one of the lists of what is neither
// advertised nor learned.
func (p *program) denied(c *incr.Ctx, prefix netip.Prefix) bool {
	for _, key := range []string{optionDenylist, optionBlacklist} {
		for one := range strings.SplitSeq(p.in.option(c, key), ",") {
			deny, err := netip.ParsePrefix(strings.TrimSpace(one))
			if err == nil && deny.Bits() <= prefix.Bits() && deny.Contains(prefix.Addr()) {
				return true
			}
		}
	}
	return false
}

// passes tells whether a prefix is to be advertised or learned.
func (p *program) passes(c *incr.Ctx, prefix netip.Prefix, option, optionDefault string) bool {
	switch {
	case p.in.option(c, option) != "true":
		return false
	case prefix.Bits() == 0 && p.in.option(c, optionDefault) != "true":
		return false
	case prefix.Addr().IsLinkLocalUnicast():
		return false
	}
	return !p.denied(c, prefix)
}

// parsePrefix reads a prefix as ovn-nb(5) has it: without a length it is a host's.
func parsePrefix(text string) (netip.Prefix, bool) {
	if n, err := netip.ParsePrefix(text); err == nil {
		return n, true
	}
	a, err := netip.ParseAddr(text)
	if err != nil || a.Zone() != "" {
		return netip.Prefix{}, false
	}
	return netip.PrefixFrom(a, a.BitLen()), true
}

// linkLocal is the address that a MAC address gives (RFC 4291, appendix A).
func linkLocal(mac string) netip.Addr {
	m, err := net.ParseMAC(mac)
	if err != nil || len(m) != 6 {
		return netip.Addr{}
	}
	return netip.AddrFrom16([16]byte{0: 0xfe, 1: 0x80, 8: m[0] ^ 2, 9: m[1], 10: m[2], 11: 0xff, 12: 0xfe, 13: m[3], 14: m[4], 15: m[5]})
}

// ownKey is the key of the relation of static routes that a router has by itself.
func ownKey(router, table string, prefix netip.Prefix) incr.Hash {
	return incr.CellOf(router, table, prefix.Masked().String())
}

// advertising are the units that tell others what routers have. Each is a pair of
// a router port or static route with a port of the same router on a transit
// switch.
type advertising struct {
	p           *program
	port, route *incr.Unit[string]
	connected   *incr.Pairs[string, string]
	static      *incr.Pairs[string, string]
}

func (p *program) newAdvertising() *advertising {
	a := &advertising{p: p}
	e := p.in.e
	a.connected = incr.NewPairs(e, "advertise-network", a.runConnected)
	a.static = incr.NewPairs(e, "advertise-route", a.runStatic)
	a.port = incr.NewUnit(e, "router-port", a.runPort)
	a.route = incr.NewUnit(e, "static-route", a.runRoute)
	return a
}

// runPort looks for the ports of its router on transit switches.
func (a *advertising) runPort(c *incr.Ctx, uuid string) error {
	if router := a.p.in.routerOf.of(c, uuid); router != "" {
		incr.EachPair(c, a.p.onRouter, incr.HashString(router), a.connected)
	}
	return nil
}

// runRoute notes a static route that was not learned as its router's own.
func (a *advertising) runRoute(c *incr.Ctx, uuid string) error {
	r, ok := a.p.in.route.get(c, uuid)
	router := a.p.in.routeAt.of(c, uuid)
	if !ok || router == "" || r.ExternalIDs[keyLearned] != "" {
		return nil
	}
	prefix, ok := parsePrefix(r.IPPrefix)
	if !ok || r.Policy != nil && *r.Policy == "src-ip" {
		return nil
	}
	incr.Insert(c, a.p.own, ownKey(router, r.RouteTable, prefix), uuid)
	if _, err := netip.ParseAddr(r.Nexthop); err != nil {
		return nil // discard: nothing to send here
	}
	incr.EachPair(c, a.p.onRouter, incr.HashString(router), a.static)
	return nil
}

// emit advertises a prefix by a port on a transit switch.
func (a *advertising) emit(c *incr.Ctx, t *transitPort, table, text, origin, nbID string) {
	prefix, ok := parsePrefix(text)
	if !ok || !a.p.passes(c, prefix, optionAdv, optionAdvDefault) {
		return
	}
	nexthop := t.v4
	if prefix.Addr().Is6() {
		nexthop = t.v6
	}
	if nexthop.IsValid() {
		incr.Emit(c, a.p.icRoutes, routeKey{t.ts, table, text, nexthop.String()}, wantICRoute{origin, nbID})
	}
}

func (a *advertising) runConnected(c *incr.Ctx, uuid, lsp string) error {
	t, err := a.p.attached.Get(c, lsp)
	lrp, ok := a.p.in.lrp.get(c, uuid)
	if err != nil || t == nil || !ok || incr.Has(c, a.p.transitLRP, allRows, lrp.Name) {
		return err
	}
	for _, text := range lrp.Networks {
		a.emit(c, t, "", text, originConnected, uuid)
	}
	return nil
}

func (a *advertising) runStatic(c *incr.Ctx, uuid, lsp string) error {
	t, err := a.p.attached.Get(c, lsp)
	r, ok := a.p.in.route.get(c, uuid)
	if err != nil || t == nil || !ok || r.RouteTable != t.table {
		return err
	}
	a.emit(c, t, r.RouteTable, r.IPPrefix, originStatic, uuid)
	return nil
}

// newLearning is the unit for a route that a zone advertises: it looks for our
// ports on its transit switch.
func (p *program) newLearning() *incr.Unit[string] {
	learn := incr.NewPairs(p.in.e, "learn", p.runLearn)
	return incr.NewUnit(p.in.e, "advertised-route", func(c *incr.Ctx, uuid string) error {
		r, ok := p.in.icRoute.get(c, uuid)
		if !ok || p.in.mine(c, r.AvailabilityZone) {
			return nil
		}
		incr.EachPair(c, p.onSwitch, incr.HashString(r.TransitSwitch), learn)
		return nil
	})
}

// runLearn has a router learn a route of another zone, unless it has one of its
// own or does not reach the next hop.
func (p *program) runLearn(c *incr.Ctx, uuid, lsp string) error {
	r, ok := p.in.icRoute.get(c, uuid)
	t, err := p.attached.Get(c, lsp)
	if err != nil || t == nil || !ok {
		return err
	}
	prefix, ok := parsePrefix(r.IPPrefix)
	nexthop, err := netip.ParseAddr(r.Nexthop)
	if !ok || err != nil || !p.passes(c, prefix, optionLearn, optionLearnDefault) {
		return nil
	}
	if r.RouteTable != "" && r.RouteTable != t.table {
		return nil
	}
	reached := false
	for _, n := range t.networks {
		reached = reached || n.Contains(nexthop)
	}
	if !reached || incr.Any(c, p.own, ownKey(t.router, r.RouteTable, prefix)) {
		return nil
	}
	incr.Emit(c, p.routes, learnedKey{t.router, uuid}, wantRoute{r.IPPrefix, r.Nexthop, r.RouteTable, r.Origin})
	return nil
}
