package northd_test

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"
	pb "google.golang.org/protobuf/proto"

	"govn/northd"
	"govn/northd/compile"
	"govn/northd/fabric"
	"govn/northd/southbound"
	"govn/northd/topology"
	"govn/pkg/abi"
	"govn/pkg/ovsdb"
	"govn/proto"
	"govn/proto/state"
)

// served is a zone whose fabric a chassis of the test is connected to.
type served struct {
	*zone
	server *fabric.Server
	frames grpc.BidiStreamingClient[proto.FromChassis, proto.ToChassis]

	items map[string]*proto.Item // what the chassis has
	bytes int                    // of all frames
}

// serve makes a zone with a network, and connects hv1, which has the interfaces.
func serve(t *testing.T, build func(z *zone), interfaces ...string) *served {
	t.Helper()
	s, err := northd.Schemas()
	if err != nil {
		t.Fatal(err)
	}
	z := &zone{ctx: t.Context(), schemas: s, columns: topology.NewColumns(s)}
	z.flows = compile.NewFlowTable(z.columns.LogicalFlow)
	log := slog.New(slog.DiscardHandler)
	if z.store, err = northd.OpenStore(z.ctx, ovsdb.NewMemoryEngine(), s, z.flows, log); err != nil {
		t.Fatal(err)
	}
	z.registry = southbound.NewRegistry(z.ctx, z.store, s.SB, z.columns, log)
	z.progress = southbound.NewProgress(z.registry, s.NB, nil)
	sv := &served{zone: z, items: map[string]*proto.Item{}}
	sv.server = fabric.New(fabric.Options{Logger: log, Cluster: z.store.ClusterID(), Term: 1, Events: northd.NewEvents(z.registry, z.progress, z.flows, log)})
	z.Zone = northd.NewZone(northd.ZoneOptions{Store: z.store, Schemas: s, Columns: z.columns, Log: log, Registry: z.registry,
		Progress: z.progress, Fabric: sv.server, Flows: z.flows, Workers: 1})
	if err := z.Start(z.ctx); err != nil {
		t.Fatal(err)
	}
	build(z)
	z.step(t)
	rpc := grpc.NewServer(sv.server.ServerOptions()...)
	sv.server.Register(rpc)
	listener := bufconn.Listen(1 << 20)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = rpc.Serve(listener)
	}()
	conn, err := grpc.NewClient("passthrough:///zone", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		sv.server.Close()
		rpc.Stop()
		<-done
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
		if err := z.close(); err != nil {
			t.Error(err)
		}
	})
	if sv.frames, err = proto.NewFabricClient(conn).Attach(t.Context()); err != nil {
		t.Fatal(err)
	}
	hello := &proto.Hello{Name: "hv1", Hostname: "hv1", Encaps: []*proto.Encap{{Type: "geneve", Ip: "172.31.0.1"}}, Abi: abi.Version, AbiMin: abi.Version}
	for _, id := range interfaces {
		hello.Interfaces = append(hello.Interfaces, &proto.Interface{IfaceId: id, Since: 1})
	}
	if err := sv.frames.Send(&proto.FromChassis{Msg: &proto.FromChassis_Hello{Hello: hello}}); err != nil {
		t.Fatal(err)
	}
	m, err := sv.frames.Recv()
	if err != nil || m.GetWelcome() == nil || m.GetWelcome().Error != "" {
		t.Fatalf("%v, %v instead of a welcome", m, err)
	}
	return sv
}

// frame takes in one frame and returns the datapaths that it says something
// about, with the bytes that it says.
func (s *served) frame(t *testing.T) map[uint32]int {
	t.Helper()
	said := map[uint32]int{}
	for {
		m, err := s.frames.Recv()
		if err != nil {
			t.Fatal(err)
		}
		f := m.GetFrame()
		s.bytes += pb.Size(f)
		if f.Snapshot {
			clear(s.items)
		}
		for _, it := range f.Put {
			s.items[fmt.Sprint(it.Kind, it.Key)] = it
			said[datapathOf(t, it)] += pb.Size(it)
		}
		for _, k := range f.Del {
			it := s.items[fmt.Sprint(k.Kind, k.Key)]
			if it == nil {
				t.Fatalf("an item that the chassis never had is taken back: %v %x", k.Kind, k.Key)
			}
			said[datapathOf(t, it)] += pb.Size(k)
			delete(s.items, fmt.Sprint(k.Kind, k.Key))
		}
		if f.Last {
			delete(said, 0)
			return said
		}
	}
}

