package controller

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	pb "google.golang.org/protobuf/proto"

	"govn/pkg/abi"
	"govn/pkg/certs"
	"govn/pkg/eventually"
	"govn/pkg/openflow"
	"govn/proto"
	"govn/proto/state"
	"govn/test/ovstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// northd stands in for northd: it sends frames that tests make and keeps what
// the chassis says.
type northd struct {
	proto.UnimplementedFabricServer
	t    *testing.T
	addr string
	// options of the next listen.
	options []grpc.ServerOption
	server  *grpc.Server
	done    chan struct{}

	mu      sync.Mutex
	items   map[state.Key][]byte
	number  uint64
	sent    map[state.Key][]byte // what the stream was told
	wake    chan struct{}
	hellos  []*proto.Hello
	reports []*proto.Report
	acks    []*proto.Ack
	refuse  string // error of the welcome
	lie     bool   // the next digest is wrong
}

func startNorthd(t *testing.T, addr string) *northd {
	t.Helper()
	n := &northd{t: t, items: map[state.Key][]byte{}, wake: make(chan struct{}, 1), number: 1}
	n.listen(addr)
	t.Cleanup(n.stop)
	return n
}

func (n *northd) listen(addr string) {
	n.t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		n.t.Fatal(err)
	}
	n.addr, n.server, n.done = l.Addr().String(), grpc.NewServer(n.options...), make(chan struct{})
	proto.RegisterFabricServer(n.server, n)
	go func(s *grpc.Server, done chan struct{}) {
		defer close(done)
		s.Serve(l)
	}(n.server, n.done)
}

func (n *northd) stop() {
	if n.server != nil {
		n.server.Stop()
		<-n.done
		n.server = nil
	}
}

// Attach serves a chassis: welcome, a snapshot, then differences.
func (n *northd) Attach(call grpc.BidiStreamingServer[proto.FromChassis, proto.ToChassis]) error {
	first, err := call.Recv()
	if err != nil {
		return err
	}
	n.mu.Lock()
	n.hellos = append(n.hellos, first.GetHello())
	refuse := n.refuse
	n.sent = nil
	n.mu.Unlock()
	if err := call.Send(&proto.ToChassis{Msg: &proto.ToChassis_Welcome{Welcome: &proto.Welcome{Abi: abi.Version, Error: refuse}}}); err != nil || refuse != "" {
		return err
	}
	ctx, cancel := context.WithCancel(call.Context())
	defer cancel()
	go func() {
		defer cancel()
		for {
			m, err := call.Recv()
			if err != nil {
				return
			}
			n.mu.Lock()
			if a := m.GetAck(); a != nil {
				n.acks = append(n.acks, a)
				if a.Resync {
					n.sent = nil
					select {
					case n.wake <- struct{}{}:
					default:
					}
				}
			}
			if r := m.GetReport(); r != nil {
				n.reports = append(n.reports, r)
			}
			n.mu.Unlock()
		}
	}()
	for {
		if f := n.frame(); f != nil {
			if err := call.Send(&proto.ToChassis{Msg: &proto.ToChassis_Frame{Frame: f}}); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-n.wake:
		}
	}
}

// frame is what the stream has not been told; nil: nothing to tell.
func (n *northd) frame() *proto.Frame {
	n.mu.Lock()
	defer n.mu.Unlock()
	f := &proto.Frame{Revision: &proto.Revision{Cluster: make([]byte, 16), Term: 1, Number: n.number}, Last: true, NbCfg: int64(n.number)}
	f.Snapshot = n.sent == nil
	var digest state.Digest
	now := map[state.Key][]byte{}
	for k, v := range n.items {
		now[k] = v
		digest = digest.Add(state.DigestOf(state.ItemHash(k.Kind, k.Key, v)))
		if old, ok := n.sent[k]; !ok || string(old) != string(v) {
			f.Put = append(f.Put, &proto.Item{Kind: k.Kind, Key: []byte(k.Key), Value: v})
		}
	}
	for k := range n.sent {
		if _, ok := now[k]; !ok {
			f.Del = append(f.Del, &proto.ItemKey{Kind: k.Kind, Key: []byte(k.Key)})
		}
	}
	if n.lie {
		digest[0]++
		n.lie = false
	}
	sum := digest.Bytes()
	f.Digest, n.sent = sum[:], now
	return f
}

