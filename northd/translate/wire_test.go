package translate

import (
	"bytes"
	"testing"

	gproto "google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"govn/proto"
)

// TestWire compares what encode writes with what the protobuf library makes of the
// same flows.
func TestWire(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var d draft
		body := &proto.Body{}
		for range rapid.IntRange(0, 4).Draw(t, "flows") {
			bytesOf := func(name string) []byte { return rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(t, name) }
			e := entry{
				table: rapid.Uint32Range(0, 255).Draw(t, "table"), priority: rapid.Uint32Range(0, 65535).Draw(t, "priority"),
				cookie: rapid.Uint64().Draw(t, "cookie"), match: bytesOf("match"), actions: bytesOf("actions"),
				stage: rapid.Uint32Range(0, 300).Draw(t, "stage"),
			}
			f := &proto.Flow{Table: e.table, Priority: e.priority, Cookie: e.cookie, Match: e.match, Actions: e.actions, Stage: e.stage,
				Relocations: []*proto.Relocation{{Where: proto.Relocation_WHERE_MATCH, Offset: 4, Symbol: proto.Relocation_SYMBOL_DATAPATH}}}
			for range rapid.IntRange(0, 2).Draw(t, "guards") {
				f.Guard = append(f.Guard, &proto.Literal{Op: proto.Literal_OP_RESIDENT, Negated: rapid.Bool().Draw(t, "negated"),
					Datapath: rapid.Uint32().Draw(t, "datapath"), Port: rapid.Uint32().Draw(t, "port")})
			}
			var err error
			if e.guard, err = appendGuard(nil, f.Guard); err != nil {
				t.Fatal(err)
			}
			d.flows, body.Flows = append(d.flows, e), append(body.Flows, f)
		}
		want, err := gproto.MarshalOptions{Deterministic: true}.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		if got := d.encode(); !bytes.Equal(got, want) {
			t.Fatalf("%x, want %x", got, want)
		}
	})
}
