package agent

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// status is what the agent knows of its links, all of it and in no order: what
// finish is for. It is called between two steps, so it is quick.
func (a *agent) status() *Status {
	in := a.in
	s := &Status{Zone: in.name(), ID: in.externalID(keyZoneID), Strict: in.strict || in.options[optionStrict] == "true"}
	for _, r := range a.replicas {
		db := r.snapshot()
		db.Busy = a.w.busy[r]
		s.Databases = append(s.Databases, db)
	}
	if a.centre != nil {
		c := a.centre.snapshot()
		s.Centre = &c
		s.Refusals = slices.Collect(maps.Values(a.pub.refused))
	}
	links := make(map[string]*link)
	for _, ts := range in.ts.rows {
		l := &link{Link: Link{Switch: ts.Name}, a: a}
		if dp, ok := in.icDP.peek(ts.Name); ok {
			l.Key = dp.TunnelKey
		}
		links[ts.Name] = l
	}
	for uuid := range in.lsp.rows {
		if t, err, ok := a.p.attached.Peek(uuid); ok && err == nil && t != nil && links[t.ts] != nil {
			links[t.ts].own = append(links[t.ts].own, t)
		}
	}
	for _, pb := range in.icPB.rows {
		if l := links[pb.TransitSwitch]; l != nil && pb.AvailabilityZone != in.own {
			l.others = append(l.others, pb)
		}
	}
	for _, r := range in.icRoute.rows {
		if l := links[r.TransitSwitch]; l != nil && r.AvailabilityZone != in.own {
			l.routes = append(l.routes, r)
		}
	}
	for k, w := range a.p.icRoutes.All() {
		if l := links[k.ts]; l != nil {
			l.Out = append(l.Out, a.toldRoute(k, w))
		}
	}
	for k, v := range a.p.kept.All() {
		t, err, ok := a.p.attached.Peek(k.lsp)
		if ok && err == nil && t != nil && links[t.ts] != nil {
			links[t.ts].Out = append(links[t.ts].Out, Route{Prefix: k.prefix, Table: v.table, Origin: v.origin, Zone: in.name(), Router: a.routerName(t.router),
				Status: v.reason, Detail: v.detail})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(links)) {
		s.Links = append(s.Links, links[name].collect())
	}
	return s
}

// toldRoute is a route that others are told.
func (a *agent) toldRoute(k routeKey, w wantICRoute) Route {
	r := Route{Prefix: k.prefix, Nexthop: k.nexthop, Table: k.table, Origin: w.origin, Zone: a.in.name(), Tag: w.tag}
	if lrp := a.in.lrp.rows[w.nbID]; lrp != nil {
		r.Router = a.routerName(a.in.routerOf.holder[w.nbID])
	} else {
		r.Router = a.routerName(a.in.routeAt.holder[w.nbID])
	}
	if a.pub != nil {
		if not, ok := a.pub.refused[k.item()]; ok {
			r.Status, r.Detail = Refused, not.Reason
		}
	}
	return r
}

// link is a transit switch whose status is in the making.
type link struct {
	Link
	a      *agent
	own    []*transitPort
	others []*icPort
	routes []*icRoute
}

func (l *link) collect() Link {
	l.ports()
	l.gateways()
	for _, r := range l.routes {
		l.route(r)
	}
	return l.Link
}

func (l *link) ports() {
	in := l.a.in
	for _, t := range l.own {
		p := Port{Name: t.name, Zone: in.name(), Own: true, Gateway: t.gateway, Address: t.address, Router: l.a.routerName(t.router)}
		if pb, ok := in.icPB.peek(t.name); ok && pb.AvailabilityZone == in.own {
			p.Key = pb.TunnelKey
		}
		if l.a.pub != nil {
			if not, ok := l.a.pub.refused[item{kindICPort, t.name, ""}]; ok {
				p.Status = not.Reason
			}
		}
		l.Ports = append(l.Ports, p)
	}
	for _, pb := range l.others {
		l.Ports = append(l.Ports, Port{Name: pb.LogicalPort, Zone: l.a.w.zoneName(pb.AvailabilityZone), Key: pb.TunnelKey, Gateway: pb.Gateway, Address: pb.Address})
	}
	slices.SortFunc(l.Ports, func(x, y Port) int { return cmp.Or(cmp.Compare(x.Zone, y.Zone), cmp.Compare(x.Name, y.Name)) })
}

// gateways are those that host a port of the link.
func (l *link) gateways() {
	hosts := make(map[string]bool)
	for _, p := range l.Ports {
		if p.Gateway == "" || hosts[p.Gateway] {
			continue
		}
		hosts[p.Gateway] = true
		g := Gateway{Name: p.Gateway, Zone: p.Zone, Own: p.Own}
		want, known := l.a.p.gateways.Get(p.Gateway)
		if !p.Own {
			want, known = l.a.p.chassis.Get(p.Gateway)
		}
		if known {
			g.Hostname = want.hostname
			for _, e := range want.encaps {
				g.Encaps = append(g.Encaps, e.kind+":"+e.ip)
			}
		}
		if !p.Own {
			g.Tunnels = l.a.tunnels(p.Gateway)
		}
		l.Gateways = append(l.Gateways, g)
	}
	slices.SortFunc(l.Gateways, func(x, y Gateway) int { return cmp.Or(cmp.Compare(x.Zone, y.Zone), cmp.Compare(x.Name, y.Name)) })
}

// route tells of a route of another zone, for each router of ours on the link.
func (l *link) route(r *icRoute) {
	one := Route{Prefix: r.IPPrefix, Nexthop: r.Nexthop, Table: r.RouteTable, Origin: r.Origin, Zone: l.a.w.zoneName(r.AvailabilityZone), Tag: r.ExternalIDs[keyTag]}
	if len(l.own) == 0 {
		one.Status = NoPort
		l.In = append(l.In, one)
		return
	}
	routers := make(map[string]bool)
	for _, t := range l.own {
		if routers[t.router] {
			continue
		}
		routers[t.router] = true
		one := one
		one.Router = l.a.routerName(t.router)
		if _, used := l.a.p.routes.Get(learnedKey{t.router, r.UUID}); !used {
			v, ok := l.a.p.unused.Get(unusedKey{t.router, "", r.UUID})
			if !ok {
				v, _ = l.a.p.unused.Get(unusedKey{t.router, t.lsp, r.UUID})
			}
			one.Status, one.Detail = v.reason, v.detail
			if v.reason == Contested {
				one.Detail = l.a.w.zoneName(v.detail)
			}
		}
		l.In = append(l.In, one)
	}
}

// routerName is the name of a router.
func (a *agent) routerName(uuid string) string {
	if r := a.in.lr.rows[uuid]; r != nil {
		return r.Name
	}
	return uuid
}

// keyTunnels is the key of Chassis:other_config by which a gateway of a zone of
// govn tells of its tunnels to those of other zones: "NAME=STATE" with spaces
// between. Gateways of OVN have none.
const keyTunnels = "govn-ic-tunnels"

// tunnels are those from gateways of this zone to one of another.
func (a *agent) tunnels(to string) (list []Tunnel) {
	for from := range a.p.gateways.All() {
		one := Tunnel{From: from, State: "unknown"}
		if ch, ok := a.in.chassis.peek(from); ok {
			for word := range strings.FieldsSeq(ch.OtherConfig[keyTunnels]) {
				if name, state, _ := strings.Cut(word, "="); name == to {
					one.State = state
				}
			}
		}
		list = append(list, one)
	}
	slices.SortFunc(list, func(x, y Tunnel) int { return strings.Compare(x.From, y.From) })
	return list
}

// unused takes in which routes are not told, or not used, since the last call.
// Conflicts are logged.
func (a *agent) unused() {
	for _, ch := range a.p.kept.Drain() {
		a.m.count("advertised", ch.Old, ch.New)
	}
	for _, ch := range a.p.unused.Drain() {
		a.m.count("learned", ch.Old, ch.New)
		if ch.New == nil || ch.New.reason != Contested {
			continue
		}
		if r := a.in.icRoute.rows[ch.Key.route]; r != nil {
			a.log.Warn("two zones have one prefix: the route of the one that was first is used", "prefix", r.IPPrefix, "table", r.RouteTable,
				"switch", r.TransitSwitch, "router", a.routerName(ch.Key.router), "zone", a.w.zoneName(ch.New.detail), "other", a.w.zoneName(r.AvailabilityZone))
		}
	}
	a.m.sizes(a)
}
