package agent

import (
	"net/netip"
	"slices"
	"strings"

	"govn/pkg/incr"
	"govn/pkg/northbound"
)

// What the databases are to have, by the key of the row.
type (
	// wantSwitch is a logical switch that stands for a transit switch.
	wantSwitch struct{ key int }
	// wantChassis is a gateway, here or of another zone.
	wantChassis struct {
		hostname string
		encaps   []wantEncap
	}
	wantEncap struct{ kind, ip, csum string }
	// wantICPort is what other zones are told of a port of ours.
	wantICPort struct{ ts, gateway, address, router string }
	// wantPort is a port of another zone in ours.
	wantPort struct {
		ts, address string
		key         int
	}
	// wantICRoute is a route that others are told.
	wantICRoute struct{ origin, nbID, tag string }
	// wantRoute is a route that was learned.
	wantRoute struct{ prefix, nexthop, table, origin string }
)

// routeKey identifies a route that a zone advertises.
type routeKey struct{ ts, table, prefix, nexthop string }

// in is the key in the table of all zones' routes.
func (k routeKey) in(az string) string {
	return strings.Join([]string{az, k.ts, k.table, k.prefix, k.nexthop}, "\x00")
}

// learnedKey identifies a learned route: the router that has it, and the row that
// it comes from.
type learnedKey struct{ router, route string }

// program is the queries: what the databases are to have, as a function of what
// they have.
type program struct {
	in *input

	switches  *incr.Sink[string, wantSwitch]  // NB, by transit switch
	datapaths *incr.Sink[string, bool]        // IC-SB: transit switches that need a key
	gateways  *incr.Sink[string, wantChassis] // IC-SB, by name
	chassis   *incr.Sink[string, wantChassis] // SB, by name
	icPorts   *incr.Sink[string, wantICPort]  // IC-SB, by name
	keys      *incr.Sink[string, int]         // NB: keys of our ports, by identity
	ports     *incr.Sink[string, wantPort]    // NB, by name
	bindings  *incr.Sink[string, string]      // SB: chassis of ports of others, by name
	icRoutes  *incr.Sink[routeKey, wantICRoute]
	routes    *incr.Sink[learnedKey, wantRoute]
	kept      *incr.Sink[keptKey, verdict]   // routes of ours that others are not told
	unused    *incr.Sink[unusedKey, verdict] // routes of others that are not used

	attached   *incr.Query[string, *transitPort]
	onRouter   *incr.Collection[string] // ports of transit switches by router
	onSwitch   *incr.Collection[string] // by transit switch
	transitLRP *incr.Collection[string] // names of their router ports; allRows
	own        *incr.Collection[string] // static routes that were not learned, and router ports; ownKey
	rules      *incr.Query[string, []northbound.PrefixRule]
	accepted   *incr.Collection[string]     // ports of a router that may learn a route; acceptedKey
	learnable  *incr.Collection[learnedKey] // allRows
	first      *incr.Query[contest, string] // zone that has a prefix
}

// transitPort is a port of ours on a transit switch.
type transitPort struct {
	ts, name, lsp string
	lrp, router   string // name and identity
	table         string // options:route_table
	mac           string
	networks      []netip.Prefix
	gateway       string // chassis that hosts it
	address       string // as others are told
	v4, v6        netip.Addr
	adv, learn    routeFilter
	tag, skipTag  string // options:ic-route-tag, ic-route-filter-tag
}

func hashTransitPort(p *transitPort) incr.Hash {
	if p == nil {
		return incr.Hash{}
	}
	return incr.CellOf(p.ts, p.name, p.lsp, p.lrp, p.router, p.table, p.mac, joinPrefixes(p.networks), p.gateway, p.address,
		p.adv.allow, p.adv.deny, p.learn.allow, p.learn.deny, p.tag, p.skipTag)
}

func joinPrefixes(list []netip.Prefix) string {
	var b strings.Builder
	for _, p := range list {
		b.WriteString(p.String())
		b.WriteByte(' ')
	}
	return b.String()
}

