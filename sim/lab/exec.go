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

// Nodes lists the names that Exec and Capture take: central, fabric, the
// chassis, the workloads.
func (l *Lab) Nodes() []string {
	nodes := []string{centralNode}
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

func (l *Lab) checkNode(node string) error {
	if l.up.IsZero() {
		return fmt.Errorf("lab %q: %w", l.cfg.Name, ErrNotUp)
	}
	if nodes := l.Nodes(); !slices.Contains(nodes, node) {
		return fmt.Errorf("%q: %w; there are %s", node, ErrNoNode, strings.Join(nodes, ", "))
	}
	return nil
}

// Command prepares a program that runs on a node, with OVN_NB_DB, OVN_SB_DB,
// OVS_RUNDIR and OVN_RUNDIR set for the lab, so that stock tools need no
// options.
func (l *Lab) Command(ctx context.Context, node string, argv ...string) (*exec.Cmd, error) {
	if len(argv) == 0 {
		return nil, errors.New("no program given")
	}
	if err := l.checkNode(node); err != nil {
		return nil, err
	}
	cmd := command(ctx, l.ns(node), argv...)
	cmd.Env = append(os.Environ(), l.rundir(node)...)
	cmd.Env = append(cmd.Env, "OVN_NB_DB="+l.NB(), "OVN_SB_DB="+l.SB())
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
	if err := l.checkNode(node); err != nil {
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
	case ifname == "" && node == centralNode:
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
	f, err := os.CreateTemp(l.dir, "capture-"+node+"-*.pcap")
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
	Kind      string // "central", "fabric", "chassis", "workload"
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
	if l.cfg.Control == ControlStock {
		add("central", centralNode, "", "nb", "sb", "northd")
	} else {
		add("central", centralNode, "", "northd")
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
