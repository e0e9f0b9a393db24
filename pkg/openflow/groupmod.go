package openflow

import (
	"bytes"
	"fmt"
	"strings"
)

// Commands of GroupMod.
const (
	GroupAdd    = 0
	GroupModify = 1
	GroupDelete = 2
	// GroupInsertBucket and GroupRemoveBucket change buckets of a group.
	GroupInsertBucket = 3
	GroupRemoveBucket = 5
	// GroupAddOrModify is Open vSwitch's own: no error when the group exists.
	GroupAddOrModify = 0x8000
)

// Types of groups.
const (
	GroupAll      = 0
	GroupSelect   = 1
	GroupIndirect = 2
	GroupFF       = 3
)

// GroupAny is every group, in a deletion.
const GroupAny = 0xfffffffc

// Bucket ids of GroupInsertBucket and GroupRemoveBucket.
const (
	BucketFirst = 0xfffffffd
	BucketLast  = 0xfffffffe
	BucketAll   = 0xffffffff
)

// GroupDesc is a group as it is installed.
type GroupDesc struct {
	ID              uint32
	GroupType       uint8
	Buckets         []Bucket
	SelectionMethod string // of GroupSelect: "", hash or dp_hash
	MethodParam     uint64
	MethodFields    []byte // OXM TLVs whose values are the masks of what is hashed
}

// Bucket is one way that a group may treat a packet.
type Bucket struct {
	ID         uint32
	Weight     uint16 // of GroupSelect
	WatchPort  uint32 // the bucket lives while this port does; 0: none
	WatchGroup uint32 // the bucket lives while this group does; 0: none
	Actions    []byte
}

// GroupMod adds, modifies or deletes a group.
type GroupMod struct {
	Command         uint16
	Group           GroupDesc
	CommandBucketID uint32 // of the bucket commands; 0: BucketAll
}

const (
	bucketWeight     = 0
	bucketWatchPort  = 1
	bucketWatchGroup = 2

	ntrVendor       = 0x0000154d // Netronome, whose extension Open vSwitch speaks
	ntrMethod       = 1
	ntrMethodLength = 16
)

// Type is TypeGroupMod.
func (*GroupMod) Type() uint8 { return TypeGroupMod }

func (m *GroupMod) appendBody(b []byte) []byte {
	b = put32(append(put16(b, m.Command), m.Group.GroupType, 0), m.Group.ID)
	at := len(b)
	b = put32(putZeros(b, 4), anyIfZero(m.CommandBucketID))
	buckets := len(b)
	for _, k := range m.Group.Buckets {
		b = k.append(b, m.Group.GroupType)
	}
	n := len(b) - buckets
	b[at], b[at+1] = byte(n>>8), byte(n)
	if m.Command == GroupDelete {
		return b
	}
	return m.Group.appendProperties(b)
}

func (k *Bucket) append(b []byte, groupType uint8) []byte {
	start := len(b)
	b = put32(put16(putZeros(b, 2), uint16(len(k.Actions))), k.ID)
	b = append(b, k.Actions...)
	if groupType == GroupSelect {
		b = property(b, bucketWeight, put16(nil, k.Weight))
		// The property has explicit padding that its length counts.
		b[len(b)-5] = 8
	}
	if k.WatchPort != 0 {
		b = property(b, bucketWatchPort, put32(nil, k.WatchPort))
	}
	if k.WatchGroup != 0 {
		b = property(b, bucketWatchGroup, put32(nil, k.WatchGroup))
	}
	return setLen(b, start, 0)
}

func (g *GroupDesc) appendProperties(b []byte) []byte {
	if g.SelectionMethod == "" {
		return b
	}
	v := put32(put32(put32(nil, ntrVendor), ntrMethod), 0)
	var name [ntrMethodLength]byte
	copy(name[:ntrMethodLength-1], g.SelectionMethod)
	v = append(put64(append(v, name[:]...), g.MethodParam), g.MethodFields...)
	return property(b, 0xffff, v)
}

func (r *reader) groupProperties(g *GroupDesc) {
	if r.err != nil {
		return
	}
	r.err = eachTLV(r.what, r.b, func(typ uint16, body []byte) error {
		if typ != 0xffff || len(body) < 36 || be32(body) != ntrVendor || be32(body[4:]) != ntrMethod {
			return nil
		}
		name, _, _ := bytes.Cut(body[12:12+ntrMethodLength], []byte{0})
		g.SelectionMethod = string(name)
		g.MethodParam = be64(body[28:])
		g.MethodFields = append([]byte(nil), body[36:]...)
		return nil
	})
}

func (r *reader) buckets(n int) (list []Bucket) {
	area := reader{b: r.take(n), what: r.what, err: r.err}
	for area.err == nil && len(area.b) > 0 {
		size := int(area.u16())
		k := reader{what: r.what}
		k.b, k.err = area.take(size-2), area.err
		actions := int(k.u16())
		bucket := Bucket{ID: k.u32()}
		bucket.Actions = append([]byte(nil), k.take(actions)...)
		if k.err == nil {
			k.err = eachTLV(r.what, k.b, func(typ uint16, body []byte) error {
				p := reader{b: body, what: r.what}
				switch typ {
				case bucketWeight:
					bucket.Weight = p.u16()
				case bucketWatchPort:
					bucket.WatchPort = zeroIfAny(p.u32())
				case bucketWatchGroup:
					bucket.WatchGroup = zeroIfAny(p.u32())
				}
				return p.err
			})
		}
		area.err = k.err
		list = append(list, bucket)
	}
	r.err = area.err
	return list
}

