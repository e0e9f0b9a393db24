package oracle

import (
	"context"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"govn/sim"
	"govn/sim/lab"
)

// Simulator sends microflows as packets through a simulated network.
type Simulator struct {
	name   string
	s      *sim.Scenario
	home   map[[2]string]*sim.Station // by logical port, and by it and chassis
	nested nesting
}

// NewSimulator brings a topology up in the simulator, has the MACs behind ports
// with unknown addresses learned, and takes the controllers away: packets that
// they get change nothing any more.
func NewSimulator(ctx context.Context, name string, cfg *lab.Config) (_ *Simulator, err error) {
	s, err := sim.Start(ctx, cfg, sim.Options{Trace: true, Deaf: true})
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = s.Close()
		}
	}()
	e := &Simulator{name: name, s: s, home: map[[2]string]*sim.Station{}, nested: newNesting(cfg)}
	for _, w := range cfg.Workloads {
		e.home[[2]string{w.Port}] = s.Station(w.Name)
		e.home[[2]string{w.Port, w.Chassis}] = s.Station(w.Name)
	}
	if err := e.learn(ctx, cfg); err != nil {
		return nil, err
	}
	for _, c := range s.Chassis() {
		if err := c.StopController(); err != nil {
			return nil, err
		}
	}
	return e, nil
}

// learn is LearnFDB.
func (e *Simulator) learn(ctx context.Context, cfg *lab.Config) error {
	want := 0
	for port, mac := range stations(cfg) {
		frame, err := hex.DecodeString("ffffffffffff" + strings.ReplaceAll(mac, ":", "") + "88b5" + strings.Repeat("00", 46))
		if err != nil {
			return err
		}
		e.home[[2]string{port}].Send(frame)
		if p := cfg.Topology.Port(port); !p.Disabled && len(p.PortSecurity) == 0 {
			want++
		}
	}
	if err := e.s.Run(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	err := e.s.Zone.Until(ctx, fmt.Sprintf("%d MACs are learned", want), func() bool {
		return e.s.Zone.Store.Snapshot().Len(e.s.Zone.Columns.FDB.Table) >= want
	})
	if err != nil {
		return err
	}
	return e.s.Zone.Settle(ctx)
}

// Close ends the network.
func (e *Simulator) Close() error { return e.s.Close() }

// Name implements [Engine].
func (e *Simulator) Name() string { return e.name }

// Role implements [Engine].
func (e *Simulator) Role() Role { return RoleSimulator }

// stationAge is more than the 300 s after which a bridge forgets a station.
const stationAge = 10 * time.Minute

// Trace implements [Engine].
func (e *Simulator) Trace(ctx context.Context, flows []Microflow) ([]Answer, error) {
	answers := make([]Answer, len(flows))
	for i := range flows {
		v, err := e.follow(ctx, &flows[i])
		if err != nil {
			return nil, fmt.Errorf("microflow %d: %w", i, err)
		}
		answers[i].Verdicts = []Verdict{v.sorted()}
	}
	return answers, nil
}

func (e *Simulator) follow(ctx context.Context, m *Microflow) (Verdict, error) {
	port, p := e.nested.enter(m)
	from := e.home[[2]string{port, m.At}]
	if from == nil {
		return nil, fmt.Errorf("port %q is on no chassis", port)
	}
	frame, err := p.Frame()
	if err != nil {
		return nil, err
	}
	in, err := ParseFrame(frame)
	if err != nil {
		return nil, err
	}
	e.nested.leave(port, in) // rewrites are against the packet without that tag
	// No bridge of a physical network knows where anybody is, as in ofproto/trace.
	if err := e.s.Advance(ctx, stationAge); err != nil {
		return nil, err
	}
	way := from.Send(frame)
	if err := e.s.Run(ctx); err != nil {
		return nil, err
	}
	var v Verdict
	way.Walk(func(d *sim.Node) {
		if d.Trace != nil {
			for _, p := range punts(d.Trace.String()) {
				if p.kind != "" {
					v = append(v, Output{Punt: p.kind})
				}
			}
		}
		if d.Kind != sim.NodeDelivered {
			return
		}
		out, perr := ParseFrame(d.Frame)
		if perr != nil {
			err = perr
		}
		v = append(v, Output{Port: e.nested.leave(e.s.Station(d.Where).Port, out), Rewrites: rewrites(in, out)})
	})
	return v, err
}
