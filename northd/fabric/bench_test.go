package fabric

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"govn/pkg/abi"
	"govn/proto"
	"govn/proto/state"
)

// oneSwitch is a switch with n ports, each with two units and bodies, one of
// them sent only where the port is resident; the ports are bound in turn to
// the chassis.
func oneSwitch(n, chassis int) Batch {
	b := Batch{Revision: 1, NbCfg: 1, Items: []ItemChange{datapathOf(1, "sw0")}}
	for c := range chassis {
		b.Chassis = append(b.Chassis, infoOf(fmt.Sprint("hv", c)))
	}
	for i := range n {
		addPort(&b, i, fmt.Sprint("hv", i%chassis))
	}
	return b
}

func addPort(b *Batch, i int, chassis string) {
	port := uint32(i + 1)
	lookup, security := bodyOf(fmt.Sprintf("%0200d lookup", i)), bodyOf(fmt.Sprintf("%0400d security", i))
	b.Bodies = append(b.Bodies, lookup, security)
	b.Items = append(b.Items, portOf(1, port, fmt.Sprint("sw0-port", i)),
		unitOf(fmt.Sprintf("%015dl", i), 1, 0, lookup), unitOf(fmt.Sprintf("%015ds", i), 1, port, security))
	b.Bindings = append(b.Bindings, Binding{1, port, chassis, true, nil, nil})
}

// BenchmarkApplyOnePort adds one port to a switch of 50,000 that 1,000
// chassis have: Apply alone, and until all chassis have the frame.
func BenchmarkApplyOnePort(b *testing.B) {
	const ports, streams = 50000, 1000
	bed := newBed(Options{})
	defer bed.stop()
	bed.Apply(oneSwitch(ports, streams))
	var arrived sync.WaitGroup
	var last atomic.Uint64
	var conns []*grpc.ClientConn
	var readers sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	defer func() {
		cancel()
		readers.Wait()
		for _, c := range conns {
			_ = c.Close()
		}
	}()
	arrived.Add(streams)
	for i := range streams {
		if i%8 == 0 {
			conn, err := grpc.NewClient("passthrough:fabric", grpc.WithTransportCredentials(insecure.NewCredentials()),
				grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return bed.listener.DialContext(ctx) }))
			if err != nil {
				b.Fatal(err)
			}
			conns = append(conns, conn)
		}
		stream, err := proto.NewFabricClient(conns[len(conns)-1]).Attach(ctx)
		if err != nil {
			b.Fatal(err)
		}
		// Its state is that of the batch, so nothing needs to be sent.
		name := fmt.Sprint("hv", i)
		bed.mu.Lock()
		l, _ := bed.zone.localNow(bed.zone.chassis[name], 1)
		digest := view{1: l}.digest(name).Bytes()
		bed.mu.Unlock()
		hello := &proto.Hello{Name: name, Abi: abi.Version, Digest: digest[:], Revision: &proto.Revision{Cluster: testCluster[:], Term: 1, Number: 1}}
		if err := stream.Send(&proto.FromChassis{Msg: &proto.FromChassis_Hello{Hello: hello}}); err != nil {
			b.Fatal(err)
		}
		readers.Go(func() {
			for {
				m, err := stream.Recv()
				if err != nil {
					return
				}
				if f := m.GetFrame(); f.GetLast() {
					last.Store(f.Revision.Number)
					arrived.Done()
				}
			}
		})
	}
	arrived.Wait()
	b.ResetTimer()
	n := 0
	b.Run("apply", func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			arrived.Add(streams)
			batch := Batch{Revision: uint64(2 + n), NbCfg: 1}
			addPort(&batch, ports+n, "hv7")
			n++
			b.StartTimer()
			bed.Apply(batch)
			b.StopTimer()
			arrived.Wait()
			b.StartTimer()
		}
	})
	b.Run("everywhere", func(b *testing.B) {
		for b.Loop() {
			arrived.Add(streams)
			batch := Batch{Revision: uint64(2 + n), NbCfg: 1}
			addPort(&batch, ports+n, "hv7")
			n++
			bed.Apply(batch)
			arrived.Wait()
		}
	})
}

