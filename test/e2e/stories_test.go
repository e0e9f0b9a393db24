//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"govn/sim/decode"
	"govn/sim/lab"
	"govn/test/stories"
)

// network plays a story on a lab.
type network struct {
	t     *testing.T
	l     *lab.Lab
	names *decode.Southbound
}

// play brings the lab of an example up.
func play(t *testing.T, example string) *network {
	t.Helper()
	n := &network{t: t, l: up(t, load(t, "../../docs/examples/"+example+".yaml"), lab.ControlGovn)}
	n.follow()
	return n
}

// follow connects to the southbound database.
func (n *network) follow() {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), 10*time.Second)
	defer cancel()
	s, err := decode.DialSouthbound(ctx, "", n.l.SB())
	if err != nil {
		n.t.Fatal(err)
	}
	n.names = s
	n.t.Cleanup(s.Close)
}

func (n *network) Ping(ctx context.Context, from string, to netip.Addr, size, count int) (int, error) {
	out, err := n.l.Exec(ctx, from, "ping", "-n", "-q", "-M", "do", "-s", strconv.Itoa(size), "-c", strconv.Itoa(count), "-i", "0.05", "-W", "1", to.String())
	m := pingSummary.FindStringSubmatch(out)
	if m == nil {
		return 0, fmt.Errorf("ping: %w: %s", err, out)
	}
	return strconv.Atoi(m[2]) // no answer is no error
}

func (n *network) Send(ctx context.Context, workload string, frames ...[]byte) error {
	return n.l.Transmit(ctx, workload, "", frames...)
}

func (n *network) Inject(ctx context.Context, chassis string, frames ...[]byte) error {
	return n.l.Transmit(ctx, chassis, "underlay", frames...)
}

// recording is a capture.
type recording struct{ c *lab.Capture }

func (n *network) Record(ctx context.Context, node string) (stories.Recording, error) {
	c, err := n.l.Capture(ctx, node, "", "")
	if err != nil {
		return nil, err
	}
	n.t.Cleanup(func() { _ = c.Stop() })
	return recording{c}, nil
}

