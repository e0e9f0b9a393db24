package northd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"govn/northd/compile"
	"govn/northd/fabric"
	"govn/northd/ipam"
	"govn/northd/southbound"
	"govn/northd/topology"
	"govn/pkg/abi"
	"govn/pkg/incr"
	"govn/pkg/ovsdb"
	"govn/proto"
	"govn/proto/state"
)

// Zone is the compiler at work on a store, without any socket.
type Zone struct {
	store      *ovsdb.Store
	schemas    topology.Schemas
	columns    *topology.Columns
	log        *slog.Logger
	sub        *ovsdb.Subscription
	program    *compile.Program
	alloc      *topology.Allocator
	ipam       *ipam.IPAM
	aging      *southbound.Aging // of FDB
	neighbours *southbound.Aging // of MAC_Binding
	nudges     chan struct{}
	tags       *topology.Tags
	groups     *topology.Groups
	sessions   *topology.Sessions
	writer     *southbound.Writer
	progress   *southbound.Progress
	fabric     sink
	bodies     *bodyStore
	links      *linkSet
	flows      *compile.FlowTable
	fresh      bool // no round ran yet
	nbCfg      int64
	stats      func(Round)
	acked      func() uint64
	published  uint64             // revision that the fabric has
	problems   map[string]problem // by unit and key
	seen       atomic.Pointer[seen]
	numbers    *topology.RouteNumbers
}

// sink is where batches go: the fabric, which tells who uses the HA groups then.
type sink interface {
	Apply(fabric.Batch)
	TakeHAUsers() []fabric.HAUsers
}

// Round is what one round did.
type Round struct {
	Revision uint64
	Executed int           // queries and units evaluated
	Took     time.Duration // from the first commit taken in to the batch handed over
	Nodes    int
	Edges    int
}

// ZoneOptions are what a zone works with.
type ZoneOptions struct {
	Store    *ovsdb.Store
	Schemas  topology.Schemas
	Columns  *topology.Columns
	Log      *slog.Logger
	Registry *southbound.Registry
	Progress *southbound.Progress
	Fabric   sink
	Flows    *compile.FlowTable
	Workers  int
	Observe  func(Round) // optional: called after each round
	// Acked is the revision that every chassis has acknowledged. Optional:
	// without it keys that are no longer used rest for ever.
	Acked func() uint64
}

// NewZone makes a zone at the current state of the store. Start begins.
func NewZone(o ZoneOptions) *Zone {
	sn, sub := o.Store.SubscribeSnapshot()
	e := incr.New(incr.Options{Workers: o.Workers, Logger: o.Log})
	return &Zone{
		store: o.Store, schemas: o.Schemas, columns: o.Columns, log: o.Log, sub: sub,
		program:    compile.New(e, o.Columns, sn),
		alloc:      topology.NewAllocator(o.Columns, o.Schemas.Private, sn),
		aging:      southbound.NewAging(o.Store, o.Schemas.SB, o.Columns),
		neighbours: southbound.NewNeighbourAging(o.Store, o.Schemas.SB, o.Columns),
		nudges:     make(chan struct{}, 1),
		ipam:       ipam.New(o.Columns, o.Schemas.NB, o.Store.ClusterID(), o.Log),
		tags:       topology.NewTags(o.Columns, o.Schemas.NB, sn),
		groups:     topology.NewGroups(o.Columns, o.Schemas.Private, sn),
		sessions:   topology.NewSessions(o.Columns, o.Schemas.Private, sn),
		writer:     southbound.NewWriter(o.Store, o.Schemas.SB, o.Columns, o.Registry),
		progress:   o.Progress, fabric: o.Fabric, bodies: newBodyStore(), links: newLinkSet(), flows: o.Flows,
		numbers: topology.NewRouteNumbers(o.Columns, o.Schemas.Private, sn),
		fresh:   true, stats: o.Observe, acked: o.Acked, problems: make(map[string]problem),
	}
}

// Close ends the subscription of the store.
func (z *Zone) Close() { z.sub.Close() }

// Start brings the zone up to the state of the store.
func (z *Zone) Start(ctx context.Context) error {
	if err := z.globals(ctx); err != nil {
		return err
	}
	if err := southbound.WriteRoles(ctx, z.store, z.schemas.SB); err != nil {
		return err
	}
	z.allocateAll(ctx)
	return z.round(ctx, nil)
}

