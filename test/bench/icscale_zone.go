package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"

	"govn/pkg/ovsdb"
	"govn/schema"
)

// zoneBed is a zone of which there is but what an agent sees: the two databases,
// with a router that has static routes, and what northd and a gateway would have
// written for its port on the transit switch.
type zoneBed struct {
	number int
	extra  int // routes of others beyond those at the beginning
	store  *ovsdb.Store
	nb, sb *ovsdb.DatabaseSchema
	router ovsdb.UUID
	lan    string // next hop of the static routes
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu      sync.Mutex
	learned int
	turned  chan struct{} // closed and replaced when learned has changed
	errs    []error
}

func zoneRemotes(dir string, z int) (nb, sb string) {
	return "unix:" + filepath.Join(dir, fmt.Sprintf("z%d", z), "nb.sock"), "unix:" + filepath.Join(dir, fmt.Sprintf("z%d", z), "sb.sock")
}

func newZoneBed(ctx context.Context, dir string, z, routes int) (_ *zoneBed, err error) {
	b := &zoneBed{number: z, lan: fmt.Sprintf("172.20.%d.2", z), turned: make(chan struct{})}
	if err := os.Mkdir(filepath.Join(dir, fmt.Sprintf("z%d", z)), 0o700); err != nil {
		return nil, err
	}
	if b.nb, err = ovsdb.ParseSchema(schema.Northbound().JSON()); err != nil {
		return nil, err
	}
	if b.sb, err = ovsdb.ParseSchema(schema.Southbound().JSON()); err != nil {
		return nil, err
	}
	log := slog.New(slog.DiscardHandler)
	inner, cancel := context.WithCancel(context.Background())
	b.cancel = cancel
	if b.store, err = ovsdb.Open(inner, ovsdb.NewMemoryEngine(), []ovsdb.Database{{Schema: b.nb}, {Schema: b.sb}}, ovsdb.Options{Logger: log, History: 64}); err != nil {
		cancel()
		return nil, err
	}
	if err := b.fill(ctx, routes); err != nil {
		return nil, errors.Join(err, b.close())
	}
	sub := b.store.Subscribe()
	b.wg.Go(func() {
		defer sub.Close()
		b.count(inner, sub)
	})
	nb, sb := zoneRemotes(dir, z)
	for name, remote := range map[string]string{b.nb.Name: nb, b.sb.Name: sb} {
		l, err := net.Listen("unix", remote[len("unix:"):])
		if err != nil {
			return nil, errors.Join(err, b.close())
		}
		srv := ovsdb.NewServer(b.store, ovsdb.ServerOptions{Logger: log, Databases: []string{name}})
		b.wg.Go(func() {
			if err := srv.Serve(inner, l); err != nil {
				b.mu.Lock()
				b.errs = append(b.errs, err)
				b.mu.Unlock()
			}
		})
	}
	return b, nil
}

func (b *zoneBed) close() error {
	b.cancel()
	b.wg.Wait()
	return errors.Join(append(b.errs, b.store.Close())...)
}

func (b *zoneBed) update(ctx context.Context, db *ovsdb.DatabaseSchema, fn func(tx *ovsdb.Txn)) error {
	_, err := b.store.Update(ctx, db, ovsdb.OwnerClient, func(tx *ovsdb.Txn) error {
		fn(tx)
		return tx.Err()
	})
	if err != nil {
		return fmt.Errorf("zone %d: %w", b.number, err)
	}
	return nil
}

type cells = map[string]ovsdb.Value

func text(pairs ...string) ovsdb.Map {
	m := map[string]string{}
	for i := 0; i+1 < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
	}
	return ovsdb.StringMap(m)
}

func (b *zoneBed) name(what string) string { return fmt.Sprintf("%s%d", what, b.number) }

// fill writes the router with its routes, and the gateway.
func (b *zoneBed) fill(ctx context.Context, routes int) error {
	err := b.update(ctx, b.nb, func(tx *ovsdb.Txn) {
		tx.Insert(b.nb.Table("NB_Global"), ovsdb.UUID{}, cells{"name": b.name("zone"), "options": text("ic-route-adv", "true", "ic-route-learn", "true")})
		lan := tx.Insert(b.nb.Table("Logical_Router_Port"), ovsdb.UUID{}, cells{"name": b.name("lan"), "mac": "0a:00:00:00:01:01",
			"networks": ovsdb.NewSet(fmt.Sprintf("172.20.%d.1/24", b.number))})
		b.router = tx.Insert(b.nb.Table("Logical_Router"), ovsdb.UUID{}, cells{"name": b.name("router"), "ports": ovsdb.NewSet(lan)})
		for r := range routes {
			b.insertRoute(tx, fmt.Sprintf("10.%d.%d.0/24", b.number, r))
		}
	})
	if err != nil {
		return err
	}
	return b.update(ctx, b.sb, func(tx *ovsdb.Txn) {
		tx.Insert(b.sb.Table("SB_Global"), ovsdb.UUID{}, nil)
		encap := tx.Insert(b.sb.Table("Encap"), ovsdb.UUID{}, cells{"type": "geneve", "ip": fmt.Sprintf("203.0.113.%d", b.number+1), "chassis_name": b.name("gw")})
		tx.Insert(b.sb.Table("Chassis"), ovsdb.UUID{}, cells{"name": b.name("gw"), "hostname": b.name("gw"), "encaps": ovsdb.NewSet(encap),
			"other_config": text("is-interconn", "true")})
	})
}

