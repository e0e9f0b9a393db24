//go:build e2e

package e2e

import (
	"flag"
	"fmt"
	"net"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"golang.org/x/sys/unix"

	"govn/sim/lab"
)

var failbacks = flag.Int("failbacks", 2, "rounds of TestFailback")

// Two workloads behind a gateway port on gw1, or gw2, one of them on gw2 itself.
const failbackLab = `
name: failback
chassis:
  - {name: hv1}
  - {name: gw1, external-ids: {ovn-bridge-mappings: "physnet1:br-phys"}}
  - {name: gw2, external-ids: {ovn-bridge-mappings: "physnet1:br-phys"}}
  - {name: ext}
workloads:
  - {name: vm, chassis: hv1, mac: "0a:00:00:00:00:01", ip: 10.0.0.1/24, gw: 10.0.0.254}
  - {name: near, chassis: gw2, mac: "0a:00:00:00:00:02", ip: 10.0.0.2/24, gw: 10.0.0.254}
  - {name: out, chassis: ext, bridge: br-phys, mac: "0a:00:00:00:01:01", ip: 172.16.0.9/24, gw: 172.16.0.254}
topology:
  switches:
    - name: sw0
      ports:
        - {name: sw0-r0, type: router, addresses: [router], options: {router-port: r0-sw0}}
        - {name: vm, addresses: ["0a:00:00:00:00:01 10.0.0.1"]}
        - {name: near, addresses: ["0a:00:00:00:00:02 10.0.0.2"]}
    - name: public
      ports:
        - {name: public-r0, type: router, addresses: [router], options: {router-port: r0-public}}
        - {name: public-net, type: localnet, unknown: true, options: {network_name: physnet1}}
  nbctl:
    - lr-add r0
    - lrp-add r0 r0-sw0 0a:00:00:00:ff:01 10.0.0.254/24
    - lrp-add r0 r0-public 0a:00:00:00:ff:02 172.16.0.254/24
    - lrp-set-gateway-chassis r0-public gw1 20
    - lrp-set-gateway-chassis r0-public gw2 10
`

// sighting is a frame from the router's address on the wire of a gateway.
type sighting struct {
	at        time.Time
	broadcast bool
}

// sightings are the frames that a gateway sent, as captured.
func sightings(t *testing.T, c *lab.Capture) (list []sighting) {
	t.Helper()
	for data, at := range frames(t, c) {
		eth, ok := gopacket.NewPacket(data, layers.LayerTypeEthernet, gopacket.NoCopy).LinkLayer().(*layers.Ethernet)
		if ok {
			list = append(list, sighting{at, eth.DstMAC.String() == net.HardwareAddr(layers.EthernetBroadcast).String()})
		}
	}
	return list
}

var pingSeq = regexp.MustCompile(`icmp_seq=(\d+) `)

// missing are the requests without a reply before the last that has one.
func (p *pinger) missing() (gone []string) {
	p.t.Helper()
	p.end()
	data, err := os.ReadFile(p.out)
	if err != nil {
		p.t.Fatal(err)
	}
	seen, last := map[int]bool{}, 0
	for _, m := range pingSeq.FindAllSubmatch(data, -1) {
		n, _ := strconv.Atoi(string(m[1]))
		seen[n], last = true, max(last, n)
	}
	for n := 1; n < last; n++ {
		if !seen[n] {
			gone = append(gone, strconv.Itoa(n))
		}
	}
	return gone
}

// flapped tells whether a chassis that works was given up by another: a machine
// with too much to do does that, and then packets are lost for another reason.
func flapped(t *testing.T, l *lab.Lab, from map[string]int) bool {
	t.Helper()
	for node, at := range from {
		text := controllerLog(t, l, node)[at:]
		for line := range strings.Lines(text) {
			if strings.Contains(line, "msg=BFD") && strings.Contains(line, "up=false") && !strings.Contains(line, "chassis=gw1 ") {
				t.Logf("%s: %s", node, strings.TrimSpace(line))
				return true
			}
		}
	}
	return false
}

