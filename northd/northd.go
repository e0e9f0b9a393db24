package northd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	"govn/northd/compile"
	"govn/northd/fabric"
	"govn/northd/southbound"
	"govn/northd/topology"
	"govn/pkg/certs"
	"govn/pkg/ovsdb"
	dbcontrol "govn/pkg/ovsdb/control"
	"govn/schema"
)

// Options are the options of Run.
type Options struct {
	// Store is "bbolt:FILE" or "memory". Required.
	Store string
	// NBListen and SBListen are OVSDB connection methods; see ovsdb.Address.
	NBListen, SBListen []string
	// NoDBRemotes leaves the Connection rows of the databases without effect.
	NoDBRemotes bool
	// Limits bound what OVSDB clients can do. Optional.
	Limits ovsdb.Limits
	// FabricListen are gRPC listeners for the chassis: tcp:IP:PORT, ssl:IP:PORT,
	// unix:PATH.
	FabricListen []string
	// Keys are for ssl and pssl. What is not named here is taken from the SSL
	// table of each database; the fabric has only what is named here.
	Keys certs.Files

	Logger   *slog.Logger          // optional: slog.Default()
	Registry prometheus.Registerer // optional: where metrics go
	Ready    func()                // optional: called when all listeners accept
	// Handle registers a command of the control socket. Optional.
	Handle Handler
	// Memory adds figures to memory/show. Optional.
	Memory func(func(add func(name string, n uint64)))
}

// Schemas parses the databases that northd serves.
func Schemas() (topology.Schemas, error) {
	var s topology.Schemas
	for _, d := range []struct {
		to   **ovsdb.DatabaseSchema
		from *schema.Database
	}{{&s.NB, schema.Northbound()}, {&s.SB, schema.Southbound()}, {&s.Private, schema.Private()}} {
		p, err := ovsdb.ParseSchema(d.from.JSON())
		if err != nil {
			return s, fmt.Errorf("schema of %s: %w", d.from.Name, err)
		}
		*d.to = p
	}
	return s, nil
}

// OpenStore opens the databases in an engine. flows is the Logical_Flow table.
func OpenStore(ctx context.Context, e ovsdb.Engine, s topology.Schemas, flows ovsdb.VirtualTable, log *slog.Logger) (*ovsdb.Store, error) {
	return openStore(ctx, e, s, flows, ovsdb.Options{Logger: log})
}

func openStore(ctx context.Context, e ovsdb.Engine, s topology.Schemas, flows ovsdb.VirtualTable, o ovsdb.Options) (*ovsdb.Store, error) {
	return ovsdb.Open(ctx, e, []ovsdb.Database{
		{Schema: s.NB, Check: topology.NewColumns(s).CheckChanges},
		{Schema: s.SB, Owner: southbound.Owner, InsertDelete: southbound.InsertDelete,
			Virtual: map[string]ovsdb.VirtualTable{"Logical_Flow": flows}},
		{Schema: s.Private, Private: true},
	}, o)
}

// term is the leader's: there is one northd.
const term = 1

// Run serves until the context ends. It returns nil then, and an error when
// something that cannot be mended ended it before.
func Run(ctx context.Context, o Options) error {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	collect := deferCollection(startHeap)
	defer collect()
	schemas, err := Schemas()
	if err != nil {
		return err
	}
	columns := topology.NewColumns(schemas)
	flows := compile.NewFlowTable(columns.LogicalFlow)
	engine, err := ovsdb.OpenEngine(o.Store)
	if err != nil {
		return err
	}
	store, err := openStore(ctx, engine, schemas, flows, ovsdb.Options{Logger: o.Logger, Registry: o.Registry})
	if err != nil {
		return errors.Join(fmt.Errorf("opening %s: %w", o.Store, err), engine.Close())
	}
	d := &daemon{o: o, started: collect, schemas: schemas, columns: columns, flows: flows, store: store}
	err = d.run(ctx)
	return errors.Join(err, store.Close())
}

type daemon struct {
	o       Options
	schemas topology.Schemas
	columns *topology.Columns
	flows   *compile.FlowTable
	store   *ovsdb.Store
	started func() // the start is over

	registry *southbound.Registry
	progress *southbound.Progress
	fabric   *fabric.Server
	rpc      []*grpc.Server
	served   []dbcontrol.Served
}

func (d *daemon) run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	log := d.o.Logger
	d.registry = southbound.NewRegistry(ctx, d.store, d.schemas.SB, d.columns, log)
	d.progress = southbound.NewProgress(d.registry, d.schemas.NB, nil)
	events := NewEvents(d.registry, d.progress, d.flows, log)
	d.fabric = fabric.New(fabric.Options{
		Logger: log, Cluster: d.store.ClusterID(), Term: term, Events: events,
		WaitDurable: d.store.WaitDurable, Registry: d.o.Registry,
	})
	metrics := newMetrics(d.o.Registry)
	zone := NewZone(ZoneOptions{
		Store: d.store, Schemas: d.schemas, Columns: d.columns, Log: log,
		Registry: d.registry, Progress: d.progress, Fabric: d.fabric, Flows: d.flows,
		Workers: 2, Observe: metrics.round, Acked: d.acked,
	})
	defer zone.Close()
	events.nudge = zone.Nudge
	if err := zone.Start(ctx); err != nil {
		return err
	}

	serving, err := d.listen()
	if err != nil {
		return err
	}
	for _, fn := range serving.serve {
		g.Go(func() error { return fn(ctx) })
	}
	g.Go(func() error { return zone.Run(ctx) })
	g.Go(func() error { return dbcontrol.Failure(ctx, d.store) })
	g.Go(func() error { return d.watch(ctx, zone) })
	g.Go(func() error {
		<-ctx.Done()
		for _, rpc := range d.rpc {
			rpc.Stop()
		}
		return nil
	})
	d.commands(zone)
	d.started()
	if d.o.Ready != nil {
		d.o.Ready()
	}
	return g.Wait()
}

// watch does what time asks for: it settles hv_cfg when a chassis that is gone
// stops to count, and forgets learned addresses that are old.
func (d *daemon) watch(ctx context.Context, zone *Zone) error {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
			zone.Nudge()
			if err := zone.Age(ctx, time.Now()); err != nil && ctx.Err() == nil {
				d.o.Logger.Error("learned addresses do not age", "err", err)
			}
			if err := d.progress.Settle(); err != nil && ctx.Err() == nil {
				d.o.Logger.Error("hv_cfg could not be stored", "err", err)
			}
		}
	}
}

// acked is the revision that every registered chassis has acknowledged. One
// that has nothing outstanding is as far as the fabric is; one that is away may
// still hold what it had. Chassis of other zones hold nothing of this one.
func (d *daemon) acked() uint64 {
	status := make(map[string]fabric.ChassisStatus)
	for _, s := range d.fabric.Status() {
		status[s.Name] = s
	}
	low := d.store.Snapshot().Revision()
	for row := range d.store.Snapshot().Rows(d.columns.Chassis.Table) {
		if remote, _ := row.Map(d.columns.Chassis.OtherConfig).Get(compile.ConfigRemote); remote == "true" {
			continue
		}
		s := status[row.Str(d.columns.Chassis.Name)]
		if !s.Connected || s.Backlog > 0 || s.Applied < s.Sent {
			low = min(low, s.Applied)
		}
	}
	return low
}
