package server

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	pb "google.golang.org/protobuf/proto"

	"govn/pkg/certs"
	"govn/pkg/eventually"
	"govn/proto/ic"
)

// TestGarbageOnAStream: what no agent sends ends the stream with a log line, and
// nothing else.
func TestGarbageOnAStream(t *testing.T) {
	hello := func(id int, name string) *ic.FromZone {
		return &ic.FromZone{Msg: &ic.FromZone_Hello{Hello: &ic.Hello{Zone: make([]byte, id), Name: name}}}
	}
	good := &ic.FromZone{Msg: &ic.FromZone_Hello{Hello: &ic.Hello{Zone: []byte("0123456789abcdef"), Name: "x"}}}
	publish := func(p *ic.Publish) *ic.FromZone { return &ic.FromZone{Msg: &ic.FromZone_Publish{Publish: p}} }
	many := &ic.Publish{Whole: true}
	for i := range 300 {
		many.Routes = append(many.Routes, routeTo(fmt.Sprintf("10.0.%d.0/24", i), "ts1"))
	}
	large := func(name string, more bool) *ic.FromZone {
		return publish(&ic.Publish{More: more, Ports: []*ic.Port{{Name: name, Switch: "ts1", Address: strings.Repeat("x", 1<<17)}}})
	}
	for _, tt := range []struct {
		name     string
		messages []*ic.FromZone
	}{
		{"publish first", []*ic.FromZone{publish(&ic.Publish{Whole: true})}},
		{"nothing in it", []*ic.FromZone{{}}},
		{"short id", []*ic.FromZone{hello(3, "x")}},
		{"long id", []*ic.FromZone{hello(1<<20, "x")}},
		{"zero id", []*ic.FromZone{hello(16, "x")}},
		{"no name", []*ic.FromZone{{Msg: &ic.FromZone_Hello{Hello: &ic.Hello{Zone: []byte("0123456789abcdef")}}}}},
		{"long name", []*ic.FromZone{{Msg: &ic.FromZone_Hello{Hello: &ic.Hello{Zone: []byte("0123456789abcdef"), Name: strings.Repeat("x", 256)}}}}},
		{"second hello", []*ic.FromZone{good, good}},
		{"difference first", []*ic.FromZone{good, publish(&ic.Publish{})}},
		{"whole within", []*ic.FromZone{good, publish(&ic.Publish{Whole: true, More: true}), publish(&ic.Publish{Whole: true})}},
		{"empty rename", []*ic.FromZone{good, {Msg: &ic.FromZone_Rename{Rename: &ic.Rename{}}}}},
		{"too large", []*ic.FromZone{good, publish(&ic.Publish{Whole: true, GonePorts: []string{strings.Repeat("x", 17<<20)}})}},
		{"too many items", []*ic.FromZone{good, publish(many)}},
		{"too many fields", []*ic.FromZone{good, publish(&ic.Publish{Whole: true, Gateways: slices.Repeat([]*ic.Gateway{{}}, maxFields)})}},
		{"too many bytes", []*ic.FromZone{good, publish(&ic.Publish{Whole: true, Ports: []*ic.Port{{Address: strings.Repeat("x", 1<<20)}}})}},
		{"too many entries", []*ic.FromZone{good, publish(&ic.Publish{Whole: true, Gateways: []*ic.Gateway{{Encaps: slices.Repeat([]*ic.Encap{{}}, 10_000)}}})}},
		{"too many bytes by pieces", append([]*ic.FromZone{good, publish(&ic.Publish{Whole: true, More: true})}, repeat(large("x", true), 20)...)},
		{"too many bytes by names", append([]*ic.FromZone{good, publish(&ic.Publish{Whole: true, More: true})},
			repeat(publish(&ic.Publish{More: true, GonePorts: []string{strings.Repeat("x", 1<<16)}}), 20)...)},
		{"too many bytes by differences", []*ic.FromZone{good, publish(&ic.Publish{Whole: true}), large("1", false), large("2", false), large("3", false), large("4", false),
			large("5", false), large("6", false), large("7", false), large("8", false), large("9", false)}},
		{"too many items by pieces", append([]*ic.FromZone{good, publish(&ic.Publish{Whole: true, More: true})}, repeat(publish(&ic.Publish{More: true}), 150)...)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := testBed(t, CentreOptions{MaxItems: 100, MaxBytes: 1 << 20})
			b.addSwitch("ts1", "-")
			bystander := newFake(t, 1).connect(b)
			defer bystander.disconnect()
			f := newFake(t, 2)
			f.dial(b)
			defer f.disconnect()
			for _, m := range tt.messages {
				f.send(m)
			}
			f.await("end", func() bool { return f.ended != nil })
			if c := status.Code(f.ended); c != codes.InvalidArgument && c != codes.ResourceExhausted && c != codes.Internal {
				t.Errorf("ended with %v", f.ended)
			}
			eventually.That(t, "log line", func() bool { return strings.Count(b.log.String(), "level=WARN") == 1 })
			if what, _, _ := strings.Cut(tt.name, " by "); strings.HasPrefix(what, "too many ") {
				if what = strings.TrimPrefix(strings.Replace(what, "entries", "bytes", 1), "too many "); !strings.Contains(b.log.String(), what) {
					t.Errorf("the log does not say that there are too many %s:\n%s", what, b.log)
				}
			}
			if n := b.metric("govn_ic_garbage_total"); n != 1 {
				t.Errorf("garbage counted %v times", n)
			}
			bystander.publish(&ic.Publish{Whole: true, Routes: []*ic.Route{routeTo("10.0.0.0/24", "ts1")}})
			bystander.knows("route ts1")
		})
	}
}

