package topology

import (
	"hash/maphash"
	"iter"
	"math"
	"slices"

	"govn/pkg/incr"
	"govn/pkg/ovsdb"
)

// Member is an element of a set column: the row that has it, and the element.
type Member struct {
	Row, Elem ovsdb.UUID
}

// Reader gives queries recorded access to one snapshot. It is used by one
// engine; queries of the engine may read concurrently, Advance runs alone.
type Reader struct {
	C *Columns

	engine *incr.Engine
	snap   *ovsdb.Snapshot
	seed   maphash.Seed
	lists  map[*ovsdb.ColumnSchema]*List
	rows   map[*ovsdb.TableSchema]*incr.Collection[ovsdb.UUID]
	fault  Fault
	whole  map[*ovsdb.ColumnSchema]bool // columns that Row is for

	routing routing
	keyed   bool // every owner has a key: for checks of what is too new to have one

	lookups *lookups
}

// Fault breaks the reader on purpose, so that a test of the invariants can show
// that it would notice. Nothing but tests sets it.
type Fault struct {
	DropRead  *ovsdb.ColumnSchema // reads of this column are not recorded
	SkipLeave *ovsdb.ColumnSchema // elements that leave this list are not noticed
}

// Inject makes the reader faulty from now on.
func (r *Reader) Inject(f Fault) { r.fault = f }

// List is a set column of references that queries walk by difference.
type List struct {
	col    *ovsdb.ColumnSchema
	coll   *incr.Collection[Member]
	reader *Reader
}

// NewReader makes a reader for the engine that stands on the snapshot.
func NewReader(e *incr.Engine, c *Columns, sn *ovsdb.Snapshot) *Reader {
	return &Reader{
		C: c, engine: e, snap: sn, seed: maphash.MakeSeed(),
		lists: make(map[*ovsdb.ColumnSchema]*List),
		rows:  make(map[*ovsdb.TableSchema]*incr.Collection[ovsdb.UUID]),
		whole: wholeColumns(c),

		lookups: newLookups(c),
	}
}

// Snapshot is what the reader stands on.
func (r *Reader) Snapshot() *ovsdb.Snapshot { return r.snap }

// List declares a set column of references as a list; before the first Advance.
func (r *Reader) List(col *ovsdb.ColumnSchema) *List {
	if l := r.lists[col]; l != nil {
		return l
	}
	l := &List{col: col, reader: r}
	l.coll = incr.NewCollection(r.engine, col.Table.Name+"."+col.Name, l.members)
	r.lists[col] = l
	return l
}

func (l *List) members(key incr.Hash) iter.Seq[Member] {
	return func(yield func(Member) bool) {
		row := l.reader.snap.Row(l.col.Table, ovsdb.UUID(key))
		if row == nil {
			return
		}
		for a := range row.Set(l.col).All() {
			if !yield(Member{ovsdb.UUID(key), a.(ovsdb.UUID)}) {
				return
			}
		}
	}
}

// Each keeps one child per element of the column in the row.
func (l *List) Each(c *incr.Ctx, row ovsdb.UUID, child *incr.Unit[Member]) {
	incr.Each(c, l.coll, incr.Hash(row), child)
}

// Has reports whether a row has an element in the column.
func (l *List) Has(c *incr.Ctx, m Member) bool {
	return incr.Has(c, l.coll, incr.Hash(m.Row), m)
}

// EachPair keeps one child per element of the column in the row, for the running
// unit and the element.
func EachPair[P comparable](c *incr.Ctx, l *List, row ovsdb.UUID, child *incr.Pairs[P, Member]) {
	incr.EachPair(c, l.coll, incr.Hash(row), child)
}

// Rows declares a table whose rows queries walk; before the first Advance. Its
// only key is [AllRows].
func (r *Reader) Rows(t *ovsdb.TableSchema) *incr.Collection[ovsdb.UUID] {
	if c := r.rows[t]; c != nil {
		return c
	}
	c := incr.NewCollection(r.engine, t.Name, func(incr.Hash) iter.Seq[ovsdb.UUID] {
		return func(yield func(ovsdb.UUID) bool) {
			for row := range r.snap.Rows(t) {
				if !yield(row.UUID()) {
					return
				}
			}
		}
	})
	r.rows[t] = c
	return c
}

// AllRows is the key of the collections that Rows returns.
var AllRows incr.Hash

// cell identifies a column of a row. UUIDs are random, so mixing the number of
// the column in is enough; two cells that collide only run a query too often.
func cell(col *ovsdb.ColumnSchema, u ovsdb.UUID) incr.Cell {
	return mix(u, uint64(col.Index)+1, tableNumber(col.Table))
}

func mix(u ovsdb.UUID, a, b uint64) incr.Cell {
	h := a*0x9e3779b97f4a7c15 ^ b
	h ^= h >> 31
	h *= 0xbf58476d1ce4e5b9
	h ^= h >> 29
	for i := range 8 {
		u[i] ^= byte(h >> (8 * i))
		u[i+8] ^= byte(b >> (8 * i))
	}
	return incr.Cell(u)
}

