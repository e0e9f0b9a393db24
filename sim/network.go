package sim

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"govn/sim/vswitch"
)

// Options of New.
type Options struct {
	// Dir holds a folder per chassis with its sockets. Optional: a temporary one,
	// removed by Close. Paths of unix sockets are limited to 107 bytes.
	Dir string
	// Logger takes the log of everything. Optional: none.
	Logger *slog.Logger
	// UnderlayMTU is the size of the largest outer IP packet. Optional: no limit.
	UnderlayMTU int
	// Trace keeps what happens in flow tables, on every node of a way.
	Trace bool
	// Deaf makes the workloads of Start answer nothing.
	Deaf bool
}

// Network is chassis on an underlay, and the workloads on them. Time in it is
// simulated and stands still but for what Run and its relatives let happen; only
// one of them is at work at a time.
type Network struct {
	dir     string
	own     bool // dir is ours to remove
	log     *slog.Logger
	ctx     context.Context
	cancel  context.CancelFunc
	clock   *clock
	line    *timeline
	tracing bool
	punts   atomic.Int64 // packets that controllers may answer

	running  sync.Mutex // held by whoever lets events happen
	watching sync.Mutex // held by whoever looks at BFD

	mu           sync.Mutex
	wire         segment
	chassis      map[string]*Chassis
	byIP         map[netip.Addr]*Chassis
	stations     map[string]*Station
	underlayMTU  int
	fault        Fault
	recording    bool
	journeys     []*Node
	keepUnderlay bool
	underlay     []Captured
	pcaps        map[string]*captureFile
	pcapPath     func(name string) string
	captureErr   error
}

// New makes a network without chassis. It lives until Close.
func New(o Options) (*Network, error) {
	n := &Network{
		dir: o.Dir, log: o.Logger, clock: &clock{}, tracing: o.Trace, underlayMTU: o.UnderlayMTU,
		chassis: map[string]*Chassis{}, byIP: map[netip.Addr]*Chassis{}, stations: map[string]*Station{}, pcaps: map[string]*captureFile{},
	}
	n.line = newTimeline(n.clock)
	if n.log == nil {
		n.log = slog.New(slog.DiscardHandler)
	}
	if n.dir == "" {
		dir, err := os.MkdirTemp("", "sim")
		if err != nil {
			return nil, fmt.Errorf("simulation: %w", err)
		}
		n.dir, n.own = dir, true
	}
	n.ctx, n.cancel = context.WithCancel(context.Background())
	return n, nil
}

// Close ends every chassis with its controller and closes captures.
func (n *Network) Close() error {
	var g errgroup.Group
	var mu sync.Mutex
	var errs []error
	for _, c := range n.Chassis() {
		g.Go(func() error {
			if err := c.end(); err != nil {
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, err)
			}
			return nil
		})
	}
	_ = g.Wait() // errors are in errs
	n.cancel()
	errs = append(errs, n.closeCaptures())
	if n.own {
		errs = append(errs, os.RemoveAll(n.dir))
	}
	return errors.Join(errs...)
}

// Dir holds the sockets.
func (n *Network) Dir() string { return n.dir }

// Now is the simulated time.
func (n *Network) Now() time.Time { return n.clock.Now() }

// join puts a chassis on the underlay.
func (n *Network) join(c *Chassis) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.chassis[c.Name], n.byIP[c.EncapIP] = c, c
}

// Chassis are all chassis, by name.
func (n *Network) Chassis() []*Chassis {
	n.mu.Lock()
	defer n.mu.Unlock()
	var out []*Chassis
	for _, name := range slices.Sorted(maps.Keys(n.chassis)) {
		out = append(out, n.chassis[name])
	}
	return out
}

// ChassisNamed is a chassis; nil: there is none of that name.
func (n *Network) ChassisNamed(name string) *Chassis {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.chassis[name]
}

// RemoveChassis ends a chassis, as if its host were gone for good.
func (n *Network) RemoveChassis(name string) error {
	n.mu.Lock()
	c := n.chassis[name]
	if c != nil {
		delete(n.chassis, name)
		delete(n.byIP, c.EncapIP)
	}
	n.mu.Unlock()
	if c == nil {
		return fmt.Errorf("%w: chassis %q", ErrNotFound, name)
	}
	err := c.end()
	n.watch()
	return err
}

