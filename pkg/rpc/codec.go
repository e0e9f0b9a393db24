package rpc

import (
	"errors"
	"fmt"

	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/proto" // registers the codec that is wrapped
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// ErrFields is wrapped by the error of a message with more fields than Codec takes.
var ErrFields = errors.New("message with too many fields")

// Codec is that of gRPC, but refuses messages with more than so many fields, those
// of messages within them counted too, before they are decoded: an element that
// takes two bytes on the wire takes a hundred and more in memory.
func Codec(fields int) encoding.CodecV2 {
	return codec{encoding.GetCodecV2("proto"), fields}
}

type codec struct {
	encoding.CodecV2
	fields int
}

func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	m, ok := v.(proto.Message)
	if !ok {
		return fmt.Errorf("%T is no protobuf message", v)
	}
	buf := data.MaterializeToBuffer(mem.DefaultBufferPool())
	defer buf.Free()
	d := m.ProtoReflect().Descriptor()
	if left := countFields(d, buf.ReadOnlyData(), c.fields); left < 0 {
		return fmt.Errorf("%s: %w, %d are taken", d.Name(), ErrFields, c.fields)
	}
	return proto.Unmarshal(buf.ReadOnlyData(), m)
}

// countFields takes the fields of an encoded message from those that are left. What
// is malformed is not counted further: the decoder refuses it.
func countFields(d protoreflect.MessageDescriptor, b []byte, left int) int {
	for len(b) > 0 && left >= 0 {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return left
		}
		b = b[n:]
		if n = protowire.ConsumeFieldValue(number, kind, b); n < 0 {
			return left
		}
		left--
		if f := d.Fields().ByNumber(number); f != nil && kind == protowire.BytesType {
			value, _ := protowire.ConsumeBytes(b)
			switch {
			case f.Message() != nil:
				left = countFields(f.Message(), value, left)
			case f.IsPacked():
				left -= len(value)
			}
		}
		b = b[n:]
	}
	return left
}
