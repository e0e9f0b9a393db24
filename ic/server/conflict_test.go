package server

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"govn/pkg/eventually"
	"govn/pkg/ovsdb"
	"govn/proto/ic"
)

// advert is a route of a zone, for tests without a store.
func advert(row, zone byte, since uint64, prefix string) *item {
	k := routeKey{"ts1", "", prefix, "169.254.100.1"}
	it := &item{key: key{kindRoute, ovsdb.UUID{row, zone}}, zone: ovsdb.UUID{zone}, transit: "ts1"}
	it.route = &ic.Route{Key: k.message(), Since: since}
	return it
}

// naive finds the conflicts among routes by looking at all pairs.
func naive(routes []*item) (list []string) {
	winner := make(map[netip.Prefix]*item)
	for _, r := range routes {
		p, _ := parsePrefix(r.route.Key.Prefix)
		if w := winner[p.Masked()]; w == nil || r.route.Since < w.route.Since {
			winner[p.Masked()] = r
		}
	}
	found := make(map[string]bool)
	for _, r := range routes {
		p, _ := parsePrefix(r.route.Key.Prefix)
		if w := winner[p.Masked()]; w.zone != r.zone {
			found[fmt.Sprint("same ", p.Masked(), w.zone, r.zone)] = true
		}
	}
	for p, w := range winner {
		best := netip.Prefix{}
		for q, o := range winner {
			if q != p && q.Bits() > 0 && within(p, q) && q.Addr().Is4() == p.Addr().Is4() && o.zone != w.zone && (!best.IsValid() || q.Bits() > best.Bits()) {
				best = q
			}
		}
		if best.IsValid() {
			found[fmt.Sprint("within ", p, best, w.zone, winner[best].zone)] = true
		}
	}
	for f := range found {
		list = append(list, f)
	}
	slices.Sort(list)
	return list
}

// TestConflictsRandom: whatever comes and goes, what is found by differences is
// what looking at all finds, and nothing is left in the end.
func TestConflictsRandom(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := newConflicts()
		var routes []*item
		for i := range rapid.IntRange(1, 60).Draw(t, "steps") {
			if len(routes) > 0 && rapid.IntRange(0, 3).Draw(t, "drop") == 0 {
				n := rapid.IntRange(0, len(routes)-1).Draw(t, "which")
				c.set(routes[n], nil)
				routes = slices.Delete(routes, n, n+1)
			} else {
				bits := rapid.IntRange(0, 4).Draw(t, "bits")
				a := netip.AddrFrom4([4]byte{byte(rapid.IntRange(0, 15).Draw(t, "addr")) << 4, 0, 0, 1})
				if rapid.Bool().Draw(t, "v6") {
					a = netip.AddrFrom16([16]byte{byte(rapid.IntRange(0, 15).Draw(t, "addr")) << 4, 15: 1})
				}
				r := advert(byte(i), byte(rapid.IntRange(1, 3).Draw(t, "zone")), uint64(rapid.IntRange(0, 1<<20).Draw(t, "since"))<<8|uint64(i), netip.PrefixFrom(a, bits).String())
				c.set(nil, r)
				routes = append(routes, r)
			}
			var got []string
			for _, f := range c.all() {
				if f.kind == conflictSame {
					got = append(got, fmt.Sprint("same ", f.prefix, f.zone, f.loser))
				} else {
					got = append(got, fmt.Sprint("within ", f.prefix, f.other, f.zone, f.loser))
				}
			}
			slices.Sort(got)
			if want := naive(routes); !slices.Equal(got, want) || c.count != len(want) {
				t.Fatalf("found %d\n%s\nwant\n%s", c.count, strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
		}
		for _, r := range routes {
			c.set(r, nil)
		}
		if len(c.tables) != 0 || c.count != 0 {
			t.Fatalf("%d tables, %d conflicts are left", len(c.tables), c.count)
		}
	})
}

// TestConflictWork: a route costs what it meets, not how many there are.
func TestConflictWork(t *testing.T) {
	for _, n := range []int{100, 10_000} {
		c := newConflicts()
		for i := range n {
			c.set(nil, advert(byte(i), byte(1+i>>8), uint64(i+1), fmt.Sprintf("10.%d.%d.0/24", i>>8, i&255)))
		}
		before := c.looked
		c.set(nil, advert(1, 200, 1<<30, "10.0.7.0/24"))
		c.set(nil, advert(2, 201, 1<<31, "172.16.0.0/12"))
		if looked := c.looked - before; looked != 2 {
			t.Errorf("%d prefixes: looked at %d", n, looked)
		}
	}
}

