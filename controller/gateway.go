package controller

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	pb "google.golang.org/protobuf/proto"

	"govn/controller/physical"
	"govn/controller/vswitch"
	"govn/proto"
	"govn/proto/control"
)

// How BFD runs on tunnels where NB_Global does not say otherwise: a chassis that
// falls silent is given up after 600 ms (mult times min_rx). Open vSwitch by
// itself, and OVN with it, waits 3 s.
const (
	defaultBFDMinRx = 200 // milliseconds
	defaultBFDMinTx = 100 // milliseconds
	defaultBFDMult  = 3
)

const (
	// moveSlack is what the others may take, beyond their BFD, to send to a member
	// that took over from one that is alive; and yieldSlack how long that one goes
	// on hosting after they were told by an announcement.
	moveSlack  = 100 * time.Millisecond
	yieldSlack = 500 * time.Millisecond
	// readyDelay is how long BFD has to have been quiet before the others are told
	// that they may send here, and readyLimit how long that may be put off by
	// chassis that stay silent. Open vSwitch answers a change of its configuration
	// at once but goes on at the slow pace of a session that is not up, for which
	// the other end, which has heard of the fast one, gives the session up again.
	readyDelay = 400 * time.Millisecond
	readyLimit = 3 * time.Second
	// pathDownDelay is how long the connection to Open vSwitch may be away
	// before the others are told not to come back before the flows do. An Open
	// vSwitch that starts acts on what the database says then.
	pathDownDelay = 100 * time.Millisecond
)

// gateways is what the controller knows of the ports that one of several chassis
// hosts: distributed gateway ports, gateway routers, external ports.
//
//	Interface:bfd_status --> watch --> verdict of each HA group --> physical (guards, flows)
//	HA_GROUP, HA_USER ---> Monitored --> Interface:bfd                --> claims, announcements
//
// Who sends to such a port decides without it: Open vSwitch takes the first
// tunnel that BFD says is up (see physical.toFirst).
//
// # A port that moves between two that are alive
//
// Nothing is lost, whoever hears of it first, since both host the port for a while
// and only one of them broadcasts:
//
//	new  flows in, cpath_down false ---- moveTime ----> announces
//	old  BFD hears that: own traffic to the new one, no announcements
//	     ----------------- moveTime + yieldSlack -----------------> hosts no more
//
// A broadcast from the router's address teaches the learning bridges on the way
// where it is, the physical bridge of the other gateway among them, which then
// sends nothing for that address to its own integration bridge. So the new one
// announces when nobody uses the old one any more, and the old one not at all.
type gateways struct {
	watch   map[string]watched // tunnels with BFD by interface name
	peers   map[string]*proto.Bfd
	watched map[string]bool     // chassis whose tunnels buckets of OpenFlow groups watch
	hosting map[string]*hosting // by HA group
	active  map[string]string   // chassis that hosted an HA group when last looked at
	ready   bool                // flows are in: others may send here
	heardAt time.Time           // since when a chassis is heard, while not ready; zero: none is
	quiet   time.Time           // when BFD changed last
	dirty   bool                // something changed since the verdicts
	next    time.Time           // when the verdicts change by themselves; zero: never
	lostAt  time.Time           // when the connection to Open vSwitch went; zero: it is there
}

// watched is a tunnel that BFD runs on.
type watched struct {
	chassis        string
	up, forwarding bool
}

// hosting is a group whose ports this chassis hosts.
type hosting struct {
	since    int64     // unix milliseconds
	until    time.Time // not zero: a better member is back
	after    string    // chassis that hosted it before
	returned bool      // this chassis was not ready when it began
	announce time.Time // when that may be made known to the networks; zero: others do not send here yet
}

func newGateways() gateways {
	return gateways{watch: map[string]watched{}, hosting: map[string]*hosting{}, active: map[string]string{}, dirty: true}
}

