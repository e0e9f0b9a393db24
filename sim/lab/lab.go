package lab

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"govn/sim/lab/unixctl"
)

// Errors of a lab's life.
var (
	// ErrExists is returned by Up for a lab whose run directory holds a lab.
	ErrExists = errors.New("there is already a lab in the run directory")
	// ErrBusy is returned when another process builds or removes the lab.
	ErrBusy = errors.New("another process is at work on it")
	// ErrNotUp is returned for what needs a lab that is up.
	ErrNotUp = errors.New("the lab is not up")
	// ErrNoNode is returned for the name of a node that the lab has not.
	ErrNoNode = errors.New("no such node")
	// ErrNoZone is returned where a zone is to be named, and for one that is not there.
	ErrNoZone = errors.New("no such zone")
	// ErrNoDaemon is returned for a daemon that a node does not run.
	ErrNoDaemon = errors.New("no such daemon")
	// ErrNotRunning is returned for a daemon that has ended.
	ErrNotRunning = errors.New("it does not run")
	// ErrRunning is returned by Start for a daemon that runs.
	ErrRunning = errors.New("it runs already")
)

// DefaultRoot is the folder that holds the run directories of labs that name
// none.
const DefaultRoot = "/tmp/govn-lab"

const (
	maxSocketPath = 107 // sun_path less the terminator
	longestFile   = len("/ovn-controller.4194304.ctl")
)

// Options say how a lab is built, where its file does not.
type Options struct {
	Name    string        // optional: another name than the file's
	Control Control       // optional: another control plane than the file's
	Dir     string        // optional: run directory; DefaultRoot/NAME
	Govn    string        // optional: the govn binary; this program by default
	Timeout time.Duration // optional: how long Up waits for ports; 60 s by default
	Logger  *slog.Logger  // optional: progress
}

// Lab is a lab, up or not. Its methods may be called from several goroutines,
// except those that change the lab (Up, Down, AddChassis, RemoveChassis, Attach,
// Detach).
type Lab struct {
	cfg        *Config
	dir        string
	govn       string
	timeout    time.Duration
	log        *slog.Logger
	namespaces []string
	up         time.Time
}

// New prepares a lab. If the run directory holds a lab of that name, the result
// stands for it, with its chassis and workloads as they are now.
func New(cfg *Config, o Options) (*Lab, error) {
	c := *cfg
	if o.Name != "" {
		if !nameRE().MatchString(o.Name) {
			return nil, fmt.Errorf("lab name %q: must be 1 to 32 of a-z, 0-9, - and _", o.Name)
		}
		c.Name = o.Name
	}
	c.Zones = slices.Clone(c.Zones)
	if o.Control != "" {
		c.Control = o.Control
		for i := range c.Zones {
			c.Zones[i].Control, c.Zones[i].Agent = o.Control, o.Control
		}
		if c.IC != nil {
			c.IC = &Interconnection{Server: o.Control, Join: c.IC.Join, MgmtIP: c.IC.MgmtIP, Nbctl: c.IC.Nbctl}
		}
	}
	c.Chassis, c.Workloads = slices.Clone(c.Chassis), slices.Clone(c.Workloads)
	l := &Lab{cfg: &c, dir: o.Dir, govn: o.Govn, timeout: o.Timeout, log: o.Logger}
	if l.dir == "" {
		l.dir = filepath.Join(DefaultRoot, c.Name)
	}
	var err error
	if l.dir, err = filepath.Abs(l.dir); err != nil {
		return nil, fmt.Errorf("run directory: %w", err)
	}
	if l.govn == "" {
		if l.govn, err = os.Executable(); err != nil {
			return nil, fmt.Errorf("path of this program: %w", err)
		}
	}
	if l.govn, err = filepath.Abs(l.govn); err != nil {
		return nil, fmt.Errorf("govn binary: %w", err)
	}
	if l.timeout == 0 {
		l.timeout = time.Minute
	}
	if l.log == nil {
		l.log = slog.New(slog.DiscardHandler)
	}
	s, err := loadState(l.dir)
	if err != nil {
		return nil, err
	}
	if s != nil {
		if s.Name != c.Name {
			return nil, fmt.Errorf("run directory %s: %w: %q, not %q", l.dir, ErrExists, s.Name, c.Name)
		}
		l.cfg, l.namespaces, l.up = s.Config, s.Namespaces, s.Up
		if o.Govn == "" {
			l.govn = s.Govn
		}
	}
	return l, nil
}

