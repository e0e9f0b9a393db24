package sim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"govn/ic/agent"
	"govn/ic/server"
	"govn/nbctl/ctl"
	"govn/nbctl/icctl"
	"govn/pkg/ovsdb"
	"govn/sim/lab"
)

// Centre is what zones find each other by, and the agents that join them, in this
// process: what "govn ic server" and "govn ic agent" do.
type Centre struct {
	// NB and SB are the databases' remotes, Fabric is that of the service for zones.
	NB, SB, Fabric string

	log    *slog.Logger
	cancel context.CancelFunc
	wg     sync.WaitGroup
	mu     sync.Mutex
	errs   []error
}

// centreLease is how long a zone may say nothing, in real time.
const centreLease = 15 * time.Second

// StartCentre starts the centre, with its sockets in a directory that is there
// and that its path leaves room for. It lives until Close.
func StartCentre(ctx context.Context, dir string, log *slog.Logger) (*Centre, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	c := &Centre{NB: "unix:" + filepath.Join(dir, "icnb.sock"), SB: "unix:" + filepath.Join(dir, "icsb.sock"),
		Fabric: "unix:" + filepath.Join(dir, "fabric.sock"), log: log}
	inner, cancel := context.WithCancel(context.Background())
	c.cancel = cancel
	ready := make(chan struct{})
	ended := c.run("centre", func(up func()) error {
		return server.Run(inner, server.Options{Store: "memory", NBListen: []string{"p" + c.NB}, SBListen: []string{"p" + c.SB},
			FabricListen: []string{c.Fabric}, Centre: server.CentreOptions{Lease: centreLease}, Logger: log, Ready: up})
	}, ready)
	select {
	case <-ready:
		return c, nil
	case <-ended:
	case <-ctx.Done():
	}
	return nil, errors.Join(ctx.Err(), c.Close())
}

// run runs a daemon until the centre is closed. ready is closed when it is up;
// what run returns when it has ended.
func (c *Centre) run(name string, fn func(up func()) error, ready chan struct{}) (ended chan struct{}) {
	ended = make(chan struct{})
	up := sync.OnceFunc(func() { close(ready) })
	c.wg.Go(func() {
		defer close(ended)
		if err := fn(up); err != nil {
			c.mu.Lock()
			c.errs = append(c.errs, fmt.Errorf("%s of the interconnection: %w", name, err))
			c.mu.Unlock()
		}
	})
	return ended
}

// Join starts an agent for a zone, which lives until ctx ends.
func (c *Centre) Join(ctx context.Context, z *Zone, how lab.Join) {
	o := agent.Options{NB: z.NB, SB: z.SB, IC: c.Fabric, Logger: c.log.With("zone", z.Name)}
	if how == lab.JoinOVSDB {
		o.IC, o.ICNB, o.ICSB = "", c.NB, c.SB
	}
	c.run("agent of zone "+z.Name, func(up func()) error {
		o.Ready = up
		return agent.Run(ctx, o)
	}, make(chan struct{}))
}

// Close ends centre and agents.
func (c *Centre) Close() error {
	c.cancel()
	c.wg.Wait()
	return errors.Join(c.errs...)
}

// Nbctl runs commands in ovn-ic-nbctl's syntax and returns what they print.
func (c *Centre) Nbctl(ctx context.Context, args ...string) (string, error) {
	return runTool(ctx, icctl.Northbound(), c.NB, args)
}

// Sbctl runs commands in ovn-ic-sbctl's syntax and returns what they print.
func (c *Centre) Sbctl(ctx context.Context, args ...string) (string, error) {
	return runTool(ctx, icctl.Southbound(), c.SB, args)
}

// runTool runs a command line on a database.
func runTool(ctx context.Context, p *ctl.Program, db string, args []string) (string, error) {
	var out, errs bytes.Buffer
	if status := p.Run(ctx, append([]string{"--db=" + db}, args...), &out, &errs); status != 0 {
		return "", fmt.Errorf("%w: %s", ErrNbctl, bytes.TrimSpace(errs.Bytes()))
	}
	return out.String(), nil
}