func repeat(m *ic.FromZone, n int) (list []*ic.FromZone) {
	for range n {
		list = append(list, m)
	}
	return list
}

// TestRefusals: what cannot be stored is refused by itself; the rest is stored.
func TestRefusals(t *testing.T) {
	b := testBed(t, CentreOptions{})
	b.addSwitch("ts1", "-")
	f := newFake(t, 1).connect(b)
	defer f.disconnect()
	long := strings.Repeat("x", maxText+1)
	p := &ic.Publish{Whole: true,
		Gateways: []*ic.Gateway{gatewayNamed("good", "203.0.113.1"), gatewayNamed("same", "203.0.113.1"), gatewayNamed("ip", "203.0.113"), {Name: "none"},
			{Name: "type", Encaps: []*ic.Encap{{Type: "gre", Ip: "203.0.113.2"}}}, {Hostname: "unnamed", Encaps: []*ic.Encap{{Type: "geneve", Ip: "203.0.113.3"}}}},
		Ports: []*ic.Port{portOn("good", "ts1"), portOn("nowhere", "ts2"), {Name: "long", Switch: "ts1", Address: long}},
		Routes: []*ic.Route{routeTo("10.0.0.0/8", "ts1"), routeTo("10.0.0.0/33", "ts1"), routeTo("", "ts1"), {},
			{Key: &ic.RouteKey{Switch: "ts1", Prefix: "10.1.0.0/16", Nexthop: "up"}, Origin: "static"},
			{Key: &ic.RouteKey{Switch: "ts1", Prefix: "10.1.0.0/16", Nexthop: "::1"}, Origin: "rumour"},
			{Key: &ic.RouteKey{Switch: "ts1", Prefix: "10.1.0.0/16", Nexthop: "::2"}, Origin: "static", ExternalIds: map[string]string{"a": long}},
			{Key: &ic.RouteKey{Switch: "ts1", Prefix: "10.1.0.0/16", Nexthop: "::3"}, Origin: "static", ExternalIds: map[string]string{"a\x00": ""}}},
	}
	refused := f.publish(p)
	if len(refused) != 5+2+7 {
		t.Errorf("%d refusals: %v", len(refused), refused)
	}
	for _, r := range refused {
		if r.Reason == "" || r.Kind == "route" && r.Route == nil {
			t.Errorf("%v", r)
		}
	}
	f.await("what is good", func() bool { return len(f.view) == 1+1+1+1+1 })
}

