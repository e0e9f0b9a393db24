package vswitch

import (
	"context"
	"encoding/hex"
	"fmt"
	"net"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"govn/pkg/geneve"
	"govn/pkg/openflow"
)

// dial is a controller's connection; packets come on the channel.
func dial(t testing.TB, target string, id uint16) (*openflow.Conn, chan *openflow.PacketIn) {
	t.Helper()
	packets := make(chan *openflow.PacketIn, 64)
	c, err := openflow.Dial(t.Context(), target, openflow.ConnOptions{PacketIn: func(in *openflow.PacketIn) { packets <- in }, ControllerID: id})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c, packets
}

func receive[T any](t testing.TB, from chan T) (v T) {
	t.Helper()
	select {
	case v = <-from:
	case <-time.After(10 * time.Second):
		t.Fatal("nothing came within 10 s")
	}
	return v
}

// inText prints what of a packet-in must be the same. Open vSwitch's
// continuation is its own affair.
func inText(in *openflow.PacketIn) string {
	return fmt.Sprintf("table %d cookie %#x reason %d length %d packet %x userdata %x paused %v metadata %v",
		in.Table, in.Cookie, in.Reason, in.FullLen, in.Packet, in.UserData, len(in.Continuation) > 0, in.Metadata.String())
}

// emitted collects what a bridge sends by its controllers' order.
type emitted struct {
	mu  sync.Mutex
	out []Output
}

func (e *emitted) emit(out []Output, _ *Trace) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.out = append(e.out, out...)
}

func (e *emitted) take() []Output {
	e.mu.Lock()
	defer e.mu.Unlock()
	out := e.out
	e.out = nil
	return out
}

