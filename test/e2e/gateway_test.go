//go:build e2e

package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	views "govn/proto/control"
	"govn/sim/lab"
)

const gatewayExample = "../../docs/examples/gateway.yaml"

// gatewayPing is the time between pings through a gateway.
const gatewayPing = 10 * time.Millisecond

// gatewayIs waits until the wire has the router's address behind a hypervisor:
// somebody outside asks for it meanwhile, so that there is an answer.
func gatewayIs(t *testing.T, l *lab.Lab, chassis string) {
	t.Helper()
	eventually(t, 30*time.Second, chassis+" is the gateway", func() (bool, string) {
		_, _ = l.Exec(t.Context(), "out", "ping", "-c", "1", "-W", "1", "172.16.0.254")
		out := must(t)(l.Exec(t.Context(), "fabric", "bridge", "fdb", "show"))
		return strings.Contains(out, "0a:00:00:00:ff:02 dev "+chassis+"-"), out
	})
}

// boundTo is the chassis that the southbound database has for a port, by name.
func boundTo(t *testing.T, l *lab.Lab, port string) string {
	t.Helper()
	uuid := strings.TrimSpace(must(t)(l.Sbctl(t.Context(), "get", "Port_Binding", port, "chassis")))
	if uuid == "[]" {
		return ""
	}
	return strings.Trim(strings.TrimSpace(must(t)(l.Sbctl(t.Context(), "get", "Chassis", uuid, "name"))), `"`)
}

// A workload reaches a machine outside through the gateway with the highest
// priority. When its Open vSwitch is killed, the other gateway takes over within
// a second or so, and nothing is lost when the first one comes back: with all
// daemons alive, without northd, and without the controller of the hypervisor
// that looks on.
func TestGatewayFailover(t *testing.T) {
	l := up(t, load(t, gatewayExample), lab.ControlGovn)
	for _, tc := range []struct{ without, node, daemon string }{
		{"nothing", "", ""}, {"northd", "central", "northd"}, {"the controller of hv1", "hv1", "controller"},
	} {
		t.Run("without "+tc.without, func(t *testing.T) {
			gatewayIs(t, l, "gw1")
			if tc.node != "" {
				if err := l.Signal(tc.node, tc.daemon, unix.SIGKILL); err != nil {
					t.Fatal(err)
				}
			}
			p := startPing(t, l, "vm", "172.16.0.9", gatewayPing)
			p.waitReplies(20, 10*time.Second)
			if err := l.Signal("gw1", "vswitchd", unix.SIGKILL); err != nil {
				t.Fatal(err)
			}
			p.waitReplies(50, 20*time.Second)
			sent, received := p.stop()
			outage := time.Duration(sent-received) * gatewayPing
			t.Logf("failover: %d pings lost, %v", sent-received, outage)
			if outage > 4*time.Second { // of a busy machine; docs/benchmarks.md has the figures
				t.Errorf("the other gateway took over after %v", outage)
			}
			if tc.daemon != "northd" {
				eventually(t, 10*time.Second, "the southbound database has gw2", func() (bool, string) {
					at := boundTo(t, l, "cr-r0-public")
					return at == "gw2", at
				})
			}
			p = startPing(t, l, "vm", "172.16.0.9", gatewayPing)
			p.waitReplies(20, 10*time.Second)
			if err := l.Start(t.Context(), "gw1", "vswitchd"); err != nil {
				t.Fatal(err)
			}
			gatewayIs(t, l, "gw1")
			p.waitReplies(150, 20*time.Second)
			if sent, received := p.stop(); sent-received > 10 {
				t.Errorf("on the way back %d of %d pings were lost", sent-received, sent)
			} else {
				t.Logf("failback: %d of %d pings lost", sent-received, sent)
			}
			if tc.node != "" {
				if err := l.Start(t.Context(), tc.node, tc.daemon); err != nil {
					t.Fatal(err)
				}
			}
			eventually(t, 20*time.Second, "the southbound database has gw1", func() (bool, string) {
				at := boundTo(t, l, "cr-r0-public")
				return at == "gw1", at
			})
		})
	}
}