func (r recording) Frames(context.Context) ([]decode.Frame, error) {
	f, err := os.Open(r.c.Path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	capture, err := decode.NewFile(f)
	var frames []decode.Frame
	for err == nil {
		var frame decode.Frame
		if frame, err = capture.Next(); err == nil {
			frames = append(frames, frame)
		}
	}
	return frames, nil // the last one may be half written
}

func (n *network) Endpoint(ctx context.Context, chassis string) (net.HardwareAddr, error) {
	out, err := n.l.Exec(ctx, chassis, "cat", "/sys/class/net/br-phys/address")
	if err != nil {
		return nil, err
	}
	return net.ParseMAC(strings.TrimSpace(out))
}

func (n *network) Flows(_ context.Context, chassis string) ([]string, error) {
	var out []string
	for id, f := range flows(n.t, n.l, chassis) {
		out = append(out, "cookie="+f.cookie+" "+id)
	}
	slices.Sort(out)
	return out, nil
}

func (n *network) Names() decode.Names { return n.names }

func (n *network) Restart(ctx context.Context) error {
	var hosts []string
	for _, c := range n.l.Config().Chassis {
		hosts = append(hosts, c.Name)
	}
	before := map[string]int{}
	for _, h := range hosts {
		before[h] = len(flows(n.t, n.l, h))
	}
	if err := n.l.Signal("central", "northd", unix.SIGKILL); err != nil {
		return err
	}
	for _, h := range hosts {
		for _, d := range []string{"controller", "vswitchd", "ovsdb"} {
			if err := n.l.Signal(h, d, unix.SIGKILL); err != nil {
				return err
			}
		}
	}
	if err := n.l.Start(ctx, "central", "northd"); err != nil {
		return err
	}
	for _, h := range hosts {
		for _, d := range []string{"ovsdb", "vswitchd", "controller"} {
			if err := n.l.Start(ctx, h, d); err != nil {
				return err
			}
		}
	}
	if err := n.l.WaitUp(ctx); err != nil {
		return err
	}
	n.follow()
	return n.l.Meet(ctx)
}

// Two container networks are joined, survive a restart of everything, and the
// underlay's MTU is what stops a packet that is too large, not only the
// container's own.
func TestStoryJoinedNetworks(t *testing.T) {
	n := play(t, "joined-networks")
	stories.JoinedNetworks(t, n)
	for _, w := range []string{"a1", "b1"} {
		must(t)(n.l.Exec(t.Context(), w, "ip", "link", "set", "eth0", "mtu", "1500"))
		must(t)(n.l.Exec(t.Context(), map[string]string{"a1": "host-a", "b1": "host-b"}[w], "ip", "link", "set", n.l.PortName(w), "mtu", "1500"))
	}
	for _, tc := range []struct{ size, want int }{{1414, 1}, {1415, 0}, {1414, 1}} {
		got, err := n.Ping(t.Context(), "a1", netip.MustParseAddr("10.88.0.129"), tc.size, 1)
		if err != nil {
			t.Fatal(err)
		}
		if got != tc.want {
			t.Errorf("containers with an MTU of 1500, %d bytes of data: %d replies, %d expected", tc.size, got, tc.want)
		}
	}
}

func TestStoryGeneveInGeneve(t *testing.T) {
	stories.GeneveInGeneve(t, play(t, "geneve-in-geneve"))
}

// nestedSwitch is Open vSwitch in a workload: the workload's address moves to a
// bridge with its interface, and a second bridge has a Geneve tunnel to the peer.
const nestedSwitch = `
r=$1 mac=$2 ip=$3 peer=$4 inside=$5
mkdir $r
export OVS_RUNDIR=$r OVS_LOGDIR=$r
vsctl() { ovs-vsctl --db=unix:$r/db.sock "$@"; }
ovsdb-tool create $r/conf.db /usr/share/openvswitch/vswitch.ovsschema
ovsdb-server --detach --no-chdir --pidfile=$r/ovsdb.pid --log-file=$r/ovsdb.log --unixctl=$r/ovsdb.ctl --remote=punix:$r/db.sock $r/conf.db
vsctl --no-wait init
ovs-vswitchd --detach --no-chdir --disable-system --pidfile=$r/vswitchd.pid --log-file=$r/vswitchd.log --unixctl=$r/vswitchd.ctl unix:$r/db.sock
vsctl -- add-br br-nic -- set Bridge br-nic datapath_type=netdev other-config:hwaddr=\"$mac\" -- add-port br-nic eth0 \
    -- add-br br-in -- set Bridge br-in datapath_type=netdev \
    -- add-port br-in g0 -- set Interface g0 type=geneve options:remote_ip=$peer options:key=30583
ip addr flush dev eth0
ip addr add $ip/24 dev br-nic
ip link set br-nic up
ip addr add $inside/24 dev br-in
ip link set br-in mtu 1450 up
`

// Workloads that run Open vSwitch themselves: a ping through their own Geneve
// tunnel, which runs through the overlay's, and the binary that shows both.
func TestNestedOpenVSwitch(t *testing.T) {
	l := up(t, load(t, "../../docs/examples/geneve-in-geneve.yaml"), lab.ControlGovn)
	for _, w := range []struct{ name, mac, ip, peer, inside string }{
		{"vm1", "50:54:00:00:00:01", "10.0.0.11", "10.0.0.12", "192.168.7.1"},
		{"vm2", "50:54:00:00:00:02", "10.0.0.12", "10.0.0.11", "192.168.7.2"},
	} {
		must(t)(l.Exec(t.Context(), w.name, "sh", "-ec", nestedSwitch, "nested", filepath.Join(l.Dir(), "nested-"+w.name), w.mac, w.ip, w.peer, w.inside))
	}
	eventually(t, 20*time.Second, "the tunnel in the tunnel", func() (bool, string) { // its first packets resolve neighbours
		out, err := l.Exec(t.Context(), "vm1", "ping", "-c", "1", "-W", "1", "192.168.7.2")
		return err == nil, out
	})
	wire := capture(t, l, "hv1", "udp port 6081")
	// The largest that fits: 1500 less 50 of the workloads' Geneve, which has no options, and 28 of the ping.
	must(t)(l.Exec(t.Context(), "vm1", "ping", "-c", "2", "-i", "0.2", "-w", "5", "-M", "do", "-s", "1422", "192.168.7.2"))
	must(t)(l.Exec(t.Context(), "vm2", "ping", "-c", "2", "-i", "0.2", "-w", "5", "-M", "do", "-s", "1422", "192.168.7.1"))
	eventually(t, 5*time.Second, "requests and replies on the wire", func() (bool, string) {
		n := count(t, wire, "greater 1572")
		return n >= 8, fmt.Sprint(n)
	})
	if err := wire.Stop(); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), govn, "decode", "--brief", "--sb", l.SB(), wire.Path).CombinedOutput()
	if err != nil {
		t.Fatalf("govn decode: %v\n%s", err, out)
	}
	both := regexp.MustCompile(`geneve vni 0x1 = switch "sw0", hv1 to hv2 .*ipv4 10.0.0.11 > 10.0.0.12 .*geneve vni 0x7777  flags \[none\].*192.168.7.1 > 192.168.7.2 .*echo request`)
	if n := len(both.FindAll(out, -1)); n != 2 {
		t.Errorf("%d requests of vm1 with both levels, 2 expected:\n%s", n, out)
	}
	if bytes.Contains(out, []byte("!")) {
		t.Errorf("something is wrong with the packets:\n%s", out)
	}
}

func TestStoryHeaders(t *testing.T) {
	stories.Headers(t, play(t, "geneve-headers"))
}