// Packets that go to controllers look the same, and go on the same when they are
// resumed, from inside of nested lookups too.
func TestPacketIn(t *testing.T) {
	o := newOracle(t)
	var sent emitted
	o.sim.opts.Emit = sent.emit
	flows := []string{
		"cookie=0x5,table=0,priority=10,in_port=1,actions=set_field:0x7->metadata,set_field:3->reg14,resubmit(,1),output:4",
		"cookie=0x6,table=1,priority=10,udp,actions=set_field:10.0.0.99->ip_dst,push:NXM_NX_REG14[],controller(userdata=00.02.00.00,pause),pop:NXM_NX_REG3[],dec_ttl,resubmit(,2),output:3",
		"cookie=0x6,table=1,priority=10,arp,actions=controller(userdata=00.01.aa,max_len=20),output:3",
		"cookie=0x6,table=1,priority=10,icmp,actions=clone(controller(userdata=03,pause),output:5),output:3",
		"cookie=0x6,table=1,priority=10,tcp,actions=CONTROLLER:65535,controller(id=9,userdata=04),controller(reason=no_match,userdata=05)",
		"cookie=0x6,table=1,priority=9,ip,nw_ttl=1,actions=dec_ttl,output:3",
		"cookie=0x7,table=2,priority=10,reg3=3,reg14=3,actions=controller(userdata=06,pause),output:2",
		"cookie=0x8,table=0,priority=0,actions=CONTROLLER:40",
		"cookie=0x9,table=0,priority=10,in_port=7,actions=controller(userdata=07,pause),set_field:9->tun_id,in_port",
	}
	if n := len(o.install(flows...)); n != len(flows) {
		t.Fatalf("%d of %d flows were accepted", n, len(flows))
	}
	sc, sim := dial(t, o.s, 0)
	rc, real := dial(t, o.o, 0)
	s9, sim9 := dial(t, o.s, 9)
	r9, real9 := dial(t, o.o, 9)
	_, _ = s9, r9
	ttl1 := udp("10.0.0.1", 5, "10.0.0.2", 6)
	arp := slices.Concat([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0a, 0, 0, 0, 0, 1, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1, 0x0a, 0, 0, 0, 0, 1, 10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 10, 0, 0, 2}, make([]byte, 18))
	option := []geneve.Option{{Class: 0x102, Type: 0x80, Data: []byte{0, 1, 0, 2}}}
	for _, tt := range []struct {
		name   string
		packet Packet
		ins    int // packets to controller 0
		to9    int
	}{
		{"paused twice, in nested lookups", Packet{InPort: 1, Data: ttl1}, 2, 0},
		{"a copy that is cut off", Packet{InPort: 1, Data: arp}, 1, 0},
		{"paused in a clone", Packet{InPort: 1, Data: echo("10.0.0.1", "10.0.0.2", true, 1)}, 1, 0},
		{"several controllers and reasons", Packet{InPort: 1, Data: segment("10.0.0.1", 1, "10.0.0.2", 2, flagSYN, 1, 0)}, 2, 1},
		{"a miss that is sent", Packet{InPort: 2, Data: ttl1}, 1, 0},
		{"from a tunnel", Packet{InPort: 7, Data: ttl1, Tunnel: &Tunnel{VNI: 5, Src: remoteEndpoint, Dst: localEndpoint, Options: option}}, 1, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o.pair.t = t
			got := slices.DeleteFunc(o.sim.Process(tt.packet, nil), func(out Output) bool { return out.Port > 7 })
			want := o.real(tt.packet)
			for range tt.ins {
				a, b := receive(t, sim), receive(t, real)
				if inText(a) != inText(b) {
					t.Errorf("simulator\n%s\nOpen vSwitch\n%s", inText(a), inText(b))
				}
				if len(a.Continuation) == 0 || len(b.Continuation) == 0 {
					continue
				}
				// The controller rewrites a register before the packet goes on.
				a.Metadata.Set(openflow.FieldReg(5), 77)
				b.Metadata.Set(openflow.FieldReg(5), 77)
				if err := sc.Do(t.Context(), &openflow.Resume{PacketIn: *a}); err != nil {
					t.Error(err)
				}
				if err := rc.Do(t.Context(), &openflow.Resume{PacketIn: *b}); err != nil {
					t.Error(err)
				}
			}
			for range tt.to9 {
				if a, b := receive(t, sim9), receive(t, real9); inText(a) != inText(b) {
					t.Errorf("simulator\n%s\nOpen vSwitch\n%s", inText(a), inText(b))
				}
			}
			got = append(got, sent.take()...)
			want = append(want, o.real(Packet{InPort: 3, Data: make([]byte, 60)})...) // everything before it is out
			receive(t, real)
			if g, w := outputText(got), outputText(want); g != w {
				t.Errorf("simulator\n%sOpen vSwitch\n%s", g, w)
			}
		})
	}
	o.pair.t = t

	t.Run("packet-out", func(t *testing.T) {
		o.pair.t = t
		for _, actions := range [][]openflow.Action{
			{openflow.Output{Port: 3}},
			{openflow.SetUint(openflow.FieldReg(14), 9), openflow.Output{Port: openflow.PortTable}},
			{openflow.Resubmit{InPort: 1, Table: 0}},
			{openflow.ToTable(1)},
		} {
			var m openflow.Match
			m.Set(openflow.FieldInPort, 1)
			out := &openflow.PacketOut{Packet: echo("10.0.0.1", "10.0.0.2", true, 1), Match: m, Actions: openflow.EncodeActions(actions)}
			if err := sc.Do(t.Context(), out); err != nil {
				t.Error(err)
			}
			if err := rc.Do(t.Context(), out); err != nil {
				t.Error(err)
			}
			want := o.real(Packet{InPort: 3, Data: make([]byte, 60)})
			if g, w := outputText(sent.take()), outputText(want); g != w {
				t.Errorf("%v: simulator\n%sOpen vSwitch\n%s", openflow.FormatActions(actions), g, w)
			}
		}
	})
	o.pair.t = t
}

// ofpPrint is what ovs-ofctl reads in a message.
func ofpPrint(t testing.TB, b []byte) string {
	t.Helper()
	out, err := exec.Command("ovs-ofctl", "ofp-print", hex.EncodeToString(b), "2").CombinedOutput()
	if err != nil {
		t.Fatalf("ofp-print: %v %s", err, out)
	}
	return string(out)
}

