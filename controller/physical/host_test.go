package physical

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	pb "google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"govn/pkg/abi"
	"govn/pkg/openflow"
	"govn/proto"
	"govn/proto/state"
)

// chassis is a host with all that its rounds have produced so far.
type chassis struct {
	t interface {
		Helper()
		Fatalf(string, ...any)
	}
	h      *Host
	flows  map[Owner]*Flows
	bodies map[UnitID]*Resolved
}

func newChassis(t interface {
	Helper()
	Fatalf(string, ...any)
}) *chassis {
	return &chassis{t: t, h: New(slog.New(slog.DiscardHandler)), flows: map[Owner]*Flows{}, bodies: map[UnitID]*Resolved{}}
}

func (c *chassis) round() Change {
	ch := c.h.Round()
	for o, f := range ch.Flows {
		if f == nil {
			delete(c.flows, o)
		} else {
			c.flows[o] = f
		}
	}
	for u, r := range ch.Bodies {
		if r == nil {
			delete(c.bodies, u)
		} else {
			c.bodies[u] = r
		}
	}
	return ch
}

// text prints all flows in order; those of the host without cookies.
func (c *chassis) text() string {
	var lines []string
	for _, o := range slices.SortedFunc(maps.Keys(c.flows), CompareOwner) {
		for _, f := range c.flows[o].List {
			_, rest, _ := strings.Cut(f.String(), ", ")
			lines = append(lines, fmt.Sprintf("%s # %s", rest, c.flows[o].Note))
		}
	}
	for _, u := range slices.SortedFunc(maps.Keys(c.bodies), compareUnitID) {
		r := c.bodies[u]
		for i, on := range []byte(r.Active) {
			if on == 1 {
				lines = append(lines, fmt.Sprintf("%s # unit %x", r.Flow(i).String(), u[:2]))
			}
		}
	}
	return strings.Join(lines, "\n") + "\n"
}

func marshal(m pb.Message) []byte {
	b, err := pb.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		panic(err)
	}
	return append([]byte{}, b...)
}

func (c *chassis) item(kind proto.Kind, key string, m pb.Message) {
	c.t.Helper()
	var value []byte
	if m != nil {
		value = marshal(m)
	}
	if err := c.h.Item(kind, key, value); err != nil {
		c.t.Fatalf("item %v %x: %v", kind, key, err)
	}
}

func (c *chassis) port(dp, port uint32, p *proto.Port) {
	c.t.Helper()
	if p == nil {
		c.item(proto.Kind_KIND_PORT, state.PortKey(dp, port), nil)
		return
	}
	c.item(proto.Kind_KIND_PORT, state.PortKey(dp, port), p)
}

func (c *chassis) body(hash state.Hash, value []byte) {
	c.t.Helper()
	if err := c.h.Item(proto.Kind_KIND_BODY, string(hash[:]), value); err != nil {
		c.t.Fatalf("body: %v", err)
	}
}

func geneve(ips ...string) *proto.Chassis {
	ch := &proto.Chassis{}
	for _, ip := range ips {
		ch.Encaps = append(ch.Encaps, &proto.Encap{Type: "geneve", Ip: ip})
	}
	return ch
}

// makeBody makes a body with one flow that matches on the datapath.
func makeBody(table uint32, guard ...*proto.Literal) (state.Hash, []byte) {
	var m openflow.Match
	m.Set(openflow.FieldMetadata, 0)
	match, at := m.EncodeRelocatable()
	value := marshal(&proto.Body{Flows: []*proto.Flow{{
		Table: table, Priority: 50, Cookie: abi.Cookie(abi.OwnerNorthd, table, 7), Match: match,
		Actions: openflow.EncodeActions([]openflow.Action{openflow.ToTable(uint8(table) + 1)}), Guard: guard,
		Relocations: []*proto.Relocation{{Where: proto.Relocation_WHERE_MATCH, Offset: uint32(at), Symbol: proto.Relocation_SYMBOL_DATAPATH}},
	}}})
	return state.BodyHash(value), value
}