// BenchmarkSnapshot connects a chassis to a switch of 50,000 ports, until it
// has the state.
func BenchmarkSnapshot(b *testing.B) {
	bed := newBed(Options{})
	defer bed.stop()
	bed.Apply(oneSwitch(50000, 20))
	for b.Loop() {
		f := newFake("hv3")
		f.connect(b, bed)
		f.reach(b, 1)
		b.SetBytes(int64(f.bytes))
		f.disconnect()
	}
}

// BenchmarkLoad applies a switch of 50,000 ports at once.
func BenchmarkLoad(b *testing.B) {
	batch := oneSwitch(50000, 20)
	for b.Loop() {
		s := New(Options{})
		s.Apply(batch)
		s.Close()
	}
}

// BenchmarkDifference is what one stream computes for one port more.
func BenchmarkDifference(b *testing.B) {
	for _, logKeys := range []int{4096, -1} {
		b.Run(fmt.Sprint("log=", logKeys), func(b *testing.B) {
			s := New(Options{LogKeys: logKeys})
			defer s.Close()
			s.Apply(oneSwitch(50000, 20))
			c := s.zone.chassis["hv3"]
			l, _ := s.zone.localNow(c, 1)
			was := view{1: l}
			batch := Batch{Revision: 2}
			addPort(&batch, 50000, "hv7")
			s.Apply(batch)
			var next step
			next.now, next.here = s.zone.localNow(c, 1)
			next.keys, next.logged = s.zone.datapaths[1].all.since(l.all.seq)
			for b.Loop() {
				if changes, _ := difference(was, map[uint32]step{1: next}, "hv3"); len(changes) != 3 {
					b.Fatal(len(changes))
				}
			}
		})
	}
}

// The work for one more port does not depend on how many ports there are, but
// for the depth of the trees: it is counted in changed keys and frames' items.
func TestOnePortCostsTheSameEverywhere(t *testing.T) {
	cost := func(ports int) (keys, changes int) {
		s := New(Options{})
		defer s.Close()
		s.Apply(oneSwitch(ports, 4))
		c := s.zone.chassis["hv3"]
		l, _ := s.zone.localNow(c, 1)
		batch := Batch{Revision: 2}
		addPort(&batch, ports, "hv2")
		s.Apply(batch)
		var next step
		next.now, next.here = s.zone.localNow(c, 1)
		next.keys, next.logged = s.zone.datapaths[1].all.since(l.all.seq)
		if !next.logged {
			t.Fatal("not in the log")
		}
		for _, k := range next.keys {
			keys += len(k)
		}
		found, _ := difference(view{1: l}, map[uint32]step{1: next}, "hv3")
		return keys, len(found)
	}
	k1, c1 := cost(50)
	k2, c2 := cost(5000)
	if k1 != k2 || c1 != c2 || c1 != 3 {
		t.Errorf("%d keys and %d items at 50 ports, %d and %d at 5,000", k1, c1, k2, c2)
	}
}

// The digest that Hello is compared with is that of what would be sent.
func TestDigestOfView(t *testing.T) {
	s := New(Options{})
	defer s.Close()
	s.Apply(oneSwitch(100, 4))
	s.Apply(Batch{Revision: 2, Bindings: []Binding{{1, 5, "hv3", false, nil, nil}}})
	for _, name := range []string{"hv0", "hv1", "hv2", "hv3"} {
		l, _ := s.zone.localNow(s.zone.chassis[name], 1)
		v, sum := view{1: l}, state.Digest{}
		v.each(name, func(it *item) bool { sum = sum.Add(it.digest); return true })
		if v.digest(name) != sum {
			t.Errorf("%s: %x, the items make %x", name, v.digest(name).Bytes(), sum.Bytes())
		}
	}
}