// ovs-ofctl understands every message that the switch sends.
func TestMessagesAreUnderstood(t *testing.T) {
	now := time.Unix(1000, 0)
	b := NewBridge(Options{Name: "br-int", DatapathID: 0x42, Now: func() time.Time { return now }})
	for i := uint32(1); i <= 3; i++ {
		b.SetPort(Port{Number: i, Name: fmt.Sprintf("p%d", i), MAC: [6]byte{2, 0, 0, 0, 0, byte(i)}, Down: i == 3})
	}
	r := dialRaw(t, listen(t, b))
	setup := &script{t: t}
	setup.add(&openflow.SetConfig{MissSendLen: 0xffff})
	setup.add(&openflow.SetPacketInFormat{Format: openflow.PacketInNXT2})
	setup.add(&openflow.TLVTableMod{Command: openflow.TLVAdd, Maps: []openflow.TLVMap{{Class: 0x102, Option: 0x80, Length: 4}}})
	setup.add(&openflow.GroupMod{Command: openflow.GroupAdd, Group: openflow.GroupDesc{ID: 1, GroupType: openflow.GroupSelect, SelectionMethod: "hash", Buckets: []openflow.Bucket{{ID: 1, Weight: 5, Actions: openflow.EncodeActions([]openflow.Action{output(2)})}}}})
	setup.add(&openflow.MeterMod{Command: openflow.MeterAdd, ID: 1, Flags: openflow.MeterPktps | openflow.MeterBurst, Bands: []openflow.MeterBand{{Rate: 5, Burst: 9}}})
	punt := flowMod(0, 7, nil, openflow.Controller{MaxLen: 0xffff, Reason: openflow.ReasonAction, UserData: []byte{0, 2}, Pause: true}, openflow.ToTable(9), output(2))
	punt.Flow.Cookie, punt.IdleTimeout, punt.Flags = 0xabc, 5, openflow.FlagSendFlowRemoved
	setup.add(punt)
	if replies := r.exchange(setup.list...); len(replies) != 0 {
		t.Fatal(replies)
	}
	check := func(name string, message []byte, want ...string) {
		t.Helper()
		text := ofpPrint(t, message)
		if strings.Contains(text, "***") || strings.Contains(text, "WARN") {
			t.Errorf("%s is not understood:\n%s", name, text)
		}
		for _, w := range want {
			if !strings.Contains(text, w) {
				t.Errorf("%s lacks %q:\n%s", name, w, text)
			}
		}
	}
	b.Process(Packet{InPort: 1, Data: udp("10.0.0.1", 1, "10.0.0.2", 2), Tunnel: &Tunnel{VNI: 5, Src: localEndpoint, Dst: remoteEndpoint, Options: []geneve.Option{{Class: 0x102, Type: 0x80, Data: []byte{0, 1, 0, 2}}}}}, nil)
	check("a packet-in", r.read(), "NXT_PACKET_IN2", "cookie=0xabc", "tun_id=0x5", "in_port=1", "userdata=00.02", "continuation.bridge", "resubmit(,9)", "output:2", "nw_dst=10.0.0.2")
	b.SetPort(Port{Number: 4, Name: "p4"})
	check("a port that came", r.read(), "OFPT_PORT_STATUS", "ADD: 4(p4)", "LIVE")
	b.SetPort(Port{Number: 4, Name: "p4", Down: true})
	check("a port that went down", r.read(), "MOD: 4(p4)", "LINK_DOWN")
	b.DelPort(4)
	check("a port that went", r.read(), "DEL: 4(p4)")
	now = now.Add(5 * time.Second)
	b.Expire()
	check("a flow that expired", r.read(), "OFPT_FLOW_REMOVED", "reason=idle", "cookie:0xabc", "duration5s", "pkts1", "bytes46")
	b.DelPort(4) // no message
	for _, q := range []struct {
		name string
		m    openflow.Message
		want []string
	}{
		{"echo", &openflow.EchoRequest{Data: []byte("x")}, []string{"OFPT_ECHO_REPLY", "1 bytes"}},
		{"features", &openflow.FeaturesRequest{}, []string{"dpid:0000000000000042", "n_tables:254", "BUNDLES"}},
		{"configuration", &openflow.RawMessage{MessageType: openflow.TypeGetConfigRequest}, []string{"frags=normal miss_send_len=65535"}},
		{"description", &openflow.MultipartRequest{Kind: openflow.MultipartDesc}, []string{"Nicira, Inc.", "3.1.0", "DP Description: br-int"}},
		{"ports", openflow.PortDescRequest(), []string{"1(p1): addr:02:00:00:00:00:01", "LINK_DOWN"}},
		{"groups", openflow.GroupDescRequest(), []string{"group_id=1,type=select,selection_method=hash,bucket=bucket_id:1,weight:5,actions=output:2"}},
		{"meters", openflow.MeterDescRequest(), []string{"meter=1 pktps burst bands=", "rate=5 burst_size=9"}},
		{"group features", &openflow.MultipartRequest{Kind: mpGroupFeatures}, []string{"Types:  0xf", "dec_ttl"}},
		{"meter features", &openflow.MultipartRequest{Kind: mpMeterFeatures, Body: nil}, []string{"max_meter", "kbps pktps"}},
		{"tables", &openflow.MultipartRequest{Kind: mpTableFeatures}, []string{"table 0:"}},
		{"options", &openflow.TLVTableRequest{}, []string{"0x102", "tun_metadata0"}},
		{"asynchronous messages", &openflow.GetAsyncRequest{}, []string{"OFPT_GET_ASYNC_REPLY"}},
		{"role", &openflow.RawMessage{MessageType: typeRoleRequest, Body: make([]byte, 16)}, []string{"role=equal"}},
		{"an error", &openflow.GroupMod{Command: openflow.GroupModify, Group: allGroup(9, output(1))}, []string{"OFPGMFC_UNKNOWN_GROUP", "group_id=9"}},
		{"a barrier", &openflow.BarrierRequest{}, []string{"OFPT_BARRIER_REPLY"}},
		{"a bundle", &openflow.BundleControl{ID: 3, Flags: 3}, []string{"OPEN_REPLY", "bundle_id=0x3"}},
	} {
		r.write(encode(t, 7, q.m))
		check(q.name, r.read(), q.want...)
	}
	r.write(encode(t, 8, flowMod(5, 3, nil, output(1))))
	r.write(encode(t, 9, openflow.FlowDescRequest(openflow.TableAll, 0, 0)))
	check("flows", r.read(), "table=5", "priority=3 actions=output:1")
}