// Config is the lab's configuration as it is now. It must not be changed.
func (l *Lab) Config() *Config { return l.cfg }

// Dir is the run directory.
func (l *Lab) Dir() string { return l.dir }

// programs are what Up needs, with the Debian package of each.
var programs = map[string]string{
	"ovsdb-server": "openvswitch-switch", "ovs-vswitchd": "openvswitch-switch", "ovs-vsctl": "openvswitch-common",
	"ovsdb-tool": "openvswitch-common", "ovn-nbctl": "ovn-common",
}

var netnsPrograms = map[string]string{"ip": "iproute2", "ethtool": "ethtool", "sysctl": "procps", "ping": "iputils-ping"}
var icPrograms = map[string]string{"ovn-ic": "ovn-ic"}
var stockPrograms = map[string]string{"ovn-northd": "ovn-central", "ovn-controller": "ovn-host"}

func (l *Lab) checkPrograms() error {
	var missing []string
	look := func(m map[string]string) {
		for _, p := range sortedKeys(m) {
			if _, err := exec.LookPath(p); err != nil {
				missing = append(missing, fmt.Sprintf("%s (Debian package %s)", p, m[p]))
			}
		}
	}
	look(programs)
	if !l.cfg.Dummy() {
		look(netnsPrograms)
	}
	stock, own := false, false
	for _, z := range l.cfg.AllZones() {
		stock, own = stock || z.Control == ControlStock, own || z.Control != ControlStock
		if l.cfg.IC != nil && z.Agent == ControlStock {
			look(icPrograms)
		}
	}
	if stock {
		look(stockPrograms)
	}
	if own {
		if _, err := exec.LookPath(l.govn); err != nil {
			missing = append(missing, l.govn)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("programs that the lab needs are missing: %s", strings.Join(missing, ", "))
	}
	if !l.cfg.Dummy() && os.Geteuid() != 0 {
		return errors.New("a lab with network namespaces must be built as root")
	}
	return nil
}

// Up builds the lab and returns when all ports whose workloads it attached are
// up, the flows are installed and the tunnel endpoints know each other. If it
// fails, or ctx ends, what was built is removed again, except that the logs are
// kept in DIR.failed.
func (l *Lab) Up(ctx context.Context) (err error) {
	unlock, err := l.lock()
	if err != nil {
		return err
	}
	defer unlock()
	if s, err := loadState(l.dir); err != nil {
		return err
	} else if s != nil {
		return fmt.Errorf("lab %q in %s: %w", l.cfg.Name, l.dir, ErrExists)
	}
	if err := l.checkPrograms(); err != nil {
		return err
	}
	nodes := l.controlNodes()
	if !l.cfg.Dummy() {
		nodes = append(nodes, fabricNode)
	}
	for i := range l.cfg.Chassis {
		nodes = append(nodes, l.cfg.Chassis[i].Name)
	}
	dirs := []string{l.dir}
	for _, n := range nodes {
		if d := filepath.Join(l.dir, n); len(d)+longestFile > maxSocketPath {
			return fmt.Errorf("run directory %s is too long for the path of a unix socket: choose a shorter one", l.dir)
		}
		dirs = append(dirs, filepath.Join(l.dir, n))
	}
	l.namespaces = l.allNamespaces()
	for _, ns := range l.namespaces {
		if nsExists(ns) {
			return fmt.Errorf("lab %q: namespace %q exists already: choose another lab name", l.cfg.Name, ns)
		}
	}
	if err := makeDirs(dirs...); err != nil {
		return err
	}
	if err := l.saveState(); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = l.cleanUp(err)
		}
	}()
	if err := l.build(ctx); err != nil {
		return err
	}
	l.up = time.Now()
	return l.saveState()
}