func tableNumber(t *ovsdb.TableSchema) uint64 {
	h := uint64(14695981039346656037)
	for _, s := range [2]string{t.DB.Name, t.Name} {
		for i := range len(s) {
			h = (h ^ uint64(s[i])) * 1099511628211
		}
	}
	return h
}

func (r *Reader) keyCell(col *ovsdb.ColumnSchema, u ovsdb.UUID, key string) incr.Cell {
	return mix(u, maphash.String(r.seed, key), tableNumber(col.Table)+uint64(col.Index))
}

// Has reports whether the row exists.
func (r *Reader) Has(c *incr.Ctx, t *ovsdb.TableSchema, u ovsdb.UUID) bool {
	c.Read(mix(u, 0, tableNumber(t)))
	return r.snap.Row(t, u) != nil
}

// wholeColumns are the columns that queries read all of, for each of very many
// rows: with a cell for each of them, most of the engine's nodes would be cells of
// ports. Columns that northd or a chassis writes on their own account are not
// among those of the northbound database.
func wholeColumns(c *Columns) map[*ovsdb.ColumnSchema]bool {
	l, b := &c.LSP, &c.PortBinding
	whole := make(map[*ovsdb.ColumnSchema]bool)
	for _, col := range []*ovsdb.ColumnSchema{
		l.Name, l.Type, l.Options, l.ParentName, l.Tag, l.Addresses, l.DynamicAddresses, l.PortSecurity, l.Enabled, l.XID, l.HAChassisGroup,
		b.Chassis, b.AdditionalChassis, b.Encap, b.AdditionalEncap, b.Up,
	} {
		whole[col] = true
	}
	return whole
}

// Row is a row of which a query reads several columns, nil if it does not exist:
// one read, that any of wholeColumns touches. Other columns must not be taken
// from it.
func (r *Reader) Row(c *incr.Ctx, t *ovsdb.TableSchema, u ovsdb.UUID) *ovsdb.Row {
	c.Read(rowCell(t, u))
	return r.snap.Row(t, u)
}

func rowCell(t *ovsdb.TableSchema, u ovsdb.UUID) incr.Cell {
	return mix(u, math.MaxUint64, tableNumber(t))
}

func (r *Reader) row(c *incr.Ctx, col *ovsdb.ColumnSchema, u ovsdb.UUID) *ovsdb.Row {
	if col != r.fault.DropRead {
		c.Read(cell(col, u))
	}
	return r.snap.Row(col.Table, u)
}

// Str is a string column of a row, "" if there is no such row.
func (r *Reader) Str(c *incr.Ctx, col *ovsdb.ColumnSchema, u ovsdb.UUID) string {
	if row := r.row(c, col, u); row != nil {
		return row.Str(col)
	}
	return ""
}

// Bool is a boolean column of a row, false if there is no such row.
func (r *Reader) Bool(c *incr.Ctx, col *ovsdb.ColumnSchema, u ovsdb.UUID) bool {
	if row := r.row(c, col, u); row != nil {
		return row.Bool(col)
	}
	return false
}

// Int is an integer column of a row, 0 if there is no such row.
func (r *Reader) Int(c *incr.Ctx, col *ovsdb.ColumnSchema, u ovsdb.UUID) int64 {
	if row := r.row(c, col, u); row != nil {
		return row.Int(col)
	}
	return 0
}

// Opt is the element of an optional column.
func (r *Reader) Opt(c *incr.Ctx, col *ovsdb.ColumnSchema, u ovsdb.UUID) (ovsdb.Atom, bool) {
	if row := r.row(c, col, u); row != nil {
		return row.Opt(col)
	}
	return nil, false
}

// Set is a whole set column: for sets that stay small.
func (r *Reader) Set(c *incr.Ctx, col *ovsdb.ColumnSchema, u ovsdb.UUID) ovsdb.Set {
	if row := r.row(c, col, u); row != nil {
		return row.Set(col)
	}
	return ovsdb.Set{}
}

// Map is a whole map column: for maps that are passed on as they are.
func (r *Reader) Map(c *incr.Ctx, col *ovsdb.ColumnSchema, u ovsdb.UUID) ovsdb.Map {
	if row := r.row(c, col, u); row != nil {
		return row.Map(col)
	}
	return ovsdb.Map{}
}

// Option is one key of a map column of strings.
func (r *Reader) Option(c *incr.Ctx, col *ovsdb.ColumnSchema, u ovsdb.UUID, key string) (string, bool) {
	if col != r.fault.DropRead {
		c.Read(r.keyCell(col, u, key))
	}
	row := r.snap.Row(col.Table, u)
	if row == nil {
		return "", false
	}
	v, ok := row.Map(col).Get(key)
	if !ok {
		return "", false
	}
	return v.(string), true
}

// Key is the allocated key of an owner in a scope, false if it has none.
func (r *Reader) Key(c *incr.Ctx, kind string, scope, owner ovsdb.UUID) (uint32, bool) {
	if r.keyed {
		return 1, kind != KindWaiting
	}
	a := &r.C.Allocation
	c.Read(r.allocationCell(kind, scope, owner))
	row := r.snap.Lookup(a.Table, 0, kind, scopeText(scope), owner)
	if row == nil || row.Bool(a.Retired) {
		return 0, false
	}
	return uint32(row.Int(a.Key)), true
}

