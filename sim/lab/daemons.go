package lab

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"

	"govn/sim/lab/unixctl"
)

const (
	vswitchSchema = "/usr/share/openvswitch/vswitch.ovsschema"
	nbSchema      = "/usr/share/ovn/ovn-nb.ovsschema"
	sbSchema      = "/usr/share/ovn/ovn-sb.ovsschema"

	icnbSchema = "/usr/share/ovn/ovn-ic-nb.ovsschema"
	icsbSchema = "/usr/share/ovn/ovn-ic-sb.ovsschema"

	nbPort     = 6641
	sbPort     = 6642
	fabricPort = 6649
)

// path is a file of a node in the run directory.
func (l *Lab) path(node, file string) string { return filepath.Join(l.dir, node, file) }

// ControlSocket is where a daemon of a node listens for ovs-appctl.
func (l *Lab) ControlSocket(node, daemon string) string {
	if daemon == "controller" && l.controlOf(node) == ControlStock {
		// ovn-controller 23.03 chooses its socket's name by itself.
		return l.path(node, "ovn-controller."+strconv.Itoa(l.Pid(node, daemon))+".ctl")
	}
	return l.path(node, daemon+".ctl")
}

// Start starts a daemon that has been ended: "northd" of "central" or of a zone
// (and "nb", "sb" of a stock one, "agent" of one that is joined to others),
// "server" of "ic" ("icnb", "icsb" of a stock one), "controller", "vswitchd" or
// "ovsdb" of a chassis. It returns when the daemon has detached.
func (l *Lab) Start(ctx context.Context, node, daemon string) error {
	if pid := l.Pid(node, daemon); pid != 0 {
		return fmt.Errorf("%s of %q: %w as process %d", daemon, node, ErrRunning, pid)
	}
	if c := l.centralAt(node); c != nil {
		return c.start(ctx, daemon)
	}
	if node == icNode && l.cfg.IC != nil {
		return l.startIC(ctx, daemon)
	}
	ch := l.cfg.chassis(node)
	if ch == nil {
		return fmt.Errorf("%q: %w", node, ErrNoNode)
	}
	switch daemon {
	case "ovsdb":
		return l.startOVSDB(ctx, node, "ovsdb", "conf.db", "db.sock")
	case "vswitchd":
		if err := l.startVswitchd(ctx, ch); err != nil {
			return err
		}
		return l.dummyTunnels(ctx, ch)
	case "controller":
		return l.startController(ctx, ch)
	}
	return fmt.Errorf("%s of %q: %w", daemon, node, ErrNoDaemon)
}

// flags are the options that all Open vSwitch and OVN daemons take.
func (l *Lab) flags(node, daemon string) []string {
	return []string{"-vconsole:off", "--detach", "--no-chdir",
		"--pidfile=" + l.path(node, daemon+".pid"), "--log-file=" + l.path(node, daemon+".log")}
}

// rundir makes the programs keep their unnamed sockets in the node's folder.
func (l *Lab) rundir(node string) []string {
	dir := filepath.Join(l.dir, node)
	return []string{"OVS_RUNDIR=" + dir, "OVN_RUNDIR=" + dir, "OVS_LOGDIR=" + dir, "OVN_LOGDIR=" + dir, "OVS_DBDIR=" + dir, "OVN_DBDIR=" + dir}
}

func (l *Lab) daemon(ctx context.Context, node, name string, argv ...string) error {
	if err := runDaemon(ctx, l.ns(node), l.path(node, name+".out"), l.rundir(node), argv...); err != nil {
		return fmt.Errorf("start %s of %q (log: %s): %w", name, node, l.path(node, name+".log"), err)
	}
	return nil
}

func (l *Lab) startOVSDB(ctx context.Context, node, name, db, sock string, more ...string) error {
	argv := append([]string{"ovsdb-server"}, l.flags(node, name)...)
	argv = append(argv, "--unixctl="+l.path(node, name+".ctl"), "--remote=punix:"+l.path(node, sock))
	argv = append(argv, more...)
	return l.daemon(ctx, node, name, append(argv, l.path(node, db))...)
}

// remote is what ovn-remote of a chassis says.
func (l *Lab) remote(ch *Chassis) string {
	c := l.Central(ch.Zone)
	sock, port := "sb.sock", sbPort
	if c.zone.Control == ControlGovn {
		sock, port = "fabric.sock", fabricPort
	}
	if ch.Datapath == DatapathDummy {
		return "unix:" + l.path(c.node, sock)
	}
	return fmt.Sprintf("tcp:%v:%d", c.zone.MgmtIP, port)
}