// watchTunnel follows what BFD says of an interface; nil: it is gone.
func (c *controller) watchTunnel(name string, i *vswitch.Interface) {
	w, had := c.gw.watch[name]
	now := watched{}
	if i != nil && len(i.BFDStatus) > 0 && !c.isBetween(i) {
		now.chassis, _, _ = strings.Cut(i.PortIDs[vswitch.KeyChassisID], "@")
		now.up, now.forwarding = i.BFDState()
	}
	if now == w {
		return
	}
	c.gw.dirty = true
	if now.chassis == "" {
		delete(c.gw.watch, name)
	} else {
		c.gw.watch[name] = now
	}
	c.gw.quiet = time.Now()
	if had != (now.chassis != "") || w.up != now.up || w.forwarding != now.forwarding {
		c.m.gateway.changes.Inc()
		c.log.Info("BFD", "chassis", cmp.Or(now.chassis, w.chassis), "tunnel", name, "up", now.up, "forwarding", now.forwarding)
	}
}

// switchUp and switchDown follow the connection to Open vSwitch. A switch that
// has lost its flows was started anew: what the database says of BFD is old but
// for what came since the connection went.
func (c *controller) switchUp(fresh bool) {
	g := &c.gw
	g.dirty, g.lostAt = true, time.Time{}
	if fresh {
		g.ready, c.chassisChanged = false, true
		return
	}
	g.ready, c.chassisChanged = true, true
	for name, i := range c.ifaces {
		c.watchTunnel(name, i)
	}
}

func (c *controller) switchDown() {
	c.gw.lostAt, c.gw.dirty = time.Now(), true
	clear(c.gw.watch)
}

// seen tells which chassis are heard, and which of them may be sent to.
func (g *gateways) seen() (up, forwarding map[string]bool) {
	up, forwarding = map[string]bool{}, map[string]bool{}
	for _, w := range g.watch {
		up[w.chassis] = up[w.chassis] || w.up
		forwarding[w.chassis] = forwarding[w.chassis] || w.forwarding
	}
	return up, forwarding
}

// moveTime is how long the others may take to send to a member that says that it
// forwards, which they hear with its next BFD message.
func moveTime(bfd *proto.Bfd) time.Duration {
	interval := max(cmp.Or(bfd.GetMinRx(), defaultBFDMinRx), cmp.Or(bfd.GetMinTx(), defaultBFDMinTx))
	return 2*time.Duration(interval)*time.Millisecond + moveSlack
}

// decide brings the verdicts up to date.
func (c *controller) decide() {
	c.tellTunnels()
	g, now := &c.gw, time.Now()
	if changed := c.host.TakeHA(); !changed && !g.dirty && (g.next.IsZero() || now.Before(g.next)) {
		return
	}
	g.dirty, g.next = false, time.Time{}
	if peers := c.host.Monitored(); !maps.EqualFunc(peers, g.peers, func(a, b *proto.Bfd) bool { return pb.Equal(a, b) }) {
		g.peers, c.chassisChanged = peers, true
	}
	if watched := c.host.Watched(); !maps.Equal(watched, g.watched) {
		g.watched, c.chassisChanged = watched, true
	}
	if !g.lostAt.IsZero() { // what this chassis hosts is as it was, for all that is known
		if due := g.lostAt.Add(pathDownDelay); now.Before(due) {
			g.next = due
		} else if g.ready {
			g.ready, c.chassisChanged = false, true
		}
		return
	}
	up, forwarding := g.seen()
	alone := !slices.ContainsFunc(slices.Collect(maps.Keys(g.peers)), func(name string) bool { return up[name] })
	used := map[string]bool{}
	for _, p := range c.host.HAPorts() {
		key := string(p.Port.HaGroup)
		if used[key] {
			continue
		}
		used[key] = true
		v := verdictOf(p.Group, c.self(), alone, forwarding)
		c.settleGroup(key, p.Group, v, now)
		if v == here {
			g.active[key] = c.self()
		} else if other := firstOf(p.Group, forwarding); other != "" {
			g.active[key] = other
		}
	}
	for key := range g.hosting {
		if !used[key] {
			c.settleGroup(key, nil, elsewhere, now)
		}
	}
	maps.DeleteFunc(g.active, func(key, _ string) bool { return !used[key] })
}

