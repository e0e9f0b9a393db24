package controller

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	pb "google.golang.org/protobuf/proto"

	"govn/pkg/abi"
	"govn/pkg/eventually"
	"govn/proto"
	"govn/proto/control"
	"govn/proto/state"
)

// asked is the answer of a command in JSON.
func (l *lab) asked(name string, args ...string) *control.Origins {
	l.t.Helper()
	out, err := l.tried(name, append([]string{control.FormatArg(control.JSON)}, args...)...)
	if err != nil {
		l.t.Fatalf("%s %q: %v", name, args, err)
	}
	got := &control.Origins{}
	if err := json.Unmarshal([]byte(out), got); err != nil {
		l.t.Fatalf("%s %q: %v in %s", name, args, err, out)
	}
	return got
}

func (l *lab) tried(name string, args ...string) (string, error) {
	l.mu.Lock()
	fn := l.cmd[name]
	l.mu.Unlock()
	return fn(l.t.Context(), args)
}

// Flows of an object with counters that count, and the way back from each
// installed flow to what it is for.
func TestFlowsAndExplain(t *testing.T) {
	l := newLab(t)
	l.start()
	eventually.That(t, "integration bridge", func() bool { return strings.Contains(l.ovs.Vsctl("list-br"), "br-int") })
	l.plug("vm1", "vm2")
	l.topology()
	vm1 := make([]byte, 16)
	vm1[15] = 1
	sw0 := item{state.Key{Kind: proto.Kind_KIND_DATAPATH, Key: state.DatapathKey(5)}, marshal(&proto.Datapath{Name: "sw0", Uuid: vm1, Type: "logical-switch"})}
	fdb := item{state.Key{Kind: proto.Kind_KIND_FDB, Key: state.FdbKey(5, 0x5054000000aa)}, marshal(&proto.Fdb{Port: 3})}
	twin := unit(2, 5, 9, resubmit(10))[1] // unit 2 again, for another object
	twin.key.Key = "0123456789abcdef"
	same := &proto.Unit{}
	if err := pb.Unmarshal(twin.value, same); err != nil {
		t.Fatal(err)
	}
	same.Objects = []*proto.Object{{Table: "ACL", Name: "twin"}}
	twin.value = marshal(same)
	items := append(unit(20, 5, 8, resubmit(12)), twin, sw0, fdb, // the same table, priority and match as unit 1
		port(5, 1, &proto.Port{Name: "vm1", Uuid: vm1, Chassis: "hv1", Groups: flood, Learn: true}))
	l.n.applied(l.n.put(items...))

	acl1 := l.asked("flows", "acl:acl1")
	if len(acl1.Origins) != 1 || len(acl1.Origins[0].Flows) != 1 || acl1.Chassis != "hv1" {
		t.Fatalf("flows of acl1: %+v", acl1)
	}
	if out, err := l.tried("complete", "acl:acl2"); err != nil || out != "acl:acl2\nacl:acl20\n" {
		t.Errorf("acl:acl2 is completed to %q, %v", out, err)
	}
	o := acl1.Origins[0]
	if o.Maker != control.Northd || o.Datapath == nil || *o.Datapath != (control.Datapath{Key: 5, Name: "sw0"}) || o.Flows[0].Shadowed != "" || o.Flows[0].Counters == nil {
		t.Errorf("acl1: %+v", o)
	}
	before := o.Flows[0].Counters.Packets
	for range 3 {
		l.ovs.Ofctl("packet-out", "in_port="+ofport(l, "tap-vm1")+
			",packet=ffffffffffff5054000000010800000000000000000000000000,actions=resubmit(,0)")
	}
	eventually.That(t, "counters", func() bool { return l.asked("flows", "acl:acl1").Origins[0].Flows[0].Counters.Packets == before+3 })

	// Of two units that want one flow the one with the lower id has it.
	acl20 := l.asked("flows", "acl:acl20").Origins[0].Flows[0]
	if acl20.Counters != nil || !strings.Contains(acl20.Shadowed, o.Flows[0].Cookie) {
		t.Errorf("shadowed flow: %+v", acl20)
	}

	both := l.asked("explain", o.Flows[0].Cookie)
	if len(both.Origins) != 2 || both.Origins[0].Objects[0].Name != "acl1" || both.Origins[1].Objects[0].Name != "acl20" {
		t.Errorf("where flows merge: %+v", both)
	}

	// Equal flows of two units are one flow with two reasons.
	twins := l.asked("explain", l.asked("flows", "acl:twin").Origins[0].Flows[0].Cookie).Origins
	if len(twins) != 2 {
		t.Errorf("equal flows: %+v", twins)
	}
	for _, o := range twins {
		if o.Flows[0].Counters == nil || o.Flows[0].Shadowed != "" {
			t.Errorf("equal flows: %+v", o)
		}
	}

	// A port: from its interface, to it, out of its interface.
	text, err := l.tried("flows", "port:vm1")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`chassis: sw0, what comes in from port "vm1" (interface tap-vm1)`,
		`chassis: sw0, output to port "vm1" (interface tap-vm1), here`,
		`chassis: sw0, nothing goes back out of port "vm1"`,
		`chassis: sw0, out of the interface of port "vm1"`,
		`from Logical_Switch_Port "vm1" (00000000-0000-0000-0000-000000000001)`,
		"n_packets=3",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}

	// Every flow that is installed is explained by its cookie.
	purposes := map[string]int{}
	for _, f := range l.stats() {
		got := l.asked("explain", f.Flow.String())
		found := false
		for _, o := range got.Origins {
			for i := range o.Flows {
				found = found || o.Flows[i].Counters != nil && o.Flows[i].Table == f.Table && o.Flows[i].Cookie == fmt.Sprintf("%#x", f.Cookie)
			}
			if o.Maker == "" || o.Maker != control.Northd && o.Purpose == "" {
				t.Errorf("%v: %+v", f, o)
			}
			purposes[o.Maker]++
		}
		if !found {
			t.Errorf("%v is explained by %+v", f, got)
		}
	}
	for _, m := range []string{control.Northd, control.Fixed, control.Port, control.Tunnel, control.Group, control.Learned} {
		if purposes[m] == 0 {
			t.Errorf("no flow of maker %q: %v", m, purposes)
		}
	}
	text, err = l.tried("explain", fmt.Sprintf("%#x", l.cookieIn(abi.TableGetFDB, 100)))
	if err != nil || !strings.Contains(text, `get_fdb(): to the learned address 50:54:00:00:00:aa behind port "vm3"`) {
		t.Errorf("explain of a learned address: %v\n%s", err, text)
	}
	text, err = l.tried("explain", fmt.Sprintf("%#x", l.cookieIn(abi.TableRemoteOutput, 100)))
	if err != nil || !strings.Contains(text, `chassis: sw0, output to`) {
		t.Errorf("explain of a remote output: %v\n%s", err, text)
	}

	// What Open vSwitch has and nobody wants.
	l.ovs.Ofctl("add-flow", "cookie=0x7000000000000abc,table=200,priority=7,actions=drop")
	if got := l.asked("explain", "0x7000000000000abc"); len(got.Origins) != 1 || got.Origins[0].Purpose != errStale.Error() || len(got.Origins[0].Flows) != 1 {
		t.Errorf("a flow of nobody: %+v", got)
	}
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"flows", "port:nobody"}, "no flows of it"},
		{[]string{"flows", "nobody"}, "names no object"},
		{[]string{"flows", "--format=html"}, "unknown format"},
		{[]string{"flows", "a:b", "c:d"}, "usage"},
		{[]string{"explain", "cookie"}, "no cookie"},
	} {
		if out, err := l.tried(tt.args[0], tt.args[1:]...); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: %q, %v", tt.args, out, err)
		}
	}
	if got := l.asked("explain", "0xdead"); len(got.Origins) != 0 {
		t.Errorf("a cookie of nobody: %+v", got)
	}
}

// cookieIn is the cookie of a flow in a table.
func (l *lab) cookieIn(table uint8, priority uint16) uint64 {
	l.t.Helper()
	for key, f := range l.stats() {
		if key.Table == table && key.Priority == priority {
			return f.Cookie
		}
	}
	l.t.Fatalf("no flow in table %d with priority %d", table, priority)
	return 0
}

// Without Open vSwitch there is nobody to ask for counters.
func TestFlowsWithoutSwitch(t *testing.T) {
	l := newLab(t)
	l.start()
	eventually.That(t, "integration bridge", func() bool { return strings.Contains(l.ovs.Vsctl("list-br"), "br-int") })
	l.n.applied(l.topology())
	l.ovs.KillVswitchd()
	eventually.That(t, "loss of Open vSwitch", func() bool {
		_, err := l.tried("flows")
		return err != nil && strings.Contains(err.Error(), "Open vSwitch")
	})
}