// cleanUp removes a lab that could not be built, and keeps its logs.
func (l *Lab) cleanUp(cause error) error {
	failed := l.dir + ".failed"
	kept := os.RemoveAll(failed) == nil
	if err := l.remove(context.Background(), func() error {
		if !kept {
			return os.RemoveAll(l.dir)
		}
		return os.Rename(l.dir, failed)
	}); err != nil {
		return fmt.Errorf("%w\nand it could not be cleaned up (run \"govn lab down\" again): %w", cause, err)
	}
	if kept {
		// The state must not make the kept logs look like a lab.
		_ = os.Remove(filepath.Join(failed, stateFile))
		return fmt.Errorf("%w (logs are in %s)", cause, failed)
	}
	return cause
}

func (l *Lab) allNamespaces() []string {
	var all []string
	add := func(node string) {
		if ns := l.ns(node); ns != "" {
			all = append(all, ns)
		}
	}
	add(fabricNode)
	for _, node := range l.controlNodes() {
		add(node)
	}
	for i := range l.cfg.Chassis {
		add(l.cfg.Chassis[i].Name)
	}
	for i := range l.cfg.Workloads {
		if w := &l.cfg.Workloads[i]; l.ns(w.Chassis) != "" {
			add(w.Name)
		}
	}
	return all
}

// parallel is how many nodes are built at a time.
const parallel = 4