// Owner is what has an allocated key in a scope, false if nothing has: the key is
// free, or rests.
func (r *Reader) Owner(c *incr.Ctx, kind string, scope ovsdb.UUID, key uint32) (ovsdb.UUID, bool) {
	a := &r.C.Allocation
	if a.Owner != r.fault.DropRead {
		c.Read(r.ownerCell(kind, scope, key))
	}
	row := r.snap.Lookup(a.Table, 1, kind, scopeText(scope), int64(key))
	if row == nil || row.Bool(a.Retired) {
		return ovsdb.UUID{}, false
	}
	return row.Ref(a.Owner)
}

func (r *Reader) ownerCell(kind string, scope ovsdb.UUID, key uint32) incr.Cell {
	return mix(scope, maphash.String(r.seed, kind)+uint64(key), 2)
}

func (r *Reader) allocationCell(kind string, scope, owner ovsdb.UUID) incr.Cell {
	for i := range scope {
		owner[i] ^= scope[15-i]
	}
	return mix(owner, maphash.String(r.seed, kind), 1)
}

// Advance moves the reader to the snapshot, which stands at the last of the
// commits, and tells the engine what changed.
func (r *Reader) Advance(commits []ovsdb.Commit, sn *ovsdb.Snapshot) {
	r.snap = sn
	for _, commit := range commits {
		for i := range commit.Changes {
			r.touch(&commit.Changes[i])
		}
	}
}

func (r *Reader) touch(ch *ovsdb.Change) {
	if ch.Table == r.C.Allocation.Table {
		r.touchAllocation(ch.Old)
		r.touchAllocation(ch.New)
		return
	}
	if (ch.Old == nil) != (ch.New == nil) {
		r.engine.Touch(mix(ch.UUID, 0, tableNumber(ch.Table)))
		if ch.Table == r.C.NBGlobal.Table {
			r.engine.Touch(cellGlobal)
		}
		if c := r.rows[ch.Table]; c != nil {
			c.Change(AllRows, ch.UUID, ch.New != nil)
		}
	}
	for _, col := range ch.Table.Columns {
		r.touchColumn(col, ch)
	}
	r.touchLookups(ch)
	r.touchRouting(ch)
}

func (r *Reader) touchAllocation(row *ovsdb.Row) {
	if row == nil {
		return
	}
	a := &r.C.Allocation
	scope, _ := ovsdb.ParseUUID(row.Str(a.Scope))
	owner, _ := row.Ref(a.Owner)
	r.engine.Touch(r.allocationCell(row.Str(a.Kind), scope, owner))
	r.engine.Touch(r.ownerCell(row.Str(a.Kind), scope, uint32(row.Int(a.Key))))
}

func (r *Reader) touchColumn(col *ovsdb.ColumnSchema, ch *ovsdb.Change) {
	var old, new ovsdb.Value
	if ch.Old != nil {
		old = ch.Old.Get(col)
	}
	if ch.New != nil {
		new = ch.New.Get(col)
	}
	switch v := cmpValue(old, new).(type) {
	case ovsdb.Map:
		o, _ := old.(ovsdb.Map)
		n, _ := new.(ovsdb.Map)
		if o.Equal(n) && ch.Old != nil && ch.New != nil {
			return
		}
		for _, d := range ovsdb.DiffMaps(o, n) {
			if key, ok := d.Key.(string); ok {
				r.engine.Touch(r.keyCell(col, ch.UUID, key))
			}
		}
	case ovsdb.Set:
		o, _ := old.(ovsdb.Set)
		n, _ := new.(ovsdb.Set)
		if o.Equal(n) && ch.Old != nil && ch.New != nil {
			return
		}
		l, held := r.lists[col], r.lookups.held[col]
		if l == nil && !held {
			break
		}
		removed, added := ovsdb.DiffSets(o, n)
		if col == r.fault.SkipLeave {
			removed = nil
		}
		if held {
			for _, a := range slices.Concat(removed, added) {
				r.engine.Touch(holderCell(col, a.(ovsdb.UUID)))
			}
		}
		if l != nil {
			for _, a := range removed {
				l.coll.Change(incr.Hash(ch.UUID), Member{ch.UUID, a.(ovsdb.UUID)}, false)
			}
			for _, a := range added {
				l.coll.Change(incr.Hash(ch.UUID), Member{ch.UUID, a.(ovsdb.UUID)}, true)
			}
		}
	default:
		if old == v && old == new {
			return
		}
		r.touchName(col, old, new)
	}
	r.engine.Touch(cell(col, ch.UUID))
	if r.whole[col] && col != r.fault.DropRead {
		r.engine.Touch(rowCell(col.Table, ch.UUID))
	}
}

// cmpValue is whichever of the two is there.
func cmpValue(old, new ovsdb.Value) ovsdb.Value {
	if new != nil {
		return new
	}
	return old
}

func scopeText(u ovsdb.UUID) string {
	if u.IsZero() {
		return ""
	}
	return u.String()
}
