package ovstest_test

import (
	"strings"
	"testing"

	"govn/test/ovstest"
)

func TestBridgeSurvivesCrash(t *testing.T) {
	o := ovstest.Start(t, ovstest.Options{ExternalIDs: map[string]string{"system-id": "hv1"}})
	if n := o.AddPort("p7", 7, "external_ids:iface-id=vm7"); n != 7 {
		t.Errorf("port number %d, want 7", n)
	}
	if got := strings.TrimSpace(o.Vsctl("get", "Open_vSwitch", ".", "external_ids:system-id")); got != `hv1` {
		t.Errorf("system-id %s", got)
	}
	o.Ofctl("add-flow", "table=8,actions=drop")
	if out := o.Ofctl("dump-flows", "table=8"); !strings.Contains(out, "actions=drop") {
		t.Errorf("flow is missing: %s", out)
	}
	o.KillVswitchd()
	if o.VswitchdPID() != 0 {
		t.Error("a pid after the kill")
	}
	o.StartVswitchd()
	if out := o.Ofctl("dump-flows", "table=8"); strings.Contains(out, "actions=drop") {
		t.Errorf("flow survived: %s", out)
	}
	if out := o.Vsctl("list-ports", "br-int"); strings.TrimSpace(out) != "p7" {
		t.Errorf("ports %q", out)
	}
}

func TestNetdevDatapath(t *testing.T) {
	o := ovstest.Start(t, ovstest.Options{Datapath: "netdev", Bridge: "brovstest"})
	if out := o.Appctl("dpif/show"); !strings.Contains(out, "brovstest") {
		t.Errorf("dpif/show: %s", out)
	}
}