// allocateAll lets the stages before the compile look at all that is there. They
// know nothing of each other, so they do it at once.
func (z *Zone) allocateAll(ctx context.Context) {
	sn := z.program.Reader.Snapshot()
	var all sync.WaitGroup
	for _, stage := range []struct {
		problem string
		all     func(context.Context, *ovsdb.Store, *ovsdb.Snapshot) error
	}{
		{"tunnel keys cannot be given out", z.alloc.All},
		{"addresses cannot be given out", only(z.ipam.All)},
		{"a port gets no VLAN tag", z.tags.All},
		{"a BFD session gets no number", only(z.sessions.All)},
		{"a forwarding group gets no id", only(z.groups.All)},
		{"a route or policy gets no number", only(z.numbers.All)},
	} {
		all.Go(func() {
			if err := stage.all(ctx, z.store, sn); err != nil {
				z.log.Error(stage.problem, "err", err)
			}
		})
	}
	all.Wait()
}

// only is fn without whether it wrote anything.
func only(fn func(context.Context, *ovsdb.Store, *ovsdb.Snapshot) (bool, error)) func(context.Context, *ovsdb.Store, *ovsdb.Snapshot) error {
	return func(ctx context.Context, s *ovsdb.Store, sn *ovsdb.Snapshot) error {
		_, err := fn(ctx, s, sn)
		return err
	}
}

// Run runs rounds until the context ends.
func (z *Zone) Run(ctx context.Context) error {
	for {
		commits, err := z.next(ctx)
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("following the store: %w", err)
		}
		if err := z.round(ctx, commits); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
	}
}

// Nudge says that a chassis got further: something may wait for the keys that
// it does not use any more. It may be called at any time.
func (z *Zone) Nudge() {
	select {
	case z.nudges <- struct{}{}:
	default:
	}
}

// Age deletes learned addresses that are too old. It may be called at any time,
// and should be about once a second.
func (z *Zone) Age(ctx context.Context, now time.Time) error {
	return errors.Join(z.aging.Sweep(ctx, now), z.neighbours.Sweep(ctx, now))
}

// next waits for commits, or for a nudge if that matters.
func (z *Zone) next(ctx context.Context) ([]ovsdb.Commit, error) {
	if !z.alloc.Patient() {
		return z.sub.Next(ctx)
	}
	wait, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		select {
		case <-z.nudges:
			cancel()
		case <-wait.Done():
		}
	}()
	commits, err := z.sub.Next(wait)
	cancel()
	<-done
	if err != nil && ctx.Err() == nil && errors.Is(err, context.Canceled) {
		return nil, nil
	}
	return commits, err
}

// catchUp takes further commits until they end where a snapshot stands.
func (z *Zone) catchUp(ctx context.Context, commits []ovsdb.Commit) ([]ovsdb.Commit, *ovsdb.Snapshot, error) {
	at := z.program.Reader.Snapshot().Revision()
	if n := len(commits); n > 0 {
		at = commits[n-1].Revision
	}
	for {
		sn := z.store.Snapshot()
		if sn.Revision() == at {
			return commits, sn, nil
		}
		more, err := z.sub.Next(ctx)
		if err != nil {
			return nil, nil, fmt.Errorf("following the store: %w", err)
		}
		commits = append(commits, more...)
		at = more[len(more)-1].Revision
	}
}

func (z *Zone) round(ctx context.Context, commits []ovsdb.Commit) error {
	start := time.Now()
	done, fresh := Round{}, z.fresh
	for {
		if err := z.release(ctx); err != nil {
			return err
		}
		var sn *ovsdb.Snapshot
		var err error
		if commits, sn, err = z.allocate(ctx, commits); err != nil {
			return err
		}
		if len(commits) == 0 && !z.fresh {
			break
		}
		z.program.Reader.Advance(commits, sn)
		commits = nil
		ran := z.program.Engine.Run()
		done.Executed += ran.Total
		if err := z.southbound(ctx); err != nil {
			return err
		}
		z.fresh = false
	}
	z.publish(&done)
	if err := z.users(ctx, fresh); err != nil {
		return err
	}
	z.complain()
	if err := z.settle(ctx, start); err != nil {
		return err
	}
	done.Took = time.Since(start)
	if z.stats != nil {
		st := z.program.Engine.Stats()
		done.Nodes, done.Edges = st.Nodes, st.Edges
		z.stats(done)
	}
	return nil
}