func controllerLog(t *testing.T, l *lab.Lab, node string) string {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("%s/%s/controller.log", l.Dir(), node))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestFailback: a gateway whose Open vSwitch was started anew takes its port back
// without the loss of a packet. Others send to it when its flows are in; the
// networks hear of it when nobody sends to the other one any more, which keeps
// silent.
func TestFailback(t *testing.T) {
	l := up(t, parse(t, failbackLab), lab.ControlGovn)
	done, most := 0, 3**failbacks
	for round := 0; done < *failbacks; round++ {
		if round == most {
			t.Fatalf("in %d of %d rounds this machine was too busy to tell", round-done, round)
		}
		if failbackOnce(t, l, round) {
			done++
		}
	}
}

// failbackOnce is one round; false: the machine was too busy for it.
func failbackOnce(t *testing.T, l *lab.Lab, round int) bool {
	gatewayIs(t, l, "gw1")
	p := startPing(t, l, "vm", "172.16.0.9", gatewayPing)
	p.waitReplies(20, 10*time.Second)
	if err := l.Signal("gw1", "vswitchd", unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	p.waitReplies(50, 20*time.Second)
	p.end()
	captures := map[string]*lab.Capture{}
	for _, gw := range []string{"gw1", "gw2"} {
		c, err := l.Capture(t.Context(), gw, "", "inbound and ether src 0a:00:00:00:ff:02")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Stop()
		captures[gw] = c
	}
	from := map[string]int{}
	for _, node := range []string{"hv1", "gw2"} {
		from[node] = len(controllerLog(t, l, node))
	}
	pings := []*pinger{startPing(t, l, "vm", "172.16.0.9", gatewayPing), startPing(t, l, "near", "172.16.0.9", gatewayPing)}
	for _, p := range pings {
		p.waitReplies(20, 10*time.Second)
	}
	if err := l.Start(t.Context(), "gw1", "vswitchd"); err != nil {
		t.Fatal(err)
	}
	announced := func(list []sighting) time.Time {
		for _, s := range list {
			if s.broadcast {
				return s.at
			}
		}
		return time.Time{}
	}
	eventually(t, 30*time.Second, "gw1 announces itself", func() (bool, string) {
		n, err := captures["gw1"].Count(t.Context(), "broadcast and arp[6:2] = 1")
		return err == nil && n > 0, fmt.Sprint(err)
	})
	for _, p := range pings {
		p.waitReplies(150, 20*time.Second)
	}
	var lost []string
	for i, p := range pings {
		if gone := p.missing(); len(gone) > 0 {
			lost = append(lost, fmt.Sprintf("%s: %d (%s)", []string{"vm", "near"}[i], len(gone), strings.Join(gone, " ")))
		}
	}
	for _, c := range captures {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	}
	if flapped(t, l, from) {
		return false
	}
	back, relieved := sightings(t, captures["gw1"]), sightings(t, captures["gw2"])
	if len(relieved) == 0 || len(back) == 0 {
		t.Fatalf("round %d: %d frames by gw1, %d by gw2", round, len(back), len(relieved))
	}
	used, told, left := back[0].at, announced(back), relieved[len(relieved)-1].at
	t.Logf("round %d: gw1 is used, gw2 no longer used %v later, gw1 announced %v later; lost %v",
		round, left.Sub(used).Round(time.Millisecond), told.Sub(used).Round(time.Millisecond), lost)
	if len(lost) > 0 {
		t.Errorf("round %d: lost %v", round, lost)
	}
	if !told.After(used) || !told.After(left) {
		t.Errorf("round %d: gw1 announced its addresses %v after it was used first, and %v after gw2 was used last", round, told.Sub(used), told.Sub(left))
	}
	for _, s := range relieved {
		if s.broadcast && s.at.After(used) {
			t.Errorf("round %d: gw2 sent a broadcast %v after gw1 was used first", round, s.at.Sub(used))
		}
	}
	return true
}