// A second overlay on the same hosts, with a UDP port of its own: the same
// header with the same VNI is another network there.
func TestOtherUDPPort(t *testing.T) {
	n := play(t, "geneve-headers")
	must(t)(n.l.Vsctl(t.Context(), "hv2", "add-br", "br-other", "--", "set", "Bridge", "br-other", "datapath_type=netdev",
		"--", "add-port", "br-other", "g0", "--", "set", "Interface", "g0", "type=geneve",
		"options:remote_ip=203.0.113.1", "options:key=flow", "options:dst_port=6082"))
	received := func(iface string) string {
		return strings.TrimSpace(must(t)(n.l.Vsctl(t.Context(), "hv2", "get", "Interface", iface, "statistics:rx_packets")))
	}
	eventually(t, 10*time.Second, "counters", func() (bool, string) {
		out, err := n.l.Vsctl(t.Context(), "hv2", "get", "Interface", "g0", "statistics:rx_packets")
		return err == nil, out
	})
	at6081, at6082 := received("ovn-hv1-0"), received("g0")
	workload, err := n.Record(t.Context(), "vm2")
	if err != nil {
		t.Fatal(err)
	}
	header := stories.ChassisHeader(t, n, "sw0", "vm1", "vm2")
	plain := append([]byte{0, 0}, header[2:8]...) // the same VNI without options
	to := func(port uint16, header []byte, text string) []byte {
		return stories.Datagram(t, n, "hv1", "hv2", port, append(slices.Clone(header), stories.Between(t, text)...))
	}
	// OVN's option is critical, and the other bridge does not know it.
	if err := n.Inject(t.Context(), "hv2", to(6082, plain, "to 6082"), to(6082, plain, "to 6082"), to(6082, header, "to 6082"), to(6081, header, "to 6081")); err != nil {
		t.Fatal(err)
	}
	eventually(t, 10*time.Second, "the packet to 6081 at vm2", func() (bool, string) {
		return stories.Has(t, workload, stories.Between(t, "to 6081")), ""
	})
	if stories.Has(t, workload, stories.Between(t, "to 6082")) {
		t.Error("what was sent to port 6082 is at vm2")
	}
	eventually(t, 15*time.Second, "counters of both tunnels", func() (bool, string) {
		a, b := received("ovn-hv1-0"), received("g0")
		return a == plus(t, at6081, 1) && b == plus(t, at6082, 2), fmt.Sprintf("port 6081 from %s to %s, port 6082 from %s to %s", at6081, a, at6082, b)
	})
}

func plus(t *testing.T, n string, more int) string {
	t.Helper()
	v, err := strconv.Atoi(n)
	if err != nil {
		t.Fatal(err)
	}
	return strconv.Itoa(v + more)
}

// Two zones, one of them stock OVN's, both have a VNI 1; the binary gives it the
// name of the zone whose chassis are at the ends.
func TestSameVNIInTwoZones(t *testing.T) {
	args := []string{"decode", "--brief"}
	var files []string
	for _, z := range []struct {
		zone, subnet, name string
		control            lab.Control
	}{{"east", "203.0.113.0/24", "offices", lab.ControlGovn}, {"west", "192.168.113.0/24", "plants", lab.ControlStock}} {
		text, err := os.ReadFile("../../docs/examples/geneve-headers.yaml")
		if err != nil {
			t.Fatal(err)
		}
		host := strings.TrimSuffix(z.subnet, "0/24")
		cfg := parse(t, strings.NewReplacer("203.0.113.0/24", z.subnet, "203.0.113.", host, "name: sw0", "name: "+z.name).Replace(string(text)))
		l := up(t, cfg, z.control)
		wire := capture(t, l, "hv1", "udp port 6081")
		must(t)(l.Exec(t.Context(), "vm1", "ping", "-c", "1", "-w", "5", "10.0.0.12"))
		eventually(t, 5*time.Second, "request and reply on the wire", func() (bool, string) {
			c := count(t, wire, "")
			return c >= 2, fmt.Sprint(c)
		})
		if err := wire.Stop(); err != nil {
			t.Fatal(err)
		}
		args, files = append(args, "--sb", z.zone+"="+l.SB()), append(files, wire.Path)
	}
	out, err := exec.CommandContext(t.Context(), govn, append(args, files...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("govn %v: %v\n%s", args, err, out)
	}
	for _, want := range []string{
		`203.0.113.1 > 203.0.113.2  udp ttl 64 len 142 DF | geneve vni 0x1 = switch "offices", hv1 to hv2 in zone east`,
		`192.168.113.2 > 192.168.113.1  udp ttl 64 len 142 DF | geneve vni 0x1 = switch "plants", hv2 to hv1 in zone west`,
	} {
		if !strings.Contains(string(out), want) {
			t.Errorf("%q is missing in\n%s", want, out)
		}
	}
}