// put changes items (nil: gone) as one revision and returns its number.
func (n *northd) put(items ...item) uint64 {
	n.mu.Lock()
	n.number++
	for _, i := range items {
		if i.value == nil {
			delete(n.items, i.key)
		} else {
			n.items[i.key] = i.value
		}
	}
	number := n.number
	n.mu.Unlock()
	select {
	case n.wake <- struct{}{}:
	default:
	}
	return number
}

type item struct {
	key   state.Key
	value []byte
}

func marshal(m pb.Message) []byte {
	b, err := pb.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		panic(err)
	}
	return append([]byte{}, b...)
}

func port(dp, key uint32, p *proto.Port) item {
	i := item{key: state.Key{Kind: proto.Kind_KIND_PORT, Key: state.PortKey(dp, key)}}
	if p != nil {
		i.value = marshal(p)
	}
	return i
}

func remote(name, ip string) item {
	i := item{key: state.Key{Kind: proto.Kind_KIND_CHASSIS, Key: name}}
	if ip != "" {
		i.value = marshal(&proto.Chassis{Hostname: name, Encaps: []*proto.Encap{{Type: "geneve", Ip: ip}}})
	}
	return i
}

// unit makes a unit of one body with one flow in a table; actions may be bytes
// that Open vSwitch refuses.
func unit(n int, dp uint32, table uint32, actions []byte) []item {
	var m openflow.Match
	m.Set(openflow.FieldMetadata, 0)
	match, at := m.EncodeRelocatable()
	body := marshal(&proto.Body{Flows: []*proto.Flow{{
		Table: table, Priority: 50, Cookie: abi.Cookie(abi.OwnerNorthd, uint32(n), 7), Match: match, Actions: actions,
		Relocations: []*proto.Relocation{{Where: proto.Relocation_WHERE_MATCH, Offset: uint32(at), Symbol: proto.Relocation_SYMBOL_DATAPATH}},
	}}})
	hash := state.BodyHash(body)
	id := make([]byte, 16)
	binary.BigEndian.PutUint32(id, uint32(n))
	return []item{
		{state.Key{Kind: proto.Kind_KIND_BODY, Key: string(hash[:])}, body},
		{state.Key{Kind: proto.Kind_KIND_UNIT, Key: string(id)}, marshal(&proto.Unit{
			Body: hash[:], Datapath: dp, Objects: []*proto.Object{{Table: "ACL", Name: fmt.Sprint("acl", n)}},
		})},
	}
}

func gone(items []item) []item {
	out := slices.Clone(items)
	for i := range out {
		out[i].value = nil
	}
	return out
}

func resubmit(table uint8) []byte {
	return openflow.EncodeActions([]openflow.Action{openflow.ToTable(table)})
}

// applied waits until a revision is acked, and returns that ack.
func (n *northd) applied(number uint64) *proto.Ack {
	n.t.Helper()
	var got *proto.Ack
	eventually.That(n.t, fmt.Sprintf("ack of revision %d", number), func() bool {
		n.mu.Lock()
		defer n.mu.Unlock()
		if len(n.acks) == 0 {
			return false
		}
		got = n.acks[len(n.acks)-1]
		return got.GetApplied().GetNumber() >= number
	})
	return got
}

// level is what Hello and the reports since make of the interfaces.
func (n *northd) level() map[string]int64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	out := map[string]int64{}
	if len(n.hellos) == 0 {
		return out
	}
	for _, i := range n.hellos[len(n.hellos)-1].Interfaces {
		out[i.IfaceId] = i.Since
	}
	for _, r := range n.reports {
		for _, i := range r.InterfacesPut {
			out[i.IfaceId] = i.Since
		}
		for _, id := range r.InterfacesGone {
			delete(out, id)
		}
	}
	return out
}

