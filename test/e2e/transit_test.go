//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"govn/sim/lab"
)

// zoneLab is a zone with a worker and a gateway: %[1]s its name, %[2]d its number.
const zoneLab = `
name: %[1]s
chassis:
  - {name: worker-%[1]s, encap-ip: 203.0.113.%[2]d1}
  - {name: gw-%[1]s, encap-ip: 203.0.113.%[2]d2, external-ids: {ovn-is-interconn: "true"}}
workloads:
  - {name: vm%[2]d, chassis: worker-%[1]s, mac: "0a:00:00:00:0%[2]d:10", ip: 192.168.%[2]d.10/24, gw: 192.168.%[2]d.1}
topology:
  switches:
    - name: net_%[1]s
      ports:
        - {name: net-router, type: router, addresses: [router], options: {router-port: router-net}}
        - {name: vm%[2]d, addresses: ["0a:00:00:00:0%[2]d:10 192.168.%[2]d.10"]}
  nbctl:
    - lr-add router_%[1]s
    - lrp-add router_%[1]s router-net 0a:00:00:00:0%[2]d:01 192.168.%[2]d.1/24
    - set NB_Global . name=%[1]s options:ic-route-adv=true options:ic-route-learn=true
`

// zone is a zone of an interconnection at work.
type zone struct {
	*lab.Lab
	name   string
	number int
}

// zoneUp brings a zone up.
func zoneUp(t *testing.T, name string, number int, c lab.Control) *zone {
	t.Helper()
	return &zone{up(t, parse(t, fmt.Sprintf(zoneLab, name, number)), c), name, number}
}

// join connects the wires of two zones' tunnels.
func join(t *testing.T, a, b *zone) {
	t.Helper()
	other := strings.TrimSpace(must(t)(b.Exec(t.Context(), "fabric", "ip", "netns", "identify")))
	must(t)(a.Exec(t.Context(), "fabric", "ip", "link", "add", "zones", "mtu", "1600", "type", "veth", "peer", "name", "zones", "netns", other))
	for _, z := range []*zone{a, b} {
		must(t)(z.Exec(t.Context(), "fabric", "ip", "link", "set", "zones", "mtu", "1600", "master", "br-u", "up"))
		must(t)(z.Exec(t.Context(), "fabric", "ethtool", "-K", "zones", "tx", "off", "rx", "off", "tso", "off", "gso", "off", "gro", "off"))
	}
}

// daemonOf runs a program in the background until the test ends.
func daemonOf(t *testing.T, argv ...string) {
	t.Helper()
	log, err := os.Create(filepath.Join(t.TempDir(), filepath.Base(argv[0])+".log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(unix.SIGTERM)
		_ = cmd.Wait() // ended by the signal
		if t.Failed() {
			text, _ := os.ReadFile(log.Name())
			t.Logf("%s:\n%s", strings.Join(argv, " "), text)
		}
		log.Close()
	})
}

// icServer runs govn ic server and returns the remotes of its databases.
func icServer(t *testing.T) (nb, sb string) {
	t.Helper()
	dir := t.TempDir()
	nb, sb = "unix:"+filepath.Join(dir, "nb.sock"), "unix:"+filepath.Join(dir, "sb.sock")
	daemonOf(t, govn, "ic", "server", "--data-dir", dir, "--unixctl", filepath.Join(dir, "ctl"), "--ic-nb-listen", "p"+nb, "--ic-sb-listen", "p"+sb)
	eventually(t, 10*time.Second, "govn ic server listens", func() (bool, string) {
		for _, remote := range []string{nb, sb} {
			if _, err := os.Stat(strings.TrimPrefix(remote, "unix:")); err != nil {
				return false, err.Error()
			}
		}
		return true, ""
	})
	return nb, sb
}

