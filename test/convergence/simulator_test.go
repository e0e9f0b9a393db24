package convergence

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"govn/pkg/ovsdb"
	"govn/sim"
	"govn/sim/lab"
	"govn/test/world"
)

var (
	simChassis = flag.Int("sim.chassis", defaultChassis, "simulated chassis")
	simChanges = flag.Int("sim.changes", defaultChanges, "random changes in the simulator")
	simEvery   = flag.Int("sim.every", defaultChanges/2, "changes between two comparisons of all simulated chassis")
)

// fleet is a zone with simulated chassis.
type fleet struct {
	t     testing.TB
	z     *sim.Zone
	net   *sim.Network
	nets  []*sim.Network // all that are not closed
	all   []*sim.Chassis
	ports []map[string]int // of each chassis: iface-id to OpenFlow port
	next  int
}

func newFleet(t testing.TB, n int) *fleet {
	t.Helper()
	z, err := sim.StartZone(sim.ZoneOptions{})
	if err != nil {
		t.Fatal(err)
	}
	f := &fleet{t: t, z: z, next: 100}
	t.Cleanup(func() {
		for len(f.nets) > 0 {
			f.close(f.nets[0])
		}
		if err := z.Close(); err != nil {
			t.Error(err)
		}
	})
	for range n {
		f.ports = append(f.ports, map[string]int{})
	}
	f.net, f.all = f.start(func(int, string) string { return "" })
	return f
}

// within bounds everything that is waited for.
func (f *fleet) within() context.Context {
	ctx, cancel := context.WithTimeout(f.t.Context(), 4*time.Minute)
	f.t.Cleanup(cancel)
	return ctx
}

// start starts chassis with the interfaces of now; since tells when an interface
// was first seen.
func (f *fleet) start(since func(n int, name string) string) (*sim.Network, []*sim.Chassis) {
	f.t.Helper()
	net, err := sim.New(sim.Options{})
	if err != nil {
		f.t.Fatal(err)
	}
	f.nets = append(f.nets, net)
	all := make([]*sim.Chassis, len(f.ports))
	g, ctx := errgroup.WithContext(f.within())
	g.SetLimit(2 * runtime.NumCPU())
	for n := range all {
		g.Go(func() error {
			c, err := net.AddChassis(ctx, sim.ChassisOptions{
				Name: fmt.Sprint("hv", n), EncapIP: netip.AddrFrom4([4]byte{172, 31, byte(n >> 8), byte(n)}), Remote: f.z.Remote,
				Bridges: []string{"br-int"},
			})
			if err != nil {
				return err
			}
			all[n] = c
			for id, port := range f.ports[n] {
				if err := plug(ctx, c, id, port, since(n, fmt.Sprint("if", port))); err != nil {
					return err
				}
			}
			return c.StartController()
		})
	}
	if err := g.Wait(); err != nil {
		f.t.Fatal(err)
	}
	f.connected()
	return net, all
}

func (f *fleet) connected() {
	f.t.Helper()
	var names []string
	for n := range f.ports {
		names = append(names, fmt.Sprint("hv", n))
	}
	if err := f.z.Connected(f.within(), names...); err != nil {
		f.t.Fatal(err)
	}
}

func plug(ctx context.Context, c *sim.Chassis, id string, port int, since string) error {
	ids := map[string]string{"iface-id": id}
	if since != "" {
		ids["govn-since"] = since
	}
	return c.AddPort(ctx, "br-int", fmt.Sprint("if", port), map[string]ovsdb.Value{
		"type": "dummy", "external_ids": ids, "ofport_request": ovsdb.NewSet(int64(port)),
	})
}

func (f *fleet) close(net *sim.Network) {
	f.t.Helper()
	f.nets = slices.DeleteFunc(f.nets, func(n *sim.Network) bool { return n == net })
	if err := net.Close(); err != nil {
		f.t.Error(err)
	}
}

// controllers starts or stops all.
func (f *fleet) controllers(run bool) {
	f.t.Helper()
	var g errgroup.Group
	for _, c := range f.all {
		g.Go(func() error {
			if run {
				return c.StartController()
			}
			return c.StopController()
		})
	}
	if err := g.Wait(); err != nil {
		f.t.Fatal(err)
	}
	if run {
		f.connected()
	}
}

