package lab

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// makeWorkload makes a workload's namespace and veth; it has no port yet.
func (l *Lab) makeWorkload(ctx context.Context, w *Workload) error {
	hv := l.ns(w.Chassis)
	if hv == "" {
		return nil // a dummy port has nothing behind it
	}
	ipv6 := slices.ContainsFunc(w.IPs, func(p netip.Prefix) bool { return p.Addr().Is6() })
	ns := l.ns(w.Name)
	err := func() error {
		if err := makeNS(ctx, ns, ipv6); err != nil {
			return err
		}
		port := workloadPort(w.Name)
		if err := ipBatch(ctx, hv,
			fmt.Sprintf("link add %s mtu %d type veth peer name eth0 mtu %d netns %s", port, w.MTU, w.MTU, ns),
			fmt.Sprintf("link set %s up", port)); err != nil {
			return err
		}
		if err := offloadsOff(ctx, ns, "eth0"); err != nil {
			return err
		}
		lines := []string{"link set eth0 address " + w.MAC, "link set eth0 up"}
		for _, p := range w.IPs {
			lines = append(lines, fmt.Sprintf("addr add %v dev eth0", p))
		}
		for _, gw := range w.Gateways {
			lines = append(lines, fmt.Sprintf("route add default via %v dev eth0", gw))
		}
		return ipBatch(ctx, ns, lines...)
	}()
	if err != nil {
		return fmt.Errorf("workload %q: %w", w.Name, err)
	}
	return nil
}

// addPorts plugs workloads of one chassis into its br-int.
func (l *Lab) addPorts(ctx context.Context, ws []*Workload) error {
	var argv []string
	for _, w := range ws {
		port := workloadPort(w.Name)
		argv = append(argv, "--", "add-port", w.Bridge, port,
			"--", "set", "Interface", port, "external_ids:iface-id="+ovsString(w.Port))
		if w.VLAN != 0 {
			argv = append(argv, "--", "set", "Port", port, fmt.Sprintf("tag=%d", w.VLAN))
		}
	}
	if len(argv) == 0 {
		return nil
	}
	if _, err := l.Vsctl(ctx, ws[0].Chassis, argv...); err != nil {
		return fmt.Errorf("chassis %q: %w", ws[0].Chassis, err)
	}
	return nil
}

// Attach adds a workload to a lab that is up, under a new name. It does not
// wait for its port.
func (l *Lab) Attach(ctx context.Context, w Workload) error {
	if l.taken(w.Name) {
		return fmt.Errorf("workload %q: the name is taken", w.Name)
	}
	if l.cfg.chassis(w.Chassis) == nil {
		return fmt.Errorf("workload %q: chassis %q: %w", w.Name, w.Chassis, ErrNoNode)
	}
	if w.Port == "" {
		w.Port = w.Name
	}
	if w.Bridge == "" {
		w.Bridge = intBridge
	}
	if w.MTU == 0 {
		w.MTU = defaultWorkloadMTU
	}
	l.cfg.Workloads = append(l.cfg.Workloads, w)
	if l.ns(w.Chassis) != "" {
		l.namespaces = append(l.namespaces, l.ns(w.Name))
	}
	if err := l.saveState(); err != nil {
		return err
	}
	if err := l.makeWorkload(ctx, &w); err != nil {
		return err
	}
	return l.addPorts(ctx, []*Workload{&w})
}

// Detach removes a workload with its port. The other end of its veth goes with
// its namespace.
func (l *Lab) Detach(ctx context.Context, name string) error {
	i := slices.IndexFunc(l.cfg.Workloads, func(w Workload) bool { return w.Name == name })
	if i < 0 {
		return fmt.Errorf("workload %q: %w", name, ErrNoNode)
	}
	w := l.cfg.Workloads[i]
	if _, err := l.Vsctl(ctx, w.Chassis, "--if-exists", "del-port", w.Bridge, workloadPort(w.Name)); err != nil {
		return fmt.Errorf("workload %q: %w", name, err)
	}
	if l.ns(w.Chassis) != "" {
		ns := l.ns(w.Name)
		if err := dropNS(ctx, ns); err != nil {
			return err
		}
		l.namespaces = slices.DeleteFunc(l.namespaces, func(s string) bool { return s == ns })
	}
	l.cfg.Workloads = slices.Delete(l.cfg.Workloads, i, i+1)
	return l.saveState()
}

