package sim

import (
	"slices"
	"testing"
	"time"

	"govn/pkg/ovsdb"
)

// gatewayAt waits until the southbound database has the gateway port of the
// example on a chassis, for which simulated time passes.
func gatewayAt(t *testing.T, s *Scenario, chassis string) {
	t.Helper()
	b, ch := &s.Zone.Columns.PortBinding, &s.Zone.Columns.Chassis
	at := func() string {
		sn := s.Zone.Store.Snapshot()
		for row := range sn.Rows(b.Table) {
			if row.Str(b.LogicalPort) != "cr-r0-public" {
				continue
			}
			if u, ok := row.Ref(b.Chassis); ok {
				return sn.Row(ch.Table, u).Str(ch.Name)
			}
		}
		return ""
	}
	if err := s.Advance(within(t), 2*time.Second); err != nil {
		t.Fatal(err)
	}
	if err := s.Zone.Until(within(t), chassis+" is the gateway", func() bool { return at() == chassis }); err != nil {
		t.Fatalf("%v; it is %q", err, at())
	}
}

// groupUsers are the chassis in ref_chassis of all HA groups, by name.
func groupUsers(s *Scenario) (names []string) {
	sn, g, ch := s.Zone.Store.Snapshot(), &s.Zone.Columns.SBHAGroup, &s.Zone.Columns.Chassis
	for row := range sn.Rows(g.Table) {
		for u := range row.Set(g.RefChassis).All() {
			names = append(names, sn.Row(ch.Table, u.(ovsdb.UUID)).Str(ch.Name))
		}
	}
	slices.Sort(names)
	return names
}

// reached fails the test where pings are not answered in time: the southbound
// database is told of a gateway a little before a hypervisor sends to it, and a
// gateway announces its address in real time, again after a second.
func reached(t *testing.T, s *Scenario, what string) {
	t.Helper()
	tick, limit := time.NewTicker(50*time.Millisecond), time.After(10*time.Second)
	defer tick.Stop()
	for {
		r := ping(t, s, "vm", "172.16.0.9")
		if r.Answered && r.TTL == 63 {
			return
		}
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("%s: %+v", what, r)
		}
	}
}

// A gateway that falls silent is replaced by the next one, and takes its place
// again when it is heard: what TestGatewayFailover of test/e2e does on Open
// vSwitch. Nobody but the chassis decides.
func TestGatewayFailover(t *testing.T) {
	s := up(t, loadFile(t, "../docs/examples/gateway.yaml"), Options{})
	gatewayAt(t, s, "gw1")
	reached(t, s, "through gw1")
	if got := groupUsers(s); !slices.Equal(got, []string{"hv1"}) {
		t.Errorf("HA_Chassis_Group:ref_chassis %q, want hv1: no other chassis has the router and is no member", got)
	}
	s.SetFault(LinkDown("gw1", ""))
	gatewayAt(t, s, "gw2")
	reached(t, s, "through gw2")
	s.SetFault(nil)
	gatewayAt(t, s, "gw1")
	reached(t, s, "through gw1 again")
	if err := s.RemoveChassis("gw1"); err != nil {
		t.Fatal(err)
	}
	gatewayAt(t, s, "gw2")
	reached(t, s, "without gw1")
}
