package lab

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Central is the control plane of a zone, or of a lab without zones: its
// databases and the tools for them.
type Central struct {
	l    *Lab
	zone *Zone
	node string
}

// Centrals are the control planes of the lab: one for each zone.
func (l *Lab) Centrals() []*Central {
	list := l.cfg.AllZones()
	out := make([]*Central, len(list))
	for i := range list {
		out[i] = &Central{l: l, zone: &list[i], node: list[i].Node()}
	}
	return out
}

// Central is the control plane of a zone; nil: there is no zone of that name.
// The name of a lab without zones is "".
func (l *Lab) Central(zone string) *Central {
	list := l.Centrals()
	if i := slices.IndexFunc(list, func(c *Central) bool { return c.zone.Name == zone }); i >= 0 {
		return list[i]
	}
	return nil
}

// centralAt is the control plane with a node; nil: the node is something else.
func (l *Lab) centralAt(node string) *Central {
	list := l.Centrals()
	if i := slices.IndexFunc(list, func(c *Central) bool { return c.node == node }); i >= 0 {
		return list[i]
	}
	return nil
}

// sole is the control plane of a lab that has one.
func (l *Lab) sole() (*Central, error) {
	list := l.Centrals()
	if len(list) != 1 {
		return nil, fmt.Errorf("lab %q has %d zones, and none is named: %w", l.cfg.Name, len(list), ErrNoZone)
	}
	return list[0], nil
}

// controlNodes are the nodes of all control planes, that of the interconnection
// included.
func (l *Lab) controlNodes() []string {
	var nodes []string
	for _, c := range l.Centrals() {
		nodes = append(nodes, c.node)
	}
	if l.cfg.IC != nil {
		nodes = append(nodes, icNode)
	}
	return nodes
}

// taken tells whether a node has a name.
func (l *Lab) taken(name string) bool {
	return name == centralNode || name == fabricNode || slices.Contains(l.controlNodes(), name) ||
		l.cfg.workload(name) != nil || l.cfg.chassis(name) != nil
}

// controlOf is the control plane that a node belongs to.
func (l *Lab) controlOf(node string) Control {
	if name, ok := l.cfg.ZoneOf(node); ok {
		return l.cfg.zone(name).Control
	}
	return l.cfg.Control
}

// NB is the address of the northbound database, for --db of ovn-nbctl; "" in a
// lab with several zones.
func (l *Lab) NB() string {
	c, err := l.sole()
	if err != nil {
		return ""
	}
	return c.NB()
}

// SB is the address of the southbound database; "" in a lab with several zones.
func (l *Lab) SB() string {
	c, err := l.sole()
	if err != nil {
		return ""
	}
	return c.SB()
}

// Nbctl runs stock ovn-nbctl on the lab's northbound database; where there are
// several zones, [Lab.Central] has one for each.
func (l *Lab) Nbctl(ctx context.Context, args ...string) (string, error) {
	c, err := l.sole()
	if err != nil {
		return "", err
	}
	return c.Nbctl(ctx, args...)
}

// Sbctl runs stock ovn-sbctl on the lab's southbound database.
func (l *Lab) Sbctl(ctx context.Context, args ...string) (string, error) {
	c, err := l.sole()
	if err != nil {
		return "", err
	}
	return c.Sbctl(ctx, args...)
}

// Trace runs stock ovn-trace on the lab's southbound database.
func (l *Lab) Trace(ctx context.Context, args ...string) (string, error) {
	c, err := l.sole()
	if err != nil {
		return "", err
	}
	return c.Trace(ctx, args...)
}

// Node is the node that northd runs on, for [Lab.Exec] and [Lab.Signal].
func (c *Central) Node() string { return c.node }

// Zone is the zone of the control plane. It must not be changed.
func (c *Central) Zone() *Zone { return c.zone }

// NB is the address of the northbound database.
func (c *Central) NB() string { return "unix:" + c.l.path(c.node, "nb.sock") }

