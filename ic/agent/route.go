package agent

import (
	"net"
	"net/netip"
	"slices"
	"strings"

	"govn/pkg/incr"
	"govn/pkg/northbound"
)

// Options of NB_Global for routes (ovn-nb(5)).
const (
	optionAdv          = "ic-route-adv"
	optionLearn        = "ic-route-learn"
	optionAdvDefault   = "ic-route-adv-default"
	optionLearnDefault = "ic-route-learn-default"
	optionLearnLB      = "ic-route-learn-lb"
	optionDenylist     = "ic-route-denylist"
	optionBlacklist    = "ic-route-blacklist" // its name before OVN 24.03
	optionStrict       = "govn-strict"
	optionECMP         = "govn-ic-route-ecmp" // of Logical_Router too
)

// Options of Logical_Router and Logical_Router_Port for routes, of OVN 25.03 and
// later (ovn-nb(5)).
const (
	optionFilterAdv   = "ic-route-filter-adv"
	optionFilterLearn = "ic-route-filter-learn"
	optionDenyAdv     = "ic-route-deny-adv"
	optionDenyLearn   = "ic-route-deny-learn"
	keyTag            = "ic-route-tag"        // of the port; external_ids of Route
	optionFilterTag   = "ic-route-filter-tag" // of the port
)

// Origins of routes (ovn-ic-sb(5), Route).
const (
	originConnected    = "connected"
	originStatic       = "static"
	originLoadBalancer = "loadbalancer"
)

// routeFilter is which prefixes pass a port in one direction: lists that the port
// and its router have.
type routeFilter struct {
	allow string // "": all
	deny  string
}

// verdict is why something is not so.
type verdict struct {
	reason Reason
	detail string // the list or zone that it is because of
	origin string
	table  string
}

func hashVerdict(v verdict) incr.Hash { return incr.CellOf(int(v.reason), v.detail, v.origin, v.table) }

// keptKey is a prefix of ours that others are not told at a port on a transit
// switch; nbID is the row that it is from.
type keptKey struct{ lsp, nbID, prefix string }

// unusedKey is a route of another zone that a router does not use because of its
// port, or ("") for all ports.
type unusedKey struct{ router, lsp, route string }

// readFilters reads the filters of a port and its router.
func (p *program) readFilters(c *incr.Ctx, t *transitPort, lrp *nbRouterPort) {
	both := func(option string) string {
		var list []string
		for _, text := range []string{lrp.Options[option], p.in.routerOption(c, t.router, option)} {
			if text != "" {
				list = append(list, text)
			}
		}
		return strings.Join(list, ",")
	}
	t.adv = routeFilter{both(optionFilterAdv), both(optionDenyAdv)}
	t.learn = routeFilter{both(optionFilterLearn), both(optionDenyLearn)}
	t.tag, t.skipTag = lrp.Options[keyTag], lrp.Options[optionFilterTag]
}

func readRules(_ *incr.Ctx, list string) ([]northbound.PrefixRule, error) {
	return northbound.PrefixRules(list), nil
}

func hashRules(rules []northbound.PrefixRule) (h incr.Hash) {
	for _, r := range rules {
		h = incr.CellOf(h, r.Prefix.String(), r.Min, r.Max)
	}
	return h
}

// listed tells whether a prefix is in a list.
func (p *program) listed(c *incr.Ctx, list string, prefix netip.Prefix) bool {
	if list == "" {
		return false
	}
	rules, _ := p.rules.Get(c, list) // never fails
	return slices.ContainsFunc(rules, func(r northbound.PrefixRule) bool { return r.Matches(prefix) })
}

// filtered finds why a prefix does not pass a port in a direction.
func (p *program) filtered(c *incr.Ctx, prefix netip.Prefix, f routeFilter, on, defaults, allow, deny string) (Reason, string) {
	switch {
	case p.in.option(c, on) != "true":
		return Off, on
	case prefix.Bits() == 0 && p.in.option(c, defaults) != "true":
		return DefaultRoute, defaults
	case prefix.Addr().IsLinkLocalUnicast():
		return LinkLocal, ""
	}
	for _, key := range []string{optionDenylist, optionBlacklist} {
		if p.listed(c, p.in.option(c, key), prefix) {
			return Denied, key
		}
	}
	switch {
	case p.listed(c, f.deny, prefix):
		return Denied, deny
	case f.allow == "" && p.strict(c):
		return Strict, allow
	case f.allow != "" && !p.listed(c, f.allow, prefix):
		return Filtered, allow
	}
	return Used, ""
}

// strict tells whether only what a filter allows is shared.
func (p *program) strict(c *incr.Ctx) bool {
	c.Read(cellStrict)
	return p.in.strict || p.in.option(c, optionStrict) == "true"
}

// ecmp tells whether a router uses routes of several zones for one prefix.
func (p *program) ecmp(c *incr.Ctx, router string) bool {
	for _, v := range []string{p.in.routerOption(c, router, optionECMP), p.in.option(c, optionECMP)} {
		if v == "true" || v == "false" {
			return v == "true"
		}
	}
	return !p.in.first
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

// networks is the table of ownKey for networks of ports, which are in all.
const networks = "\x00"

// runPort notes the networks of a router, and looks for its ports on transit
// switches.
func (a *advertising) runPort(c *incr.Ctx, uuid string) error {
	router := a.p.in.routerOf.of(c, uuid)
	lrp, ok := a.p.in.lrp.get(c, uuid)
	if router == "" || !ok {
		return nil
	}
	for _, text := range lrp.Networks {
		if n, ok := parsePrefix(text); ok {
			incr.Insert(c, a.p.own, ownKey(router, networks, n), uuid)
		}
	}
	incr.EachPair(c, a.p.onRouter, incr.HashString(router), a.connected)
	return nil
}

// runRoute notes a static route that was not learned as its router's own.
func (a *advertising) runRoute(c *incr.Ctx, uuid string) error {
	r, ok := a.p.in.route.get(c, uuid)
	if !ok || r.learned() {
		return nil
	}
	router := a.p.in.routeAt.of(c, uuid)
	if router == "" {
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

// emit advertises a prefix by a port on a transit switch, or notes why it does
// not.
func (a *advertising) emit(c *incr.Ctx, t *transitPort, table, text, origin, nbID string) {
	why := verdict{origin: origin, table: table}
	nexthop := t.v4
	prefix, ok := parsePrefix(text)
	if prefix.Addr().Is6() {
		nexthop = t.v6
	}
	switch {
	case !ok:
		why.reason = Malformed
	case !nexthop.IsValid():
		why.reason = NoNextHop
	default:
		why.reason, why.detail = a.p.filtered(c, prefix, t.adv, optionAdv, optionAdvDefault, optionFilterAdv, optionDenyAdv)
	}
	if why.reason != Used {
		incr.Emit(c, a.p.kept, keptKey{t.lsp, nbID, text}, why)
		return
	}
	incr.Emit(c, a.p.icRoutes, routeKey{t.ts, table, text, nexthop.String()}, wantICRoute{origin, nbID, t.tag})
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
	if err != nil || t == nil || !ok {
		return err
	}
	if r.RouteTable != t.table {
		incr.Emit(c, a.p.kept, keptKey{lsp, uuid, r.IPPrefix}, verdict{WrongTable, t.table, originStatic, r.RouteTable})
		return nil
	}
	a.emit(c, t, r.RouteTable, r.IPPrefix, originStatic, uuid)
	return nil
}
