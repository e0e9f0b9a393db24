package fabric

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	pb "google.golang.org/protobuf/proto"

	"govn/pkg/abi"
	"govn/pkg/eventually"
	"govn/proto"
)

// A chassis that does not read slows nobody down, and is ended.
func TestSlowStream(t *testing.T) {
	r := &recorder{}
	bed := testBed(t, Options{Events: r, SendTimeout: 2 * time.Second, ChunkSize: 16 << 10})
	b := twoTenants()
	b.Bindings = append(b.Bindings, Binding{1, 2, "slow", true, nil, nil})
	bed.Apply(b)
	good, slow := newFake("hv1"), newFake("slow")
	slow.hold = true
	for _, f := range []*fake{good, slow} {
		f.connect(t, bed)
		defer f.disconnect()
	}
	good.reach(t, 1)
	eventually.That(t, "slow in status", func() bool { return len(bed.Status()) == 3 && bed.Status()[2].Sent == 1 })
	const rounds = 20
	var worst time.Duration
	for i := range rounds {
		n := int64(2 + i)
		big := portOf(1, 100, strings.Repeat(fmt.Sprint(i%10), 64<<10))
		start := time.Now()
		bed.Apply(Batch{Revision: uint64(n), NbCfg: n, Items: []ItemChange{big}})
		worst = max(worst, time.Since(start))
		good.reach(t, n)
	}
	if worst > time.Second {
		t.Errorf("Apply took %v beside a slow stream", worst)
	}
	eventually.That(t, "backlog", func() bool { return bed.Status()[2].Backlog > 0 })
	if n := bed.metric(t, "govn_fabric_backlog"); n == 0 {
		t.Error("no backlog in the metrics")
	}
	eventually.That(t, "end of the slow stream", func() bool { return strings.Contains(r.all(), "lost:slow") })
	if strings.Contains(r.all(), "lost:hv1") {
		t.Error("the good stream ended, too")
	}
	// It comes back and has everything.
	slow.disconnect()
	slow.hold = false
	slow.connect(t, bed)
	slow.reach(t, 1+rounds)
}

// Snapshots at a time are capped.
func TestSnapshotsAreCapped(t *testing.T) {
	bed := testBed(t, Options{MaxSnapshots: 1, ChunkSize: 16 << 10})
	b := twoTenants()
	for i := range uint32(40) { // more than windows and buffers hold
		b.Items = append(b.Items, portOf(1, 100+i, strings.Repeat("x", 16<<10)))
	}
	b.Bindings = append(b.Bindings, Binding{1, 2, "slow", true, nil, nil})
	bed.Apply(b)
	slow, next, same := newFake("slow"), newFake("hv1"), newFake("hv2")
	slow.hold = true
	same.connect(t, bed)
	same.reach(t, 1)
	same.disconnect()
	slow.connect(t, bed)
	eventually.That(t, "snapshot of slow", func() bool { return bed.metric(t, "govn_fabric_snapshots") == 1 })
	next.connect(t, bed)
	defer next.disconnect()
	next.await(t, "welcome", func() bool { return next.welcome != nil })
	// While the slot is taken, a chassis that needs no snapshot is served, and
	// one that does is not.
	bed.Apply(Batch{Revision: 2, NbCfg: 2})
	same.connect(t, bed)
	defer same.disconnect()
	same.reach(t, 2)
	if n := bed.metric(t, "govn_fabric_snapshots"); n != 1 {
		t.Errorf("%v snapshots at a time", n)
	}
	if st := bed.Status()[0]; st.Name != "hv1" || st.Sent != 0 {
		t.Errorf("status %+v while the slot is taken", st)
	}
	slow.disconnect()
	next.reach(t, 2)
}

func TestStopSending(t *testing.T) {
	bed := testBed(t, Options{})
	bed.Apply(twoTenants())
	f := newFake("hv1")
	f.connect(t, bed)
	f.reach(t, 1)
	bed.StopSending()
	bed.Apply(Batch{Revision: 2, NbCfg: 2})
	f.await(t, "end", func() bool { return f.ended != nil })
	if status.Code(f.ended) != codes.Unavailable || f.frames != 1 {
		t.Errorf("ended with %v after %d frames", f.ended, f.frames)
	}
	f.disconnect()
	f.connect(t, bed)
	defer f.disconnect()
	f.await(t, "end", func() bool { return f.ended != nil })
	if status.Code(f.ended) != codes.Unavailable || f.welcome != nil {
		t.Errorf("ended with %v, welcome %v", f.ended, f.welcome)
	}
}

