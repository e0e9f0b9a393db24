package fabric

import "slices"

// The local datapaths of a chassis are those where a port is bound to it or may be
// hosted by it, the roots, and what links that are no borders for it lead to from
// there. They are kept by difference, since a chassis of a large tenant has very
// many: what a batch did to roots and links is noted, and relocate follows it.
//
//	a new root, a link that opens   ->  what it leads to is local now
//	a root or a link that goes      ->  its part of the network is searched for a root;
//	                                    of both ends of a link in turns, so that it takes
//	                                    as long as the smaller part is large

// linkID names a link of a datapath: where it leads, and Link.Port.
type linkID struct{ peer, port uint32 }

// border says who a link is a border for.
type border struct {
	closed bool
	hosts  []string
}

// lets tells whether locality of a chassis crosses.
func (b border) lets(chassis string) bool { return !b.closed || slices.Contains(b.hosts, chassis) }

// reach is what of a batch may change which datapaths are local to a chassis.
type reach struct {
	from []uint32 // datapaths that are local from now on, with all that they lead to
	lost []uint32 // datapaths that may have been cut off
	cuts int      // links that are closed; both ends of each are in lost
}

// link makes the change of one link.
func (z *zone) link(l Link) {
	if l.A == l.B || l.A == 0 || l.B == 0 {
		z.logger.Error("link of a datapath to itself or nothing", "a", l.A, "b", l.B)
		return
	}
	a, b := z.datapath(l.A), z.datapath(l.B)
	old, had := a.links[linkID{l.B, l.Port}]
	now := border{l.Border, l.Hosts}
	if l.Gone {
		delete(a.links, linkID{l.B, l.Port})
		delete(b.links, linkID{l.A, l.Port})
	} else {
		a.links[linkID{l.B, l.Port}], b.links[linkID{l.A, l.Port}] = now, now
	}
	// A chassis whose local set changes has one of the ends in it already.
	for i, d := range [2]*datapath{a, b} {
		for name, c := range d.localTo {
			if _, both := a.localTo[name]; both && i == 1 {
				continue
			}
			was, is := had && old.lets(name), !l.Gone && now.lets(name)
			switch {
			case is && !was:
				c.reach.from = append(c.reach.from, l.A, l.B)
			case was && !is:
				c.reach.lost = append(c.reach.lost, l.A, l.B)
				c.reach.cuts++
			default:
				continue
			}
			z.moved[c] = struct{}{}
		}
	}
}

// relocate brings the local datapaths of a chassis in line with its roots and the
// links.
func (z *zone) relocate(c *chassis) {
	r := c.reach
	c.reach = reach{}
	for _, key := range r.from {
		z.enter(c, key)
	}
	if r.cuts == 1 && len(r.lost) == 2 {
		z.sever(c, r.lost[0], r.lost[1])
		return
	}
	for _, key := range r.lost {
		s := newSearch(c, key)
		for !s.rooted && s.step(z, c) {
		}
		if !s.rooted {
			z.leave(c, s)
		}
	}
}

// enter makes a datapath local, and what it leads to.
func (z *zone) enter(c *chassis, key uint32) {
	for queue := []uint32{key}; len(queue) > 0; {
		key := queue[0]
		queue = queue[1:]
		if _, there := c.local[key]; there {
			continue
		}
		c.local[key] = struct{}{}
		d := z.datapath(key)
		d.localTo[c.name] = c
		z.haUser(d, c.name, true)
		z.mark(c, key)
		for link, border := range d.links {
			if _, there := c.local[link.peer]; !there && border.lets(c.name) {
				queue = append(queue, link.peer)
			}
		}
	}
}

// leave makes the datapaths that were found local no more.
func (z *zone) leave(c *chassis, s *search) {
	for key := range s.seen {
		delete(c.local, key)
		d := z.datapath(key)
		delete(d.localTo, c.name)
		z.haUser(d, c.name, false)
		z.mark(c, key)
	}
}

// sever follows one link that closed: if its ends are not connected any more, one
// of them has a root, and the other one stays only if it has one, too.
func (z *zone) sever(c *chassis, a, b uint32) {
	x, y := newSearch(c, a), newSearch(c, b)
	for !x.rooted || !y.rooted {
		for _, s := range [2]*search{x, y} {
			other := x
			if s == x {
				other = y
			}
			if s.rooted {
				continue
			}
			if !s.step(z, c) {
				z.leave(c, s)
				return
			}
			if s.met(other) {
				return
			}
		}
	}
}

// search goes over datapaths that are local to a chassis and connected for it,
// until it comes to a root.
type search struct {
	seen   map[uint32]struct{}
	queue  []uint32
	last   []uint32 // seen in the last step
	rooted bool
}

func newSearch(c *chassis, from uint32) *search {
	s := &search{seen: map[uint32]struct{}{}}
	if _, local := c.local[from]; local {
		s.seen[from] = struct{}{}
		s.queue, s.last = []uint32{from}, []uint32{from}
	}
	return s
}

// step looks at one datapath; false: there is none left.
func (s *search) step(z *zone, c *chassis) bool {
	if s.last = s.last[:0]; len(s.queue) == 0 {
		return false
	}
	key := s.queue[0]
	s.queue = s.queue[1:]
	if c.bound[key] > 0 {
		s.rooted = true
		return true
	}
	for link, border := range z.datapaths[key].links {
		if _, seen := s.seen[link.peer]; !seen && border.lets(c.name) {
			s.seen[link.peer] = struct{}{}
			s.queue, s.last = append(s.queue, link.peer), append(s.last, link.peer)
		}
	}
	return true
}

// met tells whether the last step came to what the other search has seen.
func (s *search) met(other *search) bool {
	return slices.ContainsFunc(s.last, func(key uint32) bool { _, seen := other.seen[key]; return seen })
}
