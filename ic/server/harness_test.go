package server

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	"govn/pkg/eventually"
	"govn/pkg/ovsdb"
	"govn/pkg/rpc/rpctest"
	"govn/proto/ic"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// deadline is how long a test waits for what has to happen.
const deadline = eventually.Deadline

// fatal is what both testing.TB and rapid.T offer.
type fatal = rpctest.TB

// bed is a centre that zones of a test connect to, in memory. It can be stopped
// and started again on the same databases.
type bed struct {
	*Centre
	t        fatal
	opts     CentreOptions
	store    *ovsdb.Store
	log      *rpctest.Log
	registry *prometheus.Registry
	listener *bufconn.Listener
	rpc      *grpc.Server
	cancel   context.CancelFunc
	ended    sync.WaitGroup
}

func testBed(t testing.TB, o CentreOptions) *bed {
	b := newBed(t, o)
	t.Cleanup(b.close)
	return b
}

func newBed(t fatal, o CentreOptions) *bed {
	t.Helper()
	columns, err := newColumns()
	if err != nil {
		t.Fatalf("%v", err)
	}
	b := &bed{t: t, opts: o, log: &rpctest.Log{}}
	b.opts.Logger = slog.New(slog.NewTextHandler(b.log, nil))
	engine, err := ovsdb.OpenEngine("memory")
	if err != nil {
		t.Fatalf("%v", err)
	}
	b.store, err = ovsdb.Open(context.Background(), engine, columns.databases(), ovsdb.Options{Logger: b.opts.Logger})
	if err != nil {
		t.Fatalf("%v", err)
	}
	for i, table := range globals {
		if err := prepare(context.Background(), b.store, columns.databases()[i].Schema, table); err != nil {
			t.Fatalf("%v", err)
		}
	}
	b.start(columns)
	return b
}

// start begins the service.
func (b *bed) start(columns *columns) {
	b.registry = prometheus.NewRegistry()
	o := b.opts
	o.Registry = b.registry
	ctx, cancel := context.WithCancel(context.Background())
	b.cancel = cancel
	b.Centre = newCentre(ctx, b.store, columns, o)
	b.listener = bufconn.Listen(64 << 10)
	b.rpc = grpc.NewServer(b.ServerOptions()...)
	b.Register(b.rpc)
	l, rpc, c := b.listener, b.rpc, b.Centre
	b.ended.Go(func() { _ = rpc.Serve(l) })
	b.ended.Go(func() { _ = c.Run(ctx) })
}

// stop ends the service. The databases stay.
func (b *bed) stop() {
	b.cancel()
	b.Centre.Close()
	b.rpc.Stop()
	b.ended.Wait()
}

func (b *bed) restart() {
	b.stop()
	b.start(b.columns)
}

func (b *bed) close() {
	b.stop()
	if err := b.store.Close(); err != nil {
		b.t.Errorf("%v", err)
	}
}

// metric is the sum of a counter or gauge over its labels.
func (b *bed) metric(name string) float64 {
	b.t.Helper()
	return rpctest.Metric(b.t, b.registry, name)
}

// write writes to a database as a program of this process.
func (b *bed) write(db *ovsdb.DatabaseSchema, fn func(tx *ovsdb.Txn)) {
	b.t.Helper()
	if _, err := b.store.Update(context.Background(), db, ovsdb.OwnerNorthd, func(tx *ovsdb.Txn) error { fn(tx); return tx.Err() }); err != nil {
		b.t.Fatalf("%v", err)
	}
}

// addSwitch makes a transit switch. zones is Transit_Switch:other_config:zones; "-":
// it has none.
func (b *bed) addSwitch(name, zones string) {
	b.t.Helper()
	b.write(b.columns.nb, func(tx *ovsdb.Txn) {
		values := map[string]ovsdb.Value{"name": name}
		if zones != "-" {
			values["other_config"] = ovsdb.MapOf(ZonesKey, zones)
		}
		tx.Insert(b.columns.transit.table, ovsdb.UUID{}, values)
	})
}

// strict sets strict mode.
func (b *bed) strict(on bool) {
	b.t.Helper()
	t := b.columns.nbGlobal.table
	b.write(b.columns.nb, func(tx *ovsdb.Txn) {
		for row := range tx.Rows(t) {
			tx.PutInMap(t, row.UUID(), "options", StrictOption, fmt.Sprint(on))
		}
	})
}

