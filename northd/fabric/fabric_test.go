package fabric

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	pb "google.golang.org/protobuf/proto"

	"govn/pkg/abi"
	"govn/pkg/eventually"
	"govn/proto"
	"govn/proto/state"
)

// twoTenants is a zone in which hv1 has a port of datapath 1, and hv2 one of
// datapath 2.
func twoTenants() Batch {
	a, b := bodyOf("tenant-one-body"), bodyOf("tenant-two-body")
	return Batch{
		Revision: 1, NbCfg: 1,
		Bodies: []BodyChange{a, b},
		Items: []ItemChange{
			datapathOf(1, "tenant-one"), portOf(1, 1, "tenant-one-port"), unitOf("unit-of-one", 1, 0, a),
			datapathOf(2, "tenant-two"), portOf(2, 1, "tenant-two-port"), unitOf("unit-of-two", 2, 0, b),
		},
		Bindings: []Binding{{1, 1, "hv1", true, nil, nil}, {2, 1, "hv2", true, nil, nil}},
		Chassis:  []ChassisInfo{infoOf("hv1"), infoOf("hv2")},
	}
}

// received is how many bytes came in as messages.
func (f *fake) received() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.bytes
}

// Invariant 4: a chassis receives nothing about a datapath that is not local to
// it, neither at connect nor when that datapath changes.
func TestNotAByteAboutOthers(t *testing.T) {
	connectBytes := func(b Batch) int {
		bed := testBed(t, Options{})
		bed.Apply(b)
		f := newFake("hv2")
		f.connect(t, bed)
		defer f.disconnect()
		f.reach(t, 1)
		return f.received()
	}
	alone := twoTenants()
	alone.Items, alone.Bodies = alone.Items[3:], alone.Bodies[1:]
	alone.Bindings, alone.Chassis = alone.Bindings[1:], alone.Chassis[1:]
	if both, one := connectBytes(twoTenants()), connectBytes(alone); both != one {
		t.Errorf("connecting takes %d bytes beside another tenant, %d without", both, one)
	}

	bed := testBed(t, Options{})
	bed.Apply(twoTenants())
	hv1, hv2 := newFake("hv1"), newFake("hv2")
	for _, f := range []*fake{hv1, hv2} {
		f.connect(t, bed)
		defer f.disconnect()
		f.reach(t, 1)
	}
	// What a revision costs that changes nothing but nb_cfg.
	start := hv2.received()
	bed.Apply(Batch{Revision: 2, NbCfg: 2})
	hv2.reach(t, 2)
	empty := hv2.received() - start
	if empty > 200 {
		t.Errorf("an empty frame takes %d bytes", empty)
	}

	const rounds = 50
	start = hv2.received()
	for i := range rounds {
		body := bodyOf(fmt.Sprint("tenant-one-body", i))
		bed.Apply(Batch{Revision: uint64(3 + i), NbCfg: 2, Bodies: []BodyChange{body}, Items: []ItemChange{
			portOf(1, uint32(2+i), fmt.Sprint("tenant-one-port", i)), unitOf(fmt.Sprint("unit-of-one", i), 1, 0, body)},
			Bindings: []Binding{{1, uint32(2 + i), "hv1", i%2 == 0, nil, nil}}})
	}
	bed.Apply(Batch{Revision: 3 + rounds, NbCfg: 3})
	hv1.reach(t, 3)
	hv2.reach(t, 3)
	if got := hv2.received() - start; got != empty {
		t.Errorf("%d bytes came while another tenant changed, an empty frame has %d", got, empty)
	}
	hv2.mu.Lock()
	defer hv2.mu.Unlock()
	for _, secret := range []string{"tenant-one", "unit-of-one", "hv1"} {
		if bytes.Contains(hv2.raw, []byte(secret)) {
			t.Errorf("hv2 was sent %q", secret)
		}
	}
	if !bytes.Contains(hv2.raw, []byte("tenant-two-port")) {
		t.Error("the capture does not hold what was sent")
	}
	hv1.mu.Lock()
	defer hv1.mu.Unlock()
	if !bytes.Contains(hv1.raw, []byte("tenant-one-port49")) {
		t.Error("hv1 was not sent its port")
	}
}

