package ipam

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"govn/northd/topology"
	"govn/pkg/ovsdb"
)

// Reasons why a port does not get what it asks for.
var (
	// ErrExhausted is the problem of a port for which the subnet has no address.
	ErrExhausted = errors.New("the subnet has no free address")
	// ErrTaken is the problem of a port whose wish somebody else has, or
	// exclude_ips excludes.
	ErrTaken = errors.New("the address is taken")
	// ErrOutside is the problem of a port whose wish can never come true.
	ErrOutside = errors.New("the address is none that the switch gives")
	// ErrTwice is the problem of a port with more than one element that says
	// "dynamic"; the first one counts.
	ErrTwice = errors.New(`more than one element says "dynamic"`)
)

// settle looks at what changed, and at what follows from it, until everybody
// has what they can have. It returns the texts that have to be written.
//
// In one pass all ports that are looked at first let go of what they have, then
// take what is theirs statically, then keep what they had, and then get what is
// new. What becomes free, and who lost what they had, is the next pass.
func (m *IPAM) settle(sn *ovsdb.Snapshot, d *dirt) map[ovsdb.UUID]string {
	texts := make(map[ovsdb.UUID]string)
	for len(d.ports)+len(d.switches) > 0 {
		batch := m.batch(sn, d)
		for _, u := range batch {
			m.leave(u)
		}
		for u := range d.switches {
			m.configure(sn, u)
		}
		next := newDirt()
		for _, u := range batch {
			m.join(sn, u, texts, next)
		}
		batch = slices.DeleteFunc(batch, func(u ovsdb.UUID) bool { return m.members[u] == nil })
		slices.SortFunc(batch, m.byName)
		for _, do := range []func(ovsdb.UUID, *member, *pool){m.keep, m.grant, m.assign} {
			for _, u := range batch {
				if mem := m.members[u]; mem.want != nil {
					do(u, mem, m.pools[mem.home])
				}
			}
		}
		for _, u := range batch {
			m.finish(u, texts)
		}
		m.wake(next)
		d = next
	}
	return texts
}

// batch is the ports that one pass looks at, switch ports first.
func (m *IPAM) batch(sn *ovsdb.Snapshot, d *dirt) []ovsdb.UUID {
	in := make(map[ovsdb.UUID]bool)
	var lsps, lrps []ovsdb.UUID
	var add func(u ovsdb.UUID)
	byName := func(name string) {
		if name == "" {
			return
		}
		if row := sn.Lookup(m.c.LRP.Table, m.lrpName, name); row != nil {
			add(row.UUID())
		}
		for _, u := range m.peers[name] {
			add(u)
		}
	}
	add = func(u ovsdb.UUID) {
		if in[u] {
			return
		}
		in[u] = true
		mem, router := m.members[u], sn.Row(m.c.LRP.Table, u)
		if router != nil || mem != nil && mem.router {
			lrps = append(lrps, u)
		} else {
			lsps = append(lsps, u)
		}
		if mem != nil {
			if mem.router {
				byName(mem.name)
			}
			byName(mem.peer)
		}
		if router != nil {
			byName(router.Str(m.c.LRP.Name))
		} else if row := sn.Row(m.c.LSP.Table, u); row != nil {
			byName(m.peerOf(row))
		}
	}
	for u := range d.ports {
		add(u)
	}
	for u := range d.switches {
		if row := sn.Row(m.c.LS.Table, u); row != nil {
			for p := range row.Set(m.c.LS.Ports).All() {
				add(p.(ovsdb.UUID))
			}
		}
	}
	slices.SortFunc(lsps, ovsdb.UUID.Compare)
	slices.SortFunc(lrps, ovsdb.UUID.Compare)
	return append(lsps, lrps...)
}

// peerOf is the router port that a switch port names, "" if none.
func (m *IPAM) peerOf(row *ovsdb.Row) string {
	if row.Str(m.c.LSP.Type) != topology.TypeRouter {
		return ""
	}
	return optionOf(row, m.c.LSP.Options, "router-port")
}

