package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	pb "google.golang.org/protobuf/proto"

	"govn/pkg/interconnect"
	"govn/proto/ic"
)

// uuid is the n-th identity of a row.
func uuid(n int) string { return fmt.Sprintf("%08x-0000-4000-8000-000000000000", n) }

var silent = slog.New(slog.NewTextHandler(io.Discard, nil))

// desk is the other end of streams: a centre by hand.
type desk struct {
	t      *testing.T
	c      *centre
	calls  chan *fakeCall
	refuse func() error // of a dial; nil: none is refused
	dials  []time.Time
	mu     sync.Mutex
	stop   func()
}

// fakeCall is one stream.
type fakeCall struct {
	ctx  context.Context
	in   chan *ic.FromZone
	out  chan *ic.ToZone
	fail chan error
}

func (f *fakeCall) Send(m *ic.FromZone) error {
	select {
	case f.in <- m:
		return nil
	case <-f.ctx.Done():
		return io.EOF
	}
}

func (f *fakeCall) Recv() (*ic.ToZone, error) {
	select {
	case m := <-f.out:
		return m, nil
	case err := <-f.fail:
		return nil, err
	case <-f.ctx.Done():
		return nil, status.FromContextError(f.ctx.Err()).Err()
	}
}

// newDesk has a centre that joins as zone 1, "here". It is to be called in a
// bubble of synctest.
func newDesk(t *testing.T) *desk {
	d := &desk{t: t, calls: make(chan *fakeCall)}
	d.c = newCentre("tcp:centre:1", silent, func() {})
	d.c.dial = func(ctx context.Context) (caller, func(), error) {
		d.mu.Lock()
		d.dials = append(d.dials, time.Now())
		refuse := d.refuse
		d.mu.Unlock()
		if refuse != nil {
			return nil, nil, refuse()
		}
		f := &fakeCall{ctx: ctx, in: make(chan *ic.FromZone), out: make(chan *ic.ToZone), fail: make(chan error)}
		select {
		case d.calls <- f:
			return f, func() {}, nil
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.c.run(ctx) }()
	d.stop = func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("run: %v", err)
		}
	}
	d.c.identify(identity{[16]byte{1}, "here"})
	return d
}

// welcome accepts a stream and answers its Hello.
func (d *desk) welcome(lease time.Duration) *fakeCall {
	d.t.Helper()
	f := <-d.calls
	if h := (<-f.in).GetHello(); h.GetName() != "here" || len(h.GetZone()) != 16 || h.Zone[0] != 1 {
		d.t.Errorf("Hello %v", h)
	}
	f.out <- &ic.ToZone{Msg: &ic.ToZone_Welcome{Welcome: &ic.Welcome{Centre: make([]byte, 16), Row: uuid(1), LeaseMs: uint32(lease.Milliseconds())}}}
	return f
}

func (f *fakeCall) update(u *ic.Update) {
	f.out <- &ic.ToZone{Msg: &ic.ToZone_Update{Update: u}}
	synctest.Wait()
}

// took are the changes since the last call: "+" or "-" and the row.
func (d *desk) took() (list []string) {
	d.c.take(func(old, now row) {
		switch {
		case now == nil:
			list = append(list, "-"+old.id())
		default:
			list = append(list, "+"+now.id())
		}
	})
	slices.Sort(list)
	return list
}

func somewhere(n int) *ic.Update {
	return &ic.Update{
		Whole:    true,
		Zones:    []*ic.Zone{{Row: uuid(1), Name: "here"}, {Row: uuid(2), Name: "there"}},
		Switches: []*ic.Switch{{Row: uuid(3), Name: "ts1", Key: interconnect.MaxTransitKey}},
		Gateways: []*ic.Gateway{{Row: uuid(4), Zone: uuid(2), Name: "gw", Encaps: []*ic.Encap{{Type: "geneve", Ip: "203.0.113.1"}}}},
		Ports:    []*ic.Port{{Row: uuid(5), Zone: uuid(2), Name: "p", Switch: "ts1", Gateway: "gw", Address: "00:00:00:00:00:01 169.254.0.1/24", Key: 1}},
		Routes:   []*ic.Route{{Row: uuid(100 + n), Zone: uuid(2), Key: &ic.RouteKey{Switch: "ts1", Prefix: "10.0.0.0/24", Nexthop: "169.254.0.1"}}},
	}
}

