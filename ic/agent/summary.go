package agent

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
)

// arrange puts what status collected in order, and finds conflicts. It does not
// look at the agent.
func (s *Status) arrange() {
	slices.SortFunc(s.Refusals, func(x, y Refusal) int { return cmp.Or(cmp.Compare(x.Kind, y.Kind), cmp.Compare(x.Name, y.Name)) })
	for i := range s.Links {
		l := &s.Links[i]
		sortRoutes(l.Out)
		sortRoutes(l.In)
		l.count()
	}
	s.findConflicts()
}

// finish finds problems. Unless everything is asked for, what may be thousands of
// lines is counted: routes by what becomes of them; of refusals and conflicts of a
// kind the first one stays.
func (s *Status) finish(everything bool) {
	s.Problems = s.findProblems()
	if everything {
		return
	}
	s.Refusals = firstRefusals(s.Refusals)
	for i := range s.Links {
		l := &s.Links[i]
		l.Out, l.In, l.Conflicts = nil, nil, firstConflicts(l.Conflicts)
	}
}

// count counts routes by what becomes of them.
func (l *Link) count() {
	counts := make(map[RouteCount]int)
	for direction, list := range map[string][]Route{directionOut: l.Out, directionIn: l.In} {
		for _, r := range list {
			counts[RouteCount{Direction: direction, Router: r.Router, Zone: r.Zone, Status: r.Status, Detail: r.Detail}]++
		}
	}
	l.Routes = make([]RouteCount, 0, len(counts))
	for c, n := range counts {
		c.Count = n
		l.Routes = append(l.Routes, c)
	}
	slices.SortFunc(l.Routes, func(x, y RouteCount) int {
		return cmp.Or(-cmp.Compare(x.Direction, y.Direction), cmp.Compare(x.Router, y.Router), cmp.Compare(x.Zone, y.Zone),
			cmp.Compare(x.Status, y.Status), cmp.Compare(x.Detail, y.Detail))
	})
}

// firstRefusals are the first one of each kind and reason, which says how many more
// there are.
func firstRefusals(list []Refusal) []Refusal {
	return firsts(list, func(r Refusal) Refusal { return Refusal{Kind: r.Kind, Reason: r.Reason} }, func(r *Refusal, n int) { r.More = n })
}

// firstConflicts are likewise of each router, kind and zone whose route is used.
func firstConflicts(list []Conflict) []Conflict {
	return firsts(list, func(c Conflict) Conflict { return Conflict{Router: c.Router, Kind: c.Kind, Zone: c.Zone} }, func(c *Conflict, n int) { c.More = n })
}

// firsts are the first one of those that are alike, by what of makes of them; more
// tells it how many there are besides.
func firsts[T any, K comparable](list []T, of func(T) K, more func(one *T, n int)) (out []T) {
	at, count := make(map[K]int), make(map[K]int)
	for _, one := range list {
		key := of(one)
		if count[key]++; count[key] == 1 {
			at[key] = len(out)
			out = append(out, one)
		}
	}
	for key, n := range count {
		more(&out[at[key]], n-1)
	}
	return out
}

// sortRoutes sorts routes by table, prefix and whose they are; those whose prefix
// cannot be read are first.
func sortRoutes(list []Route) {
	type parsed struct {
		prefix netip.Prefix
		Route
	}
	all := make([]parsed, len(list))
	for i, r := range list {
		p, _ := parsePrefix(r.Prefix) // none is before all others
		all[i] = parsed{p, r}
	}
	slices.SortFunc(all, func(x, y parsed) int {
		return cmp.Or(cmp.Compare(x.Table, y.Table), x.prefix.Addr().Compare(y.prefix.Addr()), cmp.Compare(x.prefix.Bits(), y.prefix.Bits()),
			cmp.Compare(x.Prefix, y.Prefix), cmp.Compare(x.Router, y.Router), cmp.Compare(x.Zone, y.Zone), cmp.Compare(x.Nexthop, y.Nexthop))
	})
	for i := range all {
		list[i] = all[i].Route
	}
}

func comparePrefix(x, y string) int {
	a, _ := parsePrefix(x)
	b, _ := parsePrefix(y)
	return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()), cmp.Compare(x, y))
}

// findConflicts finds prefixes that a router has from several zones, by one transit
// switch or by several, and those within another zone's. A conflict is one of the
// link by which the second route comes.
func (s *Status) findConflicts() {
	type had struct {
		prefix netip.Prefix
		link   *Link
		Route
	}
	of := make(map[[2]string][]had) // by router and table
	for i := range s.Links {
		l := &s.Links[i]
		for _, r := range l.In {
			if p, ok := parsePrefix(r.Prefix); ok && (r.Status == Used || r.Status == Contested) {
				key := [2]string{r.Router, r.Table}
				of[key] = append(of[key], had{p.Masked(), l, r})
			}
		}
	}
	for _, list := range of {
		// Within an address family, a prefix comes behind all that it lies in.
		slices.SortStableFunc(list, func(x, y had) int {
			return cmp.Or(x.prefix.Addr().Compare(y.prefix.Addr()), cmp.Compare(x.prefix.Bits(), y.prefix.Bits()), cmp.Compare(x.Status, y.Status))
		})
		var around []had
		for _, r := range list {
			for len(around) > 0 && !around[len(around)-1].prefix.Overlaps(r.prefix) {
				around = around[:len(around)-1]
			}
			for _, o := range around {
				kind := "within"
				switch {
				case o.Zone == r.Zone || o.Status == Contested || o.prefix.Bits() == 0 && r.prefix.Bits() > 0:
					continue
				case o.prefix == r.prefix && r.Status == Contested:
					kind = "same"
				case o.prefix == r.prefix:
					kind = "ecmp"
				case r.Status == Contested:
					continue
				}
				c := Conflict{Table: r.Table, Prefix: o.Prefix, Zone: o.Zone, OtherPrefix: r.Prefix, OtherZone: r.Zone, Router: r.Router, Kind: kind}
				if o.link != r.link {
					c.ZoneSwitch = o.link.Switch
				}
				r.link.Conflicts = append(r.link.Conflicts, c)
			}
			around = append(around, r)
		}
	}
	for i := range s.Links {
		slices.SortFunc(s.Links[i].Conflicts, func(x, y Conflict) int {
			return cmp.Or(cmp.Compare(x.Table, y.Table), comparePrefix(x.Prefix, y.Prefix), comparePrefix(x.OtherPrefix, y.OtherPrefix),
				cmp.Compare(x.Router, y.Router), cmp.Compare(x.Zone, y.Zone), cmp.Compare(x.OtherZone, y.OtherZone))
		})
	}
}

// String is a conflict in a line.
func (c Conflict) String() string {
	zone := c.Zone
	if c.ZoneSwitch != "" {
		zone += " by " + c.ZoneSwitch
	}
	switch c.Kind {
	case "same":
		return fmt.Sprintf("%s of %s is used, that of %s is not", c.Prefix, zone, c.OtherZone)
	case "ecmp":
		return fmt.Sprintf("%s of %s and that of %s are both used", c.Prefix, zone, c.OtherZone)
	}
	return fmt.Sprintf("%s of %s is within %s of %s: both are used", c.OtherPrefix, c.OtherZone, c.Prefix, zone)
}