func icNbctl(t *testing.T, db string, args ...string) string {
	t.Helper()
	out, err := exec.Command("ovn-ic-nbctl", append([]string{"--db=" + db}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("ovn-ic-nbctl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// transitKey is the key of the transit switch in all zones, as tcpdump prints it.
func transitKey(t *testing.T, db string) string {
	t.Helper()
	out, err := exec.Command("ovn-ic-sbctl", "--db="+db, "--bare", "--columns=tunnel_key", "find", "datapath_binding", "transit_switch=ts1").Output()
	if err != nil {
		t.Fatal(err)
	}
	key, err := strconv.Atoi(strings.TrimSpace(string(out)))
	if err != nil || key < 16711681 {
		t.Fatalf("key %q of the transit switch: %v", out, err)
	}
	return fmt.Sprintf("%#x", key)
}

// attach gives a zone's router a port on the transit switch, hosted by its gateway.
func (z *zone) attach(t *testing.T) {
	t.Helper()
	eventually(t, 20*time.Second, z.name+" has the transit switch", func() (bool, string) {
		out := must(t)(z.Nbctl(t.Context(), "ls-list"))
		return strings.Contains(out, "(ts1)"), out
	})
	router, port := "router_"+z.name, "router-ts1-"+z.name
	must(t)(z.Nbctl(t.Context(), words(fmt.Sprintf("lrp-add %[1]s %[2]s 0a:00:00:00:ff:0%[3]d 169.254.100.%[3]d/24 "+
		"-- lsp-add ts1 ts1-%[4]s -- lsp-set-type ts1-%[4]s router -- lsp-set-addresses ts1-%[4]s router -- lsp-set-options ts1-%[4]s router-port=%[2]s "+
		"-- lrp-set-gateway-chassis %[2]s gw-%[4]s 1", router, port, z.number, z.name))...))
}

// agents are what joins a zone to an interconnection.
var agents = map[lab.Control]func(t *testing.T, z *zone, icnb, icsb string){
	lab.ControlStock: func(t *testing.T, z *zone, icnb, icsb string) {
		daemonOf(t, "ovn-ic", "--ovnnb-db="+z.NB(), "--ovnsb-db="+z.SB(), "--ic-nb-db="+icnb, "--ic-sb-db="+icsb,
			"--unixctl="+filepath.Join(t.TempDir(), "ctl"))
	},
	lab.ControlGovn: func(t *testing.T, z *zone, icnb, icsb string) {
		daemonOf(t, govn, "ic", "agent", "--nb", z.NB(), "--sb", z.SB(), "--ic-nb-db", icnb, "--ic-sb-db", icsb,
			"--unixctl", filepath.Join(t.TempDir(), "ctl"))
	},
}

// TestTransit links zones by the server of govn: zones of govn and of stock OVN,
// joined by agents of govn and by stock ovn-ic daemons.
func TestTransit(t *testing.T) {
	const g, s = lab.ControlGovn, lab.ControlStock
	for _, tt := range []struct{ west, eastAgent, westAgent lab.Control }{{g, g, g}, {s, g, s}, {s, g, g}, {g, s, s}} {
		t.Run(fmt.Sprintf("%s-by-%s-and-%s-by-%s", g, tt.eastAgent, tt.west, tt.westAgent), func(t *testing.T) {
			west := tt.west
			icnb, icsb := icServer(t)
			zones := []*zone{zoneUp(t, "east", 1, lab.ControlGovn), zoneUp(t, "west", 2, west)}
			join(t, zones[0], zones[1])
			agents[tt.eastAgent](t, zones[0], icnb, icsb)
			agents[tt.westAgent](t, zones[1], icnb, icsb)
			icNbctl(t, icnb, "ts-add", "ts1")
			for _, z := range zones {
				z.attach(t)
			}
			for i, z := range zones {
				other := zones[1-i]
				prefix := fmt.Sprintf("192.168.%d.0/24", other.number)
				eventually(t, 20*time.Second, z.name+" learns the route", func() (bool, string) {
					out := must(t)(z.Nbctl(t.Context(), "lr-route-list", "router_"+z.name))
					return strings.Contains(out, prefix), out
				})
				must(t)(z.Nbctl(t.Context(), "--wait=hv", "sync"))
			}
			crosses(t, zones[0], zones[1], transitKey(t, icsb))
		})
	}
}

// crosses pings from one zone to the other and looks at what is on the wire.
func crosses(t *testing.T, from, to *zone, vni string) {
	t.Helper()
	vm, peer := fmt.Sprintf("vm%d", from.number), fmt.Sprintf("192.168.%d.10", to.number)
	// The first packets find the tunnels' endpoints, as always.
	eventually(t, 20*time.Second, "a reply from the other zone", func() (bool, string) {
		out, err := from.Exec(t.Context(), vm, "ping", "-c", "1", "-W", "1", peer)
		return err == nil, out
	})
	capture, err := from.Capture(t.Context(), "gw-"+from.name, "underlay", "udp port 6081")
	if err != nil {
		t.Fatal(err)
	}
	out := must(t)(from.Exec(t.Context(), vm, "ping", "-c", "5", "-i", "0.2", "-W", "2", peer))
	if err := capture.Stop(); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out, " 5 received") || strings.Count(out, "ttl=62") != 5 {
		t.Errorf("ping %s: want 5 replies with ttl=62:\n%s", peer, out)
	}
	text := must(t)(capture.Text(t.Context(), "-nnv"))
	for _, ends := range []string{fmt.Sprintf("203.0.113.%d2.*203.0.113.%d2", from.number, to.number), fmt.Sprintf("203.0.113.%d2.*203.0.113.%d2", to.number, from.number)} {
		if n := len(regexp.MustCompile(ends+`\S*: Geneve, Flags \[C\], vni `+vni+`,.*\n.*\n.*ICMP echo`).FindAllString(text, -1)); n != 5 {
			t.Errorf("%d packets %s with the key %s of the transit switch, want 5:\n%s", n, ends, vni, text)
		}
	}
}
