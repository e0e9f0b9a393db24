//go:build e2e

package e2e

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"govn/sim/lab"
)

// interconnected are the two zones of the walk-through, as a lab file.
const interconnected = "../../docs/examples/interconnect.yaml"

// TestInterconnectLab: the example is a lab whose zones reach each other, on govn
// and where its zones are of different kinds, by the key of the transit switch
// between the gateways.
func TestInterconnectLab(t *testing.T) {
	for _, west := range []lab.Control{lab.ControlGovn, lab.ControlStock} {
		t.Run("west-is-"+string(west), func(t *testing.T) {
			cfg := load(t, interconnected)
			cfg.Zones[1].Control, cfg.Zones[1].Agent = west, west
			l := up(t, cfg, "")
			key, err := strconv.Atoi(strings.TrimSpace(must(t)(l.ICSbctl(t.Context(), "--bare", "--columns=tunnel_key", "find", "datapath_binding", "transit_switch=ts1"))))
			if err != nil || key < 16711681 {
				t.Fatalf("key %d of the transit switch: %v", key, err)
			}
			capture, err := l.Capture(t.Context(), "gw_east", "underlay", "udp port 6081 and host 203.0.113.2 and host 203.0.113.4")
			if err != nil {
				t.Fatal(err)
			}
			out := must(t)(l.Exec(t.Context(), "vm1", "ping", "-c", "5", "-i", "0.2", "-W", "2", "192.168.2.10"))
			if err := capture.Stop(); err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(out, " 5 received") || strings.Count(out, "ttl=62") != 5 {
				t.Errorf("want 5 replies with ttl=62:\n%s", out)
			}
			text := must(t)(capture.Text(t.Context(), "-nnv", "udp port 6081"))
			if n := strings.Count(text, fmt.Sprintf("Flags [C], vni %#x,", key)); n < 10 {
				t.Errorf("%d packets between the gateways with the key %#x, want 10:\n%s", n, key, text)
			}
			// BFD between the gateways: up, or unheard where the other is of OVN.
			want := map[lab.Control]string{lab.ControlGovn: "up", lab.ControlStock: "silent"}[west]
			eventually(t, 10*time.Second, "BFD to gw_west", func() (bool, string) {
				out := must(t)(l.Central("east").Sbctl(t.Context(), "--bare", "--columns=other_config", "find", "chassis", "name=gw_east"))
				return strings.Contains(out, "gw_west="+want), out
			})
			// What ended comes back and finds everything in place.
			for _, d := range [][2]string{{"ic", "server"}, {"east", "agent"}} {
				if err := l.Signal(d[0], d[1], unix.SIGKILL); err != nil {
					t.Fatal(err)
				}
				if err := l.Start(t.Context(), d[0], d[1]); err != nil {
					t.Fatal(err)
				}
			}
			must(t)(l.Central("east").Nbctl(t.Context(), "lr-route-add", "router_east", "10.9.0.0/16", "192.168.1.10"))
			if err := l.Central("west").AwaitRoute(t.Context(), netip.MustParsePrefix("10.9.0.0/16")); err != nil {
				t.Errorf("a route that was added after the interconnection came back: %v", err)
			}
		})
	}
}