// datapathOf is the datapath that an item is about, 0 for one that is about none.
func datapathOf(t *testing.T, it *proto.Item) uint32 {
	t.Helper()
	switch it.Kind {
	case proto.Kind_KIND_BODY, proto.Kind_KIND_CHASSIS:
		return 0
	case proto.Kind_KIND_UNIT:
		var u proto.Unit
		if err := pb.Unmarshal(it.Value, &u); err != nil {
			t.Fatal(err)
		}
		return u.Datapath
	case proto.Kind_KIND_PORT:
		dp, _, ok := state.ParsePortKey(string(it.Key))
		if !ok {
			t.Fatalf("port with key %x", it.Key)
		}
		return dp
	case proto.Kind_KIND_DATAPATH:
		dp, ok := state.ParseDatapathKey(string(it.Key))
		if !ok {
			t.Fatalf("datapath with key %x", it.Key)
		}
		return dp
	}
	t.Fatalf("item of kind %v", it.Kind)
	return 0
}

// keysOf are the tunnel keys of datapaths by name.
func (s *served) keysOf(t *testing.T, names ...string) []uint32 {
	t.Helper()
	var keys []uint32
	d := &s.columns.Datapath
	for row := range s.store.Snapshot().Rows(d.Table) {
		if v, _ := row.Map(d.XID).Get("name"); slices.Contains(names, fmt.Sprint(v)) {
			keys = append(keys, uint32(row.Int(d.TunnelKey)))
		}
	}
	if len(keys) != len(names) {
		t.Fatalf("the datapaths of %v have the keys %v", names, keys)
	}
	slices.Sort(keys)
	return keys
}

// orphans are the bodies that no unit of the chassis names.
func (s *served) orphans(t *testing.T) (n int) {
	t.Helper()
	used := map[string]bool{}
	for _, it := range s.items {
		if it.Kind == proto.Kind_KIND_UNIT {
			var u proto.Unit
			if err := pb.Unmarshal(it.Value, &u); err != nil {
				t.Fatal(err)
			}
			used[string(u.Body)] = true
		}
	}
	for _, it := range s.items {
		if it.Kind == proto.Kind_KIND_BODY && !used[string(it.Key)] {
			n++
		}
	}
	return n
}

// TestLocality counts what a chassis is told about switches and routers that no
// path through routers leads to: not a byte, when it connects and when they
// change (invariant 4).
func TestLocality(t *testing.T) {
	var mine, theirs ovsdb.UUID
	s := serve(t, func(z *zone) {
		_, mine = z.fan(t, 3, 2) // router r, switches sw0 to sw2
		z.nb(t, func(tx *ovsdb.Txn) error {
			theirs = tx.Insert(z.columns.LR.Table, ovsdb.UUID{}, map[string]ovsdb.Value{"name": "q"})
			return tx.Err()
		})
		for i := range 5 {
			z.spoke(t, theirs, 100+i, 3)
		}
		z.step(t)
	}, "p0-0")
	s.step(t) // binds the port
	said := s.frame(t)
	for len(said) == 0 {
		said = s.frame(t)
	}
	want := s.keysOf(t, "r", "sw0", "sw1", "sw2")
	if got := slices.Sorted(maps.Keys(said)); !slices.Equal(got, want) {
		t.Errorf("at connect the chassis is told about the datapaths %v, want %v", got, want)
	}
	if n := s.orphans(t); n > 0 {
		t.Errorf("%d bodies that no unit of the chassis names", n)
	}
	total := 0
	for _, n := range said {
		total += n
	}

	// Others change: what comes next is about what is here.
	before := s.bytes
	for i := range 5 {
		s.spoke(t, theirs, 200+i, 2)
		s.step(t)
	}
	c := s.columns
	s.nb(t, func(tx *ovsdb.Txn) error {
		for row := range tx.Rows(c.LRP.Table) {
			if strings.HasPrefix(row.Str(c.LRP.Name), "r-sw10") {
				tx.SetColumn(c.LRP.Table, row.UUID(), "networks", ovsdb.NewSet("10.77.0.1/24"))
			}
		}
		return tx.Err()
	})
	s.addPort(t, mine, 1)
	s.step(t)
	said = s.frame(t)
	own := s.keysOf(t, "sw0") // the port has no address that r reaches
	if got := slices.Sorted(maps.Keys(said)); !slices.Equal(got, own) {
		t.Errorf("after changes of others and one port of sw0 the chassis is told about %v, want %v", got, own)
	}
	t.Logf("%d bytes of items at connect; after 16 foreign changes and a port: %d bytes in one frame", total, s.bytes-before)

	// A switch that is connected comes with its router, one that is cut off goes.
	s.nb(t, func(tx *ovsdb.Txn) error {
		for row := range tx.Rows(c.LSP.Table) {
			if row.Str(c.LSP.Name) == "sw2-r" {
				tx.SetColumn(c.LSP.Table, row.UUID(), "options", ovsdb.MapOf())
			}
		}
		return tx.Err()
	})
	s.frame(t)
	left := map[uint32]bool{}
	for _, it := range s.items {
		left[datapathOf(t, it)] = true
	}
	delete(left, 0)
	if got, want := slices.Sorted(maps.Keys(left)), s.keysOf(t, "r", "sw0", "sw1"); !slices.Equal(got, want) {
		t.Errorf("without the link to sw2 the chassis has the datapaths %v, want %v", got, want)
	}
}
