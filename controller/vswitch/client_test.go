package vswitch

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"govn/test/ovstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world follows a client as the controller does.
type world struct {
	t      *testing.T
	c      *Client
	config *Config
	bridge *Bridge
	ifaces map[string]*Interface
	fulls  int
}

func start(t *testing.T, remote string) *world {
	t.Helper()
	return startLogged(t, remote, slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug})))
}

func startLogged(t *testing.T, remote string, log *slog.Logger) *world {
	t.Helper()
	w := &world{t: t, ifaces: map[string]*Interface{}}
	w.c = NewClient(remote, log)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.c.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return w
}

func (w *world) until(what string, cond func() bool) {
	w.t.Helper()
	limit := time.After(10 * time.Second)
	for {
		d := w.c.Take()
		if d.Full {
			w.ifaces = map[string]*Interface{}
			w.fulls++
		}
		if d.Config != nil {
			w.config = d.Config
		}
		if d.Bridge != nil {
			w.bridge = d.Bridge
		}
		if d.BridgeGone {
			w.bridge = nil
		}
		for name, i := range d.Interfaces {
			if i == nil {
				delete(w.ifaces, name)
			} else {
				w.ifaces[name] = i
			}
		}
		if cond() {
			return
		}
		select {
		case <-w.c.Changed():
		case <-limit:
			w.t.Fatalf("no %s within 10 s; interfaces %v, bridge %+v", what, w.ifaces, w.bridge)
		}
	}
}

func TestWishes(t *testing.T) {
	ovs := ovstest.Start(t, ovstest.Options{NoBridge: true, ExternalIDs: map[string]string{
		"system-id": "hv1", "ovn-remote": "tcp:127.0.0.1:1", "ovn-encap-type": "geneve", "ovn-encap-ip": "203.0.113.1",
		"ovn-bridge-datapath-type": "dummy",
	}})
	w := start(t, ovs.DB)
	w.until("configuration", func() bool { return w.config != nil })
	if w.config.SystemID != "hv1" || w.config.Bridge != "br-int" || len(w.config.EncapIPs) != 1 {
		t.Errorf("configuration is %+v", w.config)
	}

	wish := Wish{Bridge: "br-int", DatapathType: "dummy"}
	w.c.Want(&wish)
	w.until("bridge", func() bool { return w.bridge != nil && w.ifaces["br-int"] != nil })
	if w.bridge.FailMode != "secure" || w.bridge.OtherConfig["disable-in-band"] != "true" || w.bridge.DatapathType != "dummy" {
		t.Errorf("bridge is %+v", w.bridge)
	}

	// Ports of others stay, whatever the wish.
	ovs.Vsctl("add-port", "br-int", "ovn-hv2222-0", "--", "set", "interface", "ovn-hv2222-0", "type=dummy",
		"external_ids:iface-id=vm1", "external_ids:ovn-installed=true")
	w.until("interface", func() bool { return w.ifaces["ovn-hv2222-0"] != nil && w.ifaces["ovn-hv2222-0"].Usable() })

	wish2 := wish
	wish2.Ports, wish2.Settled = true, true
	for _, t := range []Tunnel{{Chassis: "hv22222222", IP: "203.0.113.2", Csum: true}, {Chassis: "hv3", IP: "203.0.113.3"}} {
		wish2.Tunnels = wish2.Tunnels.With(t.ID(), t)
	}
	wish2.Zones = wish2.Zones.With("vm1", 7)
	wish2.NbCfg = 42
	w.c.Want(&wish2)
	w.until("tunnels", func() bool {
		a, b := w.ifaces["ovn-hv2222-1"], w.ifaces["ovn-hv3-0"]
		return a != nil && b != nil && a.Usable() && b.Usable()
	})
	if got := w.ifaces["ovn-hv2222-1"]; got.Options["csum"] != "true" || got.Options["key"] != "flow" ||
		got.Options["remote_ip"] != "203.0.113.2" || got.PortIDs[KeyChassisID] != "hv22222222@203.0.113.2" {
		t.Errorf("tunnel is %+v", got)
	}
	w.until("zone, nb_cfg and no ovn-installed", func() bool {
		return w.bridge.ExternalIDs["ct-zone-vm1"] == "7" && w.bridge.ExternalIDs[KeyNbCfg] == "42" &&
			w.ifaces["ovn-hv2222-0"].ExternalIDs[KeyInstalled] == ""
	})

	wish3 := wish2
	wish3.Tunnels = Tunnels{}.With("hv22222222@203.0.113.2", Tunnel{Chassis: "hv22222222", IP: "203.0.113.2"})
	wish3.Zones = Zones{}
	wish3.Interfaces = wish3.Interfaces.With("ovn-hv2222-0", Keys{Installed: true})
	w.c.Want(&wish3)
	w.until("removal", func() bool {
		return w.ifaces["ovn-hv3-0"] == nil && w.ifaces["ovn-hv2222-1"].Options["csum"] == "false" &&
			w.bridge.ExternalIDs["ct-zone-vm1"] == "" && w.ifaces["ovn-hv2222-0"].ExternalIDs[KeyInstalled] == "true"
	})
	if out := ovs.Vsctl("list-ports", "br-int"); !strings.Contains(out, "ovn-hv2222-0\n") {
		t.Errorf("a port of others is gone: %s", out)
	}
}

