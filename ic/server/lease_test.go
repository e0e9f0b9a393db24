package server

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"govn/pkg/eventually"
	"govn/pkg/ovsdb"
	"govn/pkg/rpc"
	"govn/proto/ic"
)

func beat(f *fake, n uint64) {
	f.send(&ic.FromZone{Msg: &ic.FromZone_Heartbeat{Heartbeat: &ic.Heartbeat{Number: n}}})
}

// TestLease: the routes of a zone go when its lease ends, not before, and nothing
// else goes; a restart of the centre gives everybody a whole lease.
func TestLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, CentreOptions{Lease: 15 * time.Second})
		defer b.close()
		b.addSwitch("ts1", "-")
		east, west := newFake(t, 1).connect(b), newFake(t, 2).connect(b)
		defer west.disconnect()
		publish := &ic.Publish{Whole: true, Gateways: []*ic.Gateway{gatewayNamed("gw1", "203.0.113.1")}, Ports: []*ic.Port{portOn("p1", "ts1")},
			Routes: []*ic.Route{routeTo("10.1.0.0/16", "ts1")}}
		east.publish(publish)
		west.knows("route ts1,,10.1.0.0/16")
		is := func(when string, there bool) {
			t.Helper()
			synctest.Wait()
			west.mu.Lock()
			defer west.mu.Unlock()
			if west.has("route ts1,,10.1.0.0/16") != there || !west.has("gateway gw1") || !west.has("port p1 on ts1 key 1") {
				t.Fatalf("%s: the route is there: %t; west knows\n%s", when, !there, strings.Join(west.lines(), "\n"))
			}
		}
		rest := func(d time.Duration, who ...*fake) { // d, with heartbeats
			for range d / time.Second {
				time.Sleep(time.Second)
				for _, f := range who {
					beat(f, 1)
				}
			}
		}
		rest(time.Minute, east, west)
		is("a minute of heartbeats", true)
		east.disconnect()
		rest(14*time.Second, west)
		is("14 s", true)
		rest(2*time.Second, west)
		is("16 s", false)
		if n := b.metric("govn_ic_leases_expired_total"); n != 1 {
			t.Errorf("%v leases expired", n)
		}

		east.connect(b)
		east.publish(publish)
		is("back", true)
		rest(14*time.Second, west) // it is connected, and says nothing
		is("14 s of silence", true)
		rest(2*time.Second, west)
		is("16 s of silence", false)
		if synctest.Wait(); status.Code(east.ended) != codes.DeadlineExceeded {
			t.Errorf("the silent stream ended with %v", east.ended)
		}
		east.disconnect()

		east.connect(b)
		east.publish(publish)
		east.disconnect()
		rest(14*time.Second, west)
		west.disconnect()
		b.restart()
		west.connect(b)
		rest(14*time.Second, west)
		is("14 s after a restart", true)
		rest(2*time.Second, west)
		is("16 s after a restart", false)
	})
}

// TestStockLease: a zone of OVN has a lease by the connection of its daemon; one
// that is restarted, or stands by, keeps it without a word.
func TestStockLease(t *testing.T) {
	const addr, elsewhere = "10.0.0.1", "10.0.0.2"
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, CentreOptions{Lease: 15 * time.Second})
		defer b.close()
		o := sbOwner{b.Centre}
		c := b.columns
		az := ovsdb.NewUUID()
		connect := func(host string) *ovsdb.Client {
			cl := &ovsdb.Client{Host: host, Local: host == ""}
			o.Connected(cl)
			return cl
		}
		// as writes as a client.
		as := func(cl *ovsdb.Client, fn func(tx *ovsdb.Txn)) error {
			_, err := b.store.Update(t.Context(), c.sb, ovsdb.OwnerClient, func(tx *ovsdb.Txn) error {
				fn(tx)
				var rows []ovsdb.RowWrite
				for _, table := range []*ovsdb.TableSchema{c.zone.table, c.route.table} {
					for row := range tx.Rows(table) {
						if old := tx.Snapshot().Row(table, row.UUID()); old != row {
							rows = append(rows, ovsdb.RowWrite{Table: table, Old: old, New: row})
						}
					}
				}
				committed, err := o.Authorize(cl, tx, rows)
				if err == nil && committed != nil {
					committed()
				}
				return err
			})
			return err
		}
		route := func(prefix string) func(tx *ovsdb.Txn) {
			return func(tx *ovsdb.Txn) {
				if tx.Row(c.zone.table, az) == nil {
					tx.Insert(c.zone.table, az, map[string]ovsdb.Value{"name": "east"})
				}
				tx.Insert(c.route.table, ovsdb.UUID{}, map[string]ovsdb.Value{"transit_switch": "ts1", "availability_zone": az, "ip_prefix": prefix,
					"nexthop": "169.254.100.1", "origin": "static"})
			}
		}
		routes := func() int { synctest.Wait(); return b.store.Snapshot().Len(c.route.table) }
		first := connect(addr)
		if err := as(first, route("10.1.0.0/16")); err != nil {
			t.Fatal(err)
		}
		standby, late := connect(elsewhere), (*ovsdb.Client)(nil)
		time.Sleep(time.Hour)
		o.Closed(first)
		time.Sleep(time.Hour)
		if n := routes(); n != 1 {
			t.Fatalf("%d routes while one stands by", n)
		}
		late = connect("10.0.0.3") // a stranger that comes later does not count
		o.Closed(standby)
		time.Sleep(time.Second)
		if n := routes(); n != 0 {
			t.Fatalf("%d routes, nobody stands by any more", n)
		}
		o.Closed(late)
		second := connect(addr)
		if err := as(second, route("10.1.0.0/16")); err != nil {
			t.Fatal(err)
		}
		o.Closed(second)
		time.Sleep(14 * time.Second)
		third := connect(addr) // restarted, with nothing to write
		time.Sleep(time.Hour)
		if n := routes(); n != 1 {
			t.Fatalf("%d routes of a daemon that was restarted", n)
		}
		o.Closed(third)
		time.Sleep(14 * time.Second)
		if n := routes(); n != 1 {
			t.Fatalf("%d routes within the lease", n)
		}
		time.Sleep(2 * time.Second)
		if n := routes(); n != 0 {
			t.Fatalf("%d routes after it", n)
		}
		// By a unix socket there is no lease, nor an owner.
		operator := connect("")
		if err := as(operator, route("10.9.0.0/16")); err != nil {
			t.Fatal(err)
		}
		o.Closed(operator)
	})
}

