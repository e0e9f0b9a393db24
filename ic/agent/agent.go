package agent

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/ovn-org/libovsdb/model"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"govn/pkg/certs"
	"govn/pkg/incr"
	"govn/pkg/ovsdb"
)

// Options are the options of Run.
type Options struct {
	// NB and SB are the databases of the zone: unix:PATH, tcp:HOST:PORT or
	// ssl:HOST:PORT. Required.
	NB, SB string
	// IC is the interconnection's service, in the same notation. Either it is
	// given, or ICNB and ICSB, the databases of the interconnection.
	IC         string
	ICNB, ICSB string
	// Keys are for what is at ssl:HOST:PORT.
	Keys certs.Files

	Logger   *slog.Logger          // optional: slog.Default()
	Registry prometheus.Registerer // optional: nobody measures
	Ready    func()                // optional: called when the agent has begun
	// Handle registers commands of the control socket. Optional.
	Handle func(name, usage string, min, max int, fn Command)
}

// Command answers a command of the control socket.
type Command func(ctx context.Context, args []string) (string, error)

// check finds what is missing, and databases that are none.
func (o *Options) check() error {
	switch {
	case o.NB == "" || o.SB == "":
		return errors.New("the databases of the zone are not given")
	case o.IC != "" && (o.ICNB != "" || o.ICSB != ""):
		return ErrBoth
	case o.IC == "" && (o.ICNB == "" || o.ICSB == ""):
		return errors.New("neither the service nor the two databases of the interconnection are given")
	}
	for _, db := range []struct{ name, remote string }{{"OVN_Northbound", o.NB}, {"OVN_Southbound", o.SB}, {"OVN_IC_Northbound", o.ICNB}, {"OVN_IC_Southbound", o.ICSB}} {
		if db.remote == "" {
			continue // the service is used
		}
		if err := ovsdb.CheckRemote(db.remote); err != nil {
			return fmt.Errorf("%s: %w", db.name, err)
		}
	}
	return nil
}

// ErrBoth is returned when both the service and the databases of the
// interconnection are given.
var ErrBoth = errors.New("the interconnection's service and its databases exclude each other")

// source is what the agent follows.
type source interface {
	run(ctx context.Context) error
	// take tells what changed since the last call. ready is false as long as it
	// was never seen whole.
	take(changed func(old, now row)) (ready bool)
}

// agent is one goroutine that takes in what databases tell, evaluates, and writes.
type agent struct {
	log      *slog.Logger
	wake     chan struct{}
	sources  []source
	replicas []*replica
	centre   *centre // nil: databases of the interconnection are used
	in       *input
	e        *incr.Engine
	p        *program
	w        *writer
	pub      *publisher // with a centre
	m        *metrics
	changed  []rowChange // since the last step
	asks     chan func()
	told     map[string]bool // what was logged
}

// Run joins a zone to the interconnection until ctx ends. It returns nil then.
// While a database or the service cannot be reached, what it said last counts.
func Run(ctx context.Context, o Options) error {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if err := o.check(); err != nil {
		return err
	}
	a, err := newAgent(o)
	if err != nil {
		return err
	}
	if o.Registry != nil {
		if err := a.m.register(o.Registry); err != nil {
			return err
		}
	}
	return a.run(ctx, func() {
		a.commands(o.Handle)
		if o.Ready != nil {
			o.Ready()
		}
	})
}

// run follows the sources until ctx ends. begun is called when it has begun.
func (a *agent) run(ctx context.Context, begun func()) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, s := range a.sources {
		g.Go(func() error { return s.run(ctx) })
	}
	g.Go(func() error { return a.loop(ctx) })
	begun()
	return g.Wait()
}

func newAgent(o Options) (*agent, error) {
	a := &agent{log: o.Logger, wake: make(chan struct{}, 1), asks: make(chan func()), told: make(map[string]bool)}
	a.e = incr.New(incr.Options{Logger: o.Logger})
	a.in = newInput(a.e)
	a.p = newProgram(a.in)
	a.m = newMetrics(a)
	keys := certs.NewLoader(o.Keys, o.Logger)
	follow := func(name, remote string, tables map[string]model.Model) *replica {
		r := &replica{name: name, remote: remote, keys: keys, tables: tables, log: o.Logger, wake: a.signal}
		a.replicas, a.sources = append(a.replicas, r), append(a.sources, r)
		return r
	}
	nb := follow("OVN_Northbound", o.NB, map[string]model.Model{
		"NB_Global": &nbGlobal{}, "Logical_Switch": &nbSwitch{}, "Logical_Switch_Port": &nbPort{},
		"Logical_Router": &nbRouter{}, "Logical_Router_Port": &nbRouterPort{}, "Logical_Router_Static_Route": &nbRoute{},
	})
	sb := follow("OVN_Southbound", o.SB, map[string]model.Model{
		"Chassis": &sbChassis{}, "Encap": &sbEncap{}, "Port_Binding": &sbPort{}, "Datapath_Binding": &sbDatapath{},
	})
	var icsb *replica
	if o.IC == "" {
		follow("OVN_IC_Northbound", o.ICNB, map[string]model.Model{"Transit_Switch": &icSwitch{}})
		icsb = follow("OVN_IC_Southbound", o.ICSB, map[string]model.Model{
			"Availability_Zone": &icZone{}, "Gateway": &icGateway{}, "Encap": &icEncap{},
			"Datapath_Binding": &icDatapath{}, "Port_Binding": &icPort{}, "Route": &icRoute{},
		})
	} else {
		a.centre = newCentre(o.IC, o.Logger, a.signal)
		dial, err := dialer(o.IC, keys)
		if err != nil {
			return nil, err
		}
		a.centre.dial = dial
		a.sources = append(a.sources, a.centre)
		a.in.first = true
	}
	a.w = newWriter(a.in, a.p, nb, sb, icsb, o.Logger, a.signal)
	a.w.took = a.m.took
	if a.centre != nil {
		a.pub = newPublisher(a.centre, a.p, o.Logger)
		a.pub.took = func(d time.Duration) { a.m.took("centre", d) }
		a.w.publish = func(it item) { a.pub.mark(it, time.Now()) }
	}
	return a, nil
}