func (b *zoneBed) insertRoute(tx *ovsdb.Txn, prefix string) {
	u := tx.Insert(b.nb.Table("Logical_Router_Static_Route"), ovsdb.UUID{}, cells{"ip_prefix": prefix, "nexthop": b.lan})
	tx.AddToSet(b.nb.Table("Logical_Router"), b.router, "static_routes", u)
}

func (b *zoneBed) addRoute(ctx context.Context, prefix string) error {
	return b.update(ctx, b.nb, func(tx *ovsdb.Txn) { b.insertRoute(tx, prefix) })
}

// attach waits for the transit switch and gives the router a port on it, with what
// northd and the gateway would make of that.
func (b *zoneBed) attach(ctx context.Context) error {
	ls := b.nb.Table("Logical_Switch")
	sn, sub := b.store.SubscribeSnapshot()
	defer sub.Close()
	var ts ovsdb.UUID
	for ts.IsZero() {
		for row := range sn.Rows(ls) {
			if row.Str(ls.Column("name")) == "ts1" {
				ts = row.UUID()
			}
		}
		if !ts.IsZero() {
			break
		}
		if _, err := sub.Next(ctx); err != nil {
			return fmt.Errorf("zone %d: waiting for the transit switch: %w", b.number, err)
		}
		sn = b.store.Snapshot()
	}
	lrp, lsp := b.name("router-ts1-"), b.name("ts1-router-")
	mac, network := fmt.Sprintf("0a:00:00:01:00:%02x", b.number), fmt.Sprintf("169.254.100.%d/24", b.number+1)
	err := b.update(ctx, b.nb, func(tx *ovsdb.Txn) {
		gw := tx.Insert(b.nb.Table("Gateway_Chassis"), ovsdb.UUID{}, cells{"name": lrp + "-gw", "chassis_name": b.name("gw"), "priority": int64(1)})
		u := tx.Insert(b.nb.Table("Logical_Router_Port"), ovsdb.UUID{}, cells{"name": lrp, "mac": mac,
			"networks": ovsdb.NewSet(network), "gateway_chassis": ovsdb.NewSet(gw)})
		tx.AddToSet(b.nb.Table("Logical_Router"), b.router, "ports", u)
		p := tx.Insert(b.nb.Table("Logical_Switch_Port"), ovsdb.UUID{}, cells{"name": lsp, "type": "router",
			"addresses": ovsdb.NewSet("router"), "options": text("router-port", lrp)})
		tx.AddToSet(ls, ts, "ports", p)
	})
	if err != nil {
		return err
	}
	return b.update(ctx, b.sb, func(tx *ovsdb.Txn) {
		var chassis ovsdb.UUID
		for row := range tx.Rows(b.sb.Table("Chassis")) {
			if row.Str(b.sb.Table("Chassis").Column("name")) == b.name("gw") {
				chassis = row.UUID()
			}
		}
		dps, pbs := b.sb.Table("Datapath_Binding"), b.sb.Table("Port_Binding")
		dp := tx.Insert(dps, ovsdb.UUID{}, cells{"tunnel_key": int64(1), "external_ids": text("logical-switch", ts.String(), "name", "ts1", "interconn-ts", "ts1")})
		lr := tx.Insert(dps, ovsdb.UUID{}, cells{"tunnel_key": int64(2), "external_ids": text("logical-router", b.router.String(), "name", b.name("router"))})
		tx.Insert(pbs, ovsdb.UUID{}, cells{"logical_port": lsp, "type": "patch", "datapath": dp, "tunnel_key": int64(1),
			"mac": ovsdb.NewSet("router"), "options": text("peer", lrp)})
		tx.Insert(pbs, ovsdb.UUID{}, cells{"logical_port": lrp, "type": "patch", "datapath": lr, "tunnel_key": int64(1),
			"mac": ovsdb.NewSet(mac + " " + network), "options": text("peer", lsp, "chassis-redirect-port", "cr-"+lrp)})
		tx.Insert(pbs, ovsdb.UUID{}, cells{"logical_port": "cr-" + lrp, "type": "chassisredirect", "datapath": lr, "tunnel_key": int64(2),
			"chassis": ovsdb.NewSet(chassis), "options": text("distributed-port", lrp)})
	})
}

// count follows the routes that were learned.
func (b *zoneBed) count(ctx context.Context, sub *ovsdb.Subscription) {
	routes := b.nb.Table("Logical_Router_Static_Route")
	ids := routes.Column("external_ids")
	learned := func(row *ovsdb.Row) int {
		if row != nil && row.Map(ids).Str("ic-learned-route") != "" {
			return 1
		}
		return 0
	}
	for {
		commits, err := sub.Next(ctx)
		if err != nil {
			return
		}
		n := 0
		for _, c := range commits {
			for i := range c.Changes {
				if ch := &c.Changes[i]; ch.Table == routes {
					n += learned(ch.New) - learned(ch.Old)
				}
			}
		}
		if n == 0 {
			continue
		}
		b.mu.Lock()
		b.learned += n
		close(b.turned)
		b.turned = make(chan struct{})
		b.mu.Unlock()
	}
}

// await waits until so many routes are learned.
func (b *zoneBed) await(ctx context.Context, n int) error {
	for {
		b.mu.Lock()
		have, turned := b.learned, b.turned
		b.mu.Unlock()
		if have == n {
			return nil
		}
		select {
		case <-turned:
		case <-ctx.Done():
			return fmt.Errorf("zone %d has learned %d routes, not %d: %w", b.number, have, n, ctx.Err())
		}
	}
}