// govn's own connection works over any net.Conn, from start to end.
func TestServePipe(t *testing.T) {
	b := NewBridge(Options{Name: "br-int"})
	ctx, cancel := context.WithCancel(context.Background())
	ours, theirs := net.Pipe()
	served := make(chan error, 1)
	go func() { served <- b.Serve(ctx, ours) }()
	c, err := openflow.NewConn(t.Context(), theirs, openflow.ConnOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.AddTLVMap(t.Context(), openflow.TLVMap{Class: 0x102, Option: 0x80, Length: 4}); err != nil {
		t.Fatal(err)
	}
	var messages []openflow.Message
	for i := range 3000 {
		var m openflow.Match
		m.Set(openflow.FieldReg(0), uint64(i))
		messages = append(messages, flowMod(uint8(i%200), 9, m.Encode(), output(1)))
	}
	if err := c.Bundle(t.Context(), messages); err != nil {
		t.Fatal(err)
	}
	dump, err := c.DumpFlows(t.Context())
	if err != nil || len(dump) != 3000 || b.FlowCount() != 3000 {
		t.Fatalf("%d flows in the dump, %d in the bridge: %v", len(dump), b.FlowCount(), err)
	}
	if got := b.Flows(); got[17].Flow.String() != dumped(dump, got[17].Key()) {
		t.Errorf("flow %v, in the dump %v", got[17], dumped(dump, got[17].Key()))
	}
	var be *openflow.BundleError
	err = c.Bundle(t.Context(), []openflow.Message{flowMod(1, 1, nil), flowMod(1, 2, nil, openflow.Group{ID: 8})})
	if be, _ = err.(*openflow.BundleError); be == nil || be.Index != 1 || be.Err.Name() != "OFPBAC_BAD_OUT_GROUP" {
		t.Errorf("error %v", err)
	}
	cancel()
	if err := <-served; err != nil {
		t.Errorf("Serve: %v", err)
	}
	<-c.Done()
	c.Close()
}

func dumped(dump []openflow.FlowStats, key openflow.FlowKey) string {
	for _, f := range dump {
		if f.Key() == key {
			return f.Flow.String()
		}
	}
	return "none"
}