// allocate lets the stages before the compile follow the commits: keys,
// addresses and VLAN tags. What comes in while they write, theirs and of
// clients, they follow too. It returns all commits that there are, and the snapshot at the last one.
func (z *Zone) allocate(ctx context.Context, commits []ovsdb.Commit) ([]ovsdb.Commit, *ovsdb.Snapshot, error) {
	for followed := 0; ; {
		var sn *ovsdb.Snapshot
		var err error
		if commits, sn, err = z.catchUp(ctx, commits); err != nil || followed == len(commits) {
			return commits, sn, err
		}
		wrote, err := z.follow(ctx, commits[followed:], sn)
		if err != nil || !wrote {
			return commits, sn, err
		}
		followed = len(commits)
	}
}

func (z *Zone) follow(ctx context.Context, commits []ovsdb.Commit, sn *ovsdb.Snapshot) (wrote bool, err error) {
	if slices.ContainsFunc(commits, z.touchesGlobals) {
		if err := z.globals(ctx); err != nil {
			return false, err
		}
		wrote = true
	}
	for _, stage := range []struct {
		problem string
		follow  func(context.Context, *ovsdb.Store, []ovsdb.Commit, *ovsdb.Snapshot) (bool, error)
	}{
		{"tunnel keys cannot be given out", z.alloc.Follow},
		{"addresses cannot be given out", z.ipam.Follow},
		{"a port gets no VLAN tag", z.tags.Follow},
		{"a forwarding group gets no id", z.groups.Follow},
		{"a BFD session gets no number", z.sessions.Follow},
		{"a route or policy gets no number", z.numbers.Follow},
	} {
		did, err := stage.follow(ctx, z.store, commits, sn)
		if err != nil {
			if ctx.Err() != nil {
				return false, err
			}
			z.log.Error(stage.problem, "err", err)
		}
		wrote = wrote || did
	}
	return wrote, nil
}

// touchesGlobals reports whether a client changed the options of one of the
// rows that there is one of.
func (z *Zone) touchesGlobals(commit ovsdb.Commit) bool {
	return commit.Who != ovsdb.OwnerNorthd && slices.ContainsFunc(commit.Changes, func(ch ovsdb.Change) bool {
		col := z.columns.NBGlobal.Options
		if ch.Table == z.columns.SBGlobal.Table {
			col = z.columns.SBGlobal.Options
		} else if ch.Table != z.columns.NBGlobal.Table {
			return false
		}
		return ch.Old == nil || ch.New == nil || !ch.Old.Map(col).Equal(ch.New.Map(col))
	})
}

// release frees tunnel keys that no chassis can hold any more.
func (z *Zone) release(ctx context.Context) error {
	if z.acked == nil || z.alloc.Resting() == 0 {
		return nil
	}
	return z.alloc.Release(ctx, z.store, min(z.acked(), z.published))
}

// southbound writes the rows that the last evaluation changed.
func (z *Zone) southbound(ctx context.Context) error {
	ch := southbound.Changes{Rows: z.program.Rows.Drain(), Members: z.program.Members.Drain()}
	var err error
	switch {
	case z.fresh:
		err = z.writer.Reset(ctx, ch)
	case !ch.Empty():
		err = z.writer.Write(ctx, ch)
	}
	if err != nil {
		return err
	}
	z.aging.Apply(z.program.Ages.Drain())
	z.neighbours.ApplyRouters(z.program.NeighbourAges.Drain())
	var stale []ovsdb.UUID
	for _, ch := range z.program.Stale.Drain() {
		if ch.New != nil {
			stale = append(stale, ch.Key)
		}
	}
	if err := z.writer.Forget(ctx, stale); err != nil {
		return err
	}
	if err := z.bfd(ctx); err != nil {
		return err
	}
	return z.up(ctx)
}