// byPriority are the members of a group, best first.
func byPriority(group *proto.HAGroup) []*proto.HAMember {
	members := slices.Clone(group.GetMembers())
	slices.SortStableFunc(members, func(a, b *proto.HAMember) int { return -cmp.Compare(a.Priority, b.Priority) })
	return members
}

// firstOf is the best member that may be sent to; "": none.
func firstOf(group *proto.HAGroup, forwarding map[string]bool) string {
	for _, m := range byPriority(group) {
		if forwarding[m.Chassis] {
			return m.Chassis
		}
	}
	return ""
}

// verdict says who hosts the ports of an HA group.
type verdict uint8

const (
	elsewhere verdict = iota // not this chassis
	here                     // this chassis
	better                   // this chassis could, but a member of a higher priority works
)

// verdictOf is the verdict as a chassis sees it. One that sees nobody does not
// host: it is more likely that it is cut off than that all others are gone.
func verdictOf(group *proto.HAGroup, self string, alone bool, forwarding map[string]bool) verdict {
	members := byPriority(group)
	at := slices.IndexFunc(members, func(m *proto.HAMember) bool { return m.Chassis == self })
	switch {
	case at < 0:
		return elsewhere
	case len(members) == 1:
		return here
	case alone:
		return elsewhere
	case slices.ContainsFunc(members[:at], func(m *proto.HAMember) bool { return forwarding[m.Chassis] }):
		return better
	}
	return here
}

// settleGroup makes a verdict what holds. A member that is superseded goes on for
// a while.
func (c *controller) settleGroup(key string, group *proto.HAGroup, v verdict, now time.Time) {
	g := &c.gw
	h := g.hosting[key]
	switch {
	case v == here && h == nil:
		h = &hosting{since: now.UnixMilli(), after: g.active[key], returned: !g.ready}
		g.hosting[key] = h
		c.m.gateway.takeovers.Inc()
		c.log.Info("this chassis hosts the ports of an HA group now", "group", group.GetName())
	case v == here && !h.until.IsZero(): // the better one is away again
		h.since, h.until = now.UnixMilli(), time.Time{}
	case v == better && h != nil && h.until.IsZero():
		h.until = now.Add(moveTime(group.GetBfd()) + yieldSlack)
	}
	if h != nil && (v == elsewhere || v == better && !now.Before(h.until)) {
		delete(g.hosting, key)
		h = nil
		c.log.Info("this chassis no longer hosts the ports of an HA group", "group", group.GetName())
	}
	if h != nil && !h.until.IsZero() && (g.next.IsZero() || h.until.Before(g.next)) {
		g.next = h.until
	}
	c.host.SetHosting(key, h != nil)
	c.host.SetYielding(key, h != nil && !h.until.IsZero())
}

// gatewaysInstalled follows up when the flows are in: the others may send here,
// northd learns what this chassis hosts, and the networks where it is.
func (c *controller) gatewaysInstalled() {
	g := &c.gw
	up, forwarding := g.seen()
	c.beReady(countUp(g.peers, up))
	now := map[physical.PortID]bool{}
	for _, p := range c.host.HAPorts() {
		h := g.hosting[string(p.Port.HaGroup)]
		if h != nil && (g.ready || len(p.Group.GetMembers()) < 2) {
			now[p.ID] = true
			if h.announce.IsZero() {
				h.announce = time.Now()
				if h.relieves(p.Group, forwarding) {
					h.announce = h.announce.Add(moveTime(p.Group.Bfd))
				}
			}
			c.hosts(p.ID, &proto.Claim{Datapath: p.ID.Datapath, Port: p.ID.Port, Since: h.since})
		}
	}
	for id := range c.claimed {
		if !now[id] && c.gatewayClaims[id] {
			c.hosts(id, nil)
		}
	}
	c.gatewayClaims = now
	c.m.gateway.hosting.Set(float64(len(g.hosting)))
	c.m.gateway.watched.Set(float64(len(g.peers)))
	c.m.gateway.up.Set(float64(countUp(g.peers, up)))
}

