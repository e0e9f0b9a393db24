package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/ovn-org/libovsdb/ovsdb"

	"govn/pkg/incr"
	"govn/pkg/interconnect"
	checked "govn/pkg/ovsdb"
)

// kind is a kind of rows that the agent writes, in the order in which it does.
type kind uint8

const (
	kindZone     kind = iota // IC-SB: the zone itself
	kindDatapath             // IC-SB: key of a transit switch
	kindGateway              // IC-SB
	kindICPort               // IC-SB
	kindICRoute              // IC-SB
	kindIdentity             // NB: what the zone is for ever
	kindSwitch               // NB
	kindPort                 // NB: port of another zone
	kindKey                  // NB: key of a port of ours
	kindRoute                // NB: learned route
	kindChassis              // SB: gateway of another zone
	kindBinding              // SB: where a port of another zone is
	kinds
)

var kindNames = [kinds]string{"zone", "transit switch key", "gateway", "port", "route", "zone identity", "switch", "remote port", "port key", "learned route", "remote chassis", "remote binding"}

// item is a row, by its kind and what identifies it there.
type item struct {
	kind      kind
	key, more string
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
	db    [kinds]*replica // nil: nothing of the kind is written
	dirty queue
	said  map[item]string // errors, so that each is logged once
	names int             // for named UUIDs
	id    string          // the zone's for ever, in hexadecimal; "" until it has one
	// learners are the routers that are to have a route, by the route's row.
	learners map[string][]string

	keys    interconnect.TransitKeys // of transit switches
	planned map[string]map[int]bool  // keys that the transaction in the making gives

	busy    map[*replica]bool      // a transaction has no answer yet
	pause   map[*replica]time.Time // the last one had none, or no connection
	silent  map[*replica]string    // why, as it was logged
	alone   map[item]bool          // a transaction with others was refused
	publish func(item)             // what others are told, where a centre tells them
	took    func(db string, d time.Duration)
	running sync.WaitGroup
	wake    func()
	mu      sync.Mutex
	results []result
}

// result is the answer to a transaction.
type result struct {
	db    *replica
	items map[item]time.Time // since when they were due
	err   error
}

// newWriter makes a writer; without icsb nothing is written for others.
func newWriter(in *input, p *program, nb, sb, icsb *replica, log *slog.Logger, wake func()) *writer {
	w := &writer{
		in: in, p: p, log: log, wake: wake, dirty: newQueue(), said: make(map[item]string), learners: make(map[string][]string),
		busy: make(map[*replica]bool), pause: make(map[*replica]time.Time), silent: make(map[*replica]string), alone: make(map[item]bool), publish: func(item) {}, took: func(string, time.Duration) {},
	}
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
	w.mark(kindIdentity, "", "")
	w.mark(kindZone, "", "")
	return w
}

func (w *writer) mark(k kind, key, more string) {
	if w.db[k] == nil {
		return
	}
	w.dirty.add(item{k, key, more}, time.Now())
}

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
	tell := func(it item) {
		w.mark(it.kind, it.key, it.more)
		w.publish(it)
	}
	drain(w.p.gateways, func(name string) { tell(item{kindGateway, name, ""}) })
	drain(w.p.icPorts, func(name string) { tell(item{kindICPort, name, ""}) })
	drain(w.p.ports, by(kindPort))
	drain(w.p.keys, by(kindKey))
	drain(w.p.chassis, by(kindChassis))
	drain(w.p.bindings, by(kindBinding))
	drain(w.p.icRoutes, func(k routeKey) { tell(k.item()) })
	for _, ch := range w.p.routes.Drain() {
		w.mark(kindRoute, ch.Key.router, ch.Key.route)
		routers := w.learners[ch.Key.route]
		i, there := slices.BinarySearch(routers, ch.Key.router)
		switch {
		case ch.New != nil && !there:
			w.learners[ch.Key.route] = slices.Insert(routers, i, ch.Key.router)
		case ch.New == nil && there && len(routers) == 1:
			delete(w.learners, ch.Key.route)
		case ch.New == nil && there:
			w.learners[ch.Key.route] = slices.Delete(routers, i, i+1)
		}
	}
}

