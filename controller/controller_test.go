package controller

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"govn/pkg/abi"
	"govn/pkg/eventually"
	"govn/pkg/openflow"
	"govn/proto"
	"govn/proto/state"
)

var flood = []uint32{abi.GroupFlood, abi.GroupUnknown}

// topology: two ports here, one on hv2, units in two tables.
func (l *lab) topology() uint64 {
	l.t.Helper()
	items := []item{
		port(5, 1, &proto.Port{Name: "vm1", Chassis: "hv1", Groups: flood, Learn: true}),
		port(5, 2, &proto.Port{Name: "vm2", Chassis: "hv1", Groups: flood[:1]}),
		port(5, 3, &proto.Port{Name: "vm3", Chassis: "hv2", Groups: flood[:1]}),
		remote("hv2", "203.0.113.2"),
	}
	items = append(items, unit(1, 5, 8, resubmit(9))...)
	items = append(items, unit(2, 5, 9, resubmit(10))...)
	return l.n.put(items...)
}

// check compares what is installed with what is wanted, actions included.
func (l *lab) check() {
	l.t.Helper()
	if diff := cmp.Diff(l.wanted(), l.flows()); diff != "" {
		l.t.Errorf("flows (-wanted +installed):\n%s", diff)
	}
}

func TestChassis(t *testing.T) {
	l := newLab(t)
	l.start()
	eventually.That(t, "Hello", func() bool { l.n.mu.Lock(); defer l.n.mu.Unlock(); return len(l.n.hellos) > 0 })
	h := l.n.hellos[0]
	if h.Name != "hv1" || h.Hostname != "host1" || len(h.Encaps) != 1 || h.Encaps[0].Ip != "203.0.113.1" || h.Abi != abi.Version {
		t.Errorf("Hello is %v", h)
	}
	eventually.That(t, "integration bridge", func() bool { return strings.Contains(l.ovs.Vsctl("list-br"), "br-int") })
	l.plug("vm1", "vm2")
	if ack := l.n.applied(l.topology()); len(ack.Failed) > 0 {
		t.Errorf("failed: %v", ack.Failed)
	}
	l.check()
	flows := l.flows()
	for _, want := range []string{
		"table=8, priority=50,metadata=0x5 actions=resubmit(,9)",
		"table=38, priority=100,reg15=0x8000,metadata=0x5 actions=set_field:0x1->reg13,set_field:0x1->reg15,resubmit(,39),set_field:0x2->reg13,set_field:0x2->reg15,resubmit(,39),set_field:0x8000->reg15",
		"table=37, priority=100,reg15=0x3,metadata=0x5 actions=set_field:0x5->tun_id,OPTION",
	} {
		if !strings.Contains(flows, want) {
			t.Errorf("%q is missing in\n%s", want, flows)
		}
	}
	if out := l.ovs.Ofctl("dump-tlv-map"); !strings.Contains(out, "0x102") {
		t.Errorf("TLV map:\n%s", out)
	}
	eventually.That(t, "ovn-installed", func() bool {
		return strings.Contains(l.ovs.Vsctl("get", "interface", "tap-vm1", "external_ids"), `ovn-installed="true"`)
	})
	eventually.That(t, "zones and nb_cfg", func() bool {
		ids := l.ovs.Vsctl("get", "bridge", "br-int", "external_ids")
		return strings.Contains(ids, `ct-zone-vm1="1"`) && strings.Contains(ids, "ovn-nb-cfg=")
	})
	if out := l.command("ct-zone-list"); out != "vm1 1\nvm2 2\n" {
		t.Errorf("ct-zone-list: %q", out)
	}
	if out := l.command("connection-status"); out != "connected\n" {
		t.Errorf("connection-status: %q", out)
	}

	// A broadcast goes its way: to the tunnel, and to the other port here.
	toFlood := openflow.EncodeActions([]openflow.Action{openflow.SetUint(openflow.FieldReg(abi.RegOutport), abi.GroupFlood), openflow.ToTable(abi.TableRemoteOutput)})
	l.n.applied(l.n.put(append(unit(3, 5, 10, toFlood), unit(4, 5, 40, resubmit(64))...)...))
	trace := l.ovs.Appctl("ofproto/trace", "br-int", fmt.Sprintf("in_port=%s,dl_src=50:54:00:00:00:01,dl_dst=ff:ff:ff:ff:ff:ff", ofport(l, "tap-vm1")))
	_, verdict, _ := strings.Cut(trace, "Datapath actions: ")
	if !strings.Contains(trace, "set_field:0x5->tun_id") || !strings.Contains(trace, "output:"+ofport(l, "ovn-hv2-0")) {
		t.Errorf("nothing goes to hv2:\n%s", trace)
	}
	if n := strings.Count(trace, "output:"+ofport(l, "tap-vm1")+"\n"); n != 0 {
		t.Errorf("the packet comes back to its port:\n%s", trace)
	}
	if strings.TrimSpace(verdict) == "" || !strings.Contains(trace, "output:"+ofport(l, "tap-vm2")) {
		t.Errorf("nothing goes to vm2: %q\n%s", verdict, trace)
	}

	// Another chassis goes: flows first, then its tunnel.
	l.n.applied(l.n.put(remote("hv2", ""), port(5, 3, nil)))
	eventually.That(t, "removal of the tunnel", func() bool { return !strings.Contains(l.ovs.Vsctl("list-ports", "br-int"), "ovn-hv2-0") })
	eventually.That(t, "flows without the tunnel", func() bool { return l.wanted() == l.flows() })
	if strings.Contains(l.flows(), "reg15=0x3") {
		t.Errorf("flows to hv2 are left:\n%s", l.flows())
	}

	// A port is unplugged.
	l.ovs.Vsctl("del-port", "br-int", "tap-vm2")
	eventually.That(t, "report of the unplugged port", func() bool { _, there := l.n.level()["vm2"]; return !there })
	eventually.That(t, "removal of its flows and zone", func() bool {
		return !strings.Contains(l.flows(), "reg15=0x2,") && l.command("ct-zone-list") == "vm1 1\n"
	})
	l.check()

	// A port moves away: its interface is no longer installed.
	l.n.applied(l.n.put(port(5, 1, &proto.Port{Name: "vm1", Chassis: "hv9"})))
	eventually.That(t, "no ovn-installed", func() bool {
		return !strings.Contains(l.ovs.Vsctl("get", "interface", "tap-vm1", "external_ids"), "ovn-installed")
	})
}