// ZoneNamed is a zone by its name; nil: there is none.
func (s *Scenario) ZoneNamed(name string) *Zone {
	if i := slices.IndexFunc(s.Zones, func(z *Zone) bool { return z.Name == name }); i >= 0 {
		return s.Zones[i]
	}
	return nil
}

// ZoneOf is the zone of a chassis or a workload; the first where nobody knows.
func (s *Scenario) ZoneOf(node string) *Zone {
	if name, ok := s.Config.ZoneOf(node); ok {
		if z := s.ZoneNamed(name); z != nil {
			return z
		}
	}
	return s.Zone
}

// wrap names the zone in an error.
func (z *Zone) wrap(err error) error {
	if z.Name == "" || err == nil {
		return err
	}
	return fmt.Errorf("zone %q: %w", z.Name, err)
}

// folder makes a folder for the sockets of a part of the scenario.
func (s *Scenario) folder(name string) (string, error) {
	dir := filepath.Join(s.Dir(), name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("%q: %w", name, err)
	}
	return dir, nil
}

// startZones starts the zones of the file with their topologies.
func (s *Scenario) startZones(ctx context.Context, log *slog.Logger) error {
	for _, cfg := range s.Config.AllZones() {
		dir, err := s.folder(cfg.Name)
		if err != nil {
			return err
		}
		z, err := StartZone(ZoneOptions{Name: cfg.Name, Dir: dir, Logger: log})
		if err != nil {
			return err
		}
		s.Zones = append(s.Zones, z)
		if err := z.Build(ctx, &cfg.Topology); err != nil {
			return z.wrap(err)
		}
		if cfg.Name == "" {
			continue
		}
		if _, err := z.Nbctl(ctx, "set", "NB_Global", ".", "name="+cfg.Name); err != nil {
			return z.wrap(err)
		}
	}
	s.Zone = s.Zones[0]
	return nil
}

// interconnect joins the zones, and returns when each has what its file says.
func (s *Scenario) interconnect(ctx context.Context, log *slog.Logger) (err error) {
	cfg := s.Config.IC
	if cfg == nil {
		return nil
	}
	dir, err := s.folder("ic")
	if err != nil {
		return err
	}
	if s.IC, err = StartCentre(ctx, dir, log); err != nil {
		return err
	}
	if err := runLines(cfg.Nbctl, "ic.nbctl", func(args []string) error { _, err := s.IC.Nbctl(ctx, args...); return err }); err != nil {
		return err
	}
	agents, cancel := context.WithCancel(context.Background())
	stop := s.IC.cancel
	s.IC.cancel = func() { cancel(); stop() }
	for _, z := range s.Zones {
		s.IC.Join(agents, z, cfg.Join)
	}
	for i, z := range s.Zones {
		// One after the other, so that keys are the same in every run.
		if err := z.attach(ctx, s.Config.Zones[i].Transit); err != nil {
			return z.wrap(err)
		}
	}
	for i, z := range s.Zones {
		for _, p := range s.Config.Zones[i].Learns {
			if err := z.AwaitRoute(ctx, p); err != nil {
				return z.wrap(err)
			}
		}
	}
	return s.gateways(ctx)
}

