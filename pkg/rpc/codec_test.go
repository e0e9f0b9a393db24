package rpc_test

import (
	"errors"
	"testing"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"

	"govn/pkg/rpc"
	"govn/proto/ic"
)

func encode(t testing.TB, m proto.Message) mem.BufferSlice {
	t.Helper()
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return mem.BufferSlice{mem.SliceBuffer(b)}
}

// TestCodec: fields are counted at every depth, and before anything is made of them.
func TestCodec(t *testing.T) {
	message := func(gateways, encaps int) *ic.FromZone {
		p := &ic.Publish{} // one field of FromZone
		for range gateways {
			p.Gateways = append(p.Gateways, &ic.Gateway{Encaps: make([]*ic.Encap, encaps)})
			for i := range encaps {
				p.Gateways[len(p.Gateways)-1].Encaps[i] = &ic.Encap{}
			}
		}
		return &ic.FromZone{Msg: &ic.FromZone_Publish{Publish: p}}
	}
	c := rpc.Codec(100)
	for _, tt := range []struct {
		gateways, encaps int
		fits             bool
	}{{0, 0, true}, {99, 0, true}, {100, 0, false}, {9, 10, true}, {10, 9, false}, {1, 98, true}, {1, 99, false}} {
		in, out := message(tt.gateways, tt.encaps), &ic.FromZone{}
		err := c.Unmarshal(encode(t, in), out)
		if (err == nil) != tt.fits || err != nil && !errors.Is(err, rpc.ErrFields) || err == nil && !proto.Equal(in, out) {
			t.Errorf("%d gateways with %d encapsulations: %v", tt.gateways, tt.encaps, err)
		}
	}
	data := encode(t, message(200_000, 0))
	if n := testing.AllocsPerRun(1, func() { _ = c.Unmarshal(data, &ic.FromZone{}) }); n > 50 {
		t.Errorf("a message that is refused cost %v allocations", n)
	}
	back, err := c.Marshal(message(1, 1))
	if err != nil || c.Unmarshal(back, &ic.FromZone{}) != nil {
		t.Error(err)
	}
	if c.Unmarshal(nil, "no message") == nil {
		t.Error("a string was decoded")
	}
}

// FuzzCodec: what the codec of gRPC takes is taken, within the limit, and nothing
// makes it panic.
func FuzzCodec(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{0x12, 0x02, 0x1a, 0x00})
	f.Add([]byte{0x0b, 0x0c, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		var got, want ic.FromZone
		err := rpc.Codec(len(b)).Unmarshal(mem.BufferSlice{mem.SliceBuffer(b)}, &got)
		if wrong := proto.Unmarshal(b, &want); (err == nil) != (wrong == nil) || err == nil && !proto.Equal(&got, &want) {
			t.Errorf("%v; without a limit %v", err, wrong)
		}
	})
}