// process takes a packet through a bridge, from a port.
func (n *Network) process(c *Chassis, p *port, frame []byte, t *vswitch.Tunnel, at *Node) {
	d := n.follow(at, &Node{Kind: NodeSwitch, Where: c.Name, Bridge: p.bridge.name, Port: p.want.name, Frame: frame})
	frame, err := p.enter(frame)
	if err != nil {
		d.end("%v", err)
		return
	}
	tr := &vswitch.Trace{}
	out := p.bridge.sw.Process(vswitch.Packet{InPort: p.number, Data: frame, Tunnel: t}, tr)
	if c.controlled() && answerable(tr.Steps) {
		n.punts.Add(1)
	}
	if n.tracing {
		d.Trace = tr
	}
	n.leave(c, p.bridge.sw, out, d)
	if len(d.Next) == 0 && d.End == "" {
		d.end("dropped")
	}
}

// answerable tells whether a controller has got the packet.
func answerable(steps []vswitch.Step) bool {
	for i := range steps {
		if len(steps[i].Action) >= 10 && steps[i].Action[:10] == "controller" || answerable(steps[i].Sub) {
			return true
		}
	}
	return false
}

// emitted takes what leaves a bridge because a controller says so. It is called
// by the bridge's connections.
func (n *Network) emitted(c *Chassis, out []vswitch.Output, tr *vswitch.Trace) {
	n.line.after(0, func() {
		d := &Node{Kind: NodeController, Where: c.Name, Trace: tr}
		if len(out) > 0 {
			d.Frame = out[0].Data
		}
		n.root(d)
		n.leave(c, nil, out, d)
	})
}

// leave takes what goes out of a bridge to where its ports lead.
func (n *Network) leave(c *Chassis, sw *vswitch.Bridge, out []vswitch.Output, at *Node) {
	for i := range out {
		o := &out[i]
		from := sw
		if o.Bridge != nil {
			from = o.Bridge
		}
		if from == nil {
			continue
		}
		p := c.vs.portOf(from, o.Port)
		switch {
		case isLocal(o.Port):
			at.end("given to chassis %q itself", c.Name)
		case p == nil:
			at.end("chassis %q has no port %d any more", c.Name, o.Port)
		case p.tunnel != nil && o.Tunnel != nil:
			data, outer, err := encapsulate(o.Tunnel, p.tunnel, o.Data)
			d := n.follow(at, &Node{Kind: NodeWire, Where: c.Name, Frame: o.Data, Port: p.want.name})
			if err != nil {
				d.end("chassis %q cannot encapsulate: %v", c.Name, err)
				continue
			}
			n.send(c, data, outer, d)
		case c.isUplink(p):
			n.onWire(c, o.Data, at)
		default:
			data, ok := p.exit(o.Data)
			if !ok {
				continue // another VLAN
			}
			s := c.stationAt(p)
			if s == nil {
				at.end("nobody is behind interface %q of chassis %q", p.want.name, c.Name)
				continue
			}
			d := n.follow(at, &Node{Kind: NodeDelivered, Where: s.Name, Frame: data, Port: p.want.name})
			n.line.after(portDelay, func() { s.receive(data, d) })
		}
	}
}

// patience is how long, in real time, a controller gets to answer a packet
// before simulated time goes on without it.
const patience = 250 * time.Millisecond

// soon is how far simulated time goes without looking after the controllers.
const soon = 10 * time.Millisecond

// Run lets everything happen that follows from what was sent, timers of
// workloads included. It returns when nothing is left to happen.
func (n *Network) Run(ctx context.Context) error {
	return n.runUntil(ctx, func() bool { return false })
}

// Advance lets simulated time pass, and what is due happen: bridges forget the
// stations that they learned, connections end.
func (n *Network) Advance(ctx context.Context, d time.Duration) error {
	passed := false
	n.line.after(d, func() { passed = true })
	return n.runUntil(ctx, func() bool { return passed })
}

// runUntil lets things happen until cond holds or nothing is left.
func (n *Network) runUntil(ctx context.Context, cond func() bool) error {
	n.running.Lock()
	defer n.running.Unlock()
	for !cond() {
		if err := ctx.Err(); err != nil {
			return err
		}
		d, more := n.line.next()
		if (!more || d > soon) && n.punts.Load() > 0 {
			if n.line.wait(ctx, patience) {
				if at, ok := n.line.next(); !ok || at > soon {
					continue // it was planned before
				}
			} else {
				n.punts.Store(0)
			}
			continue
		}
		if !n.line.step() {
			return nil
		}
	}
	return nil
}