// What no controller sends ends the stream with a log line, and nothing else.
func TestGarbageOnAStream(t *testing.T) {
	hello := func(h *proto.Hello) *proto.FromChassis {
		return &proto.FromChassis{Msg: &proto.FromChassis_Hello{Hello: h}}
	}
	good := &proto.Hello{Name: "x", Abi: abi.Version}
	report := &proto.FromChassis{Msg: &proto.FromChassis_Report{Report: &proto.Report{}}}
	stray := pb.Clone(report).(*proto.FromChassis)
	stray.GetReport().Config = &proto.Hello{Name: "somebody else"}
	tests := []struct {
		name     string
		messages []*proto.FromChassis
	}{
		{"report first", []*proto.FromChassis{report}},
		{"nothing in it", []*proto.FromChassis{{}}},
		{"long name", []*proto.FromChassis{hello(&proto.Hello{Name: strings.Repeat("x", 256), Abi: 1})}},
		{"short digest", []*proto.FromChassis{hello(&proto.Hello{Name: "x", Abi: 1, Digest: []byte{1}})}},
		{"short body", []*proto.FromChassis{hello(&proto.Hello{Name: "x", Abi: 1, Bodies: [][]byte{{1}}})}},
		{"short cluster", []*proto.FromChassis{hello(&proto.Hello{Name: "x", Abi: 1, Revision: &proto.Revision{}})}},
		{"second hello", []*proto.FromChassis{hello(good), hello(good)}},
		{"empty later", []*proto.FromChassis{hello(good), {}}},
		{"report of another", []*proto.FromChassis{hello(good), stray}},
		{"too large", []*proto.FromChassis{hello(&proto.Hello{Name: "x", Hostname: strings.Repeat("x", 17<<20)})}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bed := testBed(t, Options{})
			bed.Apply(twoTenants())
			bystander := newFake("hv1")
			bystander.connect(t, bed)
			defer bystander.disconnect()
			f := newFake("x")
			f.connectWith(t, bed, tt.messages[0])
			defer f.disconnect()
			for _, m := range tt.messages[1:] {
				_ = f.stream.Send(m) // it may have ended
			}
			f.await(t, "end", func() bool { return f.ended != nil })
			if c := status.Code(f.ended); c != codes.InvalidArgument && c != codes.ResourceExhausted {
				t.Errorf("ended with %v", f.ended)
			}
			eventually.That(t, "log line", func() bool { return strings.Contains(bed.log.String(), "level=WARN") })
			if n := strings.Count(bed.log.String(), "level=WARN"); n != 1 {
				t.Errorf("%d lines in the log:\n%s", n, bed.log.String())
			}
			if n := bed.metric(t, "govn_fabric_garbage_total"); n != 1 {
				t.Errorf("garbage counted %v times", n)
			}
			bed.Apply(Batch{Revision: 2, NbCfg: 2})
			bystander.reach(t, 2)
		})
	}
}

// A connection that does not speak gRPC ends with a log line.
func TestGarbageOnAConnection(t *testing.T) {
	for _, garbage := range []string{"{}", "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\xff\xff\xff\xff\xff\xff"} {
		t.Run(garbage, func(t *testing.T) {
			bed := testBed(t, Options{HelloTimeout: 200 * time.Millisecond})
			bed.Apply(twoTenants())
			conn, err := bed.listener.DialContext(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			go func(conn net.Conn) { _, _ = conn.Write([]byte(garbage)) }(conn) // ends with the connection
			buf := make([]byte, 1024)
			for err == nil { // until the server hangs up
				_, err = conn.Read(buf)
			}
			eventually.That(t, "log line", func() bool {
				return strings.Contains(bed.log.String(), "connection ended without a stream")
			})
			f := newFake("hv1")
			f.connect(t, bed)
			defer f.disconnect()
			f.reach(t, 1)
			f.disconnect()
			if n := strings.Count(bed.log.String(), "connection ended without a stream"); n != 1 {
				t.Errorf("%d lines about one bad connection and a good one", n)
			}
		})
	}
}

func TestNoHelloInTime(t *testing.T) {
	bed := testBed(t, Options{HelloTimeout: 20 * time.Millisecond})
	f := newFake("x")
	f.connectWith(t, bed, nil)
	defer f.disconnect()
	f.await(t, "end", func() bool { return f.ended != nil })
	if status.Code(f.ended) != codes.DeadlineExceeded {
		t.Errorf("ended with %v", f.ended)
	}
}

// The rate of reports is limited by reading them slower, in virtual time.
func TestReportRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bucket{rate: 10, burst: 100}
		take := func(n int) time.Duration {
			waited, err := b.take(t.Context(), n)
			if err != nil {
				t.Fatal(err)
			}
			return waited
		}
		if w := take(100); w != 0 {
			t.Errorf("waited %v within the burst", w)
		}
		if w := take(5); w != 500*time.Millisecond {
			t.Errorf("waited %v beyond it", w)
		}
		if w := take(1000); w != 100*time.Second {
			t.Errorf("waited %v for ten times the burst", w)
		}
		time.Sleep(time.Hour)
		if w := take(101); w != 100*time.Millisecond {
			t.Errorf("waited %v after a pause: it saves up more than the burst", w)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := b.take(ctx, 1000); err == nil {
			t.Error("waited past the end of the stream")
		}
	})
}