// TestNoStockLease: nothing is taken from zones of OVN.
func TestNoStockLease(t *testing.T) {
	z := &joined{addr: "10.0.0.1", lostAt: time.Now().Add(-time.Hour)}
	r := newRegistry()
	r.zones[ovsdb.NewUUID()] = z
	for _, o := range []CentreOptions{{NoStockLease: true}, {NoOwnership: true}} {
		if over, _ := r.expire(time.Now(), &o); len(over) != 0 {
			t.Errorf("%+v: it expires", o)
		}
	}
	if over, _ := r.expire(time.Now(), &CentreOptions{}); len(over) != 1 {
		t.Error("it does not expire")
	}
}

// TestLeaseWithoutClock: leases are counted by a clock that nobody sets.
func TestLeaseWithoutClock(t *testing.T) {
	b := testBed(t, CentreOptions{})
	f := newFake(t, 1).connect(b)
	f.await("welcome", func() bool { return f.welcome != nil })
	look := func(when string) {
		t.Helper()
		b.zones.mu.Lock()
		defer b.zones.mu.Unlock()
		for _, z := range b.zones.zones {
			at, ok := b.zones.end(z, &b.o)
			if !ok || !strings.Contains(at.String(), " m=") {
				t.Errorf("%s: the lease ends %v, %t, by the clock of the wall", when, at, ok)
			}
		}
	}
	look("connected")
	f.disconnect()
	eventually.That(t, "end of the stream", func() bool { return b.zones.alive() == 0 })
	look("lost")
	b.restart()
	look("restarted")
}

// TestPausedCentre: while the centre stood still nobody's lease ended.
func TestPausedCentre(t *testing.T) {
	const lease = 15 * time.Second
	born := time.Now()
	at := func(seconds int) time.Time { return born.Add(time.Duration(seconds) * time.Second) }
	r, o := newRegistry(), CentreOptions{Lease: lease}
	z := &joined{id: "1", lostAt: at(0), stream: &stream{Life: rpc.NewLife[*ic.FromZone](), centre: &Centre{born: born}}}
	gone := &joined{id: "2", lostAt: at(0)}
	r.zones[ovsdb.NewUUID()], r.zones[ovsdb.NewUUID()] = z, gone
	if r.awake(at(0), at(7), lease) {
		t.Error("7 s are a pause")
	}
	if !r.awake(at(7), at(60), lease) {
		t.Error("53 s are no pause")
	}
	if over, next := r.expire(at(60), &o); len(over) != 0 || !next.Equal(at(75)) {
		t.Errorf("after a pause %d leases are over, the next one at %v", len(over), next)
	}
	z.stream.heard.Store(int64(61 * time.Second))
	if over, next := r.expire(at(75), &o); len(over) != 1 || over[0] != gone || !next.Equal(at(76)) {
		t.Errorf("a lease later %v are over, the next one at %v", over, next)
	}
}

// TestStrangers: who was there before may be what stands by for a zone, but not
// where it could not write for it.
func TestStrangers(t *testing.T) {
	lost := time.Now()
	for _, tt := range []struct {
		zone    joined
		who     principal
		returns bool
	}{
		{joined{addr: "10.0.0.1"}, principal{addr: "10.0.0.2"}, true},
		{joined{addr: "10.0.0.1"}, principal{addr: "10.0.0.2", cert: "other"}, true},
		{joined{addr: "10.0.0.1", cert: "east"}, principal{addr: "10.0.0.2", cert: "east"}, true},
		{joined{addr: "10.0.0.1", cert: "east"}, principal{addr: "10.0.0.1", cert: "other"}, false},
		{joined{addr: "10.0.0.1", cert: "east"}, principal{addr: "10.0.0.1"}, false},
		{joined{addr: "10.0.0.1", id: "1"}, principal{addr: "10.0.0.1"}, false},
		{joined{addr: "10.0.0.1"}, principal{local: true}, false},
	} {
		r := newRegistry()
		tt.zone.lostAt = lost
		r.zones[ovsdb.NewUUID()] = &tt.zone
		r.clients[&ovsdb.Client{}] = &client{who: tt.who, since: lost.Add(-time.Second)}
		if got := r.mayReturn(&tt.zone); got != tt.returns {
			t.Errorf("%s of a zone of %s: %t", tt.who, tt.zone.owner(), got)
		}
	}
}
