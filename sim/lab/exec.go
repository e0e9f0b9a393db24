package lab

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Nodes lists the names that Exec and Capture take: central or the zones, ic,
// fabric, the chassis, the workloads.
func (l *Lab) Nodes() []string {
	nodes := l.controlNodes()
	if !l.cfg.Dummy() {
		nodes = append(nodes, fabricNode)
	}
	for i := range l.cfg.Chassis {
		nodes = append(nodes, l.cfg.Chassis[i].Name)
	}
	for i := range l.cfg.Workloads {
		if l.ns(l.cfg.Workloads[i].Chassis) != "" {
			nodes = append(nodes, l.cfg.Workloads[i].Name)
		}
	}
	return nodes
}

// node finds a node by its name, or by ZONE/NAME.
func (l *Lab) node(name string) (string, error) {
	if l.up.IsZero() {
		return "", fmt.Errorf("lab %q: %w", l.cfg.Name, ErrNotUp)
	}
	if zone, rest, ok := strings.Cut(name, "/"); ok {
		if z, known := l.cfg.ZoneOf(rest); !known || z != zone {
			return "", fmt.Errorf("%q: %w", name, ErrNoNode)
		}
		name = rest
	}
	if nodes := l.Nodes(); !slices.Contains(nodes, name) {
		return "", fmt.Errorf("%q: %w; there are %s", name, ErrNoNode, strings.Join(nodes, ", "))
	}
	return name, nil
}

// Command prepares a program that runs on a node, with OVN_NB_DB and OVN_SB_DB of
// its zone, OVN_IC_NB_DB and OVN_IC_SB_DB where zones are joined, OVS_RUNDIR and
// OVN_RUNDIR set for the lab, so that stock tools need no options. A node may be
// named ZONE/NODE.
func (l *Lab) Command(ctx context.Context, node string, argv ...string) (*exec.Cmd, error) {
	if len(argv) == 0 {
		return nil, errors.New("no program given")
	}
	node, err := l.node(node)
	if err != nil {
		return nil, err
	}
	cmd := command(ctx, l.ns(node), argv...)
	cmd.Env = append(os.Environ(), l.rundir(node)...)
	if zone, ok := l.cfg.ZoneOf(node); ok {
		c := l.Central(zone)
		cmd.Env = append(cmd.Env, "OVN_NB_DB="+c.NB(), "OVN_SB_DB="+c.SB())
	} else if c, err := l.sole(); err == nil {
		cmd.Env = append(cmd.Env, "OVN_NB_DB="+c.NB(), "OVN_SB_DB="+c.SB())
	}
	if l.cfg.IC != nil {
		cmd.Env = append(cmd.Env, "OVN_IC_NB_DB="+l.ICNB(), "OVN_IC_SB_DB="+l.ICSB())
	}
	return cmd, nil
}

// Exec runs a program on a node and returns its standard output. An error has
// the end of its standard error.
func (l *Lab) Exec(ctx context.Context, node string, argv ...string) (string, error) {
	cmd, err := l.Command(ctx, node, argv...)
	if err != nil {
		return "", err
	}
	return finish(cmd, argv)
}

// place is where a capture listens: the namespace and interface behind a node
// and a name. "underlay" of a chassis is the fabric's end of its link, where
// tunnels show as they are on the wire; "" is eth0 of a workload and the
// underlay of a chassis.
func (l *Lab) place(node, ifname string) (ns, dev string, err error) {
	if node, err = l.node(node); err != nil {
		return "", "", err
	}
	isChassis := l.cfg.chassis(node) != nil
	switch {
	case isChassis && (ifname == "" || ifname == "underlay"):
		if l.ns(node) == "" {
			return "", "", fmt.Errorf("chassis %q has a dummy datapath: there are no packets to capture", node)
		}
		return l.ns(fabricNode), underlayPort(node), nil
	case ifname == "" && node == fabricNode:
		return l.ns(node), underlayBridge, nil
	case ifname == "" && (l.centralAt(node) != nil || node == icNode):
		return l.ns(node), mgmtIf, nil
	case ifname == "":
		return l.ns(node), "eth0", nil
	}
	return l.ns(node), ifname, nil
}

// CaptureCommand prepares a tcpdump on an interface of a node: see [Lab.Capture]
// for the names. args go to tcpdump as they are.
func (l *Lab) CaptureCommand(ctx context.Context, node, ifname string, args ...string) (*exec.Cmd, error) {
	ns, dev, err := l.place(node, ifname)
	if err != nil {
		return nil, err
	}
	return command(ctx, ns, append([]string{"tcpdump", "-n", "-l", "--immediate-mode", "-i", dev}, args...)...), nil
}

// Capture is a running packet capture.
type Capture struct {
	Path string // pcap file
	cmd  *exec.Cmd
	log  bytes.Buffer  // standard error of tcpdump; complete when done is closed
	done chan struct{} // closed when standard error has ended
	once sync.Once
	err  error
}