// A port's new chassis sees itself at once, the others when its flows are in.
func TestPublishedChassis(t *testing.T) {
	bed := testBed(t, Options{})
	hvs := map[string]*fake{}
	names := []string{"hv1", "hv2", "hv3"}
	first := Batch{Revision: 1, NbCfg: 1, Items: []ItemChange{datapathOf(1, "sw")}}
	for i, n := range names { // each has a port of its own
		first.Chassis = append(first.Chassis, infoOf(n))
		first.Items = append(first.Items, portOf(1, uint32(10+i), "own-"+n))
		first.Bindings = append(first.Bindings, Binding{1, uint32(10 + i), n, true, nil, nil})
	}
	scoped := unitOf("security", 1, 1, bodyOf("security"))
	first.Items = append(first.Items, portOf(1, 1, "moving"), scoped)
	first.Bodies = []BodyChange{bodyOf("security")}
	bed.Apply(first)
	for _, n := range names {
		hvs[n] = newFake(n)
		hvs[n].connect(t, bed)
		defer hvs[n].disconnect()
		hvs[n].reach(t, 1)
	}
	steps := []struct {
		chassis string
		up      bool
		sees    [3]string
	}{
		{"", false, [3]string{"", "", ""}},
		{"hv1", false, [3]string{"hv1", "", ""}},
		{"hv1", true, [3]string{"hv1", "hv1", "hv1"}},
		{"hv2", false, [3]string{"hv1", "hv2", "hv1"}},
		{"hv2", true, [3]string{"hv2", "hv2", "hv2"}},
		{"hv2", false, [3]string{"hv2", "hv2", "hv2"}},
		{"hv3", false, [3]string{"hv2", "hv2", "hv3"}},
		{"hv1", false, [3]string{"hv1", "hv2", "hv2"}},
		{"", false, [3]string{"", "", ""}},
		{"hv3", true, [3]string{"hv3", "hv3", "hv3"}},
	}
	for i, s := range steps {
		n := int64(i + 2)
		bed.Apply(Batch{Revision: uint64(n), NbCfg: n, Bindings: []Binding{{1, 1, s.chassis, s.up, nil, nil}}})
		for j, name := range names {
			f := hvs[name]
			f.reach(t, n)
			p := f.port(t, 1, 1)
			if p == nil || p.Name != "moving" || p.Chassis != s.sees[j] || p.Up != (p.Chassis != "") {
				t.Errorf("bound to %q (up %v): %s sees %v, want chassis %q", s.chassis, s.up, name, p, s.sees[j])
			}
			_, has := f.contents()[scoped.Key]
			_, hasBody := f.contents()[bodyKey(bodyOf("security").Hash)]
			if resident := s.chassis == name; has != resident || hasBody != resident {
				t.Errorf("bound to %q: %s has the resident unit %v, its body %v", s.chassis, name, has, hasBody)
			}
		}
	}
}

// The tunnel to the old chassis of a moving port stays while others send there.
func TestOldChassisStaysWhilePublished(t *testing.T) {
	bed := testBed(t, Options{})
	bed.Apply(Batch{Revision: 1, NbCfg: 1, Items: []ItemChange{portOf(1, 1, "moving"), portOf(1, 2, "p2")},
		Chassis:  []ChassisInfo{infoOf("hv1"), infoOf("hv2"), infoOf("hv3")},
		Bindings: []Binding{{1, 1, "hv1", true, nil, nil}, {1, 2, "hv3", true, nil, nil}}})
	f := newFake("hv3")
	f.connect(t, bed)
	defer f.disconnect()
	for i, tt := range []struct {
		binding  Binding
		old, new bool
	}{
		{Binding{1, 1, "hv1", true, nil, nil}, true, false},
		{Binding{1, 1, "hv2", false, nil, nil}, true, true},
		{Binding{1, 1, "hv2", true, nil, nil}, false, true},
	} {
		n := int64(i + 2)
		bed.Apply(Batch{Revision: uint64(n), NbCfg: n, Bindings: []Binding{tt.binding}})
		f.reach(t, n)
		_, old := f.contents()[chassisKey("hv1")]
		_, now := f.contents()[chassisKey("hv2")]
		if old != tt.old || now != tt.new {
			t.Errorf("%+v: hv1 %v, hv2 %v", tt.binding, old, now)
		}
		if _, self := f.contents()[chassisKey("hv3")]; self {
			t.Error("a chassis was sent itself")
		}
	}
}