func unitID(n int) UnitID {
	var u UnitID
	binary.BigEndian.PutUint16(u[:], uint16(n))
	return u
}

const wantTwo = `table=37, priority=150,reg10=0x10/0x10 actions=resubmit(,38) # fixed
table=37, priority=150,reg10=0x10000/0x10000 actions=resubmit(,38) # fixed
table=37, priority=0 actions=resubmit(,38) # fixed
table=38, priority=0 actions=drop # fixed
table=39, priority=0 actions=set_field:0->reg0,set_field:0->reg1,set_field:0->reg2,set_field:0->reg3,set_field:0->reg4,set_field:0->reg5,set_field:0->reg6,set_field:0->reg7,set_field:0->reg8,set_field:0->reg9,resubmit(,40) # fixed
table=64, priority=100,reg10=0x1/0x1 actions=push:NXM_OF_IN_PORT[],set_field:ANY->in_port,resubmit(,65),pop:NXM_OF_IN_PORT[] # fixed
table=64, priority=99,reg10=0x20/0x20 actions=push:NXM_OF_IN_PORT[],set_field:ANY->in_port,resubmit(,65),pop:NXM_OF_IN_PORT[] # fixed
table=64, priority=0 actions=resubmit(,65) # fixed
table=0, priority=100,in_port=3 actions=set_field:0x1->reg13,set_field:0x5->metadata,set_field:0x1->reg14,resubmit(,8) # vm1
table=38, priority=100,reg15=0x1,metadata=0x5 actions=set_field:0x1->reg13,resubmit(,39) # vm1
table=39, priority=100,reg10=0/0x1,reg14=0x1,reg15=0x1,metadata=0x5 actions=drop # vm1
table=65, priority=100,reg15=0x1,metadata=0x5 actions=output:3 # vm1
table=37, priority=100,reg15=0x2,metadata=0x5 actions=set_field:0x5->tun_id,set_field:0x2->tun_metadata0,move:NXM_NX_REG14[0..14]->NXM_NX_TUN_METADATA0[16..30],output:9 # vm2
table=0, priority=100,in_port=9 actions=move:NXM_NX_TUN_ID[0..23]->OXM_OF_METADATA[0..23],move:NXM_NX_TUN_METADATA0[16..30]->NXM_NX_REG14[0..14],move:NXM_NX_TUN_METADATA0[0..15]->NXM_NX_REG15[0..15],set_field:0x10000/0x10000->reg10,resubmit(,38) # hv2@203.0.113.2
table=37, priority=100,reg15=0x8000,metadata=0x5 actions=set_field:0x5->tun_id,set_field:0x8000->tun_metadata0,move:NXM_NX_REG14[0..14]->NXM_NX_TUN_METADATA0[16..30],output:9,resubmit(,38) # group 5/32768
table=38, priority=100,reg15=0x8000,metadata=0x5 actions=set_field:0x1->reg13,set_field:0x1->reg15,resubmit(,39),set_field:0x8000->reg15 # group 5/32768
table=71, priority=100,metadata=0x5,dl_dst=50:54:00:00:00:99 actions=set_field:0x2->reg15 # fdb 5/505400000099
table=72, priority=100,reg14=0x2,metadata=0x5,dl_src=50:54:00:00:00:99 actions=set_field:0x100/0x100->reg10 # fdb 5/505400000099
cookie=0x1000000a00000007, table=10, priority=50,metadata=0x5 actions=resubmit(,11) # unit 0001
`

