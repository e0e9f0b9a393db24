package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/ovn-org/libovsdb/ovsdb"

	"govn/pkg/incr"
)

// kind is a kind of rows that the agent writes, in the order in which it does.
type kind uint8

const (
	kindZone     kind = iota // IC-SB: the zone itself
	kindDatapath             // IC-SB: key of a transit switch
	kindGateway              // IC-SB
	kindICPort               // IC-SB
	kindICRoute              // IC-SB
	kindSwitch               // NB
	kindPort                 // NB: port of another zone
	kindKey                  // NB: key of a port of ours
	kindRoute                // NB: learned route
	kindChassis              // SB: gateway of another zone
	kindBinding              // SB: where a port of another zone is
	kinds
)

var kindNames = [kinds]string{"zone", "transit switch key", "gateway", "port", "route", "switch", "remote port", "port key", "learned route", "remote chassis", "remote binding"}

// item is a row, by its kind and what identifies it there.
type item struct {
	kind      kind
	key, more string
}

func (i item) compare(o item) int {
	return cmp.Or(cmp.Compare(i.kind, o.kind), cmp.Compare(i.key, o.key), cmp.Compare(i.more, o.more))
}

func (i item) String() string { return fmt.Sprintf("%s %q", kindNames[i.kind], i.key) }

// Limits of the writer.
const (
	batchSize  = 256
	retryAfter = time.Second
	retryKey   = 10 * time.Millisecond // a key that another zone took meanwhile
)

var (
	// errWaits is returned by a plan that needs what another write brings first.
	errWaits = errors.New("waits for another row")
	// ErrTaken is wrapped by the error of a name that something else has.
	ErrTaken = errors.New("the name is taken")
)

// writer brings databases to what the program wants: whenever an item's row or
// what is wanted of it changes, it looks at both.
type writer struct {
	in    *input
	p     *program
	log   *slog.Logger
	db    [kinds]*replica
	dirty map[item]time.Time // when it is due
	said  map[item]string    // errors, so that each is logged once
	names int                // for named UUIDs
	own   string             // row of the zone
	// learners are the routers that are to have a route, by the route's row.
	learners map[string]map[string]bool

	wrote   bool
	planned map[string]map[int]bool // keys that the transaction in the making gives
}

func newWriter(in *input, p *program, nb, sb, icsb *replica, log *slog.Logger) *writer {
	w := &writer{in: in, p: p, log: log, dirty: make(map[item]time.Time), said: make(map[item]string), learners: make(map[string]map[string]bool)}
	for k := range kinds {
		switch {
		case k <= kindICRoute:
			w.db[k] = icsb
		case k <= kindRoute:
			w.db[k] = nb
		default:
			w.db[k] = sb
		}
	}
	w.mark(kindZone, "", "")
	return w
}

func (w *writer) mark(k kind, key, more string) { w.dirty[item{k, key, more}] = time.Time{} }

func drain[K comparable, V any](s *incr.Sink[K, V], mark func(K)) {
	for _, ch := range s.Drain() {
		mark(ch.Key)
	}
}

// wanted marks what the program wants otherwise since the last call.
func (w *writer) wanted() {
	by := func(k kind) func(string) { return func(key string) { w.mark(k, key, "") } }
	drain(w.p.datapaths, func(ts string) {
		w.mark(kindDatapath, ts, "")
		w.mark(kindSwitch, ts, "") // which may have lost its key before
	})
	drain(w.p.switches, by(kindSwitch))
	drain(w.p.gateways, by(kindGateway))
	drain(w.p.icPorts, by(kindICPort))
	drain(w.p.ports, by(kindPort))
	drain(w.p.keys, by(kindKey))
	drain(w.p.chassis, by(kindChassis))
	drain(w.p.bindings, by(kindBinding))
	drain(w.p.icRoutes, func(k routeKey) { w.mark(kindICRoute, k.ts, k.table+"\x00"+k.prefix+"\x00"+k.nexthop) })
	for _, ch := range w.p.routes.Drain() {
		w.mark(kindRoute, ch.Key.router, ch.Key.route)
		routers := w.learners[ch.Key.route]
		switch {
		case ch.New == nil:
			if delete(routers, ch.Key.router); len(routers) == 0 {
				delete(w.learners, ch.Key.route)
			}
		case routers == nil:
			w.learners[ch.Key.route] = map[string]bool{ch.Key.router: true}
		default:
			routers[ch.Key.router] = true
		}
	}
}