// A chassis that has the state already gets a frame without items, of whatever
// term; one that has another one gets a snapshot without the bodies it has.
func TestReconnect(t *testing.T) {
	f := newFake("hv1")
	first := testBed(t, Options{Term: 3})
	first.Apply(twoTenants())
	f.connect(t, first)
	f.reach(t, 1)
	if f.snapshots != 1 {
		t.Errorf("%d snapshots at first", f.snapshots)
	}
	f.disconnect()
	first.stop()

	second := testBed(t, Options{Term: 4})
	b := twoTenants()
	b.NbCfg = 2
	second.Apply(b)
	f.connect(t, second)
	f.reach(t, 2)
	if f.snapshots != 0 || f.state.Revision().Term != 4 {
		t.Errorf("%d snapshots for the same state, revision %v", f.snapshots, f.state.Revision())
	}
	f.disconnect()
	second.Apply(Batch{Revision: 2, NbCfg: 3, Items: []ItemChange{portOf(1, 9, "new")}})
	f.connect(t, second)
	f.reach(t, 3)
	if f.snapshots != 1 || f.kept != 1 {
		t.Errorf("%d snapshots with %d bodies kept for another state", f.snapshots, f.kept)
	}
	f.disconnect()

	// A northd that has been overtaken is told, and sends nothing.
	third := testBed(t, Options{Term: 3})
	third.Apply(twoTenants())
	f.connect(t, third)
	defer f.disconnect()
	f.await(t, "end", func() bool { return f.ended != nil })
	if f.frames != 0 || !strings.Contains(f.welcome.GetError(), "term") {
		t.Errorf("%d frames from an old term, welcome %v", f.frames, f.welcome)
	}
}

// Nothing is sent before the first batch: an empty snapshot would clear a
// chassis that works.
func TestNothingBeforeTheFirstBatch(t *testing.T) {
	bed := testBed(t, Options{})
	f := newFake("hv1")
	f.connect(t, bed)
	defer f.disconnect()
	f.await(t, "welcome", func() bool { return f.welcome != nil })
	bed.Apply(twoTenants())
	f.reach(t, 1)
	if f.frames != 1 || f.state.Len() == 0 {
		t.Errorf("%d frames, %d items", f.frames, f.state.Len())
	}
}

func TestDurableGate(t *testing.T) {
	var durable atomic.Uint64
	asked, pass := make(chan uint64), make(chan error)
	bed := testBed(t, Options{WaitDurable: func(ctx context.Context, r uint64) error {
		select {
		case asked <- r:
		case <-ctx.Done():
			return ctx.Err()
		}
		select {
		case err := <-pass:
			if err == nil {
				durable.Store(r)
			}
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}})
	bed.Apply(twoTenants())
	f, early := newFake("hv1"), atomic.Int64{}
	f.onFrame = func(fr *proto.Frame) {
		if fr.Revision.Number > durable.Load() {
			early.Add(1)
		}
	}
	f.connect(t, bed)
	defer f.disconnect()
	for n := int64(1); n < 5; n++ {
		if r := <-asked; r != uint64(n) {
			t.Fatalf("asked for %d at %d", r, n)
		}
		if st := bed.Status()[0]; st.Sent != uint64(n-1) {
			t.Errorf("sent %d before %d is durable", st.Sent, n)
		}
		pass <- nil
		f.reach(t, n)
		bed.Apply(Batch{Revision: uint64(n + 1), NbCfg: n + 1})
	}
	// A store that fails once is asked again.
	<-asked
	pass <- fmt.Errorf("disk full")
	<-asked
	pass <- nil
	f.reach(t, 5)
	if early.Load() != 0 {
		t.Errorf("%d frames before their revision was durable", early.Load())
	}
}

// recorder is an Events that writes down what it hears.
type recorder struct {
	mu     sync.Mutex
	heard  []string
	refuse error
}

func (r *recorder) note(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.heard = append(r.heard, fmt.Sprintf(format, args...))
}

func (r *recorder) all() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.heard, " ")
}