func zeroIfAny(v uint32) uint32 {
	if v == 0xffffffff {
		return 0
	}
	return v
}

func decodeGroupMod(r *reader) Message {
	m := &GroupMod{Command: r.u16()}
	m.Group.GroupType = r.u8()
	r.skip(1)
	m.Group.ID = r.u32()
	n := int(r.u16())
	r.skip(2)
	m.CommandBucketID = zeroIfAny(r.u32())
	m.Group.Buckets = r.buckets(n)
	r.groupProperties(&m.Group)
	return m
}

// groupDesc reads one group of a multipart reply.
func (r *reader) groupDesc() GroupDesc {
	n := int(r.u16())
	g := reader{what: r.what}
	g.b, g.err = r.take(n-2), r.err
	d := GroupDesc{GroupType: g.u8()}
	g.skip(1)
	d.ID = g.u32()
	size := int(g.u16())
	g.skip(6)
	d.Buckets = g.buckets(size)
	g.groupProperties(&d)
	r.err = g.err
	return d
}

// GroupsUsed are the ids of the groups that actions hand packets to, also from
// inside of a clone.
func GroupsUsed(list []Action) []uint32 {
	var ids []uint32
	for _, a := range list {
		switch a := a.(type) {
		case Group:
			ids = append(ids, a.ID)
		case Clone:
			ids = append(ids, GroupsUsed(a.Actions)...)
		}
	}
	return ids
}

// Kind is type and selection method as ovs-ofctl dump-groups prints them.
func (g GroupDesc) Kind() string {
	types := []string{"all", "select", "indirect", "ff"}
	name := fmt.Sprintf("%d", g.GroupType)
	if int(g.GroupType) < len(types) {
		name = types[g.GroupType]
	}
	s := "type=" + name
	if g.SelectionMethod != "" {
		s += ",selection_method=" + g.SelectionMethod
		if g.MethodParam != 0 {
			s += fmt.Sprintf(",selection_method_param=%d", g.MethodParam)
		}
		s += formatMethodFields(g.MethodFields)
	}
	return s
}

// String prints the group as ovs-ofctl dump-groups does.
func (g GroupDesc) String() string {
	var s strings.Builder
	fmt.Fprintf(&s, "group_id=%d,%s", g.ID, g.Kind())
	for _, k := range g.Buckets {
		s.WriteString(",bucket=")
		s.WriteString(k.format(g.GroupType))
	}
	return s.String()
}

func formatMethodFields(b []byte) string {
	m, err := ParseMatch(b)
	if err != nil || m.Empty() {
		return ""
	}
	var s []string
	for _, e := range m.fields {
		if e.f == nil {
			continue
		}
		if e.value == fullMask(e.f) {
			s = append(s, e.f.Name)
		} else {
			s = append(s, e.f.Name+"="+formatValue(e.f, e.value[:e.f.size], nil))
		}
	}
	if len(s) == 1 && !strings.Contains(s[0], "=") {
		return ",fields=" + s[0]
	}
	return ",fields(" + strings.Join(s, ",") + ")"
}

func (k *Bucket) format(groupType uint8) string {
	s := fmt.Sprintf("bucket_id:%d,", k.ID)
	if groupType == GroupSelect && k.Weight != 1 {
		s += fmt.Sprintf("weight:%d,", k.Weight)
	}
	if k.WatchPort != 0 {
		s += "watch_port:" + FormatPortNumber(k.WatchPort) + ","
	}
	if k.WatchGroup != 0 {
		s += fmt.Sprintf("watch_group:%d,", k.WatchGroup)
	}
	f := Flow{Actions: k.Actions}
	return s + "actions=" + f.formatActions()
}

// Commands and flags of MeterMod.
const (
	MeterAdd    = 0
	MeterModify = 1
	MeterDelete = 2

	MeterKbps  = 1
	MeterPktps = 2
	MeterBurst = 4
	MeterStats = 8

	// MeterAll is every meter, in a deletion.
	MeterAll = 0xffffffff
)

// MeterMod adds, modifies or deletes a meter. It cannot be in a bundle.
type MeterMod struct {
	Command uint16
	Flags   uint16
	ID      uint32
	Bands   []MeterBand
}

// MeterBand drops what is faster than Rate.
type MeterBand struct {
	Rate  uint32 // kbit/s or packets/s
	Burst uint32
}

// Type is TypeMeterMod.
func (*MeterMod) Type() uint8 { return TypeMeterMod }

func (m *MeterMod) appendBody(b []byte) []byte {
	b = put32(put16(put16(b, m.Command), m.Flags), m.ID)
	for _, k := range m.Bands {
		b = putZeros(put32(put32(put16(put16(b, 1), 16), k.Rate), k.Burst), 4)
	}
	return b
}

func decodeMeterMod(r *reader) Message {
	m := &MeterMod{Command: r.u16(), Flags: r.u16(), ID: r.u32()}
	for r.err == nil && len(r.b) > 0 {
		typ, n := r.u16(), int(r.u16())
		band := reader{what: r.what}
		band.b, band.err = r.take(n-4), r.err
		if k := (MeterBand{Rate: band.u32(), Burst: band.u32()}); typ == 1 {
			m.Bands = append(m.Bands, k)
		}
		r.err = band.err
	}
	return m
}

// Format prints the bucket as it stands in a group of a type.
func (k *Bucket) Format(groupType uint8) string { return k.format(groupType) }