// TestConflictsTold: conflicts are in the status, logged once, and the first zone
// stays the first one over a restart, so that agents can tell.
func TestConflictsTold(t *testing.T) {
	b := testBed(t, CentreOptions{})
	b.addSwitch("ts1", "-")
	east, west := newFake(t, 1).connect(b), newFake(t, 2).connect(b)
	defer east.disconnect()
	defer west.disconnect()
	east.publish(&ic.Publish{Whole: true, Routes: []*ic.Route{routeTo("10.1.0.0/16", "ts1"), routeTo("10.3.0.0/16", "ts1")}})
	west.publish(&ic.Publish{Whole: true, Routes: []*ic.Route{routeTo("10.1.0.0/16", "ts1"), routeTo("10.3.7.0/24", "ts1"), routeTo("10.4.0.0/16", "ts1")}})
	check := func() {
		t.Helper()
		var s *ic.StatusReply
		eventually.That(t, "conflicts", func() bool { s, _ = b.Status(t.Context(), nil); return len(s.Conflicts) == 2 })
		got := fmt.Sprint(s.Conflicts)
		for _, want := range []*ic.Conflict{
			{Switch: "ts1", Prefix: "10.1.0.0/16", Zone: "zone1", OtherPrefix: "10.1.0.0/16", OtherZone: "zone2", Kind: "same"},
			{Switch: "ts1", Prefix: "10.3.7.0/24", Zone: "zone2", OtherPrefix: "10.3.0.0/16", OtherZone: "zone1", Kind: "within"},
		} {
			if !strings.Contains(got, want.String()) {
				t.Errorf("%s lacks %s", got, want)
			}
		}
	}
	check()
	if n := b.metric("govn_ic_conflicts"); n != 2 {
		t.Errorf("%v conflicts counted", n)
	}
	eventually.That(t, "two lines in the log", func() bool { return strings.Count(b.log.String(), "overlapping") == 2 })
	b.restart()
	check()
	east.disconnect() // within the lease it stays the first
	east.connect(b)
	east.publish(&ic.Publish{Whole: true, Routes: []*ic.Route{routeTo("10.3.0.0/16", "ts1")}})
	eventually.That(t, "one conflict", func() bool { s, _ := b.Status(t.Context(), nil); return len(s.Conflicts) == 1 })
	east.publish(&ic.Publish{Routes: []*ic.Route{routeTo("10.1.0.0/16", "ts1")}})
	eventually.That(t, "west is the first now", func() bool {
		s, _ := b.Status(t.Context(), nil)
		return len(s.Conflicts) == 2 && s.Conflicts[0].Zone == "zone2"
	})
	lines := 0
	b.Commands(func(name, _ string, _, _ int, fn func(ctx context.Context, args []string) (string, error)) {
		out, err := fn(t.Context(), nil)
		if err != nil {
			t.Error(err)
		}
		lines += strings.Count(out, "\n")
	})
	if lines != 3+2+1+2 {
		t.Errorf("the commands print %d lines", lines)
	}
}

func TestTrieOrder(t *testing.T) {
	var tr trie[int]
	var all []netip.Prefix
	for range 1000 {
		p := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(rand.IntN(4)), byte(rand.IntN(256)), 0}), 8+rand.IntN(17)).Masked()
		tr.put(p).value = new(int)
		all = append(all, p)
	}
	for _, p := range all {
		n := tr.get(p)
		if n == nil || n.prefix != p {
			t.Fatalf("%v is lost", p)
		}
		last := p.Bits()
		n.up(func(u *trieNode[int]) bool {
			if !within(p, u.prefix) || u.prefix.Bits() >= last {
				t.Errorf("%v above %v", u.prefix, p)
			}
			last = u.prefix.Bits()
			return true
		})
	}
}

// TestManyRoutesOfOnePrefix: a zone with many next hops for a prefix costs no more
// by each, whether they come, change or go, and the first one stays the first.
func TestManyRoutesOfOnePrefix(t *testing.T) {
	const n = 30_000 // at 16,000 a look at all of them took 15 s
	c := newConflicts()
	zones := [2]ovsdb.UUID{ovsdb.NewUUID(), ovsdb.NewUUID()}
	var items []*item
	for i := range n {
		it := &item{key: key{kindRoute, ovsdb.NewUUID()}, zone: zones[i%2], transit: "ts1",
			route: &ic.Route{Since: uint64(i + 1), Key: &ic.RouteKey{Prefix: "10.0.0.0/8", Nexthop: fmt.Sprint(i)}}}
		items = append(items, it)
	}
	start := time.Now()
	for i := range items {
		c.set(nil, items[n-1-i])
		if all := c.all(); i > 0 && (len(all) != 1 || all[0].zone != items[n-1-i].zone) {
			t.Fatalf("after %d routes: %v", i+1, all)
		}
	}
	for i, it := range items[:n/2] { // they get another next hop
		now := *it
		now.route = &ic.Route{Since: it.route.Since, Key: &ic.RouteKey{Prefix: "10.0.0.0/8", Nexthop: "other"}}
		c.set(it, &now)
		items[i] = &now
	}
	for i, it := range items[:n-1] {
		if w := c.all(); i < n-2 && w[0].zone != it.zone {
			t.Fatalf("before the end of %d: %v", i, w)
		}
		c.set(it, nil)
	}
	if took := time.Since(start); took > 20*time.Second {
		t.Errorf("it took %v", took)
	}
	if c.set(items[n-1], nil); c.count != 0 || len(c.tables) != 0 {
		t.Errorf("%d conflicts and %d tables are left", c.count, len(c.tables))
	}
}