// change plugs or unplugs an interface of some chassis.
func (f *fleet) change(r *rand.Rand, names []string) {
	f.t.Helper()
	n := r.IntN(len(f.all))
	mine := f.ports[n]
	if len(names) == 0 || r.IntN(3) == 0 {
		if len(mine) == 0 {
			return
		}
		id := slices.Sorted(mapsKeys(mine))[0]
		if err := f.all[n].DelPort(f.within(), fmt.Sprint("if", mine[id])); err != nil {
			f.t.Fatal(err)
		}
		delete(mine, id)
		return
	}
	id := names[r.IntN(len(names))]
	if mine[id] != 0 {
		return
	}
	f.next++
	mine[id] = f.next
	if err := plug(f.within(), f.all[n], id, f.next, ""); err != nil {
		f.t.Fatal(err)
	}
}

// base adds a switch with a port on every chassis, so that all have flows, and
// tunnels to all. The changes after it may take it away again.
func (f *fleet) base(name string) {
	f.t.Helper()
	sw := lab.Switch{Name: name}
	f.next++
	for n := range f.all {
		port := fmt.Sprint(name, "-", n)
		sw.Ports = append(sw.Ports, lab.Port{Name: port, Addresses: []string{fmt.Sprintf("0a:00:00:00:%02x:%02x 10.9.%d.%d", n>>8, n&255, n>>8, n&255)}, Unknown: n%7 == 0})
		f.ports[n][port] = f.next
		if err := plug(f.within(), f.all[n], port, f.next, ""); err != nil {
			f.t.Fatal(err)
		}
	}
	if err := f.z.Build(f.within(), &lab.Topology{Switches: []lab.Switch{sw}}); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fleet) since(n int, name string) string { return f.all[n].InterfaceID(name, "govn-since") }

// settled waits until every chassis has taken in its interfaces and installed
// what came of everything.
func (f *fleet) settled() {
	f.t.Helper()
	ctx := f.within()
	for n, c := range f.all {
		for _, port := range f.ports[n] {
			if err := c.AwaitInterfaceID(ctx, fmt.Sprint("if", port), "govn-since"); err != nil {
				f.t.Fatal(err)
			}
		}
	}
	if err := f.z.Quiet(ctx); err != nil {
		f.t.Fatal(err)
	}
}

// tunnelName is the name of a tunnel's interface, which ends in the lowest number
// that was free when it was made.
var tunnelName = regexp.MustCompile(`\bovn-(hv[0-9]+)-[0-9a-f]+\b`)

// flows are those of every chassis.
func (f *fleet) flows(all []*sim.Chassis) [][]string {
	out := make([][]string, len(all))
	var wg sync.WaitGroup
	for n, c := range all {
		wg.Go(func() { out[n] = normal(tunnelName.ReplaceAllString(strings.Join(c.Flows(), "\n"), "ovn-$1")) })
	}
	wg.Wait()
	return out
}

// TestSimulatedChassisEqualFresh is TestChassisEqualsFresh with many chassis in
// the simulator: after random changes, every one has the flows that a fresh one
// in its place has, and keeps them over a restart of its controller.
func TestSimulatedChassisEqualFresh(t *testing.T) {
	f := newFleet(t, *simChassis)
	w := &world.World{
		Store: f.z.Store, Schemas: f.z.Schemas, Columns: f.z.Columns, Registry: f.z.Registry,
		Step: func() error { return f.z.Compiled(t.Context()) },
	}
	w.Seed(*seed)
	r := rand.New(rand.NewPCG(*seed, 9))
	compared, most, total := 0, 0, 0
	for i := range *simChanges {
		what, err := w.Change()
		if err != nil {
			t.Fatalf("change %d (%s): %v", i, what, err)
		}
		for range 1 + len(f.all)/20 {
			f.change(r, w.PortNames())
		}
		if (i+1)%*simEvery != 0 {
			continue
		}
		f.base(fmt.Sprint("base", i))
		f.settled()
		before := f.flows(f.all)
		f.controllers(false)
		net, fresh := f.start(f.since)
		old := f.all
		f.all = fresh
		f.settled()
		after := f.flows(fresh)
		for n := range before {
			compared++
			most = max(most, len(before[n]))
			total += len(before[n])
			if d := difference(before[n], after[n]); d != "" {
				t.Fatalf("after change %d, hv%d and a fresh chassis in its place differ:\n%s", i, n, d)
			}
		}
		f.close(net)
		f.all = old
		f.controllers(true)
		f.settled()
		for n, now := range f.flows(f.all) {
			if d := difference(before[n], now); d != "" {
				t.Fatalf("after change %d, hv%d differs from before its restart:\n%s", i, n, d)
			}
		}
	}
	if total < compared*100 {
		t.Errorf("%d flows on %d chassis: the test sees too little", total, compared)
	}
	t.Logf("%d chassis, %d comparisons of %d flows, up to %d on one; %s", len(f.all), compared, total, most, w.Report())
}