// gateways waits until every zone knows which chassis host the ports of routers on
// transit switches, its own ports and those of the others, and by which keys.
func (s *Scenario) gateways(ctx context.Context) error {
	hosted := map[string]bool{}
	for _, z := range s.Zones {
		if err := z.Compiled(ctx); err != nil {
			return z.wrap(err)
		}
		b := &z.Columns.PortBinding
		routers := map[string]bool{} // router ports that a gateway hosts
		if err := z.Until(ctx, "gateways host the ports on transit switches", func() bool {
			for row := range z.Store.Snapshot().Rows(b.Table) {
				if row.Str(b.Type) != "chassisredirect" {
					continue
				}
				if _, there := row.Ref(b.Chassis); !there {
					return false
				}
				routers[row.Map(b.Options).Str("distributed-port")] = true
			}
			return true
		}); err != nil {
			return z.wrap(err)
		}
		for row := range z.Store.Snapshot().Rows(b.Table) {
			if routers[row.Map(b.Options).Str("peer")] {
				hosted[row.Str(b.LogicalPort)] = true
			}
		}
	}
	for _, z := range s.Zones {
		b, lsp := &z.Columns.PortBinding, &z.Columns.LSP
		if err := z.Until(ctx, "the gateways of other zones are known, and ports have their keys", func() bool {
			keys := map[string]string{}
			for row := range z.Store.Snapshot().Rows(lsp.Table) {
				if key := row.Map(lsp.Options).Str("requested-tnl-key"); key != "" {
					keys[row.Str(lsp.Name)] = key
				}
			}
			for row := range z.Store.Snapshot().Rows(b.Table) {
				if want := keys[row.Str(b.LogicalPort)]; want != "" && want != strconv.FormatInt(row.Int(b.TunnelKey), 10) {
					return false
				}
				if _, there := row.Ref(b.Chassis); row.Str(b.Type) == "remote" && hosted[row.Str(b.LogicalPort)] && !there {
					return false
				}
			}
			return true
		}); err != nil {
			return z.wrap(err)
		}
	}
	return nil
}

// runLines runs command lines in order; field is where they come from.
func runLines(lines []string, field string, run func(args []string) error) error {
	for i, line := range lines {
		words, err := lab.SplitWords(line)
		if err == nil {
			err = run(words)
		}
		if err != nil {
			return fmt.Errorf("%s[%d]: %w", field, i, err)
		}
	}
	return nil
}

// commands runs command lines on the northbound database. Each is compiled before
// the next one, so that keys do not depend on what was compiled together.
func (z *Zone) commands(ctx context.Context, lines []string, field string) error {
	return runLines(lines, field, func(args []string) error {
		if _, err := z.Nbctl(ctx, args...); err != nil {
			return err
		}
		return z.Compiled(ctx)
	})
}

// attach gives the zone what it has on transit switches, and waits until the
// ports have the keys that all zones know them by.
func (z *Zone) attach(ctx context.Context, list []lab.Transit) error {
	ls, lsp := &z.Columns.LS, &z.Columns.LSP
	ports := func(name string) (list []*ovsdb.Row, there bool) {
		sn := z.Store.Snapshot()
		for row := range sn.Rows(ls.Table) {
			if row.Str(ls.Name) != name {
				continue
			}
			for u := range row.Set(ls.Ports).All() {
				if p := sn.Row(lsp.Table, u.(ovsdb.UUID)); p != nil && p.Str(lsp.Type) == "router" {
					list = append(list, p)
				}
			}
			return list, true
		}
		return nil, false
	}
	for i := range list {
		t := &list[i]
		if err := z.Until(ctx, fmt.Sprintf("transit switch %q is there", t.Switch), func() bool { _, there := ports(t.Switch); return there }); err != nil {
			return err
		}
		if err := z.commands(ctx, t.Nbctl, fmt.Sprintf("transit[%d].nbctl", i)); err != nil {
			return err
		}
		if err := z.Until(ctx, fmt.Sprintf("the ports on transit switch %q have keys", t.Switch), func() bool {
			list, _ := ports(t.Switch)
			return !slices.ContainsFunc(list, func(p *ovsdb.Row) bool { return p.Map(lsp.Options).Str("requested-tnl-key") == "" })
		}); err != nil {
			return err
		}
	}
	return nil
}

// AwaitRoute waits until a router of the zone has a static route for a prefix,
// such as one that the agent has learned.
func (z *Zone) AwaitRoute(ctx context.Context, p netip.Prefix) error {
	t := z.Schemas.NB.Table("Logical_Router_Static_Route")
	prefix := t.Column("ip_prefix")
	return z.Until(ctx, fmt.Sprintf("there is a route for %v", p), func() bool {
		for row := range z.Store.Snapshot().Rows(t) {
			// OVN's agent writes 192.168.1.1/24 for the network of a router's port.
			if have, err := netip.ParsePrefix(row.Str(prefix)); err == nil && have.Masked() == p {
				return true
			}
		}
		return false
	})
}
