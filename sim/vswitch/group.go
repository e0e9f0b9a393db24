package vswitch

import (
	"encoding/binary"
	"slices"
	"time"

	"govn/pkg/openflow"
	"govn/sim/vswitch/packet"
)

// group is a group with its buckets decoded.
type group struct {
	desc    openflow.GroupDesc
	buckets [][]openflow.Action // in the order in which an action set runs
	fields  openflow.Match      // of select with the method hash: what is hashed

	created time.Time
	total   openflow.BucketStats
	counts  []openflow.BucketStats // by bucket
}

// maxGroup is the highest id of a group (OFPG_MAX).
const maxGroup = 0xffffff00

// groupMod carries out a modification of groups.
func (b *Bridge) groupMod(m *openflow.GroupMod, j *journal) error {
	id := m.Group.ID
	old := b.groups[id]
	switch m.Command {
	case openflow.GroupAdd, openflow.GroupModify, openflow.GroupAddOrModify:
		switch {
		case m.Command == openflow.GroupAdd && old != nil:
			return refuse(etGroupMod, gmfcExists)
		case m.Command == openflow.GroupModify && old == nil:
			return refuse(etGroupMod, gmfcUnknown)
		}
		g, err := b.newGroup(m.Group)
		if err != nil {
			return err
		}
		b.putGroup(id, g, j)
	case openflow.GroupDelete:
		if id == openflow.GroupAny {
			for _, n := range b.groupList() {
				b.deleteGroup(n.ID, j)
			}
		} else if old != nil {
			b.deleteGroup(id, j)
		}
	case openflow.GroupInsertBucket, openflow.GroupRemoveBucket:
		if old == nil {
			return refuse(etGroupMod, gmfcUnknown)
		}
		desc, err := changeBuckets(old.desc, m)
		if err != nil {
			return err
		}
		g, err := b.newGroup(desc)
		if err != nil {
			return err
		}
		b.putGroup(id, g, j)
	default:
		return refuse(etGroupMod, gmfcBadCommand)
	}
	return nil
}

func (b *Bridge) putGroup(id uint32, g *group, j *journal) {
	old := b.groups[id]
	if old != nil {
		g.created = old.created
	}
	b.groups[id] = g
	j.undo = append(j.undo, func() {
		if old != nil {
			b.groups[id] = old
		} else {
			delete(b.groups, id)
		}
	})
}

// deleteGroup removes a group and the flows that use it.
func (b *Bridge) deleteGroup(id uint32, j *journal) {
	old := b.groups[id]
	delete(b.groups, id)
	j.undo = append(j.undo, func() { b.groups[id] = old })
	for _, f := range b.usersOf(id) {
		b.remove(f, openflow.RemovedGroupDelete, j)
	}
}

// newGroup checks and decodes a group.
func (b *Bridge) newGroup(desc openflow.GroupDesc) (*group, error) {
	switch {
	case desc.ID >= maxGroup:
		return nil, refuse(etGroupMod, gmfcInvalid)
	case desc.GroupType > openflow.GroupFF:
		return nil, refuse(etGroupMod, gmfcBadType)
	case desc.GroupType == openflow.GroupIndirect && len(desc.Buckets) != 1:
		return nil, refuse(etGroupMod, gmfcInvalid)
	}
	desc.Buckets = slices.Clone(desc.Buckets)
	g := &group{}
	ids := map[uint32]bool{}
	for i := range desc.Buckets {
		k := &desc.Buckets[i]
		if ids[k.ID] {
			return nil, refuse(etGroupMod, gmfcBadBucket)
		}
		ids[k.ID] = true
		if desc.GroupType == openflow.GroupFF && k.WatchPort == 0 && k.WatchGroup == 0 {
			return nil, refuse(etGroupMod, gmfcInvalid)
		}
		c := checker{}
		if err := c.list(k.Actions); err != nil {
			return nil, err
		}
		actions, err := openflow.DecodeActions(k.Actions)
		if err != nil {
			return nil, refuse(etBadAction, bacBadArgument)
		}
		g.buckets = append(g.buckets, orderActionSet(actions))
	}
	fields, err := openflow.ParseMatch(desc.MethodFields)
	if err != nil {
		return nil, refuse(etBadMatch, bmcBadField)
	}
	g.desc, g.fields = desc, fields
	g.created, g.counts = b.opts.Now(), make([]openflow.BucketStats, len(desc.Buckets))
	return g, nil
}