func (r *recorder) Hello(name string, h *proto.Hello) error {
	r.note("hello:%s:%s", name, h.Hostname)
	return r.refuse
}
func (r *recorder) Report(name string, m *proto.Report) {
	r.note("report:%s:%d", name, len(m.InterfacesPut))
}
func (r *recorder) Acked(name string, a *proto.Ack) {
	r.note("acked:%s:%d", name, a.GetApplied().GetNumber())
}
func (r *recorder) Lost(name string, _ time.Time) { r.note("lost:%s", name) }

func TestEventsAndStatus(t *testing.T) {
	r := &recorder{}
	bed := testBed(t, Options{Events: r})
	bed.Apply(twoTenants())
	f := newFake("hv1")
	f.connect(t, bed)
	f.reach(t, 1)
	failed := []*proto.Failure{{Body: []byte("b"), Error: "OFPBMC_BAD_VALUE"}}
	rev := f.state.Revision()
	_ = f.stream.Send(&proto.FromChassis{Msg: &proto.FromChassis_Report{Report: &proto.Report{InterfacesPut: []*proto.Interface{{IfaceId: "p"}}}}})
	f.ack(&proto.Ack{Received: rev, Applied: rev, Failed: failed})
	// What was not sent cannot be acknowledged.
	f.ack(&proto.Ack{Applied: &proto.Revision{Cluster: testCluster[:], Term: 1, Number: 99}})
	f.ack(&proto.Ack{Applied: &proto.Revision{Cluster: make([]byte, 16), Term: 1, Number: 1}})
	f.ack(&proto.Ack{Received: rev, Applied: rev})
	want := "hello:hv1: report:hv1:1 acked:hv1:1 acked:hv1:1"
	eventually.That(t, want, func() bool { return r.all() == want })
	st := bed.Status()
	if len(st) != 2 || st[1].Name != "hv2" || st[1].Connected {
		t.Errorf("status %+v", st)
	}
	if s := st[0]; !s.Connected || s.Sent != 1 || s.Applied != 1 || s.Received != 1 || s.Local != 1 || s.BytesSent == 0 || len(s.Failed) != 0 {
		t.Errorf("status %+v", s)
	}
	f.disconnect()
	want += " lost:hv1"
	eventually.That(t, want, func() bool { return r.all() == want })
	if s := bed.Status()[0]; s.Connected || s.Applied != 1 || s.Since.IsZero() {
		t.Errorf("status %+v after the end", s)
	}
	if n := bed.metric(t, "govn_fabric_streams"); n != 0 {
		t.Errorf("%v streams after the end", n)
	}
}

// A port that was unplugged and plugged in again within a revision changes
// nothing for its chassis, whose acknowledgement is needed to bring it up.
func TestAwaitedAcknowledgement(t *testing.T) {
	bed := testBed(t, Options{})
	bed.Apply(twoTenants())
	f := newFake("hv1")
	f.connect(t, bed)
	defer f.disconnect()
	f.reach(t, 1)
	for revision := range uint64(4) {
		revision += 2
		up := revision%2 == 1
		bed.Apply(Batch{Revision: revision, NbCfg: 1, Bindings: []Binding{{1, 1, "hv1", up, nil, nil}}})
		if !up {
			f.await(t, "frame", func() bool { return f.state.Revision().GetNumber() == revision })
		}
	}
}