func ofport(l *lab, name string) string {
	return strings.TrimSpace(l.ovs.Vsctl("get", "interface", name, "ofport"))
}

// durations are the durations of the flows by table and match.
func (l *lab) stats() map[openflow.FlowKey]openflow.FlowStats {
	l.t.Helper()
	conn, err := openflow.Dial(l.t.Context(), l.ovs.Mgmt, openflow.ConnOptions{})
	if err != nil {
		l.t.Fatal(err)
	}
	defer conn.Close()
	dump, err := conn.DumpFlows(l.t.Context())
	if err != nil {
		l.t.Fatal(err)
	}
	out := map[openflow.FlowKey]openflow.FlowStats{}
	for _, f := range dump {
		out[f.Key()] = f
	}
	return out
}

// TestRestart: a controller that comes back touches only what changed while it
// was away.
func TestRestart(t *testing.T) {
	l := newLab(t)
	l.start()
	eventually.That(t, "integration bridge", func() bool { return strings.Contains(l.ovs.Vsctl("list-br"), "br-int") })
	l.plug("vm1", "vm2")
	since := l.n.level()["vm1"]
	l.n.applied(l.topology())
	eventually.That(t, "since on the interface", func() bool {
		return strings.Contains(l.ovs.Vsctl("get", "interface", "tap-vm1", "external_ids"), "govn-since")
	})
	l.stop()
	before := l.stats()
	l.ovs.Ofctl("add-flow", "cookie=0xabc,table=200,priority=7,actions=drop") // not ours
	l.ovs.Vsctl("del-port", "br-int", "tap-vm2")
	number := l.n.put(unit(3, 5, 10, resubmit(11))...)
	l.start()
	l.n.applied(number)
	eventually.That(t, "reconciliation", func() bool { return !strings.Contains(l.flows(), "reg15=0x2,") })
	if got := l.n.level()["vm1"]; got != since {
		t.Errorf("interface since %d, before the restart %d", got, since)
	}
	after := l.stats()
	kept := 0
	for key, old := range before {
		now, ok := after[key]
		if !ok || !now.Flow.Equal(&old.Flow) {
			continue
		}
		kept++
		if now.Duration < old.Duration || now.Packets < old.Packets {
			t.Errorf("flow was replaced: %v, before %v", now, old)
		}
	}
	if kept < 15 {
		t.Errorf("%d of %d flows survived unchanged", kept, len(before))
	}
	if !strings.Contains(l.flows(), "cookie=0xabc") {
		t.Error("a flow of others is gone")
	}
	if !strings.Contains(l.flows(), "table=10, priority=50,metadata=0x5 actions=resubmit(,11)") {
		t.Error("the unit that came meanwhile is missing")
	}
	l.ovs.Ofctl("del-flows", "--strict", "table=200,priority=7")
	l.check()
}