// Capture starts to record packets on an interface of a node and returns when
// it listens: node "hv1" with ifname "" or "underlay" is the wire of the
// hypervisor, "vm1" with "" a workload's eth0; any other ifname is an interface
// of the node's namespace. filter is in tcpdump's language. Stop must be
// called; ending ctx ends the capture as well.
func (l *Lab) Capture(ctx context.Context, node, ifname, filter string) (*Capture, error) {
	ns, dev, err := l.place(node, ifname)
	if err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(l.dir, "capture-"+strings.ReplaceAll(node, "/", "-")+"-*.pcap")
	if err != nil {
		return nil, fmt.Errorf("capture: %w", err)
	}
	_ = f.Close()
	argv := []string{"tcpdump", "-n", "-U", "--immediate-mode", "-Z", "root", "-i", dev, "-w", f.Name()}
	if filter != "" {
		argv = append(argv, filter)
	}
	c := &Capture{Path: f.Name(), cmd: command(ctx, ns, argv...), done: make(chan struct{})}
	// Stop sends SIGINT; a context that ends must let tcpdump write as well.
	c.cmd.Cancel = func() error { return c.cmd.Process.Signal(unix.SIGINT) }
	stderr, err := c.cmd.StderrPipe()
	if err != nil {
		return nil, fmt.Errorf("capture: %w", err)
	}
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("capture on %q: %w", node, err)
	}
	listening := make(chan struct{})
	go func() {
		defer close(c.done)
		once := sync.OnceFunc(func() { close(listening) })
		sc := bufio.NewScanner(stderr)
		for sc.Scan() {
			c.log.WriteString(sc.Text() + "\n")
			if strings.Contains(sc.Text(), "listening on") {
				once()
			}
		}
	}()
	select {
	case <-listening:
		return c, nil
	case <-c.done:
		err := c.cmd.Wait()
		return nil, fmt.Errorf("capture on %q: %w", node, &CommandError{Argv: argv, Stderr: tail(c.log.String()), Err: err})
	}
}

// Stop ends the capture. All packets that have arrived are in the file then.
func (c *Capture) Stop() error {
	c.once.Do(func() {
		if err := c.cmd.Process.Signal(unix.SIGINT); err != nil && !errors.Is(err, os.ErrProcessDone) {
			c.err = fmt.Errorf("capture: %w", err)
		}
		<-c.done
		if err := c.cmd.Wait(); err != nil && c.cmd.ProcessState.ExitCode() > 0 {
			c.err = fmt.Errorf("capture: %w: %s", err, tail(c.log.String()))
		}
	})
	return c.err
}

// Text renders what has been captured up to now as tcpdump prints it; args are
// tcpdump's, such as "-vvv" or a filter.
func (c *Capture) Text(ctx context.Context, args ...string) (string, error) {
	return run(ctx, "", append([]string{"tcpdump", "-n", "-r", c.Path}, args...)...)
}

// Count is the number of packets captured up to now that match a filter.
func (c *Capture) Count(ctx context.Context, filter string) (int, error) {
	args := []string{"-q"}
	if filter != "" {
		args = append(args, filter)
	}
	out, err := c.Text(ctx, args...)
	return strings.Count(out, "\n"), err
}

// NodeStatus is the state of one node.
type NodeStatus struct {
	Node      string
	Kind      string // "central", "ic", "fabric", "chassis", "workload"
	Zone      string // "" for none
	Namespace string // "" for none
	OK        bool   // namespace and daemons are there
	Daemons   []DaemonStatus
	Detail    string // address of a chassis, MAC, IP, port and chassis of a workload
}

// DaemonStatus is the state of one daemon.
type DaemonStatus struct {
	Name string
	Pid  int // 0: does not run
	RSS  int // KiB
	Log  string
}

// Status is the state of a lab.
type Status struct {
	Name    string
	Control Control
	Dir     string
	Up      time.Time // zero: not up
	Nodes   []NodeStatus
}

// Status looks at namespaces and processes. A lab that is not up has no nodes.
func (l *Lab) Status() (*Status, error) {
	st := &Status{Name: l.cfg.Name, Control: l.cfg.Control, Dir: l.dir, Up: l.up}
	s, err := loadState(l.dir)
	if err != nil || s == nil {
		return st, err
	}
	add := func(kind, node, detail string, daemons ...string) {
		n := NodeStatus{Node: node, Kind: kind, Detail: detail, OK: true}
		n.Zone, _ = l.cfg.ZoneOf(node)
		if kind != "workload" || l.ns(l.cfg.workload(node).Chassis) != "" {
			n.Namespace = l.ns(node)
		}
		if n.Namespace != "" && !nsExists(n.Namespace) {
			n.OK = false
		}
		for _, d := range daemons {
			ds := DaemonStatus{Name: d, Pid: l.Pid(node, d), Log: filepath.Join(l.dir, node, d+".log")}
			if ds.Pid == 0 {
				n.OK = false
			} else {
				ds.RSS = rss(ds.Pid)
			}
			n.Daemons = append(n.Daemons, ds)
		}
		st.Nodes = append(st.Nodes, n)
	}
	for _, c := range l.Centrals() {
		detail := ""
		if c.zone.Name != "" {
			detail = "control " + string(c.zone.Control)
		}
		if l.cfg.IC != nil {
			detail += ", agent " + string(c.zone.Agent)
		}
		add("central", c.node, detail, c.daemons()...)
	}
	if l.cfg.IC != nil {
		join := JoinOVSDB
		if l.cfg.IC.byFabric() {
			join = JoinFabric
		}
		add("ic", icNode, fmt.Sprintf("server %s, joined by %s", l.cfg.IC.Server, join), l.icDaemons()...)
	}
	for i := range l.cfg.Chassis {
		ch := &l.cfg.Chassis[i]
		add("chassis", ch.Name, "encap-ip "+ch.EncapIP.String(), "ovsdb", "vswitchd", "controller")
	}
	for i := range l.cfg.Workloads {
		w := &l.cfg.Workloads[i]
		detail := fmt.Sprintf("%s on %s, port %s", w.MAC, w.Chassis, w.Port)
		for _, p := range w.IPs {
			detail += ", " + p.String()
		}
		add("workload", w.Name, detail)
	}
	return st, nil
}

// rss is the resident memory of a process in KiB, 0 if it is gone.
func rss(pid int) int {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	var kib int
	for line := range strings.Lines(string(data)) {
		if v, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			_, _ = fmt.Sscanf(v, "%d", &kib)
		}
	}
	return kib
}