// configure makes the pool of a switch as other_config says. Its ports have
// left.
func (m *IPAM) configure(sn *ovsdb.Snapshot, u ovsdb.UUID) {
	delete(m.pools, u)
	for _, key := range configKeys {
		m.Problems.Report("switch "+u.String()+" "+key, nil)
	}
	row := sn.Row(m.c.LS.Table, u)
	if row == nil {
		return
	}
	name := row.Str(m.c.LS.Name)
	c, mistakes := parseConfig(m.values(row))
	for _, x := range mistakes {
		m.Problems.Report("switch "+u.String()+" "+x.key, &topology.FieldError{Table: "Logical_Switch", Column: "other_config:" + x.key, Object: name, UUID: u, Err: x.err})
	}
	if c.active() {
		m.pools[u] = newPool(name, c)
	}
}

// leave lets go of everything that a port has.
func (m *IPAM) leave(u ovsdb.UUID) {
	mem := m.members[u]
	if mem == nil {
		return
	}
	delete(m.members, u)
	for _, a := range mem.macs {
		m.macs.unclaim(a, u)
	}
	if mem.now.hasMAC {
		m.macs.unclaim(mem.now.mac, u)
	}
	if mem.peer != "" {
		if m.peers[mem.peer] = m.peers[mem.peer].without(u); len(m.peers[mem.peer]) == 0 {
			delete(m.peers, mem.peer)
		}
	}
	m.Problems.Report("port "+u.String(), nil)
	p := m.pools[mem.home]
	if p == nil {
		return
	}
	for _, x := range mem.static {
		p.unclaim(x, u)
	}
	if mem.now.v4 != 0 {
		p.takeBack(mem.now.v4)
	}
	if mem.wish != 0 {
		p.unwish(mem.wish, u)
	}
	if mem.want == nil || !p.v4 || mem.now.v4 != 0 {
		return
	}
	if i := slices.Index(p.hungry, u); i >= 0 {
		p.hungry = slices.Delete(p.hungry, i, i+1)
	}
}

// join reads a port and takes what it has statically. Ports that lose an
// address by that are dirty.
func (m *IPAM) join(sn *ovsdb.Snapshot, u ovsdb.UUID, texts map[ovsdb.UUID]string, lost *dirt) {
	mem := m.readSwitchPort(sn, u, texts)
	if mem == nil {
		mem = m.readRouterPort(sn, u)
	}
	if mem == nil {
		return
	}
	p := m.pools[mem.home]
	if p == nil {
		mem.want, mem.static = nil, nil
		if mem.text != "" {
			texts[u], mem.text = "", ""
		}
		mem.macs = slices.DeleteFunc(mem.macs, func(a topology.MAC) bool { return !m.macs.has(a) })
		if len(mem.macs) == 0 && mem.peer == "" {
			return // not worth remembering
		}
	}
	m.members[u] = mem
	for _, a := range mem.macs {
		m.macs.claim(a, u)
	}
	if mem.peer != "" {
		m.peers[mem.peer] = m.peers[mem.peer].with(u)
		if sn.Lookup(m.c.LRP.Table, m.lrpName, mem.peer) != nil {
			mem.want, mem.peered = nil, true
		}
	}
	if p == nil {
		return
	}
	for _, x := range mem.static {
		if who, given := p.given[x]; given {
			lost.ports[who] = true
		}
		p.claim(x, u)
	}
}

