package agent

import (
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"strings"
	"time"

	"govn/proto/ic"
)

// Limits of messages.
const (
	pieceItems  = 2000  // in one; more go into several
	maxRefusals = 10000 // that are kept
)

// publisher tells the centre what the zone has for others: everything on a new
// stream, then what changed, one message at a time.
type publisher struct {
	c   *centre
	p   *program
	log *slog.Logger

	session uint64 // on which everything was told
	number  uint64 // of the last message
	asked   bool   // it has no answer yet
	askedAt time.Time
	since   time.Time          // of the oldest change in it
	dirty   map[item]time.Time // since when
	refused map[item]Refusal   // which the centre keeps, and stores when it can
	took    func(time.Duration)
}

func newPublisher(c *centre, p *program, log *slog.Logger) *publisher {
	return &publisher{c: c, p: p, log: log, dirty: map[item]time.Time{}, refused: map[item]Refusal{}, took: func(time.Duration) {}}
}

func (p *publisher) mark(it item, now time.Time) {
	if _, there := p.dirty[it]; !there {
		p.dirty[it] = now
	}
}

// flush takes answers and sends what is due. It returns when there is something
// to do next; zero: nothing.
func (p *publisher) flush(now time.Time) (next time.Time) {
	for _, a := range p.c.answers() {
		p.answered(a, now)
	}
	s := p.c.current()
	if s == nil {
		p.asked = false
		return next
	}
	whole := s.number != p.session
	switch {
	case !whole && p.asked:
		if due := p.due(s); now.Before(due) {
			return due
		}
		s.end(fmt.Errorf("%w: no answer to Publish %d", errCentre, p.number))
		return next
	case !whole && len(p.dirty) == 0:
		return next
	}
	p.number++
	if !s.send(p.pieces(whole)...) {
		p.number--
		return now.Add(100 * time.Millisecond)
	}
	p.session, p.asked, p.askedAt, p.since = s.number, true, now, now
	for _, since := range p.dirty {
		if since.Before(p.since) {
			p.since = since
		}
	}
	clear(p.dirty)
	return p.due(s)
}

// pieces are the messages that tell everything, or what changed.
func (p *publisher) pieces(whole bool) (list []*ic.FromZone) {
	var m *ic.Publish
	n := pieceItems
	for it := range p.items(whole) {
		if n == pieceItems {
			m, n = &ic.Publish{Number: p.number, More: true}, 0
			list = append(list, &ic.FromZone{Msg: &ic.FromZone_Publish{Publish: m}})
		}
		p.add(m, it)
		n++
	}
	if m == nil {
		m = &ic.Publish{Number: p.number}
		list = append(list, &ic.FromZone{Msg: &ic.FromZone_Publish{Publish: m}})
	}
	m.More = false
	list[0].GetPublish().Whole = whole
	return list
}

// items are all that others are told of, or those that changed.
func (p *publisher) items(whole bool) iter.Seq[item] {
	if !whole {
		return maps.Keys(p.dirty)
	}
	return func(yield func(item) bool) {
		for name := range p.p.gateways.All() {
			if !yield(item{kindGateway, name, ""}) {
				return
			}
		}
		for name := range p.p.icPorts.All() {
			if !yield(item{kindICPort, name, ""}) {
				return
			}
		}
		for k := range p.p.icRoutes.All() {
			if !yield(k.item()) {
				return
			}
		}
	}
}

// due is when an answer has to be there.
func (p *publisher) due(s *session) time.Time { return p.askedAt.Add(max(s.lease, centreAnswer)) }

// add puts into a message what an item is now.
func (p *publisher) add(m *ic.Publish, it item) {
	switch it.kind {
	case kindGateway:
		w, ok := p.p.gateways.Get(it.key)
		if !ok {
			m.GoneGateways = append(m.GoneGateways, it.key)
			return
		}
		g := &ic.Gateway{Name: it.key, Hostname: w.hostname}
		for _, e := range w.encaps {
			one := &ic.Encap{Type: e.kind, Ip: e.ip}
			if e.csum != "" {
				one.Options = map[string]string{"csum": e.csum}
			}
			g.Encaps = append(g.Encaps, one)
		}
		m.Gateways = append(m.Gateways, g)
	case kindICPort:
		w, ok := p.p.icPorts.Get(it.key)
		if !ok {
			m.GonePorts = append(m.GonePorts, it.key)
			return
		}
		m.Ports = append(m.Ports, &ic.Port{Name: it.key, Switch: w.ts, Gateway: w.gateway, Address: w.address, ExternalIds: map[string]string{keyRouterID: w.router}})
	case kindICRoute:
		k := it.route()
		key := &ic.RouteKey{Switch: k.ts, Table: k.table, Prefix: k.prefix, Nexthop: k.nexthop}
		w, ok := p.p.icRoutes.Get(k)
		if !ok {
			m.GoneRoutes = append(m.GoneRoutes, key)
			return
		}
		m.Routes = append(m.Routes, &ic.Route{Key: key, Origin: w.origin, ExternalIds: w.ids()})
	}
}

// answered takes in what the centre stored, and what it does not store now.
func (p *publisher) answered(a *ic.Published, now time.Time) {
	if a.GetNumber() > p.number {
		p.log.Warn("the centre answers what was not asked", "number", a.GetNumber())
		return
	}
	if p.asked && a.GetNumber() == p.number {
		p.asked = false
		p.took(now.Sub(p.since))
	}
	not := make(map[item]Refusal)
	for _, r := range a.GetRefusals() {
		it, ok := refusedItem(r)
		if !ok || len(not) == maxRefusals {
			continue
		}
		is := Refusal{Kind: kindNames[it.kind], Name: clip(it.key), Reason: clip(r.GetReason()), Since: now}
		if it.kind == kindICRoute {
			is.Name = clip(it.route().prefix + " on " + it.key)
		}
		if was, had := p.refused[it]; had && was.Reason == is.Reason {
			is.Since = was.Since
		} else {
			p.log.Warn("the centre refuses something", "kind", is.Kind, "name", is.Name, "reason", is.Reason)
		}
		not[it] = is
	}
	for it, was := range p.refused {
		if _, still := not[it]; !still {
			p.log.Info("the centre no longer refuses something", "kind", was.Kind, "name", was.Name)
		}
	}
	p.refused = not
}

// refusedItem is what a refusal is about.
func refusedItem(r *ic.Refusal) (item, bool) {
	switch r.GetKind() {
	case "gateway":
		return item{kindGateway, r.GetName(), ""}, true
	case "port":
		return item{kindICPort, r.GetName(), ""}, true
	case "route":
		k := r.GetRoute()
		return routeKey{k.GetSwitch(), k.GetTable(), k.GetPrefix(), k.GetNexthop()}.item(), true
	case "zone":
		return item{kindZone, r.GetName(), ""}, true
	}
	return item{}, false
}

// item is the row of the route in OVN_IC_Southbound.
func (k routeKey) item() item {
	return item{kindICRoute, k.ts, strings.Join([]string{k.table, k.prefix, k.nexthop}, "\x00")}
}

// route is the key of a route's item.
func (i item) route() routeKey {
	f := strings.SplitN(i.more, "\x00", 3)
	for len(f) < 3 {
		f = append(f, "")
	}
	return routeKey{i.key, f[0], f[1], f[2]}
}

// ids are external_ids of an advertised route.
func (w wantICRoute) ids() map[string]string {
	m := map[string]string{keyNBID: w.nbID}
	if w.tag != "" {
		m[keyTag] = w.tag
	}
	return m
}
