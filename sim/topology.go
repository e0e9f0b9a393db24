package sim

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"

	"golang.org/x/sync/errgroup"

	"govn/nbctl"
	"govn/pkg/ovsdb"
	"govn/sim/lab"
)

// Scenario is a lab file that is up in the simulator: the zones, the chassis with
// their controllers, the workloads.
type Scenario struct {
	Config *lab.Config
	Zone   *Zone   // the only one, or the first
	Zones  []*Zone // in the order of the file
	IC     *Centre // nil: zones are not joined
	*Network

	closing sync.Once
	closed  error
}

// parallel is how many chassis are started at a time.
const parallel = 8

// Start brings a lab file up and returns when all ports that have a workload
// are up and every flow is installed. The control plane is govn's, whatever the
// file says.
func Start(ctx context.Context, cfg *lab.Config, o Options) (_ *Scenario, err error) {
	if o.UnderlayMTU == 0 {
		o.UnderlayMTU = cfg.Underlay.MTU
	}
	s := &Scenario{Config: cfg}
	if s.Network, err = New(o); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = s.Close()
		}
	}()
	if err := s.startZones(ctx, o.Logger); err != nil {
		return nil, err
	}
	if err := s.startChassis(ctx); err != nil {
		return nil, err
	}
	if err := s.startStations(ctx, o.Deaf); err != nil {
		return nil, err
	}
	if err := s.interconnect(ctx, o.Logger); err != nil {
		return nil, err
	}
	return s, s.Ready(ctx)
}

// Close ends everything, chassis first. Once is enough, twice is no error.
func (s *Scenario) Close() error {
	s.closing.Do(func() {
		s.closed = s.Network.Close()
		if s.IC != nil {
			s.closed = errors.Join(s.closed, s.IC.Close())
		}
		for _, z := range s.Zones {
			s.closed = errors.Join(s.closed, z.Close())
		}
	})
	return s.closed
}

func (s *Scenario) startChassis(ctx context.Context) error {
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for i := range s.Config.Chassis {
		ch := &s.Config.Chassis[i]
		g.Go(func() error {
			o := ChassisOptions{Name: ch.Name, EncapIP: ch.EncapIP, Remote: s.ZoneNamed(ch.Zone).Remote, ExternalIDs: ch.ExternalIDs, Bridges: ch.Bridges()}
			if s.Config.OnWire(ch) {
				o.Bridges, o.Uplink = append(o.Bridges, lab.PhysBridge), lab.PhysBridge
			}
			c, err := s.AddChassis(gctx, o)
			if err != nil {
				return err
			}
			if err := c.StartController(); err != nil {
				return err
			}
			return c.AwaitBridge(gctx, "br-int")
		})
	}
	return g.Wait()
}

func (s *Scenario) startStations(ctx context.Context, deaf bool) error {
	for i := range s.Config.Workloads {
		w := &s.Config.Workloads[i]
		mac, err := net.ParseMAC(w.MAC)
		if err != nil {
			return fmt.Errorf("workload %q: %w", w.Name, err)
		}
		if _, err := s.AddStation(ctx, StationOptions{
			Name: w.Name, Chassis: w.Chassis, Port: w.Port, Bridge: w.Bridge, VLAN: w.VLAN, MAC: mac, IPs: w.IPs, Gateways: w.Gateways, MTU: w.MTU, Deaf: deaf,
		}); err != nil {
			return err
		}
	}
	return nil
}

// Ready waits until the ports of all workloads that the topology knows are up,
// and every chassis has installed what there is.
func (s *Scenario) Ready(ctx context.Context) error {
	for _, z := range s.Zones {
		known := map[string]bool{}
		lsp := &z.Columns.LSP
		for row := range z.Store.Snapshot().Rows(lsp.Table) {
			known[row.Str(lsp.Name)] = row.Str(lsp.Type) != "localport" // which is never up
		}
		var ports []string
		for _, w := range s.Config.WorkloadsOf(z.Name) {
			if known[w.Port] && w.Bridge == "br-int" {
				ports = append(ports, w.Port)
			}
		}
		if err := z.Up(ctx, ports...); err != nil {
			return z.wrap(err)
		}
	}
	return s.Settle(ctx)
}

// Settle waits until every chassis of every zone has installed what was committed:
// see [Zone.Settle].
func (s *Scenario) Settle(ctx context.Context) error {
	for _, z := range s.Zones {
		if err := z.Settle(ctx); err != nil {
			return z.wrap(err)
		}
	}
	return nil
}

// Build writes a topology to the northbound database.
func (z *Zone) Build(ctx context.Context, t *lab.Topology) error {
	_, err := z.Store.Update(ctx, z.Schemas.NB, ovsdb.OwnerClient, func(tx *ovsdb.Txn) error {
		for i := range t.Switches {
			sw := &t.Switches[i]
			u := tx.Insert(z.Columns.LS.Table, ovsdb.UUID{}, map[string]ovsdb.Value{"name": sw.Name, "other_config": ovsdb.StringMap(sw.OtherConfig)})
			for j := range sw.Ports {
				tx.AddToSet(z.Columns.LS.Table, u, "ports", tx.Insert(z.Columns.LSP.Table, ovsdb.UUID{}, portRow(&sw.Ports[j])))
			}
		}
		return tx.Err()
	})
	if err != nil {
		return fmt.Errorf("topology: %w", err)
	}
	return z.commands(ctx, t.Nbctl, "topology.nbctl")
}

// ErrNbctl is wrapped by the error of an nbctl command that fails.
var ErrNbctl = errors.New("nbctl")

// Nbctl runs commands in ovn-nbctl's syntax and returns what they print.
func (z *Zone) Nbctl(ctx context.Context, args ...string) (string, error) {
	return runTool(ctx, nbctl.Program(), z.NB, args)
}

func portRow(p *lab.Port) map[string]ovsdb.Value {
	row := map[string]ovsdb.Value{"name": p.Name, "type": p.Type, "options": ovsdb.StringMap(p.Options)}
	addresses := p.Addresses
	if p.Unknown {
		addresses = append(addresses[:len(addresses):len(addresses)], "unknown")
	}
	row["addresses"], row["port_security"] = setOf(addresses), setOf(p.PortSecurity)
	if p.Parent != "" {
		row["parent_name"] = ovsdb.NewSet(p.Parent)
	}
	if p.Parent != "" || p.Tag != 0 {
		row["tag_request"] = ovsdb.NewSet(int64(p.Tag))
	}
	if p.Disabled {
		row["enabled"] = ovsdb.NewSet(false)
	}
	return row
}

func setOf(list []string) ovsdb.Set {
	s := ovsdb.NewSet()
	for _, v := range list {
		s = s.With(v)
	}
	return s
}
