package stories_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/gopacket/gopacket/layers"
	"go.uber.org/goleak"
	"golang.org/x/sync/errgroup"

	"govn/pkg/ovsdb"
	"govn/sim"
	"govn/sim/decode"
	"govn/sim/lab"
	"govn/test/stories"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// simulated plays a story in the simulator.
type simulated struct {
	t     *testing.T
	cfg   *lab.Config
	net   *sim.Network
	zone  *sim.Zone
	names *decode.Southbound
	store string
}

// play brings an example up.
func play(t *testing.T, example string) *simulated {
	t.Helper()
	cfg, err := lab.Load("../../docs/examples/" + example + ".yaml")
	if err != nil {
		t.Fatal(err)
	}
	s := &simulated{t: t, cfg: cfg, store: filepath.Join(t.TempDir(), "govn.db")}
	if s.net, err = sim.New(sim.Options{UnderlayMTU: cfg.Underlay.MTU}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(s.net.Close(), s.stopZone()); err != nil {
			t.Error(err)
		}
	})
	s.net.KeepUnderlay()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := s.startZone(); err != nil {
		t.Fatal(err)
	}
	if err := s.zone.Build(ctx, &cfg.Topology); err != nil {
		t.Fatal(err)
	}
	if err := s.startHosts(ctx); err != nil {
		t.Fatal(err)
	}
	for i := range cfg.Workloads {
		w := &cfg.Workloads[i]
		mac, err := net.ParseMAC(w.MAC)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.net.AddStation(ctx, sim.StationOptions{Name: w.Name, Chassis: w.Chassis, Port: w.Port, MAC: mac, IPs: w.IPs, MTU: w.MTU}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.ready(ctx); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *simulated) startZone() error {
	engine, err := ovsdb.OpenBolt(s.store, ovsdb.BoltOptions{})
	if err != nil {
		return err
	}
	s.zone, err = sim.StartZone(sim.ZoneOptions{Dir: s.net.Dir(), Engine: engine})
	return err
}

func (s *simulated) stopZone() error {
	if s.names != nil {
		s.names.Close()
		s.names = nil
	}
	if s.zone == nil {
		return nil
	}
	return s.zone.Close()
}

func (s *simulated) startHosts(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for i := range s.cfg.Chassis {
		ch := &s.cfg.Chassis[i]
		g.Go(func() error {
			c, err := s.net.AddChassis(ctx, sim.ChassisOptions{Name: ch.Name, EncapIP: ch.EncapIP, Remote: s.zone.Remote})
			if err != nil {
				return err
			}
			if err := c.StartController(); err != nil {
				return err
			}
			return c.AwaitBridge(ctx, "br-int")
		})
	}
	return g.Wait()
}

// ready waits until all ports are up and all flows installed, and reads the
// southbound database.
func (s *simulated) ready(ctx context.Context) error {
	var ports []string
	for i := range s.cfg.Workloads {
		ports = append(ports, s.cfg.Workloads[i].Port)
	}
	if err := s.zone.Up(ctx, ports...); err != nil {
		return err
	}
	if err := s.zone.Quiet(ctx); err != nil {
		return err
	}
	var err error
	s.names, err = decode.DialSouthbound(ctx, "", s.zone.SB)
	return err
}

func (s *simulated) Ping(ctx context.Context, from string, to netip.Addr, size, n int) (replies int, err error) {
	for range n {
		r, err := s.net.Station(from).PingSize(ctx, to, size)
		if err != nil {
			return 0, err
		}
		if r.Answered {
			replies++
		}
	}
	return replies, nil
}

func (s *simulated) Send(ctx context.Context, workload string, frames ...[]byte) error {
	for _, f := range frames {
		s.net.Station(workload).Send(f)
	}
	return s.net.Run(ctx)
}

func (s *simulated) Inject(ctx context.Context, chassis string, frames ...[]byte) error {
	for _, f := range frames {
		s.net.Inject(s.net.ChassisNamed(chassis), f)
	}
	return s.net.Run(ctx)
}

// recording is what has been seen at a place since a frame.
type recording struct {
	seen func() []sim.Captured
	from int
}

func (r recording) Frames(context.Context) ([]decode.Frame, error) {
	var out []decode.Frame
	for i, c := range r.seen()[r.from:] {
		out = append(out, decode.Frame{Number: i + 1, Time: c.At, Link: layers.LinkTypeEthernet, Length: len(c.Data), Data: c.Data})
	}
	return out, nil
}

func (s *simulated) Record(_ context.Context, node string) (stories.Recording, error) {
	seen := s.net.Underlay // one wire for all
	if w := s.net.Station(node); w != nil {
		seen = w.Seen
	} else if s.net.ChassisNamed(node) == nil {
		return nil, fmt.Errorf("no node %q", node)
	}
	return recording{seen, len(seen())}, nil
}

func (s *simulated) Endpoint(_ context.Context, chassis string) (net.HardwareAddr, error) {
	mac := net.HardwareAddr{2, 0, 0, 0, 0, 0}
	copy(mac[3:], chassis) // the simulated wire looks at IP addresses
	return mac, nil
}

// Flows are without the content half of the cookies that the chassis gave: it
// is a hash of the port numbers, which a host whose database is new gives out in
// the order in which the ports happen to come. Their names are in the flows.
func (s *simulated) Flows(_ context.Context, chassis string) ([]string, error) {
	list := s.net.ChassisNamed(chassis).Flows()
	for i := range list {
		list[i] = numbered.ReplaceAllString(list[i], "$1")
	}
	return list, nil
}

// numbered is a cookie whose owner is not northd (see package abi).
var numbered = regexp.MustCompile(`(cookie=0x[2-9a-f][0-9a-f]{7})[0-9a-f]{8}`)

func (s *simulated) Names() decode.Names { return s.names }

// Restart ends northd and all hosts, with their databases and switches, and
// starts them again. Of the hosts nothing is left but what their configuration
// says; the workloads are plugged in again.
func (s *simulated) Restart(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for i := range s.cfg.Workloads {
		if err := s.net.Station(s.cfg.Workloads[i].Name).Unplug(ctx); err != nil {
			return err
		}
	}
	for i := range s.cfg.Chassis {
		if err := s.net.RemoveChassis(s.cfg.Chassis[i].Name); err != nil {
			return err
		}
	}
	if err := s.stopZone(); err != nil {
		return err
	}
	if err := s.startZone(); err != nil {
		return err
	}
	if err := s.startHosts(ctx); err != nil {
		return err
	}
	for i := range s.cfg.Workloads {
		w := s.net.Station(s.cfg.Workloads[i].Name)
		w.Forget()
		if err := w.Move(ctx, w.Chassis); err != nil {
			return err
		}
	}
	return s.ready(ctx)
}

func TestJoinedNetworks(t *testing.T) { stories.JoinedNetworks(t, play(t, "joined-networks")) }
func TestGeneveInGeneve(t *testing.T) { stories.GeneveInGeneve(t, play(t, "geneve-in-geneve")) }
func TestHeaders(t *testing.T)        { stories.Headers(t, play(t, "geneve-headers")) }