// lab is one chassis under test.
type lab struct {
	t      *testing.T
	ovs    *ovstest.OVS
	n      *northd
	cache  string
	keys   certs.Files
	cancel context.CancelFunc
	done   chan error

	mu  sync.Mutex
	cmd map[string]Command
}

func newLab(t *testing.T) *lab {
	t.Helper()
	n := startNorthd(t, "127.0.0.1:0")
	l := &lab{t: t, n: n, cache: filepath.Join(t.TempDir(), "cache"), cmd: map[string]Command{}}
	l.ovs = ovstest.Start(t, ovstest.Options{NoBridge: true, ExternalIDs: map[string]string{
		"system-id": "hv1", "hostname": "host1", "ovn-remote": "tcp:" + n.addr, "ovn-encap-type": "geneve",
		"ovn-encap-ip": "203.0.113.1", "ovn-bridge-datapath-type": "dummy",
	}})
	l.ovs.Mgmt = "unix:" + filepath.Join(l.ovs.RunDir, "br-int.mgmt")
	return l
}

func (l *lab) start() {
	l.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	l.cancel, l.done = cancel, make(chan error, 1)
	ready := make(chan struct{})
	level := slog.LevelInfo
	if os.Getenv("GOVN_TEST_DEBUG") != "" {
		level = slog.LevelDebug
	}
	go func() {
		l.done <- Run(ctx, Options{
			OVS: l.ovs.DB, RunDir: l.ovs.RunDir, CacheDir: l.cache, Keys: l.keys, Ready: func() { close(ready) },
			Logger: slog.New(slog.NewTextHandler(l.t.Output(), &slog.HandlerOptions{Level: level})),
			Handle: func(name, _ string, _, _ int, fn Command) {
				l.mu.Lock()
				l.cmd[name] = fn
				l.mu.Unlock()
			},
		})
	}()
	l.t.Cleanup(l.stop)
	select {
	case <-ready:
	case <-time.After(10 * time.Second):
		l.t.Fatal("controller is not ready")
	}
}

func (l *lab) stop() {
	if l.cancel == nil {
		return
	}
	l.cancel()
	l.cancel = nil
	if err := <-l.done; err != nil {
		l.t.Error(err)
	}
}

func (l *lab) command(name string) string {
	l.t.Helper()
	l.mu.Lock()
	fn := l.cmd[name]
	l.mu.Unlock()
	out, err := fn(l.t.Context(), nil)
	if err != nil {
		l.t.Fatalf("%s: %v", name, err)
	}
	return out
}

// ports adds an interface for each logical port and waits until northd knows.
func (l *lab) plug(names ...string) {
	l.t.Helper()
	for _, name := range names {
		l.ovs.AddPort("tap-"+name, 0, "external_ids:iface-id="+name)
	}
	eventually.That(l.t, "report of the interfaces", func() bool {
		level := l.n.level()
		for _, name := range names {
			if level[name] == 0 {
				return false
			}
		}
		return true
	})
}

// flows are those installed, without counters, in order.
func (l *lab) flows() string {
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
	slices.SortFunc(dump, func(a, b openflow.FlowStats) int { return a.Key().Compare(b.Key()) })
	var b strings.Builder
	for _, f := range dump {
		fmt.Fprintln(&b, tunnelOption.ReplaceAllString(f.Flow.String(), "OPTION"))
	}
	return b.String()
}

// tunnelOption is how the load of the Geneve option is printed: Open vSwitch
// gives the value back without its leading zeros.
var tunnelOption = regexp.MustCompile(`raw:0019001000015[0-9a-f]*|set_field:0x[0-9a-f]+->tun_metadata0`)

// wanted is what debug/flows says, in the form of flows.
func (l *lab) wanted() string {
	var b strings.Builder
	for line := range strings.Lines(l.command("debug/flows")) {
		flow, _, _ := strings.Cut(line, " #")
		fmt.Fprintln(&b, tunnelOption.ReplaceAllString(flow, "OPTION"))
	}
	return b.String()
}