// changeBuckets inserts or removes buckets.
func changeBuckets(desc openflow.GroupDesc, m *openflow.GroupMod) (openflow.GroupDesc, error) {
	buckets := slices.Clone(desc.Buckets)
	at := slices.IndexFunc(buckets, func(k openflow.Bucket) bool { return k.ID == m.CommandBucketID })
	if m.Command == openflow.GroupInsertBucket {
		for _, k := range m.Group.Buckets {
			if slices.ContainsFunc(buckets, func(o openflow.Bucket) bool { return o.ID == k.ID }) {
				return desc, refuse(etGroupMod, gmfcBucketExists)
			}
		}
		switch {
		case m.CommandBucketID == openflow.BucketFirst:
			at = -1
		case m.CommandBucketID == openflow.BucketLast:
			at = len(buckets) - 1
		case at < 0:
			return desc, refuse(etGroupMod, gmfcUnknownBucket)
		}
		buckets = slices.Insert(buckets, at+1, m.Group.Buckets...)
	} else {
		switch id := m.CommandBucketID; {
		case id == openflow.BucketAll:
			buckets = nil
		case id == openflow.BucketFirst && len(buckets) > 0:
			buckets = buckets[1:]
		case id == openflow.BucketLast && len(buckets) > 0:
			buckets = buckets[:len(buckets)-1]
		case at >= 0:
			buckets = slices.Delete(buckets, at, at+1)
		default:
			return desc, refuse(etGroupMod, gmfcUnknownBucket)
		}
	}
	desc.Buckets = buckets
	return desc, nil
}

// orderActionSet puts actions in the order in which an action set runs: some
// first, whatever their place; then what writes fields, as it stands; and of
// those that end a packet's way only one.
func orderActionSet(set []openflow.Action) (ordered []openflow.Action) {
	last := func(is func(openflow.Action) bool) openflow.Action {
		for _, a := range slices.Backward(set) {
			if is(a) {
				return a
			}
		}
		return nil
	}
	for _, is := range []func(openflow.Action) bool{is[openflow.PopVLAN], is[openflow.PushVLAN], is[openflow.DecTTL]} {
		if a := last(is); a != nil {
			ordered = append(ordered, a)
		}
	}
	for _, a := range set {
		if is[openflow.SetField](a) || is[openflow.Move](a) {
			ordered = append(ordered, a)
		}
	}
	if a := last(is[openflow.SetQueue]); a != nil {
		ordered = append(ordered, a)
	}
	for _, is := range []func(openflow.Action) bool{is[openflow.Group], is[openflow.Output], is[openflow.Resubmit], is[openflow.CTClear], is[openflow.CT]} {
		if a := last(is); a != nil {
			return append(ordered, a)
		}
	}
	return nil
}

func is[T openflow.Action](a openflow.Action) bool { _, ok := a.(T); return ok }

// group hands the packet to a group.
func (x *execution) group(id uint32) {
	g := x.b.groups[id]
	if g == nil || x.depth >= maxDepth {
		x.tr.note("no such group")
		return
	}
	x.depth++
	defer func() { x.depth-- }()
	x.countGroup(&g.total)
	switch g.desc.GroupType {
	case openflow.GroupAll:
		for i := range g.buckets {
			x.bucket(g, i)
		}
	case openflow.GroupIndirect:
		x.bucket(g, 0)
	case openflow.GroupFF:
		for i := range g.buckets {
			if x.b.alive(g, i, 0) {
				x.bucket(g, i)
				return
			}
		}
		x.tr.note("no live bucket")
	case openflow.GroupSelect:
		if i := x.choose(g); i >= 0 {
			x.bucket(g, i)
		} else {
			x.tr.note("no live bucket")
		}
	}
}

func (x *execution) bucket(g *group, i int) {
	x.countGroup(&g.counts[i])
	x.tr.note("bucket " + (&g.desc.Buckets[i]).Format(g.desc.GroupType))
	x.isolated(func() {
		x.inGroup = true
		x.run(g.buckets[i])
	})
}

func (x *execution) countGroup(n *openflow.BucketStats) {
	n.Packets++
	n.Bytes += uint64(len(x.data))
}

// groupStats are the counters of all groups by id.
func (b *Bridge) groupStats() []openflow.GroupStats {
	b.mu.Lock()
	defer b.mu.Unlock()
	var list []openflow.GroupStats
	for _, d := range b.groupList() {
		g := b.groups[d.ID]
		list = append(list, openflow.GroupStats{ID: d.ID, Refs: uint32(len(b.usersOf(d.ID))), Packets: g.total.Packets, Bytes: g.total.Bytes,
			Duration: b.opts.Now().Sub(g.created), Buckets: slices.Clone(g.counts)})
	}
	return list
}

