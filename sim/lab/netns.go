package lab

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const (
	fabricNode  = "fabric"
	centralNode = "central"
	icNode      = "ic"
	netnsDir    = "/run/netns"

	underlayBridge = "br-u"
	mgmtBridge     = "br-m"
	underlayIf     = "eth0"
	mgmtIf         = "mgmt"
	physBridge     = PhysBridge
	intBridge      = "br-int"
	maxIfName      = 15 // IFNAMSIZ less the terminator
)

// ns is the namespace of a node, "" for one that has none.
func (l *Lab) ns(node string) string {
	if ch := l.cfg.chassis(node); ch != nil && ch.Datapath == DatapathDummy {
		return ""
	}
	if l.cfg.Dummy() {
		return ""
	}
	return l.cfg.Name + "-" + node
}

// ifName is an interface name made of a node's name, cut down to what the
// kernel takes without two names becoming one.
func ifName(prefix, name, suffix string) string {
	if len(prefix)+len(name)+len(suffix) <= maxIfName {
		return prefix + name + suffix
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(name))
	hash := fmt.Sprintf("%08x", h.Sum32())[:6]
	return prefix + name[:maxIfName-len(prefix)-len(suffix)-len(hash)] + hash + suffix
}

// underlayPort and mgmtPort are the fabric's ends of a node's veths.
func underlayPort(node string) string { return ifName("", node, "-u") }
func mgmtPort(node string) string     { return ifName("", node, "-m") }

// workloadPort is the hypervisor's end of a workload's veth, and its port in br-int.
func workloadPort(name string) string { return ifName("v-", name, "") }

// ipBatch runs several ip commands in a namespace in one go.
func ipBatch(ctx context.Context, ns string, lines ...string) error {
	argv := []string{"ip", "-n", ns, "-batch", "-"}
	cmd := command(ctx, "", argv...)
	cmd.Stdin = strings.NewReader(strings.Join(lines, "\n") + "\n")
	if _, err := finish(cmd, append(argv, lines...)); err != nil {
		return err
	}
	return nil
}

// makeNS creates a namespace with loopback up. IPv6 stays off unless asked for,
// so that router solicitations and the like do not appear in captures.
func makeNS(ctx context.Context, ns string, ipv6 bool) error {
	if _, err := run(ctx, "", "ip", "netns", "add", ns); err != nil {
		return err
	}
	if _, err := os.Stat("/proc/sys/net/ipv6"); err == nil {
		off := "1"
		if ipv6 {
			off = "0"
		}
		conf := "net.ipv6.conf."
		if _, err := run(ctx, ns, "sysctl", "-qw",
			conf+"all.disable_ipv6="+off, conf+"default.disable_ipv6="+off,
			conf+"default.accept_dad=0", conf+"default.accept_ra=0", conf+"default.router_solicitations=0"); err != nil {
			return err
		}
	}
	return ipBatch(ctx, ns, "link set lo up")
}

// makeFabric builds the two networks between the hypervisors.
func (l *Lab) makeFabric(ctx context.Context) error {
	ns := l.ns(fabricNode)
	if err := makeNS(ctx, ns, false); err != nil {
		return err
	}
	var lines []string
	for _, b := range []struct {
		name string
		mtu  int
	}{{underlayBridge, l.cfg.Underlay.MTU}, {mgmtBridge, l.cfg.Management.MTU}} {
		lines = append(lines,
			fmt.Sprintf("link add %s type bridge mcast_snooping 0", b.name),
			fmt.Sprintf("link set %s mtu %d up", b.name, b.mtu))
	}
	return ipBatch(ctx, ns, lines...)
}

// plug connects a node to one of the fabric's bridges.
func (l *Lab) plug(ctx context.Context, node, ifname, port, bridge string, mtu int) error {
	fab, ns := l.ns(fabricNode), l.ns(node)
	if err := ipBatch(ctx, fab,
		fmt.Sprintf("link add %s mtu %d type veth peer name %s mtu %d netns %s", port, mtu, ifname, mtu, ns),
		fmt.Sprintf("link set %s master %s up", port, bridge)); err != nil {
		return err
	}
	if err := ipBatch(ctx, ns, fmt.Sprintf("link set %s mtu %d up", ifname, mtu)); err != nil {
		return err
	}
	// The userspace datapath reads frames as they are: a checksum left to the
	// hardware would go onto the wire unfinished.
	if err := offloadsOff(ctx, ns, ifname); err != nil {
		return err
	}
	return offloadsOff(ctx, fab, port)
}

func offloadsOff(ctx context.Context, ns, ifname string) error {
	_, err := run(ctx, ns, "ethtool", "-K", ifname, "tx", "off", "rx", "off", "tso", "off", "gso", "off", "gro", "off")
	return err
}

// nsPids lists the processes in a namespace; none if it does not exist.
func nsPids(ctx context.Context, ns string) ([]int, error) {
	if !nsExists(ns) {
		return nil, nil
	}
	out, err := run(ctx, "", "ip", "netns", "pids", ns)
	if err != nil {
		return nil, err
	}
	var pids []int
	for f := range strings.FieldsSeq(out) {
		pid, err := strconv.Atoi(f)
		if err != nil {
			return nil, fmt.Errorf("processes of namespace %q: %w", ns, err)
		}
		if pid != os.Getpid() {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

func nsExists(ns string) bool {
	_, err := os.Stat(filepath.Join(netnsDir, ns))
	return err == nil
}

// dropNS ends what runs in a namespace and removes it.
func dropNS(ctx context.Context, ns string) error {
	pids, err := nsPids(ctx, ns)
	if err != nil {
		return err
	}
	if err := end(pids, time.Second); err != nil {
		return fmt.Errorf("namespace %q: %w", ns, err)
	}
	if _, err := run(ctx, "", "ip", "netns", "del", ns); err != nil && nsExists(ns) {
		return err
	}
	return nil
}

// makeDirs makes directories that may exist already.
func makeDirs(dirs ...string) error {
	var errs []error
	for _, d := range dirs {
		if err := os.MkdirAll(d, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			errs = append(errs, fmt.Errorf("run directory: %w", err))
		}
	}
	return errors.Join(errs...)
}