func TestTwoChassis(t *testing.T) {
	c := newChassis(t)
	c.h.SetSelf("hv1")
	flood := []uint32{abi.GroupFlood}
	c.port(5, 1, &proto.Port{Name: "vm1", Chassis: "hv1", Groups: flood})
	c.port(5, 2, &proto.Port{Name: "vm2", Chassis: "hv2", Groups: flood})
	c.item(proto.Kind_KIND_CHASSIS, "hv2", geneve("203.0.113.2"))
	c.item(proto.Kind_KIND_FDB, state.FdbKey(5, 0x505400000099), &proto.Fdb{Port: 2})
	hash, value := makeBody(10, &proto.Literal{Op: proto.Literal_OP_RESIDENT, Datapath: 5, Port: 1})
	c.body(hash, value)
	u1, u2 := unitID(1), unitID(2)
	c.item(proto.Kind_KIND_UNIT, string(u1[:]), &proto.Unit{Body: hash[:], Datapath: 5})
	c.item(proto.Kind_KIND_UNIT, string(u2[:]), &proto.Unit{Body: hash[:], Datapath: 6, Port: 7}) // not resident
	c.h.SetInterface("vm1", "tap1", 3)
	c.h.SetTunnel("hv2@203.0.113.2", 9)
	if ch := c.round(); len(ch.Errors) > 0 {
		t.Errorf("errors %v", ch.Errors)
	}
	if diff := cmp.Diff(wantTwo, c.text()); diff != "" {
		t.Errorf("flows (-want +got):\n%s", diff)
	}

	// The port leaves: its flows, its guard and its membership go with it.
	c.h.SetInterface("vm1", "tap1", 0)
	c.round()
	for _, gone := range []string{"vm1", "unit 0001", "table=38, priority=100,reg15=0x8000"} {
		if strings.Contains(c.text(), gone) {
			t.Errorf("%q is still there:\n%s", gone, c.text())
		}
	}
	// Everything goes: only the fixed flows stay.
	c.h.SetTunnel("hv2@203.0.113.2", 0)
	for _, port := range []uint32{1, 2} {
		c.port(5, port, nil)
	}
	c.item(proto.Kind_KIND_FDB, state.FdbKey(5, 0x505400000099), nil)
	c.item(proto.Kind_KIND_UNIT, string(u1[:]), nil)
	c.item(proto.Kind_KIND_UNIT, string(u2[:]), nil)
	c.round()
	if len(c.flows) != 1 || len(c.bodies) != 0 || len(c.h.in.groups) != 0 || len(c.h.Zones().All()) != 0 {
		t.Errorf("left: %d owners, %d units, %d groups, zones %v", len(c.flows), len(c.bodies), len(c.h.in.groups), c.h.Zones().All())
	}
	if st := c.h.Stats(); st.Nodes > 2 {
		t.Errorf("%d nodes are left", st.Nodes)
	}
}

// TestBodies: a unit needs its body; a barred body has no flows, and comes back.
func TestBodies(t *testing.T) {
	c := newChassis(t)
	hash, value := makeBody(10)
	u := unitID(1)
	c.item(proto.Kind_KIND_UNIT, string(u[:]), &proto.Unit{Body: hash[:], Datapath: 5})
	if ch := c.round(); len(ch.Errors) != 1 {
		t.Errorf("a unit without its body: errors %v", ch.Errors)
	}
	c.body(hash, value)
	if ch := c.round(); len(c.bodies) != 1 || len(ch.Errors) != 1 || ch.Errors[0].Err != nil {
		t.Errorf("with its body: %d units, errors %v", len(c.bodies), ch.Errors)
	}
	for _, barred := range []bool{true, false} {
		c.h.SetQuarantined(hash, barred)
		c.round()
		if (len(c.bodies) == 0) != barred {
			t.Errorf("barred %v: %d units", barred, len(c.bodies))
		}
	}
}

