package fabric

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	pb "google.golang.org/protobuf/proto"

	"govn/pkg/abi"
	"govn/pkg/eventually"
	"govn/pkg/rpc/rpctest"
	"govn/proto"
	"govn/proto/state"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var testCluster = [16]byte{0xc1}

// deadline is how long a test waits for what has to happen.
const deadline = eventually.Deadline

// fatal is what both testing.TB and rapid.T offer.
type fatal = rpctest.TB

// bed is a server that chassis of a test connect to, in memory.
type bed struct {
	*Server
	grpc     *grpc.Server
	listener *bufconn.Listener
	log      *rpctest.Log
	registry *prometheus.Registry
	served   chan struct{}
}

func newBed(opts Options) *bed {
	b := &bed{log: &rpctest.Log{}, listener: bufconn.Listen(64 << 10), served: make(chan struct{})}
	opts.Logger = slog.New(slog.NewTextHandler(b.log, nil))
	opts.Cluster = testCluster
	b.registry = prometheus.NewRegistry()
	opts.Registry = b.registry
	if opts.Term == 0 {
		opts.Term = 1
	}
	b.Server = New(opts)
	b.grpc = grpc.NewServer(b.ServerOptions()...)
	b.Register(b.grpc)
	go func() {
		defer close(b.served)
		_ = b.grpc.Serve(b.Listener(b.listener))
	}()
	return b
}

func (b *bed) stop() {
	b.Close()
	b.grpc.Stop()
	<-b.served
}

func testBed(t testing.TB, opts Options) *bed {
	b := newBed(opts)
	t.Cleanup(b.stop)
	return b
}

// metric is the sum of a counter or gauge over its labels.
func (b *bed) metric(t fatal, name string) float64 {
	t.Helper()
	return rpctest.Metric(t, b.registry, name)
}

// keepingConn keeps what is read from it.
type keepingConn struct {
	net.Conn
	fake *fake
}

func (c *keepingConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.fake.mu.Lock()
	c.fake.raw = append(c.fake.raw, p[:n]...)
	c.fake.mu.Unlock()
	return n, err
}

// fake is a chassis that holds its state as proto/state does, and nothing else.
type fake struct {
	name string
	hold bool // does not read

	mu        sync.Mutex
	changed   *sync.Cond
	state     *state.State
	welcome   *proto.Welcome
	frames    int // complete ones of this connection
	snapshots int
	kept      int // bodies kept by snapshots
	errs      []error
	ended     error // why the stream ended
	bytes     int   // of all messages, with gRPC's 5 bytes each
	raw       []byte
	onFrame   func(*proto.Frame)

	conn   *grpc.ClientConn
	stream grpc.BidiStreamingClient[proto.FromChassis, proto.ToChassis]
	cancel context.CancelFunc
	done   chan struct{}
}

func newFake(name string) *fake {
	f := &fake{name: name, state: state.New()}
	f.changed = sync.NewCond(&f.mu)
	return f
}

func (f *fake) helloNow() *proto.Hello {
	d := f.state.Digest()
	h := &proto.Hello{Name: f.name, Abi: abi.Version, AbiMin: MinABI, Revision: f.state.Revision(), Digest: d[:]}
	for _, b := range f.state.Bodies() {
		h.Bodies = append(h.Bodies, b[:])
	}
	return h
}

// connect opens a stream with the state that the fake holds.
func (f *fake) connect(t fatal, b *bed) {
	t.Helper()
	f.mu.Lock()
	h := f.helloNow()
	f.mu.Unlock()
	f.connectWith(t, b, &proto.FromChassis{Msg: &proto.FromChassis_Hello{Hello: h}})
}

// connectWith opens a stream and sends first, unless it is nil.
func (f *fake) connectWith(t fatal, b *bed, first *proto.FromChassis) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	conn, err := grpc.NewClient("passthrough:fabric",
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithInitialWindowSize(64<<10), grpc.WithInitialConnWindowSize(64<<10), // no probes that disturb counts
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(state.MaxMessage)),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			c, err := b.listener.DialContext(ctx)
			return &keepingConn{c, f}, err
		}))
	if err != nil {
		t.Fatalf("dial: %v", err)
	}
	stream, err := proto.NewFabricClient(conn).Attach(ctx)
	if err != nil {
		t.Fatalf("attach: %v", err)
	}
	f.mu.Lock()
	f.welcome, f.frames, f.snapshots, f.kept, f.ended, f.bytes, f.raw = nil, 0, 0, 0, nil, 0, nil
	f.state.Abort()
	f.mu.Unlock()
	f.conn, f.stream, f.cancel, f.done = conn, stream, cancel, make(chan struct{})
	if first == nil {
		go f.read()
		return
	}
	if err := stream.Send(first); err != nil && !errors.Is(err, io.EOF) {
		t.Fatalf("hello: %v", err)
	}
	go f.read()
}