// The later stream of a name wins, and its chassis does not count as lost.
func TestSecondStreamReplaces(t *testing.T) {
	r := &recorder{}
	bed := testBed(t, Options{Events: r})
	bed.Apply(twoTenants())
	f, g := newFake("hv1"), newFake("hv1")
	f.connect(t, bed)
	defer f.disconnect()
	f.reach(t, 1)
	bed.mu.Lock()
	old := bed.zone.chassis["hv1"].session.stream
	bed.mu.Unlock()
	g.connect(t, bed)
	g.reach(t, 1)
	old.deliver(func(Events) { t.Error("a stream that was replaced delivers events") })
	f.await(t, "end", func() bool { return f.ended != nil })
	if status.Code(f.ended) != codes.Aborted {
		t.Errorf("ended with %v", f.ended)
	}
	bed.Apply(Batch{Revision: 2, NbCfg: 2})
	g.reach(t, 2)
	g.disconnect()
	want := "hello:hv1: hello:hv1: lost:hv1"
	eventually.That(t, want, func() bool { return r.all() == want })
}

func TestHelloRefused(t *testing.T) {
	events := &recorder{}
	bed := testBed(t, Options{Events: events})
	bed.Apply(twoTenants())
	tests := []struct {
		name   string
		hello  *proto.Hello
		events error
		want   string // in Welcome.error; empty: accepted
	}{
		{"good", &proto.Hello{Name: "x", Abi: abi.Version}, nil, ""},
		{"range", &proto.Hello{Name: "x", Abi: abi.Version + 5, AbiMin: MinABI}, nil, ""},
		{"no name", &proto.Hello{Abi: abi.Version}, nil, "name"},
		{"too old", &proto.Hello{Name: "x", Abi: MinABI - 1}, nil, "abi"},
		{"too new", &proto.Hello{Name: "x", Abi: abi.Version + 2, AbiMin: abi.Version + 1}, nil, "abi"},
		{"upside down", &proto.Hello{Name: "x", Abi: abi.Version, AbiMin: abi.Version + 1}, nil, "abi"},
		{"northd says no", &proto.Hello{Name: "x", Abi: abi.Version}, fmt.Errorf("duplicate encap"), "duplicate encap"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			events.mu.Lock()
			events.refuse = tt.events
			events.mu.Unlock()
			f := newFake("x")
			f.connectWith(t, bed, &proto.FromChassis{Msg: &proto.FromChassis_Hello{Hello: tt.hello}})
			defer f.disconnect()
			f.await(t, "answer", func() bool { return f.welcome != nil && (f.frames > 0 || f.ended != nil) })
			got := f.welcome.Error
			if (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) || f.frames > 0 != (tt.want == "") {
				t.Errorf("welcome %v, %d frames", f.welcome, f.frames)
			}
			if tt.want == "" && f.welcome.Abi != abi.Version {
				t.Errorf("abi %d", f.welcome.Abi)
			}
		})
	}
}

// A state that does not have the digest gets a snapshot, once.
func TestResync(t *testing.T) {
	bed := testBed(t, Options{ResyncDelay: time.Millisecond})
	bed.Apply(twoTenants())
	f := newFake("hv1")
	f.connect(t, bed)
	defer f.disconnect()
	f.reach(t, 1)
	f.mu.Lock() // the chassis loses an item
	broken := state.New()
	fr := &proto.Frame{Revision: f.state.Revision(), Snapshot: true, Last: true, Digest: make([]byte, 16)}
	if _, _, err := broken.Apply(fr); err != nil {
		t.Fatal(err)
	}
	f.state, f.snapshots = broken, 0
	f.mu.Unlock()
	bed.Apply(Batch{Revision: 2, NbCfg: 1, Items: []ItemChange{portOf(1, 2, "new")}})
	f.await(t, "snapshot", func() bool { return f.snapshots == 1 })
	bed.Apply(Batch{Revision: 3, NbCfg: 3, Items: []ItemChange{portOf(1, 3, "newer")}})
	f.reach(t, 3)
	if f.snapshots != 1 || f.kept != 0 || f.port(t, 1, 3) == nil || f.port(t, 1, 1) == nil {
		t.Errorf("%d snapshots, %d bodies kept", f.snapshots, f.kept)
	}
	if n := bed.metric(t, "govn_fabric_resyncs_total"); n != 1 {
		t.Errorf("%v resyncs counted", n)
	}
}