// The lease is kept by a heartbeat each third of it. A centre that says nothing
// for the lease is given up, what it said counts, and the zone joins again.
func TestLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		defer func() { d.stop() }()
		f := d.welcome(3 * time.Second)
		began := time.Now()
		f.update(somewhere(0))
		if got := d.took(); len(got) != 7+1 { // the switch has its key, the gateway its encapsulation
			t.Errorf("took %q", got)
		}
		for n := range uint64(9) {
			m := <-f.in
			if at := time.Since(began); m.GetHeartbeat().GetNumber() != n+1 || at.Round(time.Millisecond) != time.Duration(n+1)*time.Second {
				t.Errorf("%v at %v", m, at)
			}
			f.out <- &ic.ToZone{Msg: &ic.ToZone_Heartbeat{Heartbeat: m.GetHeartbeat()}}
		}
		silence := time.Now()
		for f.ctx.Err() == nil {
			select {
			case <-f.in:
			case <-f.ctx.Done():
			}
		}
		if at := time.Since(silence); at != 3*time.Second {
			t.Errorf("given up after %v", at)
		}
		synctest.Wait()
		if s := d.c.snapshot(); s.Connected || !strings.Contains(s.LastError, "nothing was heard") {
			t.Errorf("%+v", s)
		}
		if got := d.took(); len(got) != 0 {
			t.Errorf("while the centre is away: %q", got)
		}
		f = d.welcome(3 * time.Second)
		f.update(somewhere(1)) // everything as before, but for the route
		if got := d.took(); !slices.Equal(got, []string{"+" + uuid(101), "-" + uuid(100)}) {
			t.Errorf("on the next stream: %q", got)
		}
		f.update(&ic.Update{GoneGateways: []string{uuid(4)}, Routes: []*ic.Route{{Row: uuid(102), Zone: uuid(2),
			Key: &ic.RouteKey{Switch: "ts1", Prefix: "10.0.1.0/24", Nexthop: "169.254.0.1"}}}})
		if got := d.took(); !slices.Equal(got, []string{"+" + uuid(102), "-" + uuid(4), "-" + uuid(4) + "#0"}) {
			t.Errorf("a difference: %q", got)
		}
	})
}

// Attempts come with growing, jittered pauses; a zone that is not wanted asks as
// seldom as there is.
func TestAttempts(t *testing.T) {
	for name, err := range map[string]error{"unreachable": errors.New("no route to host"), "not wanted": status.Error(codes.AlreadyExists, "the zone is another's")} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDesk(t)
				d.mu.Lock()
				d.refuse = func() error { return err }
				d.mu.Unlock()
				select { // the one that may be on its way
				case f := <-d.calls:
					f.fail <- err
				default:
				}
				time.Sleep(time.Minute)
				d.stop()
				var pauses []time.Duration
				for i := 1; i < len(d.dials); i++ {
					pauses = append(pauses, d.dials[i].Sub(d.dials[i-1]))
				}
				last := pauses[len(pauses)-1]
				if last < centreRetryMax/2 || last > centreRetryMax*3/2 || len(slices.Compact(slices.Clone(pauses))) < len(pauses)/2 {
					t.Errorf("pauses %v", pauses)
				}
				if refused(err) != (pauses[1] >= centreRetryMax/2) {
					t.Errorf("pauses %v of a zone that is refused: %v", pauses, refused(err))
				}
				if s := d.c.snapshot(); s.LastError != err.Error() {
					t.Errorf("status %+v", s)
				}
			})
		})
	}
}

// A zone that gets another name says so on the stream that there is.
func TestRename(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		defer func() { d.stop() }()
		f := d.welcome(time.Minute)
		synctest.Wait()
		d.c.identify(identity{[16]byte{1}, "new"})
		d.c.identify(identity{[16]byte{1}, "new"})
		if m := <-f.in; m.GetRename().GetName() != "new" {
			t.Errorf("%v", m)
		}
		if m := <-f.in; m.GetHeartbeat() == nil || len(d.dials) != 1 {
			t.Errorf("%v, %d streams", m, len(d.dials))
		}
	})
}