// TestLongNames: a name that is too long is refused, whatever it is a name of, and
// the answer is as short as others.
func TestLongNames(t *testing.T) {
	b := testBed(t, CentreOptions{})
	b.addSwitch("ts1", "-")
	f := newFake(t, 1).connect(b)
	defer f.disconnect()
	long := strings.Repeat("€", 1<<18)
	p := &ic.Publish{Whole: true, Gateways: []*ic.Gateway{gatewayNamed(long, "203.0.113.1"), gatewayNamed("type", "203.0.113.2")},
		Ports: []*ic.Port{portOn(long, "ts1"), portOn("p", long)}, Routes: []*ic.Route{routeTo(long, "ts1"), routeTo("10.0.0.0/8", long), routeTo("10.1.0.0/16", "ts1"), routeTo("10.2.0.0/16", "ts1")}}
	p.Gateways[1].Encaps[0].Type = long
	p.Routes[2].Key.Table, p.Routes[3].Origin = long, long
	refused := f.publish(p)
	if len(refused) != 8 {
		t.Errorf("%d refusals", len(refused))
	}
	for _, r := range refused {
		if n := pb.Size(r); n > 8*maxText {
			t.Errorf("a refusal of %d bytes: %.100s", n, r.Reason)
		}
	}
	f.await("nothing but itself", func() bool { return len(f.view) == 2 })
}