// configure changes the list of a transit switch; "-": it gets none.
func (b *bed) configure(name, zones string) {
	b.t.Helper()
	t := b.columns.transit.table
	b.write(b.columns.nb, func(tx *ovsdb.Txn) {
		row := tx.Lookup(t, byName, name)
		if zones == "-" {
			tx.DelFromMap(t, row.UUID(), "other_config", ZonesKey)
		} else {
			tx.PutInMap(t, row.UUID(), "other_config", ZonesKey, zones)
		}
	})
}

func (b *bed) delSwitch(name string) {
	b.t.Helper()
	b.write(b.columns.nb, func(tx *ovsdb.Txn) {
		if row := tx.Lookup(b.columns.transit.table, byName, name); row != nil {
			tx.Delete(b.columns.transit.table, row.UUID())
		}
	})
}

// fake is a zone that does what an agent does, and nothing else.
type fake struct {
	t    fatal
	id   [16]byte
	name string
	hold bool // does not read

	mu        sync.Mutex
	changed   *sync.Cond
	welcome   *ic.Welcome
	view      map[string]string // what it was told, by kind and row
	partial   map[string]string // of an update that goes on
	updates   int               // complete ones
	wholes    int
	items     int // in updates
	beats     uint64
	published *ic.Published
	ended     error

	number uint64
	conn   *grpc.ClientConn
	stream grpc.BidiStreamingClient[ic.FromZone, ic.ToZone]
	cancel context.CancelFunc
	done   chan struct{}
}

func newFake(t fatal, n int) *fake {
	f := &fake{t: t, id: [16]byte{0xaa, byte(n)}, name: fmt.Sprint("zone", n)}
	f.changed = sync.NewCond(&f.mu)
	return f
}

func (f *fake) connect(b *bed) *fake {
	f.t.Helper()
	f.dial(b)
	f.send(&ic.FromZone{Msg: &ic.FromZone_Hello{Hello: &ic.Hello{Zone: f.id[:], Name: f.name}}})
	return f
}

// dial opens a stream.
func (f *fake) dial(b *bed) {
	f.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	conn, err := grpc.NewClient("passthrough:ic", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithInitialWindowSize(64<<10), grpc.WithInitialConnWindowSize(64<<10),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return b.listener.DialContext(ctx) }))
	if err != nil {
		f.t.Fatalf("dial: %v", err)
	}
	stream, err := ic.NewInterconnectClient(conn).Join(ctx)
	if err != nil {
		f.t.Fatalf("join: %v", err)
	}
	f.conn, f.stream, f.cancel, f.done = conn, stream, cancel, make(chan struct{})
	f.mu.Lock()
	f.welcome, f.view, f.published, f.ended = nil, make(map[string]string), nil, nil
	f.mu.Unlock()
	if f.hold {
		close(f.done)
		return
	}
	done := f.done
	go func() {
		defer close(done)
		for {
			m, err := stream.Recv()
			f.mu.Lock()
			if err != nil {
				f.ended = err
				f.changed.Broadcast()
				f.mu.Unlock()
				return
			}
			f.take(m)
			f.changed.Broadcast()
			f.mu.Unlock()
		}
	}()
}

func (f *fake) send(m *ic.FromZone) {
	f.t.Helper()
	_ = f.stream.Send(m) // the stream may have ended
}

func (f *fake) take(m *ic.ToZone) {
	switch {
	case m.GetWelcome() != nil:
		f.welcome = m.GetWelcome()
	case m.GetPublished() != nil:
		f.published = m.GetPublished()
	case m.GetHeartbeat() != nil:
		f.beats = m.GetHeartbeat().Number
	case m.GetUpdate() != nil:
		f.update(m.GetUpdate())
	}
}