// What a centre may not send ends the stream; a row that cannot be used is left
// out, and the others are used.
func TestHostileCentre(t *testing.T) {
	long := strings.Repeat("x", maxText+1)
	for name, m := range map[string]*ic.ToZone{
		"nothing":            {},
		"a second welcome":   {Msg: &ic.ToZone_Welcome{Welcome: &ic.Welcome{Row: uuid(9)}}},
		"a difference first": {Msg: &ic.ToZone_Update{Update: &ic.Update{}}},
		"nothing as update":  {Msg: &ic.ToZone_Update{}},
	} {
		synctest.Test(t, func(t *testing.T) {
			d := newDesk(t)
			defer func() { d.stop() }()
			f := d.welcome(time.Minute)
			f.out <- m
			<-f.ctx.Done()
			synctest.Wait()
			if s := d.c.snapshot(); !strings.Contains(s.LastError, errCentre.Error()) {
				t.Errorf("%s: %+v", name, s)
			}
		})
	}
	for name, u := range map[string]*ic.Update{
		"no identity":       {Routes: []*ic.Route{{Zone: uuid(2), Key: &ic.RouteKey{Switch: "ts1"}}}},
		"nil":               {Routes: []*ic.Route{nil}, Ports: []*ic.Port{nil}, Gateways: []*ic.Gateway{nil}, Switches: []*ic.Switch{nil}, Zones: []*ic.Zone{nil}},
		"local key":         {Switches: []*ic.Switch{{Row: uuid(9), Name: "ts9", Key: 7}}},
		"key of 25 bits":    {Switches: []*ic.Switch{{Row: uuid(9), Name: "ts9", Key: 1 << 24}}},
		"long name":         {Switches: []*ic.Switch{{Row: uuid(9), Name: long}}},
		"no text":           {Zones: []*ic.Zone{{Row: uuid(9), Name: "a\x00b"}}},
		"port key":          {Ports: []*ic.Port{{Row: uuid(9), Zone: uuid(2), Name: "q", Switch: "ts1", Key: 1 << 15}}},
		"port of no zone":   {Ports: []*ic.Port{{Row: uuid(9), Name: "q", Switch: "ts1"}}},
		"encapsulation":     {Gateways: []*ic.Gateway{{Row: uuid(9), Zone: uuid(2), Name: "g", Encaps: []*ic.Encap{{Type: "gre", Ip: "203.0.113.9"}}}}},
		"address":           {Gateways: []*ic.Gateway{{Row: uuid(9), Zone: uuid(2), Name: "g", Encaps: []*ic.Encap{{Type: "geneve", Ip: "host"}}}}},
		"many":              {Gateways: []*ic.Gateway{{Row: uuid(9), Zone: uuid(2), Name: "g", Encaps: slices.Repeat([]*ic.Encap{{Type: "geneve", Ip: "203.0.113.9"}}, 33)}}},
		"long external_ids": {Routes: []*ic.Route{{Row: uuid(9), Zone: uuid(2), Key: &ic.RouteKey{Switch: "ts1"}, ExternalIds: map[string]string{"k": long}}}},
	} {
		synctest.Test(t, func(t *testing.T) {
			d := newDesk(t)
			defer func() { d.stop() }()
			f := d.welcome(time.Minute)
			f.update(somewhere(0))
			d.took()
			u.Routes = append(u.Routes, &ic.Route{Row: uuid(8), Zone: uuid(2), Key: &ic.RouteKey{Switch: "ts1"}})
			f.update(u)
			if got := d.took(); !slices.Equal(got, []string{"+" + uuid(8)}) || d.c.current() == nil {
				t.Errorf("%s: %q", name, got)
			}
		})
	}
}

// Whatever a centre sends: no panic, and the program can use what is taken in.
func FuzzUpdate(f *testing.F) {
	for _, u := range []*ic.Update{somewhere(0), {Whole: true}, {GoneRoutes: []string{uuid(100)}, GoneSwitches: []string{uuid(3)}}} {
		b, err := pb.Marshal(u)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, b)
	}
	f.Fuzz(func(t *testing.T, one, two []byte) {
		b := newBed(t)
		b.zone()
		b.run()
		c := newCentre("tcp:centre:1", silent, func() {})
		for _, data := range [][]byte{one, two} {
			u := &ic.Update{}
			if pb.Unmarshal(data, u) != nil {
				continue
			}
			_ = c.update(u) // its error ends a stream
			c.take(b.in.set)
			b.in.e.Run()
			if !maps.EqualFunc(c.rows, c.taken, func(x, y row) bool { return reflect.DeepEqual(x, y) }) {
				t.Fatal("what was taken is not what is there")
			}
		}
	})
}