func newProgram(in *input) *program {
	e := in.e
	p := &program{in: in}
	p.switches = incr.NewSink[string](e, "switches", func(w wantSwitch) incr.Hash { return incr.HashInt(w.key) })
	p.datapaths = incr.NewSink[string](e, "datapaths", incr.HashBool)
	p.gateways = incr.NewSink[string](e, "gateways", hashChassis)
	p.chassis = incr.NewSink[string](e, "chassis", hashChassis)
	p.icPorts = incr.NewSink[string](e, "ic-ports", func(w wantICPort) incr.Hash { return incr.CellOf(w.ts, w.gateway, w.address, w.router) })
	p.keys = incr.NewSink[string](e, "keys", incr.HashInt[int])
	p.ports = incr.NewSink[string](e, "ports", func(w wantPort) incr.Hash { return incr.CellOf(w.ts, w.address, w.key) })
	p.bindings = incr.NewSink[string](e, "bindings", incr.HashString)
	p.icRoutes = incr.NewSink[routeKey](e, "ic-routes", func(w wantICRoute) incr.Hash { return incr.CellOf(w.origin, w.nbID, w.tag) })
	p.routes = incr.NewSink[learnedKey](e, "routes", func(w wantRoute) incr.Hash {
		return incr.CellOf(w.prefix, w.nexthop, w.table, w.origin)
	})
	p.kept = incr.NewSink[keptKey](e, "kept", hashVerdict)
	p.unused = incr.NewSink[unusedKey](e, "unused", hashVerdict)

	p.attached = incr.NewQuery[string](e, "transit-port", hashTransitPort, p.readTransitPort)
	p.onRouter = incr.NewRelation[string](e, "transit-ports-of-router")
	p.onSwitch = incr.NewRelation[string](e, "transit-ports-of-switch")
	p.transitLRP = incr.NewRelation[string](e, "transit-router-ports")
	p.own = incr.NewRelation[string](e, "own-routes")
	p.rules = incr.NewQuery[string](e, "prefix-list", hashRules, readRules)

	transit := incr.NewUnit(e, "transit-switch", p.runTransit)
	local := incr.NewUnit(e, "gateway", p.runGateway)
	remote := incr.NewUnit(e, "remote-gateway", p.runRemoteGateway)
	port := incr.NewUnit(e, "port", p.runPort)
	remotePort := incr.NewUnit(e, "remote-port", p.runRemotePort)
	a := p.newAdvertising()
	l, decide := p.newLearning()
	root := incr.NewUnit(e, "zone", func(c *incr.Ctx, _ bool) error {
		incr.Each(c, in.ts.all, allRows, transit)
		incr.Each(c, in.chassis.all, allRows, local)
		incr.Each(c, in.gateway.all, allRows, remote)
		incr.Each(c, in.lsp.all, allRows, port)
		incr.Each(c, in.icPB.all, allRows, remotePort)
		incr.Each(c, in.lrp.all, allRows, a.port)
		incr.Each(c, in.route.all, allRows, a.route)
		incr.Each(c, in.icRoute.all, allRows, l)
		incr.Each(c, p.learnable, allRows, decide)
		return nil
	})
	root.Root(true)
	return p
}

func hashChassis(w wantChassis) incr.Hash {
	h := incr.CellOf(w.hostname)
	for _, e := range w.encaps {
		h = incr.CellOf(h, e.kind, e.ip, e.csum)
	}
	return h
}

// runTransit has a logical switch for a transit switch, once that has a key.
func (p *program) runTransit(c *incr.Ctx, uuid string) error {
	ts, ok := p.in.ts.get(c, uuid)
	if !ok {
		return nil
	}
	incr.Emit(c, p.datapaths, ts.Name, true)
	if dp, ok := p.in.icDP.named(c, ts.Name); ok {
		incr.Emit(c, p.switches, ts.Name, wantSwitch{dp.TunnelKey})
	}
	return nil
}

// runGateway tells the others of a chassis that is a gateway between zones.
func (p *program) runGateway(c *incr.Ctx, uuid string) error {
	ch, ok := p.in.chassis.get(c, uuid)
	if !ok || ch.OtherConfig[keyInterconn] != "true" || ch.OtherConfig[keyRemote] == "true" {
		return nil
	}
	encaps := encapsOf(ch.Encaps, func(u string) (*sbEncap, bool) { return p.in.encap.get(c, u) })
	incr.Emit(c, p.gateways, ch.Name, wantChassis{ch.Hostname, encaps})
	return nil
}

// runRemoteGateway has a chassis for a gateway of another zone.
func (p *program) runRemoteGateway(c *incr.Ctx, uuid string) error {
	gw, ok := p.in.gateway.get(c, uuid)
	if !ok || p.in.mine(c, gw.AvailabilityZone) {
		return nil
	}
	encaps := encapsOf(gw.Encaps, func(u string) (*icEncap, bool) { return p.in.icEncap.get(c, u) })
	incr.Emit(c, p.chassis, gw.Name, wantChassis{gw.Hostname, encaps})
	return nil
}