// A chassis that asks again and again is served ever more slowly.
func TestResyncDelayGrows(t *testing.T) {
	st := &stream{server: &Server{opts: Options{ResyncDelay: 100 * time.Millisecond}}}
	var got []time.Duration
	for range 40 {
		st.resync = true
		pause, _ := st.wantsResync()
		got = append(got, pause)
	}
	for i, want := range map[int]time.Duration{0: 0, 1: 100 * time.Millisecond, 2: 200 * time.Millisecond, 5: 1600 * time.Millisecond, 39: maxResyncDelay} {
		if got[i] != want {
			t.Errorf("pause %d is %v, want %v", i, got[i], want)
		}
	}
	st.resync = false
	if _, resync := st.wantsResync(); resync {
		t.Error("resync without being asked")
	}
}

// A unit moves between datapaths, links come and go, in one frame.
func TestLinks(t *testing.T) {
	bed := testBed(t, Options{})
	b := Batch{Revision: 1, NbCfg: 1, Bindings: []Binding{{1, 1, "hv1", true, nil, nil}}}
	for dp := uint32(1); dp <= 4; dp++ {
		b.Items = append(b.Items, datapathOf(dp, fmt.Sprint("dp", dp)))
	}
	bed.Apply(b)
	f := newFake("hv1")
	f.connect(t, bed)
	defer f.disconnect()
	for i, tt := range []struct {
		links []Link
		want  string
	}{
		{nil, "1"},
		{[]Link{{A: 1, B: 2}, {A: 2, B: 3}}, "123"},
		{[]Link{{A: 4, B: 3, Border: true}}, "123"},
		{[]Link{{A: 3, B: 4}}, "1234"},
		{[]Link{{A: 2, B: 1, Border: true}}, "1"},
		{[]Link{{A: 1, B: 2, Gone: true}, {A: 4, B: 1}}, "134 2"},
		{[]Link{{A: 3, B: 2, Gone: true}}, "134"},
		{[]Link{{A: 2, B: 3, Border: true, Hosts: []string{"hv2"}}}, "134"},
		{[]Link{{A: 2, B: 3, Border: true, Hosts: []string{"hv2", "hv1"}}}, "1234"},
		{[]Link{{A: 2, B: 3, Port: 7}, {A: 2, B: 3, Gone: true}}, "1234"},
		{[]Link{{A: 2, B: 3, Port: 7, Gone: true}}, "134"},
	} {
		n := int64(i + 2)
		bed.Apply(Batch{Revision: uint64(n), NbCfg: n, Links: tt.links})
		f.reach(t, n)
		for dp := uint32(1); dp <= 4; dp++ {
			_, has := f.contents()[datapathOf(dp, "").Key]
			if want := strings.Contains(tt.want, fmt.Sprint(dp)); has != want {
				t.Errorf("step %d: datapath %d local %v, want %v", i, dp, has, want)
			}
		}
	}
}

func TestPortValue(t *testing.T) {
	base := marshal(&proto.Port{Name: "p", Options: map[string]string{"a": "1", "b": "2"}})
	var got proto.Port
	if err := pb.Unmarshal(portValue(base, "hv1", nil, nil), &got); err != nil {
		t.Fatal(err)
	}
	if !pb.Equal(&got, &proto.Port{Name: "p", Options: map[string]string{"a": "1", "b": "2"}, Chassis: "hv1", Up: true}) {
		t.Errorf("got %v", &got)
	}
	for range 20 {
		if !bytes.Equal(portValue(base, "hv1", nil, nil), portValue(base, "hv1", nil, nil)) {
			t.Fatal("the value is not deterministic")
		}
	}
	if garbage := []byte{0xff}; !bytes.Equal(portValue(garbage, "hv1", nil, nil), garbage) {
		t.Error("garbage changed")
	}
}
