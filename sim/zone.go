package sim

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"

	"govn/northd"
	"govn/northd/compile"
	"govn/northd/fabric"
	"govn/northd/southbound"
	"govn/northd/topology"
	"govn/pkg/ovsdb"
	"govn/proto"
)

// Zone is a northd in this process: its databases on unix sockets, its compiler,
// its service for chassis. What it does is what "govn northd" does.
type Zone struct {
	// Name is that of the zone in a lab with several; "" elsewhere.
	Name string
	// Store, Schemas, Columns, Registry, Fabric: the parts, to look at and to
	// write to.
	Store    *ovsdb.Store
	Schemas  topology.Schemas
	Columns  *topology.Columns
	Registry *southbound.Registry
	Fabric   *fabric.Server
	Flows    *compile.FlowTable
	// Remote is ovn-remote for its chassis.
	Remote string
	// NB and SB are the databases' remotes.
	NB, SB string

	dir      string
	progress *southbound.Progress
	revision atomic.Uint64 // that was compiled last
	cancel   context.CancelFunc
	wg       sync.WaitGroup
	mu       sync.Mutex
	errs     []error
	turned   chan struct{} // closed and replaced when something moved
}

// ZoneOptions of StartZone.
type ZoneOptions struct {
	// Name is that of the zone. Optional.
	Name string
	// Dir is for sockets. Optional: a temporary one, removed by Close.
	Dir string
	// Logger takes the log. Optional: none.
	Logger *slog.Logger
	// Workers of the compiler. Optional: 2.
	Workers int
	// Engine holds the databases and is closed with the zone. Optional: one in
	// memory, so a zone begins empty.
	Engine ovsdb.Engine
}

// StartZone starts a northd. It lives until Close.
func StartZone(o ZoneOptions) (_ *Zone, err error) {
	log := o.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	if o.Workers == 0 {
		o.Workers = 2
	}
	z := &Zone{Name: o.Name, turned: make(chan struct{})}
	dir := o.Dir
	if dir == "" {
		if dir, err = os.MkdirTemp("", "zone"); err != nil {
			return nil, fmt.Errorf("zone: %w", err)
		}
		z.dir = dir
	}
	ctx, cancel := context.WithCancel(context.Background())
	z.cancel = cancel
	defer func() {
		if err != nil {
			err = errors.Join(err, z.Close())
		}
	}()
	if z.Schemas, err = northd.Schemas(); err != nil {
		return nil, err
	}
	z.Columns = topology.NewColumns(z.Schemas)
	z.Flows = compile.NewFlowTable(z.Columns.LogicalFlow)
	if o.Engine == nil {
		o.Engine = ovsdb.NewMemoryEngine()
	}
	if z.Store, err = northd.OpenStore(ctx, o.Engine, z.Schemas, z.Flows, log); err != nil {
		return nil, err
	}
	z.Registry = southbound.NewRegistry(ctx, z.Store, z.Schemas.SB, z.Columns, log)
	z.progress = southbound.NewProgress(z.Registry, z.Schemas.NB, nil)
	z.Fabric = fabric.New(fabric.Options{
		Logger: log, Cluster: z.Store.ClusterID(), Term: 1, WaitDurable: z.Store.WaitDurable,
		Events: events{northd.NewEvents(z.Registry, z.progress, z.Flows, log), z},
	})
	nz := northd.NewZone(northd.ZoneOptions{
		Store: z.Store, Schemas: z.Schemas, Columns: z.Columns, Log: log, Registry: z.Registry, Progress: z.progress,
		Fabric: z.Fabric, Flows: z.Flows, Workers: o.Workers,
		Observe: func(r northd.Round) { z.revision.Store(r.Revision); z.turn() },
	})
	if err := nz.Start(ctx); err != nil {
		z.Fabric.Close()
		nz.Close()
		return nil, err
	}
	rpc := grpc.NewServer(z.Fabric.ServerOptions()...)
	z.Fabric.Register(rpc)
	z.Remote = "unix:" + filepath.Join(dir, "fabric.sock")
	l, err := net.Listen("unix", filepath.Join(dir, "fabric.sock"))
	if err != nil {
		z.Fabric.Close()
		nz.Close()
		return nil, fmt.Errorf("zone: %w", err)
	}
	z.serve(func() error { return nz.Run(ctx) })
	sub := z.Store.Subscribe()
	z.wg.Go(func() {
		defer sub.Close()
		for {
			if _, err := sub.Next(ctx); err != nil {
				return
			}
			z.turn()
		}
	})
	z.serve(func() error { return rpc.Serve(z.Fabric.Listener(l)) })
	z.wg.Go(func() {
		<-ctx.Done()
		rpc.Stop()
		z.Fabric.Close()
		nz.Close()
	})
	for name, remote := range map[string]*string{z.Schemas.NB.Name: &z.NB, z.Schemas.SB.Name: &z.SB} {
		path := filepath.Join(dir, map[string]string{z.Schemas.NB.Name: "nb.sock", z.Schemas.SB.Name: "sb.sock"}[name])
		*remote = "unix:" + path
		l, err := net.Listen("unix", path)
		if err != nil {
			return nil, fmt.Errorf("zone: %w", err)
		}
		srv := ovsdb.NewServer(z.Store, ovsdb.ServerOptions{Logger: log, Databases: []string{name}})
		z.serve(func() error { return srv.Serve(ctx, l) })
	}
	return z, nil
}

func (z *Zone) serve(fn func() error) {
	z.wg.Go(func() {
		if err := fn(); err != nil {
			z.mu.Lock()
			z.errs = append(z.errs, err)
			z.mu.Unlock()
		}
	})
}