// up writes Logical_Switch_Port:up.
func (z *Zone) up(ctx context.Context) error {
	changes := z.program.Up.Drain()
	if len(changes) == 0 {
		return nil
	}
	lsp := &z.columns.LSP
	_, err := z.store.Update(ctx, z.schemas.NB, ovsdb.OwnerNorthd, func(tx *ovsdb.Txn) error {
		for _, ch := range changes {
			row := tx.Row(lsp.Table, ch.Key)
			if row == nil || ch.New == nil {
				continue
			}
			if now, there := row.Opt(lsp.Up); !there || now.(bool) != *ch.New {
				tx.SetColumn(lsp.Table, ch.Key, "up", ovsdb.NewSet(*ch.New))
			}
		}
		return tx.Err()
	})
	if err != nil {
		return fmt.Errorf("writing up of ports: %w", err)
	}
	return nil
}

// publish hands what changed to the fabric.
func (z *Zone) publish(done *Round) {
	sn := z.program.Reader.Snapshot()
	done.Revision = sn.Revision()
	b := fabric.Batch{Revision: sn.Revision(), NbCfg: z.nbCfgOf(sn)}
	units, items := z.program.Units.Drain(), z.program.Items.Drain()
	b.Items = make([]fabric.ItemChange, 0, len(units)+len(items))
	z.bodies.expect(len(units))
	z.flows.Apply(units)
	for _, u := range units {
		id := u.Key.ID()
		ch := fabric.ItemChange{Key: state.Key{Kind: proto.Kind_KIND_UNIT, Key: string(id[:])}, Critical: true}
		if u.New != nil {
			z.bodies.hold((*u.New).Body, &b)
			ch.Scope, ch.Value = fabric.Scope((*u.New).Scope), (*u.New).Value
		} else {
			ch.Scope = fabric.Scope((*u.Old).Scope)
		}
		b.Items = append(b.Items, ch)
	}
	for _, u := range units { // last: a body may go from one unit to another
		if u.Old != nil {
			z.bodies.drop((*u.Old).Body, &b)
		}
	}
	for _, i := range items {
		ch := fabric.ItemChange{Key: i.Key, Critical: !learned(i.Key.Kind)}
		if i.New != nil {
			ch.Scope, ch.Value = fabric.Scope(i.New.Scope), i.New.Value
		} else {
			ch.Scope = fabric.Scope(i.Old.Scope)
		}
		b.Items = append(b.Items, ch)
	}
	for _, c := range z.program.Chassis.Drain() {
		info := fabric.ChassisInfo{Name: c.Key, Gone: c.New == nil}
		if c.New != nil {
			info.Value = *c.New
		}
		b.Chassis = append(b.Chassis, info)
	}
	z.bindings(&b)
	b.Links = z.links.apply(z.program.Links.Drain())
	for _, g := range z.program.HAGroups.Drain() {
		change := fabric.HAGroup{Key: string(g.Key[:])}
		if g.New != nil {
			change.Members, change.Value = g.New.Names(), g.New.Value
		}
		b.HAGroups = append(b.HAGroups, change)
	}
	z.published = b.Revision
	if b.NbCfg != z.nbCfg || len(b.Items)+len(b.Bodies)+len(b.Bindings)+len(b.Chassis)+len(b.Links)+len(b.HAGroups) > 0 {
		z.nbCfg = b.NbCfg
		z.progress.Sent(b.Revision, b.NbCfg)
		z.fabric.Apply(b)
	}
	z.store.Settled(b.Revision)
}

// users writes who uses the HA groups, which the fabric finds out.
func (z *Zone) users(ctx context.Context, fresh bool) error {
	changed := make(map[ovsdb.UUID][]string)
	for _, g := range z.fabric.TakeHAUsers() {
		changed[ovsdb.UUID([]byte(g.Group))] = g.Chassis
	}
	return z.writer.Users(ctx, changed, fresh)
}

// learned tells whether a chassis can do without an item of the kind: it learns
// what the item says again.
func learned(kind proto.Kind) bool {
	return kind == proto.Kind_KIND_FDB || kind == proto.Kind_KIND_NEIGHBOUR
}

func (z *Zone) bindings(b *fabric.Batch) {
	for _, ch := range z.program.Bindings.Drain() {
		v := fabric.Binding{Datapath: ch.Key.Datapath, Port: ch.Key.Port}
		if ch.Old != nil {
			z.progress.Forget(ch.Old.Chassis, ch.Old.Port)
		}
		if ch.New != nil {
			v.Chassis, v.Up, v.Additional, v.Encaps = ch.New.Chassis, ch.New.Up, ch.New.Additional, ch.New.Encaps
			if v.Chassis != "" && !v.Up {
				z.progress.Await(v.Chassis, ch.New.Port, b.Revision)
			}
		}
		b.Bindings = append(b.Bindings, v)
	}
}