// saw marks the items that a row which changed belongs to.
func (w *writer) saw(old, now row) {
	for _, r := range []row{old, now} {
		switch r := r.(type) {
		case *nbGlobal, *icZone:
			w.mark(kindZone, "", "")
			w.mark(kindIdentity, "", "")
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

// sawRoute marks a learned route for the routers that are to have it and for those
// that have it.
func (w *writer) sawRoute(r *nbRoute) {
	from := r.ExternalIDs[keyLearned]
	if from == "" {
		return
	}
	for _, router := range w.learners[from] {
		w.mark(kindRoute, router, from)
	}
	for _, router := range w.in.routeAt.all(r.UUID) {
		w.mark(kindRoute, router, from)
	}
}

// sawRouter marks the learned routes that a router got.
func (w *writer) sawRouter(was, is *nbRouter) {
	var before checked.Set
	if was != nil {
		before = was.StaticRoutes
	}
	_, come := checked.DiffSets(before, is.StaticRoutes)
	for _, u := range textsOf(come) {
		if r := w.in.route.rows[u]; r != nil {
			w.sawRoute(r)
		}
	}
}

// flush begins a transaction for each database that has something due and none
// without an answer: one that hangs holds up no other.
// Until all databases were seen, nothing but the zone's identity is written. It
// returns when something is due next; zero: nothing is, or an answer comes first.
func (w *writer) flush(ctx context.Context, now time.Time, ready bool) (next time.Time) {
	w.dirty.ripen(now)
	last := kind(0)
	for k := kind(0); k < kinds; k = last { // the kinds of one database follow each other
		for last = k + 1; last < kinds && w.db[last] == w.db[k]; last++ {
		}
		until := w.pause[w.db[k]]
		switch {
		case w.db[k] == nil || w.busy[w.db[k]]:
		case until.After(now):
			if w.dirty.any(k, last) {
				next = sooner(next, until)
			}
		case ready:
			w.write(ctx, k, last, now)
		case k <= kindIdentity && kindIdentity < last:
			w.write(ctx, kindIdentity, kindIdentity+1, now)
		}
	}
	return sooner(next, w.dirty.next())
}

// sooner is the first of two times; zero is none.
func sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// write plans what is due of some kinds until there is enough for one transaction,
// and begins it.
func (w *writer) write(ctx context.Context, from, to kind, now time.Time) {
	var ops []ovsdb.Operation
	db, written := w.db[from], make(map[item]time.Time)
	w.planned = make(map[string]map[int]bool)
	for len(written) < batchSize {
		it, since, ok := w.dirty.peek(from, to)
		if !ok || w.alone[it] && len(written) > 0 {
			break // the rest is due when this one is answered
		}
		more, err := w.plan(it)
		switch {
		case errors.Is(err, errWaits):
			w.forget(it) // what it waits for marks it
		case err != nil:
			w.failed(it, since, err, now)
		case len(more) == 0:
			w.done(it)
		default:
			ops = append(ops, more...)
			written[it] = since
			w.dirty.remove(it)
		}
		if w.alone[it] && len(written) > 0 {
			break
		}
	}
	if len(written) == 0 {
		return
	}
	ops = united(ops)
	w.busy[db] = true
	w.running.Go(func() {
		err := db.transact(ctx, ops)
		w.mu.Lock()
		w.results = append(w.results, result{db, written, err})
		w.mu.Unlock()
		w.wake()
	})
}

// take takes in answers. Items of a transaction that is refused are tried one by
// one, so that the others are written; those of one without an answer together.
func (w *writer) take(now time.Time) {
	w.mu.Lock()
	list := w.results
	w.results = nil
	w.mu.Unlock()
	for _, r := range list {
		delete(w.busy, r.db)
		var refused *opError
		if r.err != nil && !errors.As(r.err, &refused) {
			w.unanswered(&r, now)
			continue
		}
		delete(w.silent, r.db)
		for it, since := range r.items {
			switch {
			case r.err == nil:
				w.took(r.db.name, now.Sub(since))
				if delete(w.alone, it); !w.dirty.has(it) {
					delete(w.said, it)
					// Somebody may have undone it before it was seen.
					w.dirty.later(it, now.Add(retryAfter), now)
				}
			case len(r.items) > 1:
				w.alone[it] = true
				w.dirty.add(it, since)
			default:
				w.failed(it, since, r.err, now)
			}
		}
	}
}

// unanswered has the items of a transaction written again, after a while. It may
// have been done all the same: they are planned by what is there then.
func (w *writer) unanswered(r *result, now time.Time) {
	for it, since := range r.items {
		w.dirty.add(it, since)
	}
	w.pause[r.db] = now.Add(retryAfter)
	if text := r.err.Error(); w.silent[r.db] != text && !errors.Is(r.err, errAway) {
		w.silent[r.db] = text
		w.log.Warn("a transaction has no answer", "db", r.db.name, "rows", len(r.items), "err", r.err, "retry", retryAfter)
	}
}

func (w *writer) forget(it item) {
	w.dirty.remove(it)
	delete(w.alone, it)
}

func (w *writer) done(it item) {
	w.forget(it)
	delete(w.said, it)
}

// failed has an item tried again later.
func (w *writer) failed(it item, since time.Time, err error, now time.Time) {
	w.dirty.later(it, now.Add(retryAfter), since)
	delete(w.alone, it)
	var refused *opError
	if errors.As(err, &refused) && it.kind == kindDatapath && refused.text == "timed out" {
		return // another zone gave the key: its row is on the way
	}
	if refused != nil && it.kind == kindICPort && refused.text == "constraint violation" && w.said[it] == "" {
		// Another zone took the key first: its row is here or about to be. Chassis of
		// OVN may not follow a port whose key changes late.
		w.said[it] = "key taken"
		w.dirty.later(it, now.Add(retryKey), since)
		return
	}
	text := err.Error()
	if refused != nil {
		text = refused.what + refused.text // the details have identities, new ones each time
	}
	if w.said[it] != text {
		w.said[it] = text
		w.log.Warn("a row cannot be written", "db", w.db[it.kind].name, "row", it.String(), "err", err)
	}
}