// encapsOf are the encapsulations of those rows, in order; the two databases have
// the same columns.
func encapsOf[T sbEncap | icEncap](uuids []string, get func(string) (*T, bool)) (list []wantEncap) {
	for _, u := range uuids {
		if r, ok := get(u); ok {
			e := sbEncap(*r)
			list = append(list, wantEncap{e.Type, e.IP, e.Options["csum"]})
		}
	}
	slices.SortFunc(list, func(a, b wantEncap) int { return strings.Compare(a.kind+a.ip, b.kind+b.ip) })
	return list
}

// readTransitPort is what a switch port that leads to a router is on a transit
// switch; nil: it is on none.
func (p *program) readTransitPort(c *incr.Ctx, uuid string) (*transitPort, error) {
	lsp, ok := p.in.lsp.get(c, uuid)
	if !ok || lsp.Type != "router" {
		return nil, nil
	}
	pb, ok := p.in.pb.named(c, lsp.Name)
	if !ok {
		return nil, nil
	}
	dp, ok := p.in.dp.get(c, pb.Datapath)
	if !ok || dp.ExternalIDs[keyTransit] == "" {
		return nil, nil
	}
	t := &transitPort{ts: dp.ExternalIDs[keyTransit], name: lsp.Name, lsp: uuid, lrp: lsp.Options["router-port"]}
	if _, ok := p.in.ts.named(c, t.ts); !ok {
		return nil, nil
	}
	lrp, ok := p.in.lrp.named(c, t.lrp)
	if !ok {
		return nil, nil
	}
	t.router, t.table, t.mac = p.in.routerOf.of(c, lrp.UUID), lrp.Options["route_table"], lrp.MAC
	if t.router == "" {
		return nil, nil
	}
	for _, text := range lrp.Networks {
		n, err := netip.ParsePrefix(text)
		if err != nil {
			continue // northd's lint has it
		}
		t.networks = append(t.networks, n)
		switch {
		case n.Addr().Is4() && !t.v4.IsValid():
			t.v4 = n.Addr()
		case n.Addr().Is6() && !t.v6.IsValid():
			t.v6 = n.Addr()
		}
	}
	if !t.v6.IsValid() {
		t.v6 = linkLocal(lrp.MAC)
	}
	p.readFilters(c, t, lrp)
	t.address = strings.Join(append([]string{lrp.MAC}, lrp.Networks...), " ")
	if cr, ok := p.in.pb.named(c, "cr-"+t.lrp); ok && cr.Chassis != nil {
		if ch, ok := p.in.chassis.get(c, *cr.Chassis); ok {
			t.gateway = ch.Name
		}
	}
	return t, nil
}

// runPort tells the others of a port on a transit switch, and gives it the key
// that it got there.
func (p *program) runPort(c *incr.Ctx, uuid string) error {
	t, err := p.attached.Get(c, uuid)
	if err != nil || t == nil {
		return err
	}
	incr.Emit(c, p.icPorts, t.name, wantICPort{t.ts, t.gateway, t.address, t.router})
	incr.Insert(c, p.onRouter, incr.HashString(t.router), uuid)
	incr.Insert(c, p.onSwitch, incr.HashString(t.ts), uuid)
	incr.Insert(c, p.transitLRP, allRows, t.lrp)
	if pb, ok := p.in.icPB.named(c, t.name); ok && pb.TransitSwitch == t.ts && p.in.mine(c, pb.AvailabilityZone) {
		incr.Emit(c, p.keys, uuid, pb.TunnelKey)
	}
	return nil
}

// runRemotePort has a port of type remote for a port of another zone.
func (p *program) runRemotePort(c *incr.Ctx, uuid string) error {
	pb, ok := p.in.icPB.get(c, uuid)
	if !ok || p.in.mine(c, pb.AvailabilityZone) {
		return nil
	}
	if _, ok := p.in.ts.named(c, pb.TransitSwitch); !ok {
		return nil
	}
	incr.Emit(c, p.ports, pb.LogicalPort, wantPort{pb.TransitSwitch, pb.Address, pb.TunnelKey})
	incr.Emit(c, p.bindings, pb.LogicalPort, pb.Gateway)
	return nil
}