// saw marks the items that a row which changed belongs to.
func (w *writer) saw(old, now row) {
	for _, r := range []row{old, now} {
		switch r := r.(type) {
		case *nbGlobal, *icZone:
			w.mark(kindZone, "", "")
		case *nbSwitch:
			w.sawSwitch(r)
		case *nbPort:
			w.mark(kindPort, r.Name, "")
			w.mark(kindKey, r.UUID, "")
		case *nbRoute:
			w.sawRoute(r)
		case *sbChassis:
			w.mark(kindChassis, r.Name, "")
			for port, gateway := range w.p.bindings.All() {
				if gateway == r.Name {
					w.mark(kindBinding, port, "")
				}
			}
		case *sbPort:
			w.mark(kindBinding, r.LogicalPort, "")
			w.mark(kindPort, r.LogicalPort, "")
		case *icDatapath:
			w.mark(kindDatapath, r.TransitSwitch, "")
		case *icGateway:
			w.mark(kindGateway, r.Name, "")
		case *icPort:
			w.mark(kindICPort, r.LogicalPort, "")
		case *icRoute:
			w.mark(kindICRoute, r.TransitSwitch, r.RouteTable+"\x00"+r.IPPrefix+"\x00"+r.Nexthop)
		}
	}
	if is, ok := now.(*nbRouter); ok {
		was, _ := old.(*nbRouter)
		w.sawRouter(was, is)
	}
}

// sawSwitch marks the switch of a transit switch, and the ports that wait for it.
func (w *writer) sawSwitch(r *nbSwitch) {
	ts := r.OtherConfig[keyTransit]
	if ts == "" {
		return
	}
	w.mark(kindSwitch, ts, "")
	for name, want := range w.p.ports.All() {
		if want.ts == ts {
			w.mark(kindPort, name, "")
		}
	}
}

// sawRoute marks a learned route for the routers that are to have it and for the
// one that has it.
func (w *writer) sawRoute(r *nbRoute) {
	from := r.ExternalIDs[keyLearned]
	if from == "" {
		return
	}
	for router := range w.learners[from] {
		w.mark(kindRoute, router, from)
	}
	if router := w.in.routeAt.holder[r.UUID]; router != "" {
		w.mark(kindRoute, router, from)
	}
}

// sawRouter marks the learned routes that a router got.
func (w *writer) sawRouter(was, is *nbRouter) {
	had := make(map[string]bool)
	if was != nil {
		for _, u := range was.StaticRoutes {
			had[u] = true
		}
	}
	for _, u := range is.StaticRoutes {
		if r := w.in.route.rows[u]; r != nil && !had[u] {
			w.sawRoute(r)
		}
	}
}

// flush writes what is due. It tells whether anything was written, and when
// something is due next; zero: nothing.
func (w *writer) flush(ctx context.Context, now time.Time) (wrote bool, next time.Time) {
	w.wrote = false
	due := make(map[*replica][]item)
	for it, at := range w.dirty {
		if at.After(now) {
			if next.IsZero() || at.Before(next) {
				next = at
			}
			continue
		}
		db := w.db[it.kind]
		due[db] = append(due[db], it)
	}
	for db, items := range due {
		slices.SortFunc(items, item.compare)
		for batch := range slices.Chunk(items, batchSize) {
			if at := w.write(ctx, db, batch, now); !at.IsZero() && (next.IsZero() || at.Before(next)) {
				next = at
			}
		}
	}
	return w.wrote, next
}

// write runs one transaction for items of a database; where that refuses, one for
// each, so that the others are written.
func (w *writer) write(ctx context.Context, db *replica, items []item, now time.Time) (retry time.Time) {
	var ops []ovsdb.Operation
	var written []item
	w.planned = make(map[string]map[int]bool)
	for _, it := range items {
		more, err := w.plan(it)
		switch {
		case errors.Is(err, errWaits):
			delete(w.dirty, it) // what it waits for marks it
		case err != nil:
			retry = w.failed(it, err, now)
		case len(more) == 0:
			w.done(it)
		default:
			ops, written = append(ops, more...), append(written, it)
		}
	}
	if len(ops) == 0 {
		return retry
	}
	err := db.transact(ctx, ops)
	var refused *opError
	switch {
	case err == nil:
		w.wrote = true
		for _, it := range written {
			w.done(it)
		}
	case errors.As(err, &refused) && len(written) > 1:
		for _, it := range written {
			if at := w.write(ctx, db, []item{it}, now); !at.IsZero() {
				retry = at
			}
		}
	default:
		for _, it := range written {
			retry = w.failed(it, err, now)
		}
	}
	return retry
}

func (w *writer) done(it item) {
	delete(w.dirty, it)
	delete(w.said, it)
}

// failed has an item tried again later.
func (w *writer) failed(it item, err error, now time.Time) time.Time {
	at := now.Add(retryAfter)
	w.dirty[it] = at
	var refused *opError
	if errors.As(err, &refused) && it.kind == kindDatapath && refused.text == "timed out" {
		return at // another zone gave the key: its row is on the way
	}
	if refused != nil && it.kind == kindICPort && refused.text == "constraint violation" && w.said[it] == "" {
		// Another zone took the key first: its row is here or about to be. Chassis of
		// OVN may not follow a port whose key changes late.
		w.said[it] = "key taken"
		w.dirty[it] = now.Add(retryKey)
		return w.dirty[it]
	}
	text := err.Error()
	if refused != nil {
		text = refused.what + refused.text // the details have identities, new ones each time
	}
	if w.said[it] != text && !errors.Is(err, errAway) {
		w.said[it] = text
		w.log.Warn("a row cannot be written", "db", w.db[it.kind].name, "row", it.String(), "err", err)
	}
	return at
}