// SB is the address of the southbound database.
func (c *Central) SB() string { return "unix:" + c.l.path(c.node, "sb.sock") }

// Nbctl runs stock ovn-nbctl on the northbound database.
func (c *Central) Nbctl(ctx context.Context, args ...string) (string, error) {
	return run(ctx, "", append([]string{"ovn-nbctl", "--db=" + c.NB(), "--timeout=" + c.l.seconds()}, args...)...)
}

// Sbctl runs stock ovn-sbctl on the southbound database.
func (c *Central) Sbctl(ctx context.Context, args ...string) (string, error) {
	return run(ctx, "", append([]string{"ovn-sbctl", "--db=" + c.SB(), "--timeout=" + c.l.seconds()}, args...)...)
}

// Trace runs stock ovn-trace on the southbound database.
func (c *Central) Trace(ctx context.Context, args ...string) (string, error) {
	return run(ctx, "", append([]string{"ovn-trace", "--db=" + c.SB()}, args...)...)
}

// wrap names the zone in an error.
func (c *Central) wrap(err error) error {
	if c.zone.Name == "" {
		return err
	}
	return fmt.Errorf("zone %q: %w", c.zone.Name, err)
}

// makeCentrals starts the control planes' halves that are not on chassis.
func (l *Lab) makeCentrals(ctx context.Context) error {
	for _, c := range l.Centrals() {
		if err := c.make(ctx); err != nil {
			return c.wrap(fmt.Errorf("control plane: %w", err))
		}
		l.log.Info("control plane is up", "zone", c.zone.Name, "control", c.zone.Control)
	}
	return nil
}

// makeControlNode makes the namespace of a control plane on the management
// network.
func (l *Lab) makeControlNode(ctx context.Context, node string, addr netip.Addr) error {
	ns := l.ns(node)
	if ns == "" {
		return nil
	}
	if err := makeNS(ctx, ns, false); err != nil {
		return err
	}
	if err := l.plug(ctx, node, mgmtIf, mgmtPort(node), mgmtBridge, l.cfg.Management.MTU); err != nil {
		return err
	}
	return ipBatch(ctx, ns, fmt.Sprintf("addr add %v/%d dev %s", addr, l.cfg.Management.Subnet.Bits(), mgmtIf))
}

func (c *Central) make(ctx context.Context) error {
	l := c.l
	if err := l.makeControlNode(ctx, c.node, c.zone.MgmtIP); err != nil {
		return err
	}
	if c.zone.Control == ControlGovn {
		return c.start(ctx, "northd")
	}
	for _, db := range []struct{ name, schema string }{{"nb", nbSchema}, {"sb", sbSchema}} {
		if _, err := run(ctx, "", "ovsdb-tool", "create", l.path(c.node, db.name+".db"), db.schema); err != nil {
			return err
		}
		if err := c.start(ctx, db.name); err != nil {
			return err
		}
	}
	if _, err := run(ctx, "", "ovn-nbctl", "--db="+c.NB(), "init"); err != nil {
		return err
	}
	return c.start(ctx, "northd")
}

// tcp is a remote of a node for its peers, none in a lab without networks.
func (l *Lab) tcp(node, kind string, addr netip.Addr, port int) []string {
	if l.ns(node) == "" {
		return nil
	}
	return []string{fmt.Sprintf("%s:%d:%v", kind, port, addr)}
}