func (f *fake) read() {
	defer close(f.done)
	if f.hold {
		<-f.stream.Context().Done()
		return
	}
	for {
		m, err := f.stream.Recv()
		f.mu.Lock()
		if err != nil {
			f.ended = err
			f.changed.Broadcast()
			f.mu.Unlock()
			return
		}
		f.bytes += pb.Size(m) + 5
		if w := m.GetWelcome(); w != nil {
			f.welcome = w
		}
		var ack *proto.Ack
		if fr := m.GetFrame(); fr != nil {
			if f.onFrame != nil {
				f.onFrame(fr)
			}
			f.kept += len(fr.Keep)
			_, complete, err := f.state.Apply(fr)
			switch {
			case errors.Is(err, state.ErrDigest):
				ack = &proto.Ack{Received: f.state.Revision(), Resync: true}
				f.errs = append(f.errs, err)
			case errors.Is(err, state.ErrAwaitSnapshot):
			case err != nil:
				f.errs = append(f.errs, err)
			}
			if complete {
				f.frames++
				if fr.Snapshot {
					f.snapshots++
				}
			}
		}
		f.changed.Broadcast()
		f.mu.Unlock()
		if ack != nil {
			f.ack(ack)
		}
	}
}

func (f *fake) ack(a *proto.Ack) {
	_ = f.stream.Send(&proto.FromChassis{Msg: &proto.FromChassis_Ack{Ack: a}}) // the stream may have ended
}

// disconnect ends the connection; the state stays.
func (f *fake) disconnect() {
	if f.conn == nil {
		return
	}
	f.cancel()
	<-f.done
	_ = f.conn.Close()
	f.conn = nil
}

// await waits until the condition holds.
func (f *fake) await(t fatal, what string, cond func() bool) {
	t.Helper()
	timer := time.AfterFunc(deadline, func() {
		f.mu.Lock()
		f.changed.Broadcast()
		f.mu.Unlock()
	})
	defer timer.Stop()
	end := time.Now().Add(deadline)
	f.mu.Lock()
	defer f.mu.Unlock()
	for !cond() {
		if time.Now().After(end) {
			t.Fatalf("%s: no %s; revision %v nb_cfg %d frames %d errors %v ended %v",
				f.name, what, f.state.Revision(), f.state.NbCfg(), f.frames, f.errs, f.ended)
		}
		f.changed.Wait()
	}
}

// reach waits until the chassis is at an nb_cfg.
func (f *fake) reach(t fatal, nbCfg int64) {
	t.Helper()
	f.await(t, "nb_cfg", func() bool { return f.frames > 0 && f.state.NbCfg() == nbCfg })
}

// keepUp is reach for a chassis that connects again, as a controller does, when
// a stream of its own that it gave up was accepted after the present one.
func (f *fake) keepUp(t fatal, b *bed, nbCfg int64) {
	t.Helper()
	for {
		var ended error
		f.await(t, "nb_cfg", func() bool {
			ended = f.ended
			return ended != nil || f.frames > 0 && f.state.NbCfg() == nbCfg
		})
		if status.Code(ended) != codes.Aborted {
			return
		}
		f.disconnect()
		f.connect(t, b)
	}
}

// contents are all items of the chassis.
func (f *fake) contents() map[Key]string {
	f.mu.Lock()
	defer f.mu.Unlock()
	m := map[Key]string{}
	for kind := range proto.Kind_name {
		for k, v := range f.state.Items(proto.Kind(kind)) {
			m[Key{Kind: proto.Kind(kind), Key: k}] = string(v)
		}
	}
	return m
}

// port is the PORT item as the chassis has it.
func (f *fake) port(t fatal, dp, port uint32) *proto.Port {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	v, ok := f.state.Get(proto.Kind_KIND_PORT, state.PortKey(dp, port))
	if !ok {
		return nil
	}
	var m proto.Port
	if err := pb.Unmarshal(v, &m); err != nil {
		t.Fatalf("port: %v", err)
	}
	return &m
}

func marshal(m pb.Message) []byte {
	b, err := pb.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		panic(err) // of a test's own message
	}
	return b
}

// Short names for batches.

func bodyOf(text string) BodyChange {
	v := marshal(&proto.Body{Flows: []*proto.Flow{{Match: []byte(text)}}})
	return BodyChange{Hash: state.BodyHash(v), Value: v}
}

func unitOf(id string, dp, port uint32, body BodyChange) ItemChange {
	return ItemChange{Scope: Scope{dp, port}, Key: Key{Kind: proto.Kind_KIND_UNIT, Key: id},
		Value: marshal(&proto.Unit{Body: body.Hash[:], Datapath: dp, Port: port})}
}

func portOf(dp, port uint32, name string) ItemChange {
	return ItemChange{Scope: Scope{Datapath: dp}, Key: Key{Kind: proto.Kind_KIND_PORT, Key: state.PortKey(dp, port)},
		Value: marshal(&proto.Port{Name: name})}
}

func datapathOf(dp uint32, name string) ItemChange {
	return ItemChange{Scope: Scope{Datapath: dp}, Key: Key{Kind: proto.Kind_KIND_DATAPATH, Key: state.DatapathKey(dp)},
		Value: marshal(&proto.Datapath{Name: name})}
}

func gone(ch ItemChange) ItemChange { ch.Value = nil; return ch }

func infoOf(name string) ChassisInfo {
	return ChassisInfo{Name: name, Value: marshal(&proto.Chassis{Hostname: "host-" + name})}
}
