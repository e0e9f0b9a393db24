package ipam

import (
	"slices"

	"govn/northd/topology"
	"govn/pkg/ovsdb"
)

// claims are who has something: mostly one.
type claims []ovsdb.UUID

func (c claims) with(u ovsdb.UUID) claims { return append(c, u) }

func (c claims) without(u ovsdb.UUID) claims {
	if i := slices.Index(c, u); i >= 0 {
		c = slices.Delete(c, i, i+1)
	}
	return c
}

// pool is what is in use on a switch.
type pool struct {
	config
	name string

	used   numbers                            // given, static, excluded
	static map[uint32]claims                  // ports that have an address statically
	given  map[uint32]ovsdb.UUID              // port that was given an address
	wishes map[uint32]map[ovsdb.UUID]struct{} // ports that wish for an address and have another
	hungry []ovsdb.UUID                       // ports without an address, as they are to be served
	freed  []uint32                           // since they were last taken note of
	twice  map[uint32]bool                    // addresses that another port has statically now
}

func newPool(name string, c config) *pool {
	p := &pool{config: c, name: name,
		static: make(map[uint32]claims), given: make(map[uint32]ovsdb.UUID),
		wishes: make(map[uint32]map[ovsdb.UUID]struct{}), twice: make(map[uint32]bool)}
	for _, x := range c.excluded {
		p.used.addRange(x.low, x.high)
	}
	return p
}

// free reports whether an address may be given out now.
func (p *pool) free(x uint32) bool { return p.usable.has(x) && !p.used.has(x) }

// lowest is the first address that may be given out.
func (p *pool) lowest() (uint32, bool) {
	if !p.v4 || p.usable.low > p.usable.high {
		return 0, false
	}
	x, ok := p.used.next(p.usable.low)
	return x, ok && x <= p.usable.high
}

func (p *pool) isExcluded(x uint32) bool {
	return slices.ContainsFunc(p.excluded, func(s span) bool { return s.has(x) })
}

// settle notes whether x is in use, after static or given changed.
func (p *pool) settle(x uint32) {
	if p.isExcluded(x) {
		return
	}
	_, given := p.given[x]
	now := given || len(p.static[x]) > 0
	if was := p.used.has(x); was && !now {
		p.used.remove(x)
		p.freed = append(p.freed, x)
	} else if !was && now {
		p.used.add(x)
	}
}

func (p *pool) claim(x uint32, u ovsdb.UUID) {
	p.static[x] = p.static[x].with(u)
	p.twice[x] = true
	p.settle(x)
}

func (p *pool) unclaim(x uint32, u ovsdb.UUID) {
	if p.static[x] = p.static[x].without(u); len(p.static[x]) == 0 {
		delete(p.static, x)
	}
	p.settle(x)
}

func (p *pool) give(x uint32, u ovsdb.UUID) {
	p.given[x] = u
	p.settle(x)
}

func (p *pool) takeBack(x uint32) {
	delete(p.given, x)
	p.settle(x)
}

func (p *pool) wish(x uint32, u ovsdb.UUID) {
	if p.wishes[x] == nil {
		p.wishes[x] = make(map[ovsdb.UUID]struct{})
	}
	p.wishes[x][u] = struct{}{}
}

func (p *pool) unwish(x uint32, u ovsdb.UUID) {
	delete(p.wishes[x], u)
	if len(p.wishes[x]) == 0 {
		delete(p.wishes, x)
	}
}

// macs are the Ethernet addresses in use that have the prefix of the zone.
type macs struct {
	prefix topology.MAC
	used   numbers // by the low three bytes
	owners map[uint32]claims
	twice  map[uint32]bool // that another port has now
}

func newMACs(prefix topology.MAC) macs {
	return macs{prefix: prefix, owners: make(map[uint32]claims), twice: make(map[uint32]bool)}
}

// lowMACs and highMACs are the ends of the low three bytes that are given out.
const (
	lowMACs  = 1
	highMACs = 1<<24 - 2
)

func (m *macs) has(a topology.MAC) bool { return [3]byte(a[:3]) == [3]byte(m.prefix[:3]) }

func suffix(a topology.MAC) uint32 { return uint32(a.Uint64()) & (1<<24 - 1) }

func (m *macs) with(x uint32) topology.MAC {
	a := m.prefix
	a[3], a[4], a[5] = byte(x>>16), byte(x>>8), byte(x)
	return a
}

// claim notes that u has the address. Addresses without the prefix are nobody's
// business.
func (m *macs) claim(a topology.MAC, u ovsdb.UUID) {
	if !m.has(a) {
		return
	}
	x := suffix(a)
	if len(m.owners[x]) == 0 {
		m.used.add(x)
	}
	m.owners[x] = m.owners[x].with(u)
	m.twice[x] = true
}

func (m *macs) unclaim(a topology.MAC, u ovsdb.UUID) {
	if !m.has(a) {
		return
	}
	x := suffix(a)
	if m.owners[x] = m.owners[x].without(u); len(m.owners[x]) == 0 {
		delete(m.owners, x)
		m.used.remove(x)
	}
}

// choose is the address for a port with the IPv4 address ip, 0 if it has none:
// the first that is free after the one that ip says.
func (m *macs) choose(ip uint32) (topology.MAC, bool) {
	start := ip&(1<<24-1)%highMACs + 1
	if x, ok := m.used.next(start); ok && x <= highMACs {
		return m.with(x), true
	}
	x, ok := m.used.next(lowMACs)
	return m.with(x), ok && x <= highMACs
}
