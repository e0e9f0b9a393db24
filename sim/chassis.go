package sim

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"govn/controller"
	"govn/pkg/openflow"
	"govn/pkg/ovsdb"
	"govn/sim/vswitch"
	"govn/sim/vswitch/conntrack"
)

// ErrNotFound is wrapped where something is named that is not there.
var ErrNotFound = errors.New("no such thing in the simulation")

// ChassisOptions describes a chassis.
type ChassisOptions struct {
	Name        string            // system-id and hostname; required
	EncapIP     netip.Addr        // tunnel endpoint; required
	Remote      string            // ovn-remote; required for a controller
	ExternalIDs map[string]string // added to those of Open_vSwitch; optional
	Bridges     []string          // bridges beside br-int, which the controller makes; optional
	Uplink      string            // the one of them with a link (eth0) to the wire that chassis share; optional
}

// Chassis is a simulated hypervisor: an Open_vSwitch database, the switch that
// follows it, and govn's controller, which cannot tell them from real ones.
type Chassis struct {
	// Name, EncapIP: as in ChassisOptions.
	Name    string
	EncapIP netip.Addr
	// Dir holds the sockets: db.sock, BRIDGE.mgmt.
	Dir string

	wired  bool // it has an uplink
	net    *Network
	log    *slog.Logger
	db     *confDB
	vs     *vswitchd
	cancel context.CancelFunc // of database and switch
	wg     sync.WaitGroup
	errs   chan error

	mu        sync.Mutex
	conntrack *conntrack.Table
	devices   map[string]*Station // network devices behind interfaces
	control   map[string]controller.Command
	stop      context.CancelFunc // of the controller; nil: it does not run
	done      chan error
}

// AddChassis adds a chassis without a controller; see StartController.
func (n *Network) AddChassis(ctx context.Context, o ChassisOptions) (*Chassis, error) {
	c := &Chassis{
		Name: o.Name, EncapIP: o.EncapIP, Dir: filepath.Join(n.dir, o.Name), net: n, wired: o.Uplink != "",
		log: n.log.With("chassis", o.Name), conntrack: conntrack.NewTable(), devices: map[string]*Station{}, errs: make(chan error, 2),
	}
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("chassis %q: %w", o.Name, err)
	}
	ids := map[string]string{
		"system-id": o.Name, "hostname": o.Name, "ovn-remote": o.Remote,
		"ovn-encap-type": "geneve", "ovn-encap-ip": o.EncapIP.String(),
	}
	for k, v := range o.ExternalIDs {
		ids[k] = v
	}
	inner, cancel := context.WithCancel(n.ctx)
	c.cancel = cancel
	if err := c.begin(inner, ids, o); err != nil {
		cancel()
		return nil, fmt.Errorf("chassis %q: %w", o.Name, err)
	}
	n.join(c)
	return c, nil
}

// begin starts database and switch.
func (c *Chassis) begin(ctx context.Context, ids map[string]string, o ChassisOptions) error {
	var err error
	if c.db, err = openConf(ctx, ids, c.log); err != nil {
		return err
	}
	l, err := net.Listen("unix", filepath.Join(c.Dir, "db.sock"))
	if err != nil {
		return errors.Join(err, c.db.close())
	}
	for _, name := range o.Bridges {
		err := c.db.addBridge(ctx, name)
		if err == nil && name == o.Uplink {
			err = c.db.addPort(ctx, name, uplink, nil, 0)
		}
		if err != nil {
			l.Close()
			return errors.Join(err, c.db.close())
		}
	}
	c.vs = &vswitchd{
		db: c.db, dir: c.Dir, log: c.log, local: c.EncapIP, device: c.hasDevice,
		bridges: map[string]*bridge{}, make: c.newBridge, watch: c.net.watch,
	}
	srv := ovsdb.NewServer(c.db.store, ovsdb.ServerOptions{Logger: c.log})
	c.wg.Go(func() {
		if err := srv.Serve(ctx, l); err != nil {
			c.errs <- fmt.Errorf("chassis %q: %w", c.Name, err)
		}
	})
	c.wg.Go(func() {
		if err := c.vs.run(ctx); err != nil {
			c.errs <- fmt.Errorf("chassis %q: %w", c.Name, err)
		}
	})
	return nil
}

func (c *Chassis) newBridge(name string, id uint64) *vswitch.Bridge {
	return vswitch.NewBridge(vswitch.Options{
		Name: name, DatapathID: id, Now: c.net.clock.Now, Logger: c.log, Conntrack: c.conntrack,
		Emit:         func(out []vswitch.Output, tr *vswitch.Trace) { c.net.emitted(c, out, tr) },
		TraceEmitted: c.net.tracing,
	})
}

// end takes the chassis away, its controller first.
func (c *Chassis) end() error {
	err := c.StopController()
	c.cancel()
	c.wg.Wait()
	close(c.errs)
	for e := range c.errs {
		err = errors.Join(err, e)
	}
	return errors.Join(err, c.db.close())
}

// DB is the remote of the Open_vSwitch database.
func (c *Chassis) DB() string { return "unix:" + filepath.Join(c.Dir, "db.sock") }

// Mgmt is the OpenFlow target of a bridge.
func (c *Chassis) Mgmt(bridge string) string {
	return "unix:" + filepath.Join(c.Dir, bridge+".mgmt")
}

// Bridge is a bridge of the chassis; nil: it has none of that name (yet).
func (c *Chassis) Bridge(name string) *vswitch.Bridge { return c.vs.bridgeNamed(name) }