// TestVswitchdRestart: everything is installed again, fast.
func TestVswitchdRestart(t *testing.T) {
	l := newLab(t)
	l.start()
	eventually.That(t, "integration bridge", func() bool { return strings.Contains(l.ovs.Vsctl("list-br"), "br-int") })
	l.plug("vm1", "vm2")
	l.n.applied(l.topology())
	want := l.flows()
	l.ovs.KillVswitchd()
	l.ovs.StartVswitchd()
	began := time.Now()
	eventually.That(t, "bridge", func() bool { return l.ovs.Vsctl("get", "interface", "br-int", "ofport") != "" })
	eventually.That(t, "flows after the restart", func() bool { return canConnect(l) && l.flows() == want })
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("flows were back after %v", took)
	} else {
		t.Logf("flows were back %v after ovs-vswitchd", took)
	}
	if out := l.ovs.Ofctl("dump-tlv-map"); !strings.Contains(out, "0x102") {
		t.Errorf("TLV map:\n%s", out)
	}
}

func canConnect(l *lab) bool {
	c, err := net.Dial("unix", strings.TrimPrefix(l.ovs.Mgmt, "unix:"))
	if err == nil {
		c.Close()
	}
	return err == nil
}

// TestQuarantine: what Open vSwitch refuses is left out and named; the rest is
// in, and the body comes back with another content.
func TestQuarantine(t *testing.T) {
	l := newLab(t)
	l.start()
	eventually.That(t, "integration bridge", func() bool { return strings.Contains(l.ovs.Vsctl("list-br"), "br-int") })
	l.plug("vm1", "vm2")
	l.n.applied(l.topology())
	// decodes here, but Open vSwitch knows no such port field width: a set_field of
	// a read-only field.
	bad := openflow.EncodeActions([]openflow.Action{openflow.SetUint(openflow.FieldIPProto, 6)})
	items := append(unit(7, 5, 11, bad), unit(8, 5, 12, resubmit(13))...)
	garbage := item{state.Key{Kind: proto.Kind_KIND_BODY, Key: "0123456789abcdef"}, []byte("\xff\xff\xff")}
	ack := l.n.applied(l.n.put(append(items, garbage)...))
	if len(ack.Failed) != 2 {
		t.Fatalf("failed: %v", ack.Failed)
	}
	for _, f := range ack.Failed {
		if len(f.Body) != 16 || f.Error == "" {
			t.Errorf("failure %v", f)
		}
	}
	if !strings.Contains(l.flows(), "table=12, priority=50") || strings.Contains(l.flows(), "table=11, priority=50") {
		t.Errorf("flows:\n%s", l.flows())
	}
	if out := l.command("debug/quarantine"); strings.Count(out, "\n") != 2 {
		t.Errorf("debug/quarantine:\n%s", out)
	}
	fixed := append(gone(unit(7, 5, 11, bad)), unit(7, 5, 11, resubmit(12))...)
	garbage.value = nil
	if ack := l.n.applied(l.n.put(append(fixed, garbage)...)); len(ack.Failed) != 0 {
		t.Errorf("failed: %v", ack.Failed)
	}
	if !strings.Contains(l.flows(), "table=11, priority=50") {
		t.Errorf("flows:\n%s", l.flows())
	}
	l.check()
}