// makeVswitch starts the Open vSwitch of a chassis with br-phys and br-int.
func (l *Lab) makeVswitch(ctx context.Context, ch *Chassis) error {
	if ns := l.ns(ch.Name); ns != "" {
		if err := makeNS(ctx, ns, false); err != nil {
			return err
		}
		if err := l.plug(ctx, ch.Name, mgmtIf, mgmtPort(ch.Name), mgmtBridge, l.cfg.Management.MTU); err != nil {
			return err
		}
		if err := l.plug(ctx, ch.Name, underlayIf, underlayPort(ch.Name), underlayBridge, l.cfg.Underlay.MTU); err != nil {
			return err
		}
		if err := ipBatch(ctx, ns, fmt.Sprintf("addr add %v/%d dev %s", ch.MgmtIP, l.cfg.Management.Subnet.Bits(), mgmtIf)); err != nil {
			return err
		}
	}
	if _, err := run(ctx, "", "ovsdb-tool", "create", l.path(ch.Name, "conf.db"), vswitchSchema); err != nil {
		return err
	}
	if err := l.startOVSDB(ctx, ch.Name, "ovsdb", "conf.db", "db.sock"); err != nil {
		return err
	}
	ids := map[string]string{
		"system-id": ch.Name, "hostname": ch.Name,
		"ovn-remote": l.remote(ch), "ovn-bridge": "br-int", "ovn-bridge-datapath-type": string(ch.Datapath),
		"ovn-encap-type": "geneve", "ovn-encap-ip": ch.EncapIP.String(),
	}
	for k, v := range ch.ExternalIDs {
		ids[k] = v
	}
	// One handler and one revalidator: a lab has many vswitchds and few CPUs.
	argv := []string{"--no-wait", "init", "--", "set", "Open_vSwitch", ".",
		"other_config:n-handler-threads=1", "other_config:n-revalidator-threads=1"}
	for _, k := range sortedKeys(ids) {
		argv = append(argv, "external_ids:"+k+"="+ovsString(ids[k]))
	}
	if _, err := l.Vsctl(ctx, ch.Name, argv...); err != nil {
		return err
	}
	if err := l.startVswitchd(ctx, ch); err != nil {
		return err
	}
	dp := "datapath_type=" + string(ch.Datapath)
	if _, err := l.Vsctl(ctx, ch.Name,
		"--", "add-br", physBridge, "--", "set", "Bridge", physBridge, dp, "fail_mode=standalone",
		"--", "add-port", physBridge, underlayIf,
		"--", "add-br", "br-int", "--", "set", "Bridge", "br-int", dp, "fail_mode=secure", "other-config:disable-in-band=true"); err != nil {
		return err
	}
	for _, bridge := range ch.Bridges() {
		if _, err := l.Vsctl(ctx, ch.Name, "--", "--may-exist", "add-br", bridge, "--", "set", "Bridge", bridge, dp, "fail_mode=standalone"); err != nil {
			return err
		}
	}
	if ns := l.ns(ch.Name); ns != "" {
		// The tunnels' local address lives on the bridge, not on the NIC:
		// that is where native tunnelling looks for it.
		return ipBatch(ctx, ns,
			fmt.Sprintf("addr add %v/%d dev %s", ch.EncapIP, l.cfg.Underlay.Subnet.Bits(), physBridge),
			fmt.Sprintf("link set %s mtu %d up", physBridge, l.cfg.Underlay.MTU), "link set br-int up")
	}
	return nil
}

func (l *Lab) startVswitchd(ctx context.Context, ch *Chassis) error {
	argv := append([]string{"ovs-vswitchd"}, l.flags(ch.Name, "vswitchd")...)
	argv = append(argv, "--disable-system", "--unixctl="+l.path(ch.Name, "vswitchd.ctl"))
	if ch.Datapath == DatapathDummy {
		// Of all kinds of ports only "system" ones become dummies: tunnels
		// stay tunnels.
		argv = append(argv, "--enable-dummy=system")
	}
	return l.daemon(ctx, ch.Name, "vswitchd", append(argv, "unix:"+l.path(ch.Name, "db.sock"))...)
}

func (l *Lab) startController(ctx context.Context, ch *Chassis) error {
	db := "unix:" + l.path(ch.Name, "db.sock")
	if l.controlOf(ch.Name) == ControlStock {
		argv := append([]string{"ovn-controller"}, l.flags(ch.Name, "controller")...)
		return l.daemon(ctx, ch.Name, "controller", append(argv, db)...)
	}
	return l.daemon(ctx, ch.Name, "controller", l.govn, "controller", "--ovs", db,
		"--cache-dir", l.path(ch.Name, "cache"),
		"--pidfile="+l.path(ch.Name, "controller.pid"), "--log-file="+l.path(ch.Name, "controller.log"),
		"--unixctl", l.path(ch.Name, "controller.ctl"), "--detach")
}

// dummyTunnels gives a dummy chassis what the network would: an address on
// br-phys, and a neighbour for every other tunnel endpoint. Without them Open
// vSwitch cannot say what a packet to a tunnel looks like.
func (l *Lab) dummyTunnels(ctx context.Context, ch *Chassis) error {
	if ch.Datapath != DatapathDummy {
		return nil
	}
	c, err := unixctl.Dial(ctx, l.path(ch.Name, "vswitchd.ctl"))
	if err != nil {
		return fmt.Errorf("chassis %q: %w", ch.Name, err)
	}
	defer c.Close()
	calls := [][]string{
		{"netdev-dummy/ip4addr", physBridge, fmt.Sprintf("%v/%d", ch.EncapIP, l.cfg.Underlay.Subnet.Bits())},
		{"ovs/route/add", l.cfg.Underlay.Subnet.String(), physBridge},
		{"tnl/neigh/aging", "3600"}, // seconds, the most it takes
	}
	for i := range l.cfg.Chassis {
		if other := &l.cfg.Chassis[i]; other.Name != ch.Name {
			calls = append(calls, dummyNeighbour(other))
		}
	}
	for _, call := range calls {
		if _, err := c.Call(ctx, call[0], call[1:]...); err != nil {
			return fmt.Errorf("chassis %q: %w", ch.Name, err)
		}
	}
	return nil
}

// dummyNeighbour is the command that makes a tunnel endpoint known, with a MAC
// made of its address.
func dummyNeighbour(ch *Chassis) []string {
	b := ch.EncapIP.As4()
	return []string{"tnl/neigh/set", physBridge, ch.EncapIP.String(), fmt.Sprintf("0a:58:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3])}
}