func TestPatches(t *testing.T) {
	ovs := ovstest.Start(t, ovstest.Options{})
	ovs.Vsctl("add-br", "br-ex", "--", "set", "bridge", "br-ex", "datapath_type=dummy")
	w := start(t, ovs.DB)
	wish := &Wish{Bridge: "br-int", Ports: true, Patches: Patches{}.With("ln0", Patch{Bridge: "br-ex"}).With("ln1", Patch{Bridge: "none"}).With("gw", Patch{Bridge: "br-ex", Gateway: true})}
	w.c.Want(wish)
	ln, gw := "patch-br-int-to-ln0", "patch-br-int-to-gw"
	there := func() bool {
		return w.ifaces[ln] != nil && w.ifaces[ln].Usable() && w.ifaces[gw] != nil && w.ifaces[gw].Usable()
	}
	w.until("patch ports", there)
	if w.ifaces[ln].PortIDs[KeyLocalnetPort] != "ln0" || w.ifaces[gw].PortIDs[KeyL2GatewayPort] != "gw" {
		t.Errorf("external_ids %v and %v", w.ifaces[ln].PortIDs, w.ifaces[gw].PortIDs)
	}
	want := "patch-gw-to-br-int\npatch-ln0-to-br-int\n"
	ends := func() bool { return ovs.Vsctl("list-ports", "br-ex") == want }
	if !ends() {
		t.Errorf("ports of br-ex: %s", ovs.Vsctl("list-ports", "br-ex"))
	}

	// The bridge goes and comes back; a port loses its peer.
	ovs.Vsctl("del-br", "br-ex")
	w.until("end of the patch ports", func() bool { return w.ifaces[ln] == nil && w.ifaces[gw] == nil })
	ovs.Vsctl("add-br", "br-ex", "--", "set", "bridge", "br-ex", "datapath_type=dummy")
	w.until("patch ports on the new bridge", there)
	if !ends() {
		t.Errorf("ports of the new br-ex: %s", ovs.Vsctl("list-ports", "br-ex"))
	}
	ovs.Vsctl("set", "interface", ln, "options:peer=nobody")
	w.until("peer", func() bool { return there() && w.ifaces[ln].Options["peer"] == "patch-ln0-to-br-int" })

	// The network is mapped to another bridge.
	ovs.Vsctl("add-br", "br2", "--", "set", "bridge", "br2", "datapath_type=dummy")
	wish = &Wish{Bridge: "br-int", Ports: true, Patches: Patches{}.With("ln0", Patch{Bridge: "br2"})}
	w.c.Want(wish)
	w.until("patch port of the other bridge", func() bool {
		return w.ifaces[gw] == nil && w.ifaces[ln] != nil && ovs.Vsctl("list-ports", "br2") == "patch-ln0-to-br-int\n"
	})
	w.c.Want(&Wish{Bridge: "br-int", Ports: true})
	w.until("removal", func() bool { return w.ifaces[ln] == nil })
	if out := ovs.Vsctl("list-ports", "br-ex") + ovs.Vsctl("list-ports", "br2"); out != "" {
		t.Errorf("ports that stay: %s", out)
	}
}

func TestParseConfig(t *testing.T) {
	_, problems := ParseConfig(map[string]string{"system-id": "hv1", "ovn-remote": "xyz", "ovn-encap-type": "stt", "ovn-encap-ip": "1.2.3"}, nil)
	want := []string{
		`external_ids:ovn-remote: "xyz" is not tcp:HOST:PORT, ssl:HOST:PORT or unix:PATH`,
		`external_ids:ovn-encap-type "stt" does not name geneve`,
		`external_ids:ovn-encap-ip: "1.2.3" is no IP address`,
	}
	if strings.Join(problems, "\n") != strings.Join(want, "\n") {
		t.Errorf("problems %q, want %q", problems, want)
	}
	if _, problems := ParseConfig(nil, nil); len(problems) != 4 || !strings.Contains(problems[0], "system-id") {
		t.Errorf("problems of nothing: %q", problems)
	}
	cfg, problems := ParseConfig(map[string]string{
		"system-id": "hv1", "ovn-remote": "unix:/run/x", "ovn-encap-type": "vxlan,geneve",
		"ovn-encap-ip": "203.0.113.1, 2001:db8::1", "ovn-bridge-mappings": "phys1:br-ex,bad,phys2:br2", "ovn-is-interconn": "true",
	}, []string{"vxlan", "geneve"})
	if len(cfg.EncapIPs) != 2 || cfg.BridgeMappings["phys1"] != "br-ex" || cfg.BridgeMappings["phys2"] != "br2" || len(problems) != 1 {
		t.Errorf("%+v, %q", cfg, problems)
	}
	if oc := cfg.OtherConfig; !cfg.Interconn || oc["is-interconn"] != "true" || oc["iface-types"] != "geneve,vxlan" || oc["ovn-monitor-all"] != "false" {
		t.Errorf("other_config %q", oc)
	}
}