// StartController starts govn's controller for the chassis.
func (c *Chassis) StartController() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stop != nil {
		return fmt.Errorf("chassis %q: the controller runs already", c.Name)
	}
	ctx, stop := context.WithCancel(c.net.ctx)
	done := make(chan error, 1)
	control := map[string]controller.Command{}
	o := controller.Options{
		OVS: c.DB(), RunDir: c.Dir, Logger: c.log, TunnelPatience: tunnelPatience,
		Handle: func(name, _ string, _, _ int, fn controller.Command) { control[name] = fn },
	}
	registered := make(chan struct{})
	o.Ready = sync.OnceFunc(func() { close(registered) })
	go func() { done <- controller.Run(ctx, o) }()
	select {
	case <-registered:
	case err := <-done:
		stop()
		return fmt.Errorf("controller of chassis %q: %w", c.Name, err)
	}
	c.stop, c.done, c.control = stop, done, control
	return nil
}

// tunnelPatience is how long revisions wait for tunnels: the simulated Open vSwitch makes them
// all, and hundreds of chassis in one process take their time.
const tunnelPatience = 5 * time.Minute

// StopController ends the controller; the flows stay. One that does not run is
// no error.
func (c *Chassis) StopController() error {
	c.mu.Lock()
	stop, done := c.stop, c.done
	c.stop, c.control = nil, nil
	c.mu.Unlock()
	if stop == nil {
		return nil
	}
	stop()
	if err := <-done; err != nil {
		return fmt.Errorf("controller of chassis %q: %w", c.Name, err)
	}
	return nil
}

// controlled tells whether the controller runs.
func (c *Chassis) controlled() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stop != nil
}

// Control asks the controller's control socket, such as "debug/flows".
func (c *Chassis) Control(ctx context.Context, command string, args ...string) (string, error) {
	c.mu.Lock()
	fn := c.control[command]
	c.mu.Unlock()
	if fn == nil {
		return "", fmt.Errorf("chassis %q: %w: control command %q, or its controller does not run", c.Name, ErrNotFound, command)
	}
	return fn(ctx, args)
}

// AwaitBridge waits until a bridge is there and accepts OpenFlow.
func (c *Chassis) AwaitBridge(ctx context.Context, name string) error {
	sn, sub := c.db.store.SubscribeSnapshot()
	defer sub.Close()
	id := c.db.bridge.Column("datapath_id")
	for {
		if row := sn.Lookup(c.db.bridge, 0, name); row != nil && row.Set(id).Len() > 0 {
			return nil
		}
		if _, err := sub.Next(ctx); err != nil {
			return fmt.Errorf("chassis %q: waiting for bridge %q: %w", c.Name, name, err)
		}
		sn = c.db.store.Snapshot()
	}
}

// AddPort adds an interface to a bridge, with columns of Interface such as
// "external_ids".
func (c *Chassis) AddPort(ctx context.Context, bridge, name string, columns map[string]ovsdb.Value) error {
	return c.wrap(c.db.addPort(ctx, bridge, name, columns, 0))
}

// DelPort removes an interface from its bridge.
func (c *Chassis) DelPort(ctx context.Context, name string) error {
	return c.wrap(c.db.delPort(ctx, name))
}

func (c *Chassis) wrap(err error) error {
	if err != nil {
		return fmt.Errorf("chassis %q: %w", c.Name, err)
	}
	return nil
}

// InterfaceID is a value of external_ids of an interface; "": not there.
func (c *Chassis) InterfaceID(name, key string) string {
	sn := c.db.store.Snapshot()
	row := sn.Lookup(c.db.iface, 0, name)
	if row == nil {
		return ""
	}
	return row.Map(c.db.iface.Column("external_ids")).Str(key)
}

// OFPort is the OpenFlow port of an interface; 0: it has none.
func (c *Chassis) OFPort(name string) uint32 {
	if p := c.vs.portNamed(name); p != nil {
		return p.number
	}
	return 0
}

// AwaitInterfaceID waits until an interface has a key in external_ids.
func (c *Chassis) AwaitInterfaceID(ctx context.Context, name, key string) error {
	sub := c.db.store.Subscribe()
	defer sub.Close()
	for c.InterfaceID(name, key) == "" {
		if _, err := sub.Next(ctx); err != nil {
			return fmt.Errorf("chassis %q: waiting for external_ids:%s of interface %q: %w", c.Name, key, name, err)
		}
	}
	return nil
}

// portNumbers are where a flow names a port.
var portNumbers = regexp.MustCompile(`\b(in_port=|output:|watch_port:)([0-9]+)\b`)

// Flows are the flows of br-int as "ovs-ofctl --names --no-stats dump-flows"
// prints them: with names of ports, without counters.
func (c *Chassis) Flows() []string {
	br := c.Bridge("br-int")
	if br == nil {
		return nil
	}
	names := map[string]string{}
	for _, p := range br.Ports() {
		names[strconv.FormatUint(uint64(p.Number), 10)] = p.Name
	}
	var lines []string
	dump := br.DumpFlows()
	for _, g := range br.Groups() {
		dump += g.String() + "\n"
	}
	for line := range strings.Lines(dump) {
		lines = append(lines, portNumbers.ReplaceAllStringFunc(strings.TrimSpace(line), func(s string) string {
			m := portNumbers.FindStringSubmatch(s)
			if name, ok := names[m[2]]; ok {
				return m[1] + name
			}
			return s
		}))
	}
	return lines
}

func (c *Chassis) hasDevice(name string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.devices[name] != nil || c.wired && name == uplink
}

func (c *Chassis) setDevice(name string, s *Station) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s == nil {
		delete(c.devices, name)
	} else {
		c.devices[name] = s
	}
}

// stationAt is who is behind a port; nil: nobody.
func (c *Chassis) stationAt(p *port) *Station {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.devices[p.want.name]
}

// isLocal tells whether a port leads to the chassis itself.
func isLocal(number uint32) bool { return number == openflow.PortLocal }