// Close ends the zone. Chassis that are connected lose it.
func (z *Zone) Close() error {
	z.cancel()
	z.wg.Wait()
	errs := z.errs
	if z.Store != nil {
		errs = append(errs, z.Store.Close())
	}
	if z.dir != "" {
		errs = append(errs, os.RemoveAll(z.dir))
	}
	return errors.Join(errs...)
}

// events passes on what chassis say, and notes that something moved.
type events struct {
	fabric.Events
	z *Zone
}

func (e events) Hello(name string, h *proto.Hello) error {
	defer e.z.turn()
	return e.Events.Hello(name, h)
}

func (e events) Report(name string, r *proto.Report) {
	e.Events.Report(name, r)
	e.z.turn()
}

func (e events) Acked(name string, a *proto.Ack) {
	e.Events.Acked(name, a)
	e.z.turn()
}

func (e events) Lost(name string, at time.Time) {
	e.Events.Lost(name, at)
	e.z.turn()
}

func (z *Zone) turn() {
	z.mu.Lock()
	close(z.turned)
	z.turned = make(chan struct{})
	z.mu.Unlock()
}

// Until waits for a condition, which is looked at whenever something moved.
func (z *Zone) Until(ctx context.Context, what string, cond func() bool) error {
	for {
		z.mu.Lock()
		turned := z.turned
		z.mu.Unlock()
		if cond() {
			return nil
		}
		select {
		case <-turned:
		case <-ctx.Done():
			return fmt.Errorf("waiting until %s: %w", what, ctx.Err())
		}
	}
}

// Connected waits until chassis have a stream.
func (z *Zone) Connected(ctx context.Context, names ...string) error {
	return z.Until(ctx, "the chassis are connected", func() bool {
		there := map[string]bool{}
		for _, s := range z.Fabric.Status() {
			there[s.Name] = s.Connected
		}
		return !slices.ContainsFunc(names, func(name string) bool { return !there[name] })
	})
}

// Up waits until ports are up: bound, and their flows installed.
func (z *Zone) Up(ctx context.Context, ports ...string) error {
	lsp := &z.Columns.LSP
	return z.Until(ctx, "the ports are up", func() bool {
		up := map[string]bool{}
		for row := range z.Store.Snapshot().Rows(lsp.Table) {
			v, _ := row.Opt(lsp.Up)
			up[row.Str(lsp.Name)] = v == true
		}
		return !slices.ContainsFunc(ports, func(p string) bool { return !up[p] })
	})
}

// Settle waits until all commits are compiled and every connected chassis has
// installed what came of them, by the same way as "ovn-nbctl --wait=hv sync".
func (z *Zone) Settle(ctx context.Context) error {
	g := &z.Columns.NBGlobal
	var target int64
	_, err := z.Store.Update(ctx, z.Schemas.NB, ovsdb.OwnerClient, func(tx *ovsdb.Txn) error {
		for row := range tx.Rows(g.Table) {
			target = row.Int(g.NbCfg) + 1
			tx.SetColumn(g.Table, row.UUID(), "nb_cfg", target)
		}
		return tx.Err()
	})
	if err != nil {
		return fmt.Errorf("zone: %w", err)
	}
	err = z.Until(ctx, "the chassis have everything", func() bool {
		for row := range z.Store.Snapshot().Rows(g.Table) {
			return row.Int(g.Table.Column("hv_cfg")) >= target
		}
		return false
	})
	if err != nil {
		return fmt.Errorf("%w: %s", err, z.behind())
	}
	return nil
}

// behind names the chassis that have not installed the last revision, and how far they are.
func (z *Zone) behind() string {
	at := z.Store.Snapshot().Revision()
	said := []string{fmt.Sprintf("the revision is %d, compiled is %d", at, z.revision.Load())}
	for _, s := range z.Fabric.Status() {
		if s.Applied < at {
			said = append(said, fmt.Sprintf("%s: connected %t, sent %d, received %d, applied %d, %d to be sent", s.Name, s.Connected, s.Sent, s.Received, s.Applied, s.Backlog))
		}
	}
	return strings.Join(said, "; ")
}

// Compiled waits until all commits are compiled.
func (z *Zone) Compiled(ctx context.Context) error {
	return z.Until(ctx, "all commits are compiled", func() bool { return z.revision.Load() == z.Store.Snapshot().Revision() })
}

// Quiet waits until all commits are compiled and every chassis that is connected
// has installed what it was sent, its answers included.
func (z *Zone) Quiet(ctx context.Context) error {
	for {
		if err := z.Settle(ctx); err != nil {
			return err
		}
		if err := z.Until(ctx, "the chassis are quiet", z.calm); err != nil {
			return err
		}
		at := z.Store.Snapshot().Revision()
		// Whatever a chassis had on its way is in now: it has answered one more
		// revision since.
		if err := z.Settle(ctx); err != nil {
			return err
		}
		if err := z.Until(ctx, "the chassis are quiet", z.calm); err != nil {
			return err
		}
		if z.onlyCounters(at) {
			return nil
		}
	}
}

func (z *Zone) calm() bool {
	if z.revision.Load() != z.Store.Snapshot().Revision() {
		return false
	}
	for _, s := range z.Fabric.Status() {
		if s.Connected && (s.Backlog > 0 || s.Applied < s.Sent) {
			return false
		}
	}
	return true
}

// onlyCounters tells whether nothing but what Settle and its answers write has
// changed after a revision: no row of what chassis are sent.
func (z *Zone) onlyCounters(at uint64) bool {
	sn := z.Store.Snapshot()
	for _, t := range []*ovsdb.TableSchema{z.Columns.PortBinding.Table, z.Columns.LS.Table, z.Columns.LSP.Table, z.Columns.Chassis.Table, z.Columns.FDB.Table} {
		for row := range sn.Rows(t) {
			if row.Revision() > at {
				return false
			}
		}
	}
	return true
}
