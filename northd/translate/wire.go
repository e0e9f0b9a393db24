package translate

import (
	"bytes"
	"errors"

	"google.golang.org/protobuf/encoding/protowire"
	gproto "google.golang.org/protobuf/proto"

	"govn/pkg/openflow"
	"govn/proto"
)

// errNoDatapath is a flow that would hold in every datapath: an error of the
// program.
var errNoDatapath = errors.New("the match names no datapath")

// inDatapath is the one relocation that every flow has, as it is encoded in
// proto.Flow.
var inDatapath = func() []byte {
	b, err := gproto.Marshal(&proto.Relocation{
		Where: proto.Relocation_WHERE_MATCH, Offset: openflow.MetadataAt, Symbol: proto.Relocation_SYMBOL_DATAPATH})
	if err != nil {
		panic("translate: " + err.Error())
	}
	return b
}()

// Numbers of fields in proto.Body and proto.Flow.
const (
	bodyFlows = 1

	flowTable       = 1
	flowPriority    = 2
	flowCookie      = 3
	flowMatch       = 4
	flowActions     = 5
	flowGuard       = 6
	flowRelocations = 7
	flowStage       = 8
)

// encode is the flows as a proto.Body, byte for byte what proto.Marshal makes of
// it, without a message for each flow: a cold start encodes hundreds of thousands.
func (d *draft) encode() []byte {
	d.wire = d.wire[:0]
	for i := range d.flows {
		d.one = d.flows[i].append(d.one[:0])
		d.wire = protowire.AppendBytes(protowire.AppendTag(d.wire, bodyFlows, protowire.BytesType), d.one)
	}
	return bytes.Clone(d.wire)
}

// append appends the flow as a proto.Flow.
func (f *entry) append(b []byte) []byte {
	number := func(field protowire.Number, v uint64) {
		if v != 0 {
			b = protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), v)
		}
	}
	data := func(field protowire.Number, v []byte) {
		if len(v) > 0 {
			b = protowire.AppendBytes(protowire.AppendTag(b, field, protowire.BytesType), v)
		}
	}
	number(flowTable, uint64(f.table))
	number(flowPriority, uint64(f.priority))
	number(flowCookie, f.cookie)
	data(flowMatch, f.match)
	data(flowActions, f.actions)
	b = append(b, f.guard...)
	data(flowRelocations, inDatapath)
	number(flowStage, uint64(f.stage))
	return b
}

// appendGuard appends the literals as the field of a proto.Flow.
func appendGuard(b []byte, guard []*proto.Literal) ([]byte, error) {
	for _, l := range guard {
		m, err := gproto.MarshalOptions{Deterministic: true}.Marshal(l)
		if err != nil {
			return b, err
		}
		b = protowire.AppendBytes(protowire.AppendTag(b, flowGuard, protowire.BytesType), m)
	}
	return b, nil
}
