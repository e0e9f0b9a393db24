package fabric

import (
	"cmp"
	"encoding/binary"
	"hash/maphash"
	"slices"
	"sync/atomic"

	"google.golang.org/protobuf/encoding/protowire"

	"govn/pkg/treap"
	"govn/proto"
	"govn/proto/state"
)

// item is one item as it is sent. It is immutable, but for what it says of a
// shared one.
type item struct {
	key      Key
	value    []byte
	digest   state.Digest
	critical bool
	body     Key  // of a unit: its body; the zero Key otherwise
	ha       Key  // of a port: its HA group; the zero Key otherwise
	redirect bool // of a port: it is of type chassisredirect

	first *cell       // of a shared item: the first cell that had it; with Server.mu held
	many  atomic.Bool // of a shared item: some other cell has had it, too
}

// in notes that a cell has a shared item.
func (it *item) in(c *cell) {
	if it.first == nil {
		it.first = c
	} else if it.first != c {
		it.many.Store(true)
	}
}

const typeRedirect = "chassisredirect" // Port.type of the port that stands for a distributed gateway port

func newItem(key Key, value []byte, critical bool) *item {
	it := &item{key: key, value: value, critical: critical}
	it.digest = state.DigestOf(state.ItemHash(key.Kind, key.Key, value))
	if key.Kind == proto.Kind_KIND_UNIT {
		if b, ok := bytesField(value, 1); ok {
			it.body = Key{Kind: proto.Kind_KIND_BODY, Key: b}
		}
	}
	if key.Kind == proto.Kind_KIND_PORT {
		if g, ok := bytesField(value, 15); ok {
			it.ha = haGroupKey(g)
			kind, _ := bytesField(value, 3)
			it.redirect = kind == typeRedirect
		}
	}
	return it
}

func bodyKey(h [16]byte) Key { return Key{Kind: proto.Kind_KIND_BODY, Key: string(h[:])} }

func chassisKey(name string) Key { return Key{Kind: proto.Kind_KIND_CHASSIS, Key: name} }

// shared tells whether items of the kind may be in several groups.
func shared(kind proto.Kind) bool {
	return kind == proto.Kind_KIND_BODY || kind == proto.Kind_KIND_CHASSIS || kind == proto.Kind_KIND_HA_GROUP
}

// bytesField reads a field of a message that is bytes and not empty, Unit.body
// or Port.ha_group, without decoding the rest.
func bytesField(message []byte, field protowire.Number) (value string, ok bool) {
	for len(message) > 0 {
		num, typ, n := protowire.ConsumeTag(message)
		if n < 0 {
			return "", false
		}
		message = message[n:]
		if num == field && typ == protowire.BytesType {
			b, n := protowire.ConsumeBytes(message)
			if n < 0 {
				return "", false
			}
			value, ok = string(b), len(b) > 0
			message = message[n:]
			continue
		}
		if n = protowire.ConsumeFieldValue(num, typ, message); n < 0 {
			return "", false
		}
		message = message[n:]
	}
	return value, ok
}

var seed = maphash.MakeSeed()

// itemOps orders the items of a tree. Its sum is the digest of the items.
type itemOps struct{}

func (itemOps) Compare(a, b Key) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Key, b.Key))
}

func (itemOps) Priority(k Key) uint64 {
	var h maphash.Hash
	h.SetSeed(seed)
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], uint32(k.Kind))
	h.Write(b[:])
	h.WriteString(k.Key)
	return h.Sum64()
}

func (itemOps) Hash(_ Key, it *item) treap.Sum { return treap.Sum(it.digest) }

func (itemOps) Equal(a, b *item) bool { return a.digest == b.digest && a.critical == b.critical }

type tree = treap.Tree[Key, *item, itemOps]

// draft is a tree while a batch is applied. That of a new cell is a map until it is
// published first: the tree is built at once then, without the copies that each
// element of its own would cost.
type draft struct {
	tree  tree
	young map[Key]*item // the contents, if not nil
}

func (d *draft) get(k Key) (*item, bool) {
	if d.young != nil {
		it, ok := d.young[k]
		return it, ok
	}
	return d.tree.Get(k)
}

func (d *draft) put(k Key, it *item) {
	if d.young != nil {
		d.young[k] = it
	} else {
		d.tree = d.tree.With(k, it)
	}
}

func (d *draft) remove(k Key) {
	if d.young != nil {
		delete(d.young, k)
	} else {
		d.tree = d.tree.Without(k)
	}
}

func (d *draft) len() int {
	if d.young != nil {
		return len(d.young)
	}
	return d.tree.Len()
}

// done is the tree.
func (d *draft) done() tree {
	if d.young != nil {
		elements := make([]treap.Element[Key, *item], 0, len(d.young))
		for k, it := range d.young {
			elements = append(elements, treap.Element[Key, *item]{Key: k, Value: it})
		}
		d.tree, d.young = treap.Build[Key, *item, itemOps](elements), nil
	}
	return d.tree
}

// group is what is sent together. It is immutable.
type group struct {
	seq    uint64 // of all groups, unique
	items  tree   // keys that are in no other group, but for a port's own view
	shared tree   // keys that several groups may hold, with equal values
}

// empty stands for a group that is not there.
var empty = &group{}

func (g *group) item(k Key) *item {
	it, _ := g.items.Get(k)
	return it
}

func (g *group) sharedItem(k Key) *item {
	it, _ := g.shared.Get(k)
	return it
}

// cell is the place of a group: it changes while a batch is applied, and then
// holds a new group.
type cell struct {
	datapath *datapath
	chassis  string // empty: for all chassis where the datapath is local

	group  *group
	items  draft
	shared draft
	refs   map[Key]int // users of shared items; those that are not known yet, too

	dirty   bool
	changed []Key

	log     []logEntry
	logKeys int
}

// logEntry names the keys that differ between two successive groups.
type logEntry struct {
	from, to uint64
	keys     []Key
}

// publish makes the cell's trees its group, if they differ from it.
func (c *cell) publish(seq uint64, logLimit int) bool {
	changed := c.changed
	c.dirty, c.changed = false, nil
	items, shared := c.items.done(), c.shared.done()
	if items.Equal(c.group.items) && shared.Equal(c.group.shared) {
		return false
	}
	from := c.group.seq
	c.group = &group{seq: seq, items: items, shared: shared}
	if c.chassis != "" {
		return true // small: the trees are compared
	}
	c.log = append(c.log, logEntry{from, seq, changed})
	c.logKeys += len(changed)
	drop := 0
	for c.logKeys > logLimit && drop < len(c.log) {
		c.logKeys -= len(c.log[drop].keys)
		drop++
	}
	c.log = slices.Delete(c.log, 0, drop)
	return true
}

// since returns the keys that changed since the group with the given seq; ok
// is false where the log does not reach back that far.
func (c *cell) since(seq uint64) (keys [][]Key, ok bool) {
	if seq == c.group.seq {
		return nil, true
	}
	i, ok := slices.BinarySearchFunc(c.log, seq, func(e logEntry, seq uint64) int { return cmp.Compare(e.from, seq) })
	if !ok {
		return nil, false
	}
	for _, e := range c.log[i:] {
		keys = append(keys, e.keys)
	}
	return keys, true
}