// start starts one daemon of the control plane.
func (c *Central) start(ctx context.Context, daemon string) error {
	l, node, stock := c.l, c.node, c.zone.Control == ControlStock
	listen := func(port int) []string { return l.tcp(node, "ptcp", c.zone.MgmtIP, port) }
	switch {
	case daemon == "agent" && l.cfg.IC != nil:
		return c.startAgent(ctx)
	case daemon == "northd" && stock:
		argv := append([]string{"ovn-northd"}, l.flags(node, daemon)...)
		return l.daemon(ctx, node, daemon, append(argv, "--unixctl="+l.path(node, "northd.ctl"),
			"--ovnnb-db="+c.NB(), "--ovnsb-db="+c.SB())...)
	case daemon == "northd":
		fabric := "unix:" + l.path(node, "fabric.sock")
		if l.ns(node) != "" {
			fabric = fmt.Sprintf("tcp:%v:%d,%s", c.zone.MgmtIP, fabricPort, fabric)
		}
		return l.daemon(ctx, node, daemon, append([]string{l.govn, "northd",
			"--data-dir", l.path(node, "data"),
			"--nb-listen", commaList("punix:"+l.path(node, "nb.sock"), listen(nbPort)),
			"--sb-listen", commaList("punix:"+l.path(node, "sb.sock"), listen(sbPort)),
			"--fabric-listen", fabric}, l.govnFlags(node, daemon)...)...)
	case stock && daemon == "nb":
		return l.startOVSDB(ctx, node, daemon, "nb.db", "nb.sock", remotes(listen(nbPort))...)
	case stock && daemon == "sb":
		return l.startOVSDB(ctx, node, daemon, "sb.db", "sb.sock", remotes(listen(sbPort))...)
	}
	return fmt.Errorf("%s of %q: %w", daemon, node, ErrNoDaemon)
}

// daemons are those of the control plane.
func (c *Central) daemons() []string {
	list := []string{"northd"}
	if c.zone.Control == ControlStock {
		list = []string{"nb", "sb", "northd"}
	}
	if c.l.cfg.IC != nil {
		list = append(list, "agent")
	}
	return list
}

// govnFlags are the options that all daemons of govn take.
func (l *Lab) govnFlags(node, daemon string) []string {
	return []string{"--pidfile=" + l.path(node, daemon+".pid"), "--log-file=" + l.path(node, daemon+".log"),
		"--unixctl", l.path(node, daemon+".ctl"), "--detach"}
}

func remotes(list []string) []string {
	var out []string
	for _, r := range list {
		out = append(out, "--remote="+r)
	}
	return out
}

func commaList(first string, more []string) string {
	for _, m := range more {
		first += "," + m
	}
	return first
}

// fill writes a topology to the northbound database.
func (c *Central) fill(ctx context.Context, t *Topology) error {
	if c.zone.Name != "" {
		if _, err := c.Nbctl(ctx, "set", "NB_Global", ".", "name="+ovsString(c.zone.Name)); err != nil {
			return err
		}
	}
	if args := t.nbctlArgs(); len(args) > 0 {
		if _, err := c.Nbctl(ctx, args...); err != nil {
			return fmt.Errorf("topology: %w", err)
		}
	}
	return commands(t.Nbctl, "topology.nbctl", func(args []string) error {
		_, err := c.Nbctl(ctx, args...)
		return err
	})
}

// commands runs command lines in order; field is where they come from.
func commands(lines []string, field string, run func(args []string) error) error {
	for i, line := range lines {
		words, err := SplitWords(line)
		if err == nil {
			err = run(words)
		}
		if err != nil {
			return fmt.Errorf("%s[%d]: %w", field, i, err)
		}
	}
	return nil
}

// waitUp waits until the ports of the zone's workloads are up and its chassis
// have installed their flows.
func (c *Central) waitUp(ctx context.Context) error {
	l := c.l
	out, err := c.Nbctl(ctx, "--bare", "--columns=name", "list", "Logical_Switch_Port")
	if err != nil {
		return err
	}
	known := strings.Fields(out)
	for _, w := range l.cfg.WorkloadsOf(c.zone.Name) {
		if w.Bridge != intBridge || l.cfg.topologyOf(w).local(w.Port) {
			continue // behind a physical network, or never up
		}
		if !slices.Contains(known, w.Port) {
			l.log.Warn("the workload's port is not in the topology", "workload", w.Name, "port", w.Port)
			continue
		}
		if err := c.portUp(ctx, w); err != nil {
			return err
		}
	}
	if _, err := c.Nbctl(ctx, "--wait=hv", "sync"); err != nil {
		return fmt.Errorf("wait for the chassis: %w", err)
	}
	return nil
}
