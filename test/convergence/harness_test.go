package convergence

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"

	"govn/controller"
	"govn/northd"
	"govn/northd/compile"
	"govn/northd/fabric"
	"govn/northd/southbound"
	"govn/northd/topology"
	"govn/pkg/ovsdb"
	"govn/test/ovstest"
)

// zone is a northd in the test process.
type zone struct {
	t        testing.TB
	store    *ovsdb.Store
	schemas  topology.Schemas
	columns  *topology.Columns
	registry *southbound.Registry
	fabric   *fabric.Server
	remote   string
	revision atomic.Uint64 // that the zone compiled last
}

func startZone(t testing.TB) *zone {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	z := &zone{t: t}
	var err error
	if z.schemas, err = northd.Schemas(); err != nil {
		t.Fatal(err)
	}
	z.columns = topology.NewColumns(z.schemas)
	log := slog.New(slog.DiscardHandler)
	flows := compile.NewFlowTable(z.columns.LogicalFlow)
	if z.store, err = northd.OpenStore(ctx, ovsdb.NewMemoryEngine(), z.schemas, flows, log); err != nil {
		t.Fatal(err)
	}
	z.registry = southbound.NewRegistry(ctx, z.store, z.schemas.SB, z.columns, log)
	progress := southbound.NewProgress(z.registry, z.schemas.NB, nil)
	z.fabric = fabric.New(fabric.Options{Logger: log, Cluster: z.store.ClusterID(), Term: 1,
		Events: northd.NewEvents(z.registry, progress, flows, log), WaitDurable: z.store.WaitDurable})
	nz := northd.NewZone(northd.ZoneOptions{Store: z.store, Schemas: z.schemas, Columns: z.columns, Log: log,
		Registry: z.registry, Progress: progress, Fabric: z.fabric, Flows: flows, Workers: 1,
		Observe: func(r northd.Round) { z.revision.Store(r.Revision) }})
	if err := nz.Start(ctx); err != nil {
		t.Fatal(err)
	}
	rpc := grpc.NewServer(z.fabric.ServerOptions()...)
	z.fabric.Register(rpc)
	path := filepath.Join(t.TempDir(), "fabric.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	z.remote = "unix:" + path
	var wg sync.WaitGroup
	wg.Go(func() { _ = rpc.Serve(l) })
	wg.Go(func() {
		if err := nz.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		cancel()
		rpc.Stop()
		wg.Wait()
		nz.Close()
		if err := z.store.Close(); err != nil {
			t.Error(err)
		}
	})
	return z
}

// settled waits until the zone has compiled all commits and every connected
// chassis has installed what it was sent, and what it reported meanwhile has gone
// the same way: after an answer to one more revision nothing but that has changed.
func (z *zone) settled() error {
	ctx, cancel := context.WithTimeout(z.t.Context(), 20*time.Second)
	defer cancel()
	for {
		if err := z.answered(ctx); err != nil {
			return err
		}
		at := z.store.Snapshot().Revision()
		if err := z.answered(ctx); err != nil {
			return err
		}
		if !z.changed(at) {
			return nil
		}
	}
}

// answered waits until every chassis has answered a revision that is made for
// that, and has nothing else left to do.
func (z *zone) answered(ctx context.Context) error {
	g := &z.columns.NBGlobal
	commit, err := z.store.Update(ctx, z.schemas.NB, ovsdb.OwnerClient, func(tx *ovsdb.Txn) error {
		for row := range tx.Rows(g.Table) {
			tx.SetColumn(g.Table, row.UUID(), "nb_cfg", row.Int(g.NbCfg)+1)
		}
		return tx.Err()
	})
	if err != nil {
		return err
	}
	for {
		done := z.calm()
		for _, s := range z.fabric.Status() {
			done = done && (!s.Connected || s.Applied >= commit)
		}
		if done {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("not settled: store at %d, compiled %d, %+v", z.store.Snapshot().Revision(), z.revision.Load(), z.fabric.Status())
		case <-time.After(time.Millisecond):
		}
	}
}

// changed tells whether rows that chassis are sent, or report, changed after a
// revision.
func (z *zone) changed(at uint64) bool {
	sn := z.store.Snapshot()
	for _, t := range []*ovsdb.TableSchema{z.columns.PortBinding.Table, z.columns.LS.Table, z.columns.LSP.Table, z.columns.Chassis.Table, z.columns.FDB.Table} {
		for row := range sn.Rows(t) {
			if row.Revision() > at {
				return true
			}
		}
	}
	return false
}

func (z *zone) calm() bool {
	if z.revision.Load() != z.store.Snapshot().Revision() {
		return false
	}
	for _, s := range z.fabric.Status() {
		if s.Connected && (s.Backlog > 0 || s.Applied < s.Sent || len(s.Failed) > 0) {
			return false
		}
	}
	return true
}

func (z *zone) connected(name string) bool {
	return slices.ContainsFunc(z.fabric.Status(), func(s fabric.ChassisStatus) bool { return s.Name == name && s.Connected })
}

// chassis is a host: an Open vSwitch and its controller.
type chassis struct {
	z          *zone
	name       string
	ovs        *ovstest.OVS
	interfaces map[string]int // by iface-id: OpenFlow port
	nextPort   int
	cancel     context.CancelFunc
	done       chan error
}

func (z *zone) openVSwitch(name string, n int) *ovstest.OVS {
	ovs := ovstest.Start(z.t, ovstest.Options{ExternalIDs: map[string]string{
		"system-id": name, "hostname": name, "ovn-remote": z.remote, "ovn-bridge": "br-int",
		"ovn-encap-type": "geneve", "ovn-encap-ip": fmt.Sprintf("172.31.0.%d", n+1), "ovn-bridge-datapath-type": "dummy",
		"ovn-bridge-mappings": "phys0:br-net0,phys1:br-net1",
	}})
	for _, bridge := range []string{"br-net0", "br-net1"} {
		ovs.Vsctl("add-br", bridge, "--", "set", "Bridge", bridge, "datapath_type=dummy")
	}
	return ovs
}

func (z *zone) newChassis(n int) *chassis {
	c := &chassis{z: z, name: fmt.Sprint("hv", n), interfaces: make(map[string]int), nextPort: 100}
	c.ovs = z.openVSwitch(c.name, n)
	c.run(c.ovs)
	z.t.Cleanup(c.stop)
	return c
}

// run starts the controller on an Open vSwitch and waits for its stream.
func (c *chassis) run(ovs *ovstest.OVS) {
	c.z.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	c.cancel, c.done = cancel, make(chan error, 1)
	go func() {
		c.done <- controller.Run(ctx, controller.Options{OVS: ovs.DB, RunDir: ovs.RunDir, Logger: slog.New(slog.DiscardHandler)})
	}()
	ovs.Await(c.name+" connects", func() bool { return c.z.connected(c.name) })
}

func (c *chassis) stop() {
	if c.cancel == nil {
		return
	}
	c.cancel()
	if err := <-c.done; err != nil {
		c.z.t.Errorf("controller of %s: %v", c.name, err)
	}
	c.cancel = nil
	c.ovs.Await(c.name+" is gone", func() bool { return !c.z.connected(c.name) })
}

func addInterface(ovs *ovstest.OVS, ifaceID string, ofport int, settings ...string) {
	ovs.AddPort(fmt.Sprint("if", ofport), ofport, append(settings, "external_ids:iface-id="+ifaceID)...)
}

// since is when an interface was first seen, as its controller wrote down; it
// decides between two chassis that have interfaces of one name.
func (c *chassis) since(ofport int) string {
	out := c.ovs.Vsctl("--if-exists", "get", "Interface", fmt.Sprint("if", ofport), "external_ids:govn-since")
	return strings.Trim(strings.TrimSpace(out), `"`)
}

func (c *chassis) awaitSince() {
	for _, port := range c.interfaces {
		c.ovs.Await(fmt.Sprint("time of interface if", port), func() bool { return c.since(port) != "" })
	}
}

// plug adds or removes an interface at random.
func (c *chassis) plug(r *rand.Rand, ports []string) {
	if len(ports) == 0 || r.IntN(3) == 0 {
		for _, id := range slices.Sorted(mapsKeys(c.interfaces)) {
			c.ovs.Vsctl("del-port", "br-int", fmt.Sprint("if", c.interfaces[id]))
			delete(c.interfaces, id)
			return
		}
		return
	}
	id := ports[r.IntN(len(ports))]
	if c.interfaces[id] != 0 {
		return
	}
	c.nextPort++
	c.interfaces[id] = c.nextPort
	addInterface(c.ovs, id, c.nextPort)
}

var host = regexp.MustCompile(`set_field:0x[0-9a-f]+->reg1[123],?`)

// flows is what Open vSwitch has, groups included, with names of interfaces,
// without conntrack zones, which are of the host alone, and without counters.
func flows(ovs *ovstest.OVS) []string {
	return normal(ovs.Ofctl("dump-flows", "--names", "--no-stats") + "\n" + ovs.Ofctl("dump-groups", "--names"))
}

// normal makes flows of two chassis comparable.
func normal(out string) []string {
	var lines []string
	for _, l := range strings.Split(out, "\n") {
		if l = strings.TrimSpace(l); strings.Contains(l, "actions=") || strings.HasPrefix(l, "group_id=") {
			l = host.ReplaceAllString(l, "")
			if i := strings.Index(l, ", "); i > 0 && host.MatchString(out) && ownsHost(l) {
				l = l[i+2:] // its cookie covers the zone
			}
			lines = append(lines, l)
		}
	}
	sort.Strings(lines)
	return lines
}

// ownsHost reports whether the flow is one that the chassis made of what only
// it knows, such as the numbers of ports: northd's have a cookie of their own.
func ownsHost(line string) bool { return !strings.HasPrefix(line, "cookie=0x1") }

// difference is the lines that only one side has.
func difference(a, b []string) string {
	var out []string
	for _, l := range a {
		if _, ok := slices.BinarySearch(b, l); !ok {
			out = append(out, "- "+l)
		}
	}
	for _, l := range b {
		if _, ok := slices.BinarySearch(a, l); !ok {
			out = append(out, "+ "+l)
		}
	}
	return strings.Join(out, "\n")
}
