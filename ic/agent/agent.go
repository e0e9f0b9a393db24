package agent

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/ovn-org/libovsdb/model"
	"golang.org/x/sync/errgroup"

	"govn/pkg/incr"
)

// Options are the options of Run.
type Options struct {
	// NB and SB are the databases of the zone, ICNB and ICSB those of the
	// interconnection: unix:PATH or tcp:HOST:PORT. Required.
	NB, SB, ICNB, ICSB string

	Logger *slog.Logger // optional: slog.Default()
	Ready  func()       // optional: called when the agent has begun
}

// agent is one goroutine that takes in what databases tell, evaluates, and writes.
type agent struct {
	log      *slog.Logger
	wake     chan struct{}
	replicas []*replica
	in       *input
	e        *incr.Engine
	p        *program
	w        *writer
	changed  []rowChange // since the last step
}

// Run joins a zone to the interconnection until ctx ends. It returns nil then.
// While a database cannot be reached, what it said last counts.
func Run(ctx context.Context, o Options) error {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	for _, db := range [][2]string{{"northbound", o.NB}, {"southbound", o.SB}, {"IC northbound", o.ICNB}, {"IC southbound", o.ICSB}} {
		if db[1] == "" {
			return errors.New("the " + db[0] + " database is not given")
		}
	}
	a := newAgent(o)
	g, ctx := errgroup.WithContext(ctx)
	for _, r := range a.replicas {
		g.Go(func() error { return r.run(ctx) })
	}
	g.Go(func() error { return a.loop(ctx) })
	if o.Ready != nil {
		o.Ready()
	}
	return g.Wait()
}

func newAgent(o Options) *agent {
	a := &agent{log: o.Logger, wake: make(chan struct{}, 1)}
	a.e = incr.New(incr.Options{Logger: o.Logger})
	a.in = newInput(a.e)
	a.p = newProgram(a.in)
	follow := func(name, remote string, tables map[string]model.Model) *replica {
		r := &replica{name: name, remote: remote, tables: tables, log: o.Logger, wake: a.signal}
		a.replicas = append(a.replicas, r)
		return r
	}
	nb := follow("OVN_Northbound", o.NB, map[string]model.Model{
		"NB_Global": &nbGlobal{}, "Logical_Switch": &nbSwitch{}, "Logical_Switch_Port": &nbPort{},
		"Logical_Router": &nbRouter{}, "Logical_Router_Port": &nbRouterPort{}, "Logical_Router_Static_Route": &nbRoute{},
	})
	sb := follow("OVN_Southbound", o.SB, map[string]model.Model{
		"Chassis": &sbChassis{}, "Encap": &sbEncap{}, "Port_Binding": &sbPort{}, "Datapath_Binding": &sbDatapath{},
	})
	follow("OVN_IC_Northbound", o.ICNB, map[string]model.Model{"Transit_Switch": &icSwitch{}})
	icsb := follow("OVN_IC_Southbound", o.ICSB, map[string]model.Model{
		"Availability_Zone": &icZone{}, "Gateway": &icGateway{}, "Encap": &icEncap{},
		"Datapath_Binding": &icDatapath{}, "Port_Binding": &icPort{}, "Route": &icRoute{},
	})
	a.w = newWriter(a.in, a.p, nb, sb, icsb, o.Logger)
	return a
}

func (a *agent) signal() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// loop goes round whenever something changed, or is to be tried again.
func (a *agent) loop(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
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

// step takes in what changed, evaluates and writes. It returns when something is
// to be tried again; zero: nothing.
func (a *agent) step(ctx context.Context) (next time.Time) {
	if !a.take() {
		return next // a database that was never seen may be full of what nobody seems to want
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
	wrote, next := a.w.flush(ctx, time.Now())
	if wrote { // and that is to be taken in
		a.signal()
	}
	return next
}

// rowChange is a row as it was and as it is; nil is absent.
type rowChange struct{ old, now row }

// take takes in what changed in all databases. ready is false as long as one of
// them was never seen whole.
func (a *agent) take() (ready bool) {
	ready = true
	for _, r := range a.replicas {
		begun := r.take(func(_ string, old, now row) {
			a.in.set(old, now)
			a.changed = append(a.changed, rowChange{old, now})
		})
		ready = ready && begun
	}
	return ready
}