func (z *Zone) nbCfgOf(sn *ovsdb.Snapshot) int64 {
	for row := range sn.Rows(z.columns.NBGlobal.Table) {
		return row.Int(z.columns.NBGlobal.NbCfg)
	}
	return 0
}

// settle lets clients know how far the southbound database is (--wait=sb), and
// the chassis (--wait=hv).
func (z *Zone) settle(ctx context.Context, start time.Time) error {
	g, sg := &z.columns.NBGlobal, &z.columns.SBGlobal
	sn := z.program.Reader.Snapshot()
	var global *ovsdb.Row
	for row := range sn.Rows(g.Table) {
		global = row
	}
	if global == nil || global.Int(g.SbCfg) == global.Int(g.NbCfg) {
		return nil
	}
	cfg := global.Int(g.NbCfg)
	_, err := z.store.Update(ctx, z.schemas.SB, ovsdb.OwnerNorthd, func(tx *ovsdb.Txn) error {
		for row := range tx.Rows(sg.Table) {
			tx.SetColumn(sg.Table, row.UUID(), "nb_cfg", cfg)
			break
		}
		return tx.Err()
	})
	if err != nil {
		return fmt.Errorf("writing SB_Global: %w", err)
	}
	_, err = z.store.Update(ctx, z.schemas.NB, ovsdb.OwnerNorthd, func(tx *ovsdb.Txn) error {
		if tx.Row(g.Table, global.UUID()) != nil {
			tx.SetColumn(g.Table, global.UUID(), "nb_cfg_timestamp", start.UnixMilli())
			tx.SetColumn(g.Table, global.UUID(), "sb_cfg", cfg)
			tx.SetColumn(g.Table, global.UUID(), "sb_cfg_timestamp", time.Now().UnixMilli())
		}
		return tx.Err()
	})
	if err != nil {
		return fmt.Errorf("writing sb_cfg: %w", err)
	}
	return z.progress.Settle()
}

// globals makes the rows that there is one of, and the options that OVN's
// northd publishes.
func (z *Zone) globals(ctx context.Context) error {
	options := map[string]string{"max_tunid": strconv.Itoa(abi.MaxDatapathKeyLocal), "northd_internal_version": "govn"}
	for _, g := range []struct {
		db    *ovsdb.DatabaseSchema
		table *ovsdb.TableSchema
	}{{z.schemas.NB, z.columns.NBGlobal.Table}, {z.schemas.SB, z.columns.SBGlobal.Table}} {
		_, err := z.store.Update(ctx, g.db, ovsdb.OwnerNorthd, func(tx *ovsdb.Txn) error {
			var row *ovsdb.Row
			for r := range tx.Rows(g.table) {
				row = r
			}
			if row == nil {
				tx.Insert(g.table, ovsdb.UUID{}, map[string]ovsdb.Value{"options": ovsdb.MapOf()})
				for r := range tx.Rows(g.table) {
					row = r
				}
			}
			if tx.Err() != nil {
				return tx.Err()
			}
			col := g.table.Column("options")
			if _, there := row.Map(col).Get("mac_prefix"); !there && g.db == z.schemas.NB {
				prefix := ipam.Prefix(z.store.ClusterID()).String()
				tx.PutInMap(g.table, row.UUID(), "options", "mac_prefix", prefix[:len("00:00:00")])
			}
			for k, v := range options {
				if now, ok := row.Map(col).Get(k); !ok || now != v {
					tx.PutInMap(g.table, row.UUID(), "options", k, v)
				}
			}
			return tx.Err()
		})
		if err != nil {
			return fmt.Errorf("preparing %s: %w", g.db.Name, err)
		}
	}
	return nil
}

// Step runs one round over the commits that are there. It is what Run does
// again and again, for callers that drive a zone by hand.
func (z *Zone) Step(ctx context.Context) error { return z.round(ctx, nil) }

// Program is the compiler's program, to look at between rounds.
func (z *Zone) Program() *compile.Program { return z.program }