// AddChassis adds a hypervisor to a lab that is up. EncapIP and MgmtIP must be
// given and free.
func (l *Lab) AddChassis(ctx context.Context, ch Chassis) error {
	if l.taken(ch.Name) {
		return fmt.Errorf("chassis %q: the name is taken", ch.Name)
	}
	if l.cfg.zone(ch.Zone) == nil {
		return fmt.Errorf("chassis %q: %w: %q", ch.Name, ErrNoZone, ch.Zone)
	}
	l.cfg.Chassis = append(l.cfg.Chassis, ch)
	if ns := l.ns(ch.Name); ns != "" {
		l.namespaces = append(l.namespaces, ns)
	}
	if err := l.saveState(); err != nil {
		return err
	}
	if err := makeDirs(l.path(ch.Name, "")); err != nil {
		return err
	}
	if err := l.makeChassis(ctx, &ch); err != nil {
		return err
	}
	for i := range l.cfg.Chassis {
		if other := &l.cfg.Chassis[i]; other.Datapath == DatapathDummy && ch.Datapath == DatapathDummy && other.Name != ch.Name {
			if err := l.dummyTunnels(ctx, other); err != nil {
				return err
			}
		}
	}
	return l.warmUp(ctx)
}

// RemoveChassis ends a hypervisor hard, as if it had lost power: its workloads
// must have been detached. What the databases say about it stays.
func (l *Lab) RemoveChassis(ctx context.Context, name string) error {
	i := slices.IndexFunc(l.cfg.Chassis, func(c Chassis) bool { return c.Name == name })
	if i < 0 {
		return fmt.Errorf("chassis %q: %w", name, ErrNoNode)
	}
	for _, w := range l.cfg.Workloads {
		if w.Chassis == name {
			return fmt.Errorf("chassis %q: workload %q is still there", name, w.Name)
		}
	}
	pids, err := daemonsIn(l.path(name, ""))
	if err != nil {
		return err
	}
	if err := end(pids, 0); err != nil {
		return err
	}
	if ns := l.ns(name); ns != "" {
		if err := dropNS(ctx, ns); err != nil {
			return err
		}
		l.namespaces = slices.DeleteFunc(l.namespaces, func(s string) bool { return s == ns })
	}
	l.cfg.Chassis = slices.Delete(l.cfg.Chassis, i, i+1)
	return l.saveState()
}

// PortName is the name in br-int of a workload's port.
func (l *Lab) PortName(workload string) string { return workloadPort(workload) }

// Vsctl runs ovs-vsctl on a chassis.
func (l *Lab) Vsctl(ctx context.Context, chassis string, args ...string) (string, error) {
	return run(ctx, "", append([]string{"ovs-vsctl", "--db=unix:" + l.path(chassis, "db.sock"), "--timeout=" + l.seconds()}, args...)...)
}

// Ofctl runs an ovs-ofctl command on br-int of a chassis.
func (l *Lab) Ofctl(ctx context.Context, chassis, command string, args ...string) (string, error) {
	return run(ctx, "", append([]string{"ovs-ofctl", "-O", "OpenFlow15", command, "unix:" + l.path(chassis, "br-int.mgmt")}, args...)...)
}

// Appctl runs a command on the control socket of a daemon of a node.
func (l *Lab) Appctl(ctx context.Context, node, daemon string, args ...string) (string, error) {
	return run(ctx, "", append([]string{"ovs-appctl", "-t", l.ControlSocket(node, daemon)}, args...)...)
}

// seconds is the patience of the tools that wait for a daemon.
func (l *Lab) seconds() string { return fmt.Sprint(max(1, int(l.timeout.Seconds()))) }

// Try suggests commands to try a lab out, one per line.
func (l *Lab) Try(file string) []string {
	var with []*Workload
	for i := range l.cfg.Workloads {
		if w := &l.cfg.Workloads[i]; l.ns(w.Chassis) != "" && len(w.IPs) > 0 {
			with = append(with, w)
		}
	}
	var lines []string
	if len(with) >= 2 {
		a, b := with[0], with[1]
		for _, w := range with[1:] {
			if w.Chassis != a.Chassis {
				b = w
				break
			}
		}
		lines = append(lines,
			fmt.Sprintf("govn lab capture %s %s underlay -c 4 -e -vv udp port 6081", file, a.Chassis),
			fmt.Sprintf("govn lab exec %s %s ping -c 3 %v", file, a.Name, b.IPs[0].Addr()))
	}
	for _, c := range l.Centrals() {
		lines = append(lines, "ovn-nbctl --db="+c.NB()+" show", "ovn-sbctl --db="+c.SB()+" show")
	}
	if l.cfg.IC != nil {
		lines = append(lines, "ovn-ic-sbctl --db="+l.ICSB()+" show")
	}
	return append(lines,
		"ovs-ofctl -O OpenFlow15 dump-flows unix:"+l.path(l.cfg.Chassis[0].Name, "br-int.mgmt"),
		strings.TrimSpace("govn lab down "+file))
}