// usersOf are the flows that use a group.
func (b *Bridge) usersOf(id uint32) []*flow {
	var users []*flow
	for i := range b.tables {
		for r := range b.tables[i].All() {
			if r.Value.prog.usesGroup(id) {
				users = append(users, r.Value)
			}
		}
	}
	return users
}

// alive tells whether what a bucket watches is there; one that watches nothing
// always is.
func (b *Bridge) alive(g *group, i, depth int) bool {
	k := &g.desc.Buckets[i]
	if k.WatchPort == 0 && k.WatchGroup == 0 {
		return true
	}
	if n, ok := packet.PortFrom32(k.WatchPort); ok && k.WatchPort != 0 {
		if p := b.ports[n]; p != nil && !p.Down && !p.Dead {
			return true
		}
	}
	if w := b.groups[k.WatchGroup]; w != nil && k.WatchGroup != 0 && depth < maxDepth {
		for j := range w.buckets {
			if b.alive(w, j, depth+1) {
				return true
			}
		}
	}
	return false
}

// choose picks a live bucket by weighted rendezvous hashing: a bucket that goes
// moves only the packets that it had.
func (x *execution) choose(g *group) int {
	best, at := uint64(0), -1
	h := x.hashFor(g)
	for i := range g.buckets {
		if !x.b.alive(g, i, 0) {
			continue
		}
		score := uint64(scramble(h^uint64(g.desc.Buckets[i].ID)*0x9e3779b97f4a7c15)>>40) * uint64(g.desc.Buckets[i].Weight)
		if score > best {
			best, at = score, i
		}
	}
	return at
}

func scramble(h uint64) uint64 {
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}

// hashFor hashes what the selection method names; without names, addresses and
// ports in either direction.
func (x *execution) hashFor(g *group) uint64 {
	k := &x.cur.Key
	h := scramble(g.desc.MethodParam + 1)
	if g.desc.SelectionMethod == "hash" && !g.fields.Empty() {
		g.fields.Entries(func(f *openflow.Field, value, mask []byte) {
			if f == nil || !k.Meets(f.Requires()) {
				return
			}
			v := k.Get(f).Bytes(f.Size())
			for i := range v {
				// The value says which bits count.
				h = scramble(h ^ uint64(v[i]&value[i]))
			}
		})
		return h
	}
	return scramble(h ^ symmetricHash(k))
}

// symmetricHash is the same for both directions of a connection.
func symmetricHash(k *packet.Key) uint64 {
	h := uint64(k.EthType())<<8 | uint64(k.Proto())
	if !k.IsIP() {
		src, dst := k.EthSrc(), k.EthDst()
		for i := range src {
			h = scramble(h ^ uint64(src[i]^dst[i]))
		}
		return h
	}
	src, dst := k.IPSrc().AsSlice(), k.IPDst().AsSlice()
	for i := 0; i+4 <= len(src); i += 4 {
		h = scramble(h ^ uint64(binary.BigEndian.Uint32(src[i:])^binary.BigEndian.Uint32(dst[i:])))
	}
	if p := k.Proto(); p == packet.ProtoTCP || p == packet.ProtoUDP || p == packet.ProtoSCTP {
		h = scramble(h ^ uint64(k.PortSrc()^k.PortDst()))
	}
	return h
}

// bundle is the bundle action: the first live member, or one by hash.
func (x *execution) bundle(a openflow.Bundle) {
	const activeBackup = 0
	port, best := uint16(portNone), uint64(0)
	h := scramble(symmetricHash(&x.cur.Key) ^ uint64(a.Basis))
	if a.Fields == 0 {
		src := x.cur.Key.EthSrc()
		h = scramble(uint64(a.Basis)<<48 ^ packet.Number(src[:]).Lo)
	}
	for i, m := range a.Members {
		p := x.b.ports[m]
		if p == nil || p.Down || p.Dead {
			continue
		}
		if a.Algorithm == activeBackup {
			port = m
			break
		}
		if s := scramble(h ^ uint64(i+1)*0x9e3779b97f4a7c15); s >= best {
			port, best = m, s
		}
	}
	switch {
	case a.Dst.Field != nil:
		x.cur.Key.SetSubfield(a.Dst, packet.U128{Lo: uint64(port)})
	case port != portNone:
		x.output(port, 0)
	}
}