// readSwitchPort reads a switch port; nil says that there is none, or that it
// is on no switch.
func (m *IPAM) readSwitchPort(sn *ovsdb.Snapshot, u ovsdb.UUID, texts map[ovsdb.UUID]string) *member {
	row := sn.Row(m.c.LSP.Table, u)
	if row == nil {
		return nil
	}
	mem := &member{name: row.Str(m.c.LSP.Name), peer: m.peerOf(row)}
	// A port that is on several switches counts on the first of them.
	for ls := range sn.Referrers(m.c.LS.Ports, u) {
		if mem.home.IsZero() || ls.Compare(mem.home) < 0 {
			mem.home = ls
		}
	}
	if mem.home.IsZero() {
		return nil
	}
	for a := range row.Set(m.c.LSP.Addresses).All() {
		text := a.(string)
		if want, asks, err := topology.ParseDynamic(text); asks {
			if err == nil && mem.want == nil {
				mem.want = &want
			} else if err == nil {
				mem.more = true
			}
		} else if part, ok := topology.StaticPart(text); ok {
			mem.macs = append(mem.macs, part.MAC)
			mem.static = appendV4(mem.static, part.V4)
		}
	}
	var there bool
	if mem.text, there = texts[u]; !there {
		mem.text = optText(row, m.c.LSP.DynamicAddresses)
	}
	if part, ok := topology.StaticPart(mem.text); ok {
		mem.old.mac, mem.old.hasMAC = part.MAC, true
		if len(part.V4) > 0 {
			mem.old.v4 = number(part.V4[0].Addr())
		}
		if len(part.V6) > 0 {
			mem.old.v6 = part.V6[0].Addr()
		}
	}
	return mem
}

func (m *IPAM) readRouterPort(sn *ovsdb.Snapshot, u ovsdb.UUID) *member {
	row := sn.Row(m.c.LRP.Table, u)
	if row == nil {
		return nil
	}
	mem := &member{name: row.Str(m.c.LRP.Name), router: true}
	if mac, err := topology.ParseMAC(row.Str(m.c.LRP.MAC)); err == nil {
		mem.macs = []topology.MAC{mac}
	}
	if peers := m.peers[mem.name]; len(peers) > 0 {
		mem.home = m.members[slices.MinFunc(peers, ovsdb.UUID.Compare)].home
	}
	for a := range row.Set(m.c.LRP.Networks).All() {
		if p, err := netip.ParsePrefix(strings.TrimSpace(a.(string))); err == nil {
			mem.static = appendV4(mem.static, []netip.Prefix{p})
		}
	}
	return mem
}

func appendV4(list []uint32, add []netip.Prefix) []uint32 {
	for _, p := range add {
		if p.Addr().Is4() {
			list = append(list, number(p.Addr()))
		}
	}
	return list
}

// keep lets a port keep what it had, as far as it can.
func (m *IPAM) keep(u ovsdb.UUID, mem *member, p *pool) {
	if p.v4 && mem.old.v4 != 0 && p.free(mem.old.v4) {
		mem.now.v4 = mem.old.v4
		p.give(mem.now.v4, u)
	}
	switch {
	case mem.want.HasMAC:
		mem.now.mac, mem.now.hasMAC = mem.want.MAC, true
	case mem.old.hasMAC && m.macs.has(mem.old.mac):
		mem.now.mac, mem.now.hasMAC = mem.old.mac, true
	default:
		return
	}
	m.macs.claim(mem.now.mac, u)
}

// grant fulfils the wish for an IPv4 address.
func (m *IPAM) grant(u ovsdb.UUID, mem *member, p *pool) {
	if !p.v4 || !mem.want.V4.IsValid() {
		return
	}
	x := number(mem.want.V4)
	switch {
	case x == mem.now.v4:
	case p.free(x):
		if mem.now.v4 != 0 {
			p.takeBack(mem.now.v4)
		}
		mem.now.v4 = x
		p.give(x, u)
	case p.usable.has(x):
		mem.wish = x
		p.wish(x, u)
	}
}

