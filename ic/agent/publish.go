package agent

import (
	"fmt"
	"log/slog"
	"strings"
	"time"

	"govn/proto/ic"
)

// refusedAgain is after how long what the centre refused is asked again.
const refusedAgain = 10 * time.Second

// publisher tells the centre what the zone has for others: everything on a new
// stream, then what changed, one message at a time.
type publisher struct {
	c   *centre
	p   *program
	log *slog.Logger

	session uint64        // on which everything was told
	number  uint64        // of the last message
	asked   map[item]bool // what it was about; nil: it is answered
	askedAt time.Time
	since   time.Time          // of the oldest change in it
	dirty   map[item]time.Time // since when
	refused map[item]Refusal
	again   time.Time // when to ask for what was refused
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
		p.asked = nil
		return next
	}
	if s.number == p.session && p.asked != nil {
		if due := p.due(s); now.Before(due) {
			return due
		}
		s.end(fmt.Errorf("%w: no answer to Publish %d", errCentre, p.number))
		return next
	}
	whole := s.number != p.session
	if !p.again.IsZero() && !now.Before(p.again) {
		p.again = time.Time{}
		for it := range p.refused {
			p.mark(it, now)
		}
	}
	if !whole && len(p.dirty) == 0 {
		return p.again
	}
	m, asked := p.everything()
	if !whole {
		m, asked = p.differences()
	}
	m.Number, m.Whole = p.number+1, whole
	if !s.send(&ic.FromZone{Msg: &ic.FromZone_Publish{Publish: m}}) {
		return now.Add(100 * time.Millisecond)
	}
	p.number++
	p.session, p.asked, p.askedAt, p.since = s.number, asked, now, now
	for it := range p.refused {
		if !asked[it] && whole {
			delete(p.refused, it)
		}
	}
	for _, since := range p.dirty {
		if since.Before(p.since) {
			p.since = since
		}
	}
	clear(p.dirty)
	return p.due(s)
}

// due is when an answer has to be there.
func (p *publisher) due(s *session) time.Time { return p.askedAt.Add(max(s.lease, centreAnswer)) }

// everything is what the zone has for others.
func (p *publisher) everything() (*ic.Publish, map[item]bool) {
	m, asked := &ic.Publish{}, make(map[item]bool)
	for name := range p.p.gateways.All() {
		asked[item{kindGateway, name, ""}] = true
	}
	for name := range p.p.icPorts.All() {
		asked[item{kindICPort, name, ""}] = true
	}
	for k := range p.p.icRoutes.All() {
		asked[k.item()] = true
	}
	for it := range asked {
		p.add(m, it)
	}
	return m, asked
}

// differences is what changed.
func (p *publisher) differences() (*ic.Publish, map[item]bool) {
	m, asked := &ic.Publish{}, make(map[item]bool, len(p.dirty))
	for it := range p.dirty {
		asked[it] = true
		p.add(m, it)
	}
	return m, asked
}

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

// answered takes in what the centre stored, and what it did not.
func (p *publisher) answered(a *ic.Published, now time.Time) {
	if p.asked == nil || a.GetNumber() != p.number {
		p.log.Warn("the centre answers what was not asked", "number", a.GetNumber())
		return
	}
	not := make(map[item]Refusal)
	for _, r := range a.GetRefusals() {
		if it, ok := refusedItem(r); ok && p.asked[it] {
			name := it.key
			if it.kind == kindICRoute {
				name = fmt.Sprintf("%s on %s", it.route().prefix, it.key)
			}
			not[it] = Refusal{Kind: kindNames[it.kind], Name: name, Reason: clip(r.GetReason()), Since: now}
		}
	}
	for it := range p.asked {
		was, had := p.refused[it]
		is, has := not[it]
		switch {
		case has && had && was.Reason == is.Reason:
		case has:
			p.refused[it] = is
			p.log.Warn("the centre refuses something", "kind", is.Kind, "name", is.Name, "reason", is.Reason)
		case had:
			delete(p.refused, it)
			p.log.Info("the centre takes what it refused", "kind", was.Kind, "name", was.Name)
		}
	}
	if len(p.refused) > 0 {
		p.again = now.Add(refusedAgain)
	}
	p.asked = nil
	p.took(now.Sub(p.since))
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