func (l *Lab) build(ctx context.Context) error {
	if !l.cfg.Dummy() {
		if err := l.makeFabric(ctx); err != nil {
			return fmt.Errorf("fabric: %w", err)
		}
	}
	if err := l.makeCentrals(ctx); err != nil {
		return err
	}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for _, c := range l.Centrals() {
		g.Go(func() error {
			if err := c.fill(gctx, &c.zone.Topology); err != nil {
				return c.wrap(err)
			}
			return nil
		})
	}
	for i := range l.cfg.Chassis {
		ch := &l.cfg.Chassis[i]
		g.Go(func() error { return l.makeChassis(gctx, ch) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	if err := l.attachAll(ctx); err != nil {
		return err
	}
	if err := l.interconnect(ctx); err != nil {
		return err
	}
	if err := l.WaitUp(ctx); err != nil {
		return err
	}
	return l.warmUp(ctx)
}

func (l *Lab) makeChassis(ctx context.Context, ch *Chassis) error {
	if err := l.makeVswitch(ctx, ch); err != nil {
		return fmt.Errorf("chassis %q: %w", ch.Name, err)
	}
	if err := l.dummyTunnels(ctx, ch); err != nil {
		return err
	}
	if err := l.startController(ctx, ch); err != nil {
		return err
	}
	l.log.Info("chassis is up", "chassis", ch.Name, "encap-ip", ch.EncapIP)
	return nil
}

// attachAll attaches the workloads of the file, the chassis side by side.
func (l *Lab) attachAll(ctx context.Context) error {
	byChassis := map[string][]*Workload{}
	for i := range l.cfg.Workloads {
		w := &l.cfg.Workloads[i]
		byChassis[w.Chassis] = append(byChassis[w.Chassis], w)
	}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for _, ws := range byChassis {
		g.Go(func() error {
			for _, w := range ws {
				if err := l.makeWorkload(gctx, w); err != nil {
					return err
				}
			}
			return l.addPorts(gctx, ws)
		})
	}
	return g.Wait()
}

// WaitUp waits until the ports of all workloads are up in the northbound
// database and every chassis has installed its flows. A workload whose port is
// not in the database is left out.
func (l *Lab) WaitUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	for _, c := range l.Centrals() {
		if err := c.waitUp(ctx); err != nil {
			return c.wrap(err)
		}
	}
	return nil
}

// Meet makes the hypervisors know each other's tunnel endpoints again, after
// ovs-vswitchd has been started anew.
func (l *Lab) Meet(ctx context.Context) error { return l.warmUp(ctx) }

// warmUp makes every hypervisor ping the others' tunnel endpoints: Open vSwitch
// drops what it cannot send while it resolves a neighbour. It learns neighbours
// from ARP replies only, so each hypervisor must ask by itself: it forgets first
// what the other's question has taught its kernel.
func (l *Lab) warmUp(ctx context.Context) error {
	for i := range l.cfg.Chassis {
		for j := range l.cfg.Chassis {
			from, to := &l.cfg.Chassis[i], &l.cfg.Chassis[j]
			if i == j || from.Datapath == DatapathDummy || to.Datapath == DatapathDummy || !Linked(from, to) {
				continue
			}
			if err := l.meet(ctx, from, to); err != nil {
				return fmt.Errorf("chassis %q does not reach the tunnel endpoint of %q: %w", from.Name, to.Name, err)
			}
		}
	}
	return nil
}

// meet makes the Open vSwitch of one hypervisor learn the other's tunnel
// endpoint.
func (l *Lab) meet(ctx context.Context, from, to *Chassis) error {
	c, err := l.dialVswitchd(ctx, from.Name)
	if err != nil {
		return err
	}
	defer c.Close()
	// Open vSwitch looks for neighbours only if it has tunnels. It lists the ports
	// that it listens on, below a heading.
	listening, err := c.Call(ctx, "tnl/ports/show")
	if err != nil || !strings.Contains(listening, "ref_cnt=") {
		return err
	}
	const attempts = 5
	for range attempts {
		out, err := c.Call(ctx, "tnl/neigh/show")
		if err != nil {
			return err
		}
		if slices.Contains(strings.Fields(out), to.EncapIP.String()) {
			return nil
		}
		if err := ipBatch(ctx, l.ns(from.Name), fmt.Sprintf("neigh flush to %v dev %s", to.EncapIP, physBridge)); err != nil {
			return err
		}
		if _, err := run(ctx, l.ns(from.Name), "ping", "-q", "-c", "1", "-w", "3", to.EncapIP.String()); err != nil {
			return err
		}
	}
	return errors.New("its MAC is not learned by Open vSwitch")
}

// Down removes the lab: processes, namespaces, run directory. A lab that is not
// there is not an error.
func (l *Lab) Down(ctx context.Context) error {
	unlock, err := l.lock()
	if err != nil {
		return err
	}
	defer unlock()
	// Not only what the state names: it may be lost.
	for _, ns := range l.allNamespaces() {
		if !slices.Contains(l.namespaces, ns) && nsExists(ns) {
			l.namespaces = append(l.namespaces, ns)
		}
	}
	if err := l.remove(ctx, func() error { return os.RemoveAll(l.dir) }); err != nil {
		return fmt.Errorf("lab %q: %w", l.cfg.Name, err)
	}
	_ = os.Remove(l.dir + ".lock")
	return nil
}

const grace = 2 * time.Second // from SIGTERM to SIGKILL

func (l *Lab) remove(ctx context.Context, dropDir func() error) error {
	pids, err := daemonsIn(l.dir)
	if err != nil {
		return err
	}
	if err := end(pids, grace); err != nil {
		return err
	}
	g := new(errgroup.Group)
	g.SetLimit(parallel)
	var mu sync.Mutex
	var errs []error
	for _, ns := range l.namespaces {
		g.Go(func() error {
			if err := dropNS(ctx, ns); err != nil {
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, err)
			}
			return nil
		})
	}
	_ = g.Wait() // errors are in errs: one namespace must not keep the others
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if err := dropDir(); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("run directory: %w", err)
	}
	l.namespaces, l.up = nil, time.Time{}
	return nil
}

// dialVswitchd connects to the control socket of a chassis' ovs-vswitchd.
func (l *Lab) dialVswitchd(ctx context.Context, chassis string) (*unixctl.Client, error) {
	c, err := unixctl.Dial(ctx, l.path(chassis, "vswitchd.ctl"))
	if err != nil {
		return nil, fmt.Errorf("chassis %q: %w", chassis, err)
	}
	return c, nil
}
