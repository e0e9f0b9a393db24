package server

import (
	"fmt"
	"testing"

	"govn/proto/ic"
)

// crowd joins zones that advertise routes each.
func crowd(t testing.TB, b *bed, zones, routes int) []*fake {
	t.Helper()
	var list []*fake
	for z := range zones {
		f := newFake(t, z)
		p := &ic.Publish{Whole: true, Gateways: []*ic.Gateway{gatewayNamed(fmt.Sprint("gw", z), fmt.Sprintf("203.0.%d.%d", z>>8, z&255))},
			Ports: []*ic.Port{portOn(fmt.Sprint("p", z), "ts1")}}
		for r := range routes {
			p.Routes = append(p.Routes, routeTo(fmt.Sprintf("10.%d.%d.0/24", z, r), "ts1"))
		}
		f.connect(b).publish(p)
		list = append(list, f)
	}
	return list
}

// TestWorkOfOneRoute: a route among many zones costs each stream that route, and
// the centre no look at others.
func TestWorkOfOneRoute(t *testing.T) {
	for _, size := range []struct{ zones, routes int }{{3, 2}, {25, 40}} {
		t.Run(fmt.Sprint(size.zones, "x", size.routes), func(t *testing.T) {
			b := testBed(t, CentreOptions{})
			b.addSwitch("ts1", "-")
			zones := crowd(t, b, size.zones, size.routes)
			for _, f := range zones {
				defer f.disconnect()
				f.await("everything", func() bool { return len(f.view) == 1+size.zones*(3+size.routes) })
			}
			b.hub.mu.Lock()
			before, looked := b.hub.work, b.hub.conflicts.looked
			b.hub.mu.Unlock()
			var items []int
			for _, f := range zones {
				items = append(items, f.items)
			}
			zones[0].publish(&ic.Publish{Routes: []*ic.Route{routeTo("172.16.0.0/24", "ts1")}})
			for i, f := range zones {
				f.knows("route ts1,,172.16.0.0/24")
				if n := f.items - items[i]; n != 1 {
					t.Errorf("%s was told of %d items", f.name, n)
				}
			}
			b.hub.mu.Lock()
			now := b.hub.work
			looked = b.hub.conflicts.looked - looked
			b.hub.mu.Unlock()
			// The row itself, and its number in the private database.
			if now.changes-before.changes != 2 || now.marks-before.marks != uint64(size.zones) || now.wholes != before.wholes || looked != 1 {
				t.Errorf("work %+v, before %+v; %d prefixes looked at", now, before, looked)
			}
		})
	}
}

// TestSwitchComesLate: zones find each other in whatever order things come.
func TestSwitchComesLate(t *testing.T) {
	b := testBed(t, CentreOptions{})
	zones := crowd(t, b, 3, 2)
	for _, f := range zones {
		defer f.disconnect()
		f.await("refusals", func() bool { return len(f.published.Refusals) == 3 })
	}
	b.addSwitch("ts1", "-")
	for _, f := range zones {
		f.await("everything", func() bool { return len(f.view) == 1+3*(3+2) && len(f.published.Refusals) == 0 })
	}
}

// BenchmarkRoute is a route of one of 50 zones with 200 routes each, until all have
// it.
func BenchmarkRoute(b *testing.B) {
	bed := testBed(b, CentreOptions{})
	bed.addSwitch("ts1", "-")
	zones := crowd(b, bed, 50, 200)
	for _, f := range zones {
		defer f.disconnect()
		f.await("everything", func() bool { return len(f.view) == 1+50*203 })
	}
	b.ResetTimer()
	for i := range b.N {
		prefix := fmt.Sprintf("172.16.%d.%d/32", i>>8&255, i&255)
		zones[i%50].publish(&ic.Publish{Routes: []*ic.Route{routeTo(prefix, "ts1")}})
	}
}