// Many streams that wait for one revision cost one question, and a later
// question covers the earlier ones.
func TestGateAsksOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		g := newGate(func(ctx context.Context, r uint64) error {
			asked++
			if asked == 2 {
				return fmt.Errorf("disk full")
			}
			time.Sleep(time.Second)
			return nil
		}, slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(t.Context())
		ended, passed := make(chan struct{}), make(chan uint64, 200)
		go func() { defer close(ended); g.run(ctx) }()
		for i := range uint64(100) {
			go func() {
				if g.await(ctx, 1+i%10) == nil {
					passed <- i
				}
			}()
		}
		for range 100 {
			<-passed
		}
		if asked > 11 {
			t.Errorf("asked %d times for 10 revisions", asked)
		}
		if err := g.await(ctx, 3); err != nil {
			t.Error(err)
		}
		cancel()
		<-ended
		if err := g.await(ctx, 11); err == nil {
			t.Error("a revision passed after the end")
		}
	})
}

func TestBytesField(t *testing.T) {
	body := bodyOf("b")
	unit := marshal(&proto.Unit{Objects: []*proto.Object{{Table: "ACL"}}, Body: body.Hash[:], Datapath: 3})
	if it := newItem(Key{Kind: proto.Kind_KIND_UNIT}, unit, true); it.body != bodyKey(body.Hash) {
		t.Errorf("got %v", it.body)
	}
	if it := newItem(Key{Kind: proto.Kind_KIND_UNIT}, marshal(&proto.Unit{Datapath: 3}), true); it.body != (Key{}) {
		t.Error("a body out of nothing")
	}
	port := marshal(&proto.Port{Name: "cr-p", HaGroup: []byte("group"), Announce: []*proto.Announcement{{Port: 3}}})
	if it := newItem(Key{Kind: proto.Kind_KIND_PORT}, port, true); it.ha != haGroupKey("group") {
		t.Errorf("got %v", it.ha)
	}
}

// The fast reader of a field agrees with the decoder, whatever the bytes.
func FuzzBytesField(f *testing.F) {
	body := bodyOf("b")
	f.Add(marshal(&proto.Unit{Objects: []*proto.Object{{Table: "ACL"}}, Body: body.Hash[:], Datapath: 3}))
	f.Add([]byte{0x0a, 0xff})
	f.Add([]byte{0x0b, 0x0c, 0x0a, 0x01, 'x'})
	f.Fuzz(func(t *testing.T, data []byte) {
		k, ok := bytesField(data, 1)
		var u proto.Unit
		if pb.Unmarshal(data, &u) != nil {
			return
		}
		if ok != (len(u.Body) > 0) || ok && k != string(u.Body) {
			t.Fatalf("got %x, %v; decoded %x", k, ok, u.Body)
		}
	})
}

// No Hello, whatever it holds, makes the check panic, and an accepted one is
// within the supported range.
func FuzzHello(f *testing.F) {
	f.Add(marshal(&proto.Hello{Name: "hv1", Abi: 1, AbiMin: 1, Digest: make([]byte, 16)}))
	f.Add(marshal(&proto.Hello{Name: "hv1", Abi: 1 << 31, Revision: &proto.Revision{Cluster: make([]byte, 16)}}))
	s := &Server{opts: Options{Term: 3}}
	f.Fuzz(func(t *testing.T, data []byte) {
		var h proto.Hello
		if pb.Unmarshal(data, &h) != nil {
			return
		}
		if _, err := checkHello(&h); err != nil {
			return
		}
		use, err := s.judge(&h)
		if err == nil && (use < MinABI || use > abi.Version || use > h.Abi || use < h.AbiMin || h.Name == "") {
			t.Fatalf("accepted %v with abi %d", &h, use)
		}
	})
}
