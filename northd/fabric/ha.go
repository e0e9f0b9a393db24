package fabric

import (
	"maps"
	"slices"
	"strings"

	"govn/proto"
	"govn/proto/state"
)

// haGroup is what the zone knows of a group of chassis that may host ports. A
// datapath with a port of the group is local to every member, and a member
// learns who else has the datapath (HA_USER items): those are the chassis that
// watch whether it is alive.
type haGroup struct {
	key     Key
	info    *item
	members []string
	ports   map[*port]struct{}
	in      map[*datapath]int // ports of the group there

	redirects map[*datapath]int   // of these, chassisredirect ports
	users     map[string]int      // datapaths of redirects that are local to a chassis
	told      map[string]struct{} // what TakeHAUsers told last
}

func haGroupKey(key string) Key { return Key{Kind: proto.Kind_KIND_HA_GROUP, Key: key} }

func (z *zone) haGroup(k Key) *haGroup {
	g := z.haGroups[k]
	if g == nil {
		g = &haGroup{key: k, ports: map[*port]struct{}{}, in: map[*datapath]int{}, redirects: map[*datapath]int{}, users: map[string]int{}}
		z.haGroups[k] = g
	}
	return g
}

// forgetHA drops a group that nothing refers to.
func (z *zone) forgetHA(g *haGroup) {
	if g.info == nil && len(g.ports) == 0 {
		delete(z.haGroups, g.key)
	}
}

// putHAGroup makes the change of one group, made is the item of its value.
func (z *zone) putHAGroup(ch *HAGroup, made *item) {
	g := z.haGroup(haGroupKey(ch.Key))
	old := g.members
	g.info, g.members = made, nil
	z.reused[g] = struct{}{}
	if made != nil {
		g.members = ch.Members
	}
	for d := range g.in {
		z.visited[d] = struct{}{}
		z.share(d.all, g.key, g.info)
		for _, name := range g.members { // first, so that those that stay are not touched
			z.host(d, name, +1)
		}
		for _, name := range old {
			z.host(d, name, -1)
		}
	}
	for p := range g.ports {
		z.unsettled[p] = struct{}{}
	}
	z.forgetHA(g)
}

// joinHA brings the group of a port in line with its PORT item.
func (z *zone) joinHA(d *datapath, p *port) {
	var now *haGroup
	if p.base != nil && p.base.ha != (Key{}) {
		now = z.haGroup(p.base.ha)
	}
	old, was := p.group, p.redirect
	if p.redirect = now != nil && p.base.redirect; p.redirect && (!was || old != now) {
		z.redirect(now, d, +1)
	}
	if was && (!p.redirect || old != now) {
		z.redirect(old, d, -1)
	}
	if old == now {
		return
	}
	p.group = now
	if now != nil {
		now.ports[p] = struct{}{}
		now.in[d]++
		z.ref(d.all, now.key)
		if now.in[d] == 1 {
			for _, name := range now.members {
				z.host(d, name, +1)
			}
		}
	}
	if old != nil {
		delete(old.ports, p)
		if old.in[d]--; old.in[d] == 0 {
			delete(old.in, d)
			for _, name := range old.members {
				z.host(d, name, -1)
			}
		}
		z.unref(d.all, old.key)
		z.forgetHA(old)
	}
}

// host counts the groups of a datapath that have a chassis as a member: it
// learns who else has the datapath.
func (z *zone) host(d *datapath, name string, n int) {
	before := d.hosts[name]
	d.hosts[name] = before + n
	if before+n == 0 {
		delete(d.hosts, name)
	}
	if (before == 0) != (before+n == 0) {
		for user := range d.localTo {
			z.setHAUser(d, name, user, n > 0)
		}
	}
}

// haUser notes that a datapath is local to a chassis, or no more.
func (z *zone) haUser(d *datapath, user string, there bool) {
	for host := range d.hosts {
		z.setHAUser(d, host, user, there)
	}
	n := -1
	if there {
		n = +1
	}
	for g := range d.redirects {
		z.use(g, user, n)
	}
}

// redirect counts the chassisredirect ports of a group in a datapath.
func (z *zone) redirect(g *haGroup, d *datapath, n int) {
	before := g.redirects[d]
	g.redirects[d] = before + n
	switch {
	case before == 0:
		d.redirects[g] = struct{}{}
	case before+n == 0:
		delete(g.redirects, d)
		delete(d.redirects, g)
	default:
		return
	}
	for user := range d.localTo {
		z.use(g, user, n)
	}
}

// use counts the datapaths of a group that a chassis has.
func (z *zone) use(g *haGroup, user string, n int) {
	if g.users[user] += n; g.users[user] == 0 {
		delete(g.users, user)
	}
	z.reused[g] = struct{}{}
}

// takeHAUsers are the groups whose users changed since the last call.
func (z *zone) takeHAUsers() []HAUsers {
	var out []HAUsers
	for g := range z.reused {
		if g.info == nil {
			g.told = nil // its row is gone
			continue
		}
		now := make(map[string]struct{}, len(g.users))
		for user := range g.users {
			if !slices.Contains(g.members, user) {
				now[user] = struct{}{}
			}
		}
		if !maps.Equal(now, g.told) {
			g.told = now
			out = append(out, HAUsers{Group: g.key.Key, Chassis: slices.Sorted(maps.Keys(now))})
		}
	}
	clear(z.reused)
	slices.SortFunc(out, func(a, b HAUsers) int { return strings.Compare(a.Group, b.Group) })
	return out
}

// setHAUser tells a member that a chassis has the datapath.
func (z *zone) setHAUser(d *datapath, host, user string, there bool) {
	if host == user {
		return
	}
	k := Key{Kind: proto.Kind_KIND_HA_USER, Key: state.HAUserKey(d.key, user)}
	var it *item
	if there {
		it = newItem(k, []byte{}, false)
	}
	z.setOwn(d, host, k, it)
}