func (f *fake) update(u *ic.Update) {
	if f.partial == nil && !u.Whole && !u.More {
		f.partial = f.view // nothing follows
	}
	if f.partial == nil {
		f.partial = make(map[string]string)
		if !u.Whole {
			for k, v := range f.view {
				f.partial[k] = v
			}
		}
	}
	if u.Whole {
		f.wholes++
	}
	v := f.partial
	for kind, rows := range map[string][]string{"zone": u.GoneZones, "switch": u.GoneSwitches, "gateway": u.GoneGateways, "port": u.GonePorts, "route": u.GoneRoutes} {
		for _, row := range rows {
			f.items++
			if v[kind+" "+row] == "" {
				f.t.Errorf("%s: %s %s is gone, which it never was told of", f.name, kind, row)
			}
			delete(v, kind+" "+row)
		}
	}
	for _, z := range u.Zones {
		v["zone "+z.Row] = fmt.Sprintf("zone %s %x", z.Name, z.Zone)
	}
	for _, s := range u.Switches {
		v["switch "+s.Row] = fmt.Sprintf("switch %s key %d", s.Name, s.Key)
	}
	for _, g := range u.Gateways {
		var encaps []string
		for _, e := range g.Encaps {
			encaps = append(encaps, e.Type+":"+e.Ip)
		}
		slices.Sort(encaps)
		v["gateway "+g.Row] = fmt.Sprintf("gateway %s %s of %s", g.Name, encaps, g.Zone)
	}
	for _, p := range u.Ports {
		v["port "+p.Row] = fmt.Sprintf("port %s on %s key %d at %s %s of %s", p.Name, p.Switch, p.Key, p.Gateway, p.Address, p.Zone)
	}
	for _, r := range u.Routes {
		v["route "+r.Row] = fmt.Sprintf("route %s,%s,%s,%s %s of %s", r.Key.Switch, r.Key.Table, r.Key.Prefix, r.Key.Nexthop, r.Origin, r.Zone)
		if r.Since == 0 {
			f.t.Errorf("route %s has no number", r.Row)
		}
	}
	f.items += len(u.Zones) + len(u.Switches) + len(u.Gateways) + len(u.Ports) + len(u.Routes)
	if !u.More {
		f.view, f.partial = v, nil
		f.updates++
	}
}

// await waits for what f has taken in.
func (f *fake) await(what string, ok func() bool) {
	f.t.Helper()
	limit := time.AfterFunc(deadline, func() { f.changed.Broadcast() })
	defer limit.Stop()
	start := time.Now()
	f.mu.Lock()
	defer f.mu.Unlock()
	for !ok() {
		if time.Since(start) >= deadline {
			f.t.Fatalf("%s: no %s in %v; ended %v, published %v, knows:\n%s", f.name, what, deadline, f.ended, f.published, strings.Join(f.lines(), "\n"))
		}
		f.changed.Wait()
	}
}

// lines are what f was told, in order. f.mu is held.
func (f *fake) lines() (list []string) {
	for _, v := range f.view {
		list = append(list, v)
	}
	slices.Sort(list)
	return list
}

// has tells whether f was told of something that begins so. f.mu is held.
func (f *fake) has(prefix string) bool {
	return slices.ContainsFunc(f.lines(), func(l string) bool { return strings.HasPrefix(l, prefix) })
}

// knows waits until f was told of something that begins so.
func (f *fake) knows(prefix string) {
	f.t.Helper()
	f.await(prefix, func() bool { return f.has(prefix) })
}

// forgets waits until f knows of nothing that begins so.
func (f *fake) forgets(prefix string) {
	f.t.Helper()
	f.await("end of "+prefix, func() bool { return f.updates > 0 && !f.has(prefix) })
}

// publish sends a Publish and waits until it is stored. It returns what was
// refused.
func (f *fake) publish(p *ic.Publish) []*ic.Refusal {
	f.t.Helper()
	f.number++
	p.Number = f.number
	f.send(&ic.FromZone{Msg: &ic.FromZone_Publish{Publish: p}})
	f.await("answer to a publish", func() bool { return f.published.GetNumber() == p.Number })
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.published.Refusals
}

func (f *fake) disconnect() {
	if f.conn == nil {
		return
	}
	f.cancel()
	<-f.done
	f.conn.Close()
	f.conn = nil
}

// disconnectWhenWelcome is disconnect of a zone that has joined.
func (f *fake) disconnectWhenWelcome() {
	f.t.Helper()
	f.await("welcome", func() bool { return f.welcome != nil })
	f.disconnect()
}

// Parts of a Publish.

func gatewayNamed(name, ip string) *ic.Gateway {
	return &ic.Gateway{Name: name, Hostname: "host-" + name, Encaps: []*ic.Encap{{Type: "geneve", Ip: ip, Options: map[string]string{"csum": "true"}}}}
}

func portOn(name, transit string) *ic.Port {
	return &ic.Port{Name: name, Switch: transit, Gateway: "gw", Address: "0a:00:00:00:00:01 169.254.100.1/24", ExternalIds: map[string]string{"router-id": "r"}}
}

func routeTo(prefix, transit string) *ic.Route {
	return &ic.Route{Key: &ic.RouteKey{Switch: transit, Prefix: prefix, Nexthop: "169.254.100.1"}, Origin: "static"}
}
