package rpc_test

import (
	"errors"
	"slices"
	"testing"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
	pb "google.golang.org/protobuf/types/descriptorpb"

	"govn/pkg/rpc"
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
	message := func(types, fields int) *pb.FileDescriptorSet {
		file := &pb.FileDescriptorProto{}
		for range types {
			file.MessageType = append(file.MessageType, &pb.DescriptorProto{Field: slices.Repeat([]*pb.FieldDescriptorProto{{}}, fields)})
		}
		return &pb.FileDescriptorSet{File: []*pb.FileDescriptorProto{file}} // one field
	}
	c := rpc.Codec(100)
	for _, tt := range []struct {
		types, fields int
		fits          bool
	}{{0, 0, true}, {99, 0, true}, {100, 0, false}, {9, 10, true}, {10, 9, false}, {1, 98, true}, {1, 99, false}} {
		in, out := message(tt.types, tt.fields), &pb.FileDescriptorSet{}
		err := c.Unmarshal(encode(t, in), out)
		if (err == nil) != tt.fits || err != nil && !errors.Is(err, rpc.ErrFields) || err == nil && !proto.Equal(in, out) {
			t.Errorf("%d types with %d fields: %v", tt.types, tt.fields, err)
		}
	}
	packed := &pb.SourceCodeInfo{Location: []*pb.SourceCodeInfo_Location{{Path: make([]int32, 98)}}}
	for range 2 {
		if err := c.Unmarshal(encode(t, packed), &pb.SourceCodeInfo{}); (err == nil) != (len(packed.Location[0].Path) == 98) {
			t.Errorf("%d packed numbers: %v", len(packed.Location[0].Path), err)
		}
		packed.Location[0].Path = make([]int32, 99)
	}
	data := encode(t, message(200_000, 0))
	if n := testing.AllocsPerRun(1, func() { _ = c.Unmarshal(data, &pb.FileDescriptorSet{}) }); n > 50 {
		t.Errorf("a message that is refused cost %v allocations", n)
	}
	back, err := c.Marshal(message(1, 1))
	if err != nil || c.Unmarshal(back, &pb.FileDescriptorSet{}) != nil {
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
	f.Add([]byte{0x0a, 0x02, 0x22, 0x00})
	f.Add([]byte{0x0b, 0x0c, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		var got, want pb.FileDescriptorSet
		err := rpc.Codec(len(b)).Unmarshal(mem.BufferSlice{mem.SliceBuffer(b)}, &got)
		if wrong := proto.Unmarshal(b, &want); (err == nil) != (wrong == nil) || err == nil && !proto.Equal(&got, &want) {
			t.Errorf("%v; without a limit %v", err, wrong)
		}
	})
}