// TestIncremental: after any sequence of changes the flows are those of a host
// that got the last values only.
func TestIncremental(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		c := newChassis(rt)
		last := map[string]func(*chassis){}
		draw := func(what string, lo, hi int) int { return rapid.IntRange(lo, hi).Draw(rt, what) }
		pick := func(what string, from ...string) string { return rapid.SampledFrom(from).Draw(rt, what) }
		guard := func(n int) *proto.Literal {
			return &proto.Literal{Op: proto.Literal_OP_RESIDENT, Datapath: 1, Port: uint32(n), Negated: n == 2}
		}
		for range draw("steps", 1, 40) {
			var key string
			var fn func(*chassis)
			switch draw("what", 0, 8) {
			case 0, 1:
				dp, port := uint32(draw("dp", 1, 2)), uint32(draw("port", 1, 3))
				var p *proto.Port
				if draw("gone", 0, 3) != 0 {
					p = &proto.Port{
						Name: fmt.Sprintf("p%d", port), Chassis: pick("chassis", "hv1", "hv2", "hv3", ""),
						Type: pick("type", "", "", "localnet", "localport", "l2gateway", "virtual"), Learn: draw("learn", 0, 1) == 1,
						EncapIp: pick("encap", "", "203.0.113.20"),
					}
					if draw("router", 0, 3) == 0 {
						p.Mac, p.PeerDatapath, p.GatewayPort = uint64(draw("mac", 1, 2)), uint32(draw("peer", 1, 2)), uint32(draw("gateway", 0, 3))
					}
					if draw("moves", 0, 3) == 0 {
						p.AdditionalChassis = rapid.SampledFrom([][]string{{"hv1"}, {"hv2"}, {"hv1", "hv3"}}).Draw(rt, "additional")
					}
					for _, g := range []uint32{abi.GroupFlood, abi.GroupUnknown} {
						if draw("member", 0, 1) == 1 {
							p.Groups = append(p.Groups, g)
						}
					}
					if draw("nested", 0, 4) == 0 {
						p.Parent, p.Tag = "parent", 7
					}
				}
				key, fn = fmt.Sprint("port", dp, port), func(c *chassis) { c.port(dp, port, p) }
			case 2:
				id, name := pick("iface", "p1", "p2", "p3", "parent"), pick("name", "a", "b")
				ofport := draw("ofport", 0, 4)
				key, fn = "iface"+id+name, func(c *chassis) { c.h.SetInterface(id, name, ofport) }
			case 3:
				ch, n := pick("chassis", "hv2", "hv3"), draw("encaps", 0, 2)
				key, fn = "chassis"+ch, func(c *chassis) {
					if n == 0 {
						c.item(proto.Kind_KIND_CHASSIS, ch, nil)
						return
					}
					c.item(proto.Kind_KIND_CHASSIS, ch, geneve([]string{"203.0.113.2", "203.0.113.20"}[:n]...))
				}
			case 4:
				id := pick("tunnel", "hv2@203.0.113.2", "hv2@203.0.113.20", "hv3@203.0.113.2")
				ofport := []int{0, 11, 12}[draw("ofport", 0, 2)]
				key, fn = "tunnel"+id, func(c *chassis) { c.h.SetTunnel(id, ofport) }
			case 5:
				id, port := MACID{1, uint64(draw("mac", 1, 2))}, uint32(draw("port", 0, 2))
				key, fn = fmt.Sprint("fdb", id), func(c *chassis) {
					if port == 0 {
						c.item(proto.Kind_KIND_FDB, state.FdbKey(id.Datapath, id.MAC), nil)
						return
					}
					c.item(proto.Kind_KIND_FDB, state.FdbKey(id.Datapath, id.MAC), &proto.Fdb{Port: port})
				}
			case 6:
				n, gone, barred := draw("body", 1, 2), draw("gone", 0, 3) == 0, draw("barred", 0, 3) == 0
				hash, value := makeBody(uint32(10+n), guard(n))
				if gone {
					value = nil
				}
				key, fn = fmt.Sprint("body", n), func(c *chassis) {
					c.body(hash, value)
					c.h.SetQuarantined(hash, barred)
				}
			case 7:
				u, n, port := unitID(draw("unit", 1, 3)), draw("body", 0, 2), uint32(draw("port", 0, 2))
				key, fn = fmt.Sprint("unit", u), func(c *chassis) {
					if n == 0 {
						c.item(proto.Kind_KIND_UNIT, string(u[:]), nil)
						return
					}
					hash, _ := makeBody(uint32(10+n), guard(n))
					c.item(proto.Kind_KIND_UNIT, string(u[:]), &proto.Unit{Body: hash[:], Datapath: 1, Port: port})
				}
			case 8:
				self, option, patch := pick("self", "hv1", "hv2", ""), draw("option", 0, 1), draw("patch", 0, 5)
				key, fn = "self", func(c *chassis) {
					c.h.SetSelf(self)
					c.h.SetOption(option)
					c.h.SetPatch("p1", patch)
					c.h.SetMACMappings(map[string]uint64{"": uint64(patch)})
				}
			}
			fn(c)
			last[key] = fn
			if draw("round", 0, 1) == 1 {
				c.round()
			}
		}
		c.round()
		fresh := newChassis(rt)
		for name, zone := range c.h.Zones().All() {
			fresh.h.Zones().Restore(name, zone)
		}
		for _, key := range slices.Sorted(maps.Keys(last)) {
			last[key](fresh)
		}
		fresh.round()
		if diff := cmp.Diff(fresh.text(), c.text()); diff != "" {
			rt.Fatalf("incremental differs from fresh (-fresh +incremental):\n%s", diff)
		}
		if !maps.Equal(fresh.h.Zones().All(), c.h.Zones().All()) {
			rt.Fatalf("zones %v, fresh %v", c.h.Zones().All(), fresh.h.Zones().All())
		}
		if a, b := fmt.Sprint(c.h.Errors()), fmt.Sprint(fresh.h.Errors()); a != b {
			rt.Fatalf("errors %v, fresh %v", a, b)
		}
	})
}