// TestLearn: a packet with an unknown source is learned at once, reported, and
// northd's entry takes over.
func TestLearn(t *testing.T) {
	l := newLab(t)
	l.start()
	eventually.That(t, "integration bridge", func() bool { return strings.Contains(l.ovs.Vsctl("list-br"), "br-int") })
	l.plug("vm1", "vm2")
	l.topology()
	punt := openflow.EncodeActions([]openflow.Action{openflow.ToController(0, abi.PuntPutFDB)})
	l.n.applied(l.n.put(unit(9, 5, 10, punt)...))
	l.ovs.Ofctl("packet-out", "in_port="+ofport(l, "tap-vm1")+
		",packet=ffffffffffff5054000000aa0800000000000000000000000000,actions=resubmit(,0)")
	eventually.That(t, "learned flow", func() bool {
		return strings.Contains(l.flows(), "table=71, priority=100,metadata=0x5,dl_dst=50:54:00:00:00:aa actions=set_field:0x1->reg15")
	})
	eventually.That(t, "report of the address", func() bool {
		l.n.mu.Lock()
		defer l.n.mu.Unlock()
		for _, r := range l.n.reports {
			for _, e := range r.FdbPut {
				if e.Datapath == 5 && e.Mac == 0x5054000000aa && e.Port == 1 {
					return true
				}
			}
		}
		return false
	})
	fdb := item{state.Key{Kind: proto.Kind_KIND_FDB, Key: state.FdbKey(5, 0x5054000000aa)}, marshal(&proto.Fdb{Port: 3})}
	l.n.applied(l.n.put(fdb)) // it moved to vm3 meanwhile
	if !strings.Contains(l.flows(), "dl_dst=50:54:00:00:00:aa actions=set_field:0x3->reg15") {
		t.Errorf("flows:\n%s", l.flows())
	}
	fdb.value = nil
	l.n.applied(l.n.put(fdb))
	if strings.Contains(l.flows(), "50:54:00:00:00:aa") {
		t.Errorf("a forgotten address is left:\n%s", l.flows())
	}
}

// TestNorthdAway: flows stay while northd is away, and a host that is started
// meanwhile comes up from the cache.
func TestNorthdAway(t *testing.T) {
	l := newLab(t)
	l.start()
	eventually.That(t, "integration bridge", func() bool { return strings.Contains(l.ovs.Vsctl("list-br"), "br-int") })
	l.plug("vm1", "vm2")
	l.n.applied(l.topology())
	want := l.flows()
	l.n.stop()
	eventually.That(t, "loss of northd", func() bool { return l.command("connection-status") == "not connected\n" })
	if l.flows() != want {
		t.Error("flows changed with the loss of northd")
	}
	l.stop()
	l.ovs.KillVswitchd()
	l.ovs.StartVswitchd()
	l.start()
	eventually.That(t, "flows from the cache", func() bool { return canConnect(l) && l.flows() == want })

	// northd is back, with another state; a digest that is wrong makes a resync.
	l.n.mu.Lock()
	l.n.lie, l.n.acks = true, nil
	l.n.mu.Unlock()
	number := l.n.put(gone(unit(2, 5, 9, resubmit(10)))...)
	l.n.listen(l.n.addr)
	l.n.applied(number)
	resync := false
	l.n.mu.Lock()
	for _, a := range l.n.acks {
		resync = resync || a.Resync
	}
	bodies := len(l.n.hellos[len(l.n.hellos)-1].Bodies)
	l.n.mu.Unlock()
	if !resync || bodies != 2 {
		t.Errorf("resync %v, %d bodies in Hello", resync, bodies)
	}
	eventually.That(t, "flows of northd", func() bool { return l.flows() == l.wanted() })
	if strings.Contains(l.flows(), "table=9, priority=50") {
		t.Error("a unit that is gone is left")
	}
}