// relieves tells whether a member takes its ports from another one that is alive.
func (h *hosting) relieves(group *proto.HAGroup, forwarding map[string]bool) bool {
	return forwarding[h.after] || h.returned && firstOf(group, forwarding) != ""
}

// announces tells whether this chassis makes known to the networks that a port of
// an HA group is here, or when that is to be looked at again.
func (g *gateways) announces(group string, now time.Time) (bool, time.Time) {
	h := g.hosting[group]
	switch {
	case h == nil || h.announce.IsZero() || !h.until.IsZero():
		return false, time.Time{}
	case now.Before(h.announce):
		return false, h.announce
	}
	return true, time.Time{}
}

// beReady tells the others, once flows are in and some chassis are heard, that
// they may send here.
func (c *controller) beReady(heard int) {
	g, now := &c.gw, time.Now()
	switch {
	case g.ready || len(c.waiting) > 0: // a tunnel or a physical network is not there yet
		return
	case heard == 0:
		g.heardAt = time.Time{}
		return
	case g.heardAt.IsZero():
		g.heardAt = now
	}
	due := g.heardAt.Add(readyLimit)
	if quiet := g.quiet.Add(readyDelay); heard == len(g.peers) && quiet.Before(due) {
		due = quiet
	}
	if !now.Before(due) {
		g.ready, g.heardAt, c.chassisChanged = true, time.Time{}, true
	} else if g.next.IsZero() || due.Before(g.next) {
		g.next = due
	}
}

func countUp(peers map[string]*proto.Bfd, up map[string]bool) (n int) {
	for name := range peers {
		if up[name] {
			n++
		}
	}
	return n
}

// bfdOf is how BFD runs on the tunnels to a chassis. Only a member of a group
// has to say that it is not ready.
func (c *controller) bfdOf(chassis string) vswitch.BFD {
	how, ok := c.gw.peers[chassis]
	if !ok && !c.gw.watched[chassis] {
		return vswitch.BFD{}
	}
	b := vswitch.BFD{
		Enable: true, MinRx: cmp.Or(how.GetMinRx(), defaultBFDMinRx), MinTx: cmp.Or(how.GetMinTx(), defaultBFDMinTx),
		DecayMinRx: how.GetDecayMinRx(), Mult: cmp.Or(how.GetMult(), defaultBFDMult),
	}
	b.PathDown = !c.gw.ready && c.host.Member()
	return b
}

// self is the name of this chassis.
func (c *controller) self() string {
	if c.cfg == nil {
		return ""
	}
	return c.cfg.SystemID
}

// gatewayViews are what people see of the HA groups that this chassis uses, and of
// the chassis that it watches.
func (c *controller) gatewayViews() (groups []control.HostGateway, peers []control.Watched) {
	up, forwarding := c.gw.seen()
	index := map[string]int{}
	for _, p := range c.host.HAPorts() {
		key := string(p.Port.HaGroup)
		i, ok := index[key]
		if !ok {
			i = len(groups)
			index[key] = i
			g := control.HostGateway{Group: p.Group.GetName()}
			for _, m := range p.Group.GetMembers() {
				g.Members = append(g.Members, m.Chassis)
				if g.Active == "" && (len(p.Group.Members) == 1 || forwarding[m.Chassis]) {
					g.Active = m.Chassis
				}
				if m.Chassis == c.self() && c.gw.hosting[key] != nil {
					g.Active = m.Chassis
				}
			}
			groups = append(groups, g)
		}
		groups[i].Ports = append(groups[i].Ports, p.Port.Name)
	}
	for _, name := range sortedKeys(c.gw.peers) {
		peers = append(peers, control.Watched{Chassis: name, Up: up[name], Forwarding: forwarding[name]})
	}
	return groups, peers
}