// A chassis gets nothing about what is past a gateway that it does not host, nor
// about what none of its ports reaches: not a byte, neither when it connects nor
// when that changes.
func TestGatewayLocality(t *testing.T) {
	l := up(t, load(t, gatewayExample), lab.ControlGovn)
	gatewayIs(t, l, "gw1")
	must(t)(l.Nbctl(t.Context(), "--wait=hv", "sync"))
	key := func(datapath string) string {
		return strings.TrimSpace(must(t)(l.Sbctl(t.Context(), "--bare", "--columns=tunnel_key", "find", "Datapath_Binding", "external_ids:name="+datapath)))
	}
	eventually(t, 20*time.Second, "northd names the gateway", func() (bool, string) {
		gws := status(t, l).Gateways
		return len(gws) == 1 && gws[0].Active == "gw1" && fmt.Sprint(gws[0].Members) == "[gw1 20 gw2 10]", fmt.Sprintf("%+v", gws)
	})
	eventually(t, 20*time.Second, "hv1 sees both gateways", func() (bool, string) {
		h := answer(t, &views.Host{}, "status", "-t", l.ControlSocket("hv1", "controller"))
		return len(h.Gateways) == 1 && h.Gateways[0].Active == "gw1" && fmt.Sprint(h.BFD) == "[gw1 up gw2 up]",
			fmt.Sprintf("%+v %+v", h.Gateways, h.BFD)
	})
	public, r0, sw0, sw9 := key("public"), key("r0"), key("sw0"), key("sw9")
	for chassis, wrong := range map[string][]string{"hv1": {public, sw9}, "hv2": {public, r0, sw0}, "gw1": {sw9}, "ext": {public, r0, sw0, sw9}} {
		items := must(t)(l.Appctl(t.Context(), chassis, "controller", "debug/flows"))
		for _, key := range wrong {
			if strings.Contains(items, fmt.Sprintf("metadata=%#x ", mustUint(t, key))) || strings.Contains(items, fmt.Sprintf("metadata=%#x,", mustUint(t, key))) {
				t.Errorf("chassis %s has flows of datapath %s", chassis, key)
			}
		}
	}
	sent := func() map[string]uint64 {
		m := map[string]uint64{}
		for _, c := range status(t, l).Chassis {
			m[c.Name] = c.Sent
		}
		return m
	}
	change := func(what string, hears []string, silent []string, args ...string) {
		t.Helper()
		before := sent()
		must(t)(l.Nbctl(t.Context(), args...))
		var after map[string]uint64
		eventually(t, 10*time.Second, what+" has arrived", func() (bool, string) {
			after = sent()
			for _, name := range hears {
				if after[name] == before[name] {
					return false, name + " got nothing"
				}
			}
			return true, ""
		})
		for _, name := range silent {
			if n := after[name] - before[name]; n != 0 {
				t.Errorf("%s: chassis %s got %d bytes", what, name, n)
			}
		}
	}
	change("a port past the gateway", []string{"gw1", "gw2"}, []string{"hv1", "hv2", "ext"},
		"lsp-add", "public", "server", "--", "lsp-set-addresses", "server", "0a:00:00:00:02:01")
	change("a port behind the router", []string{"hv1", "gw1", "gw2"}, []string{"hv2", "ext"},
		"lsp-add", "sw0", "more", "--", "lsp-set-addresses", "more", "0a:00:00:00:00:07 10.0.0.7")
	change("a port of somebody else", []string{"hv2"}, []string{"hv1", "gw1", "gw2", "ext"},
		"lsp-add", "sw9", "theirs", "--", "lsp-set-addresses", "theirs", "0a:00:00:00:00:09 10.0.9.9")
	change("another priority", []string{"hv1", "gw1", "gw2"}, []string{"hv2", "ext"}, "lrp-set-gateway-chassis", "r0-public", "gw2", "5")
}

// A gateway router is on its chassis, past which nobody else sees.
func TestGatewayRouter(t *testing.T) {
	cfg := load(t, gatewayExample)
	l := up(t, cfg, lab.ControlGovn)
	must(t)(l.Nbctl(t.Context(), "lrp-del-gateway-chassis", "r0-public", "gw1", "--", "lrp-del-gateway-chassis", "r0-public", "gw2",
		"--", "set", "Logical_Router", "r0", "options:chassis=gw2"))
	must(t)(l.Nbctl(t.Context(), "--wait=hv", "sync"))
	eventually(t, 10*time.Second, "ping through the gateway router", func() (bool, string) {
		out, err := l.Exec(t.Context(), "vm", "ping", "-c", "1", "-W", "1", "172.16.0.9")
		return err == nil, out
	})
	gatewayIs(t, l, "gw2")
	if at := boundTo(t, l, "r0-public"); at != "gw2" {
		t.Errorf("the router's port is on %q", at)
	}
	r0 := strings.TrimSpace(must(t)(l.Sbctl(t.Context(), "--bare", "--columns=tunnel_key", "find", "Datapath_Binding", "external_ids:name=r0")))
	for _, chassis := range []string{"hv1", "gw1"} {
		if text := must(t)(l.Appctl(t.Context(), chassis, "controller", "debug/flows")); strings.Contains(text, fmt.Sprintf("metadata=%#x ", mustUint(t, r0))) {
			t.Errorf("chassis %s has flows of the router", chassis)
		}
	}
}

func mustUint(t *testing.T, text string) (n uint64) {
	t.Helper()
	if _, err := fmt.Sscan(text, &n); err != nil {
		t.Fatalf("%q is no number: %v", text, err)
	}
	return n
}