// assign gives a port what it lacks.
func (m *IPAM) assign(u ovsdb.UUID, mem *member, p *pool) {
	if p.v4 && mem.now.v4 == 0 {
		if x, ok := p.lowest(); ok {
			mem.now.v4 = x
			p.give(x, u)
		} else {
			i, _ := slices.BinarySearchFunc(p.hungry, u, m.byName)
			p.hungry = slices.Insert(p.hungry, i, u)
		}
	}
	kept := mem.now.hasMAC && mem.old.hasMAC && mem.now.mac == mem.old.mac
	if !mem.now.hasMAC {
		ip := mem.now.v4
		if v4 := mem.want.V4; v4.IsValid() && mem.text == "" {
			ip = number(v4) // also of a wish that does not come true, as ovn-northd does
		}
		if mem.now.mac, mem.now.hasMAC = m.macs.choose(ip); mem.now.hasMAC {
			m.macs.claim(mem.now.mac, u)
		}
	}
	plain := !mem.want.HasMAC && !mem.want.V4.IsValid() && !mem.want.V6.IsValid()
	switch {
	case !p.prefix.IsValid() || !mem.now.hasMAC:
	case mem.want.V6.IsValid() && p.accepts(mem.want.V6):
		mem.now.v6 = mem.want.V6
	case plain && kept && mem.old.v6.IsValid():
		mem.now.v6 = mem.old.v6 // also of another prefix, as ovn-northd does
	default:
		mem.now.v6 = mem.now.mac.EUI64(p.prefix)
	}
}

// finish finds out what has to be written, and what is wrong.
func (m *IPAM) finish(u ovsdb.UUID, texts map[ovsdb.UUID]string) {
	mem := m.members[u]
	p := m.pools[mem.home]
	if mem.router || p == nil || mem.peered {
		return // nobody gives addresses to a router's peer
	}
	if text := mem.now.String(); text != mem.text {
		texts[u], mem.text = text, text
		m.log.Debug("dynamic addresses of a port", "port", mem.name, "addresses", text)
	}
	if mem.want == nil {
		return
	}
	var problems []error
	add := func(err error) { problems = append(problems, err) }
	if v4 := mem.want.V4; v4.IsValid() && number(v4) != mem.now.v4 {
		switch {
		case mem.wish != 0:
			add(fmt.Errorf("%s: %w", v4, ErrTaken))
		default:
			add(fmt.Errorf("%s: %w", v4, ErrOutside))
		}
	}
	if v6 := mem.want.V6; v6.IsValid() && v6 != mem.now.v6 {
		add(fmt.Errorf("%s: %w", v6, ErrOutside))
	}
	if p.v4 && mem.now.v4 == 0 {
		add(fmt.Errorf("%s: %w", p.subnet, ErrExhausted))
	}
	if !mem.now.hasMAC {
		add(errors.New("there is no free Ethernet address"))
	}
	if mem.more {
		add(ErrTwice)
	}
	if len(problems) > 0 {
		m.Problems.Report("port "+u.String(), &topology.FieldError{Table: "Logical_Switch_Port", Column: "addresses", Object: mem.name, UUID: u, Err: joined(problems)})
	}
}

// joined are several errors in one line.
type joined []error

func (j joined) Error() string {
	var list []string
	for _, e := range j {
		list = append(list, e.Error())
	}
	return strings.Join(list, "; ")
}

func (j joined) Unwrap() []error { return j }

// String is the addresses as they stand in dynamic_addresses.
func (l lease) String() string {
	if !l.hasMAC {
		return ""
	}
	s := l.mac.String()
	if l.v4 != 0 {
		s += " " + addr(l.v4).String()
	}
	if l.v6.IsValid() {
		s += " " + l.v6.String()
	}
	return s
}

// warnOf logs that several ports have an address.
func (m *IPAM) warnOf(address string, c claims) {
	if names := m.names(c); len(names) > 1 {
		m.log.Warn("several ports have an address", "address", address, "ports", names)
	}
}

// wake finds out who can have something now that they could not before, and
// says which addresses got several owners.
func (m *IPAM) wake(next *dirt) {
	for _, p := range m.pools {
		for _, x := range p.freed {
			if !p.free(x) {
				continue
			}
			for u := range p.wishes[x] {
				next.ports[u] = true
			}
		}
		if _, ok := p.lowest(); ok {
			for _, u := range p.hungry[:min(len(p.hungry), len(p.freed))] {
				next.ports[u] = true
			}
		}
		p.freed = p.freed[:0]
		for x := range p.twice {
			m.warnOf(addr(x).String(), p.static[x])
		}
		clear(p.twice)
	}
	for x := range m.macs.twice {
		m.warnOf(m.macs.with(x).String(), m.macs.owners[x])
	}
	clear(m.macs.twice)
}