func TestZones(t *testing.T) {
	z := NewZones()
	if !z.Restore("a", 2) || z.Restore("b", 2) || z.Restore("a", 3) || z.Restore("c", 0) || z.Restore("c", abi.MaxConntrackZone+1) {
		t.Error("Restore takes what it must not, or the other way round")
	}
	for i, want := range []int{1, 3, 4} {
		if got := z.Ensure(fmt.Sprint("n", i)); got != want {
			t.Errorf("zone %d, want %d", got, want)
		}
	}
	z.Release("a")
	if got := z.Ensure("x"); got != 2 {
		t.Errorf("zone %d after a release, want 2", got)
	}
	for i := range abi.MaxConntrackZone {
		z.Ensure(fmt.Sprint("all", i))
	}
	if got := z.Ensure("one too many"); got != 0 {
		t.Errorf("zone %d when all are taken", got)
	}
}

// FuzzItem: no item makes a host panic; what it accepts it can evaluate.
func FuzzItem(f *testing.F) {
	hash, value := makeBody(10)
	u := unitID(1)
	f.Add(uint8(proto.Kind_KIND_BODY), hash[:], value)
	f.Add(uint8(proto.Kind_KIND_UNIT), u[:], marshal(&proto.Unit{Body: hash[:], Datapath: 5}))
	f.Add(uint8(proto.Kind_KIND_PORT), []byte(state.PortKey(5, 1)), marshal(&proto.Port{Name: "p1", Chassis: "hv1", Groups: []uint32{1 << 15}}))
	f.Add(uint8(proto.Kind_KIND_CHASSIS), []byte("hv2"), marshal(geneve("203.0.113.2")))
	f.Add(uint8(proto.Kind_KIND_FDB), []byte(state.FdbKey(5, 7)), marshal(&proto.Fdb{Port: 1}))
	f.Fuzz(func(t *testing.T, kind uint8, key, value []byte) {
		h := New(slog.New(slog.DiscardHandler))
		h.SetSelf("hv1")
		h.SetInterface("p1", "tap1", 1)
		sum := sha256.Sum256(value)
		u := unitID(1)
		_ = h.Item(proto.Kind_KIND_UNIT, string(u[:]), marshal(&proto.Unit{Body: sum[:16], Datapath: 5}))
		if err := h.Item(proto.Kind_KIND_BODY, string(sum[:16]), value); err == nil {
			for _, r := range h.Round().Bodies {
				for i := range r.Body.Flows {
					_ = r.Flow(i).String()
				}
			}
		}
		_ = h.Item(proto.Kind(kind), string(key), value)
		h.Round()
	})
}