func (a *agent) signal() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// loop goes round whenever something changed, or is to be tried again.
func (a *agent) loop(ctx context.Context) error {
	defer a.w.running.Wait()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case fn := <-a.asks:
			fn()
			continue
		case <-a.wake:
		case <-timer.C:
		}
		next := a.step(ctx)
		timer.Stop()
		if !next.IsZero() {
			timer.Reset(time.Until(next))
		}
	}
}

// call runs fn between two steps.
func (a *agent) call(ctx context.Context, fn func()) error {
	done := make(chan struct{})
	select {
	case a.asks <- func() { defer close(done); fn() }:
		<-done
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// step takes in what changed, evaluates and writes. It returns when something is
// to be tried again; zero: nothing.
func (a *agent) step(ctx context.Context) (next time.Time) {
	now := time.Now()
	a.w.take(now) // before rows are, which have then what was written
	ready := a.take()
	a.identify()
	if !ready { // a database that was never seen may be full of what nobody seems to want
		return a.w.flush(ctx, now, false)
	}
	a.e.Run()
	for _, failed := range a.e.DrainErrors() {
		if failed.Err != nil {
			a.log.Warn("an object is left out", "unit", failed.Unit, "err", failed.Err)
		}
	}
	a.w.wanted()
	for _, ch := range a.changed {
		a.w.saw(ch.old, ch.now)
	}
	a.changed = nil
	a.unused()
	next = a.w.flush(ctx, now, true)
	if a.pub != nil {
		if at := a.pub.flush(now); !at.IsZero() && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	return next
}

// identify finds out who the zone is: its identity, which it gets when it has
// none, its name, and its row.
func (a *agent) identify() {
	if a.in.global != nil {
		have := a.in.externalID(keyZoneID)
		if _, err := parseZoneID(have); err == nil {
			a.w.id = have
		}
		if a.w.id == "" {
			a.w.id = newZoneID()
			a.w.mark(kindIdentity, "", "")
		}
		if a.centre != nil && have == a.w.id {
			a.join(have)
		}
	} else if a.replicas[0].seen() {
		a.once("OVN_Northbound has no row in NB_Global: the zone joins when it has one")
	}
	own, strict := a.ownRow()
	a.in.setStrict(strict)
	if own != a.in.own {
		a.in.setOwn(own)
		a.w.again()
	}
}

// join tells the centre as whom.
func (a *agent) join(id string) {
	name := a.in.name()
	if name == "" {
		a.once("NB_Global has no name: the zone joins when it has one")
		return
	}
	if b, err := parseZoneID(id); err == nil {
		a.centre.identify(identity{b, name})
	}
}

func (a *agent) once(text string) {
	if !a.told[text] {
		a.told[text] = true
		a.log.Warn(text)
	}
}

// ownRow is the row of the zone: what the centre says; or that which it had, also
// before a restart, whatever it is called; or that with its name.
func (a *agent) ownRow() (az string, strict bool) {
	if a.centre != nil {
		return a.centre.zone()
	}
	for _, uuid := range []string{a.in.own, a.in.externalID(keyZoneRow)} {
		if _, ok := a.in.az.rows[uuid]; ok {
			return uuid, false
		}
	}
	if az, ok := a.in.az.peek(a.in.name()); ok && a.in.name() != "" {
		return az.UUID, false
	}
	return "", false
}

// newZoneID is 128 random bits.
func newZoneID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// rowChange is a row as it was and as it is; nil is absent.
type rowChange struct{ old, now row }

// take takes in what changed everywhere. ready is false as long as one source was
// never seen whole.
func (a *agent) take() (ready bool) {
	ready = true
	for _, s := range a.sources {
		begun := s.take(func(old, now row) {
			a.in.set(old, now)
			a.changed = append(a.changed, rowChange{old, now})
		})
		ready = ready && begun
	}
	return ready
}