// TestForgottenNames: what is to be looked at is bounded while the writer does not
// get to it, and nothing is lost thereby.
func TestForgottenNames(t *testing.T) {
	st := &stream{centre: &Centre{o: CentreOptions{MaxItems: 1000, MaxBytes: 1 << 20}.withDefaults()}}
	st.wishes.init()
	publish := func(p *ic.Publish) {
		t.Helper()
		if err := st.publish(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	publish(&ic.Publish{Whole: true, Ports: []*ic.Port{portOn("kept", "ts1")}})
	w := &st.wishes
	w.dirty, w.heap, w.sweep = make(map[wish]bool), 0, false // the writer took them
	for i := range 100 {
		p := &ic.Publish{GonePorts: []string{strings.Repeat("x", 1<<16)}}
		for j := range 900 {
			p.GonePorts = append(p.GonePorts, fmt.Sprint(i, " ", j))
		}
		publish(p)
		bytes := 0
		for k := range w.dirty {
			bytes += k.weight()
		}
		if bytes > 2<<20 || bytes != w.heap {
			t.Fatalf("%d names of %d bytes are to be looked at, %d by the count", len(w.dirty), bytes, w.heap)
		}
	}
	if !w.sweep || !w.dirty[wish{kind: kindPort, name: "kept"}] {
		t.Error("not everything is looked at")
	}
}

// TestManyZones: there are only so many, by either protocol; those that are known
// come back.
func TestManyZones(t *testing.T) {
	b := testBed(t, CentreOptions{MaxZones: 3})
	for i := range 2 {
		newFake(t, i).connect(b).disconnectWhenWelcome()
	}
	dial := b.serveSB(t, certs.Files{})
	peer := dial(nil)
	peer.must(insertZone("stock"))
	f := newFake(t, 9).connect(b)
	defer f.disconnect()
	f.await("end", func() bool { return f.ended != nil })
	if status.Code(f.ended) != codes.ResourceExhausted {
		t.Errorf("ended with %v", f.ended)
	}
	if out := dial(nil).transact(insertZone("more")); !strings.Contains(out, "resources exhausted") {
		t.Errorf("a zone more: %s", out)
	}
	newFake(t, 1).connect(b).disconnectWhenWelcome()
}

// TestSlowZone: one that does not read makes the centre hold nothing, slows nobody
// down, and gets everything again, or is ended.
func TestSlowZone(t *testing.T) {
	b := testBed(t, CentreOptions{MaxBacklog: 50, SendTimeout: 2 * time.Second})
	b.addSwitch("ts1", "-")
	good, slow := newFake(t, 1).connect(b), newFake(t, 2)
	defer good.disconnect()
	slow.hold = true
	slow.connect(b)
	defer slow.disconnect()
	eventually.That(t, "two streams", func() bool { return b.metric("govn_ic_streams") == 2 })
	p := &ic.Publish{Whole: true}
	for i := range 20_000 { // more than windows and buffers hold
		p.Routes = append(p.Routes, routeTo(fmt.Sprintf("10.%d.%d.0/24", i>>8, i&255), "ts1"))
	}
	good.publish(p)
	eventually.That(t, "a blocked stream", func() bool {
		b.hub.mu.Lock()
		defer b.hub.mu.Unlock()
		for st := range b.hub.streams {
			if st.Sending() != 0 {
				return true
			}
		}
		return false
	})
	for i := range 5 {
		p := &ic.Publish{}
		for j := range 50 {
			p.Routes = append(p.Routes, routeTo(fmt.Sprintf("172.16.%d.%d/32", i, j), "ts1"))
		}
		good.publish(p)
	}
	eventually.That(t, "everything again is noted", func() bool {
		b.hub.mu.Lock()
		defer b.hub.mu.Unlock()
		most := 0
		for st := range b.hub.streams {
			most = max(most, len(st.dirty))
		}
		return b.hub.work.wholes > 0 && most <= 50
	})
	eventually.That(t, "end of the slow stream", func() bool { return b.metric("govn_ic_streams") == 1 })
	good.knows("route ts1,,172.16.4.49/32")
}

// TestManyStreams: there are only so many.
func TestManyStreams(t *testing.T) {
	b := testBed(t, CentreOptions{MaxStreams: 3})
	for i := range 3 {
		f := newFake(t, i).connect(b)
		defer f.disconnect()
		f.await("welcome", func() bool { return f.welcome != nil })
	}
	f := newFake(t, 9).connect(b)
	defer f.disconnect()
	f.await("end", func() bool { return f.ended != nil })
	if status.Code(f.ended) != codes.ResourceExhausted {
		t.Errorf("ended with %v", f.ended)
	}
}

// TestNoHello: a stream that says nothing ends, and so does a connection that does
// not speak gRPC.
func TestNoHello(t *testing.T) {
	b := testBed(t, CentreOptions{HelloTimeout: 50 * time.Millisecond})
	f := newFake(t, 1)
	f.dial(b)
	defer f.disconnect()
	f.await("end", func() bool { return f.ended != nil })
	if status.Code(f.ended) != codes.DeadlineExceeded {
		t.Errorf("ended with %v", f.ended)
	}
	conn, err := b.listener.DialContext(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	go func(conn net.Conn) { _, _ = conn.Write([]byte("{}[[[[")) }(conn) // ends with the connection
	for buf := make([]byte, 1024); err == nil; {
		_, err = conn.Read(buf)
	}
}

// FuzzFromZone: no message, whatever it holds, makes the centre panic, and it is
// stored, refused or ends its stream.
func FuzzFromZone(f *testing.F) {
	for _, m := range []*ic.FromZone{
		{Msg: &ic.FromZone_Publish{Publish: &ic.Publish{Whole: true, Gateways: []*ic.Gateway{gatewayNamed("gw", "203.0.113.1")}, Ports: []*ic.Port{portOn("p", "ts1")}, Routes: []*ic.Route{routeTo("10.0.0.0/8", "ts1")}}}},
		{Msg: &ic.FromZone_Rename{Rename: &ic.Rename{Name: "n"}}}, {Msg: &ic.FromZone_Heartbeat{Heartbeat: &ic.Heartbeat{Number: 1}}},
	} {
		data, err := pb.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	b := newBed(f, CentreOptions{})
	f.Cleanup(b.close)
	b.addSwitch("ts1", "-")
	f.Fuzz(func(t *testing.T, data []byte) {
		var m ic.FromZone
		if pb.Unmarshal(data, &m) != nil {
			return
		}
		z := newFake(t, 1).connect(b)
		defer z.disconnect()
		z.publish(&ic.Publish{Whole: true})
		z.send(&m)
		z.number = 1 << 40
		z.send(&ic.FromZone{Msg: &ic.FromZone_Publish{Publish: &ic.Publish{Number: z.number}}})
		z.await("answer", func() bool { return z.ended != nil || z.published.GetNumber() == z.number })
	})
}
