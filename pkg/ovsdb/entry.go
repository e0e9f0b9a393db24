package ovsdb

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"iter"
	"math"
	"slices"
	"unsafe"
)

// The log's encoding. Integers are uvarints unless sizes are given; a string is
// its length and its bytes.
//
//	entry    'E' 1 revision database tables crc32c(4)
//	schema   'C' 1 revision database schema tables crc: the database takes on the
//	         schema, its rows are converted, then changed
//	snapshot 'H' 1 revision txid(16) crc      first part
//	         'D' 1 revision database schema crc   before the rows of each
//	         'S' 1 revision database tables crc   any number of parts
//	         'F' 1 revision number crc            last part: of rows and 'D' parts
//	tables   number { name, number { column }, number { row } }
//	row      uuid(16) op(1)
//	         op insert: [snapshot only: revision] number { column, value }
//	         op modify: number { column, difference }   op delete: nothing
//	value    how(1): atom | set: number { atom } | map: number { atom atom }
//	         | set or map difference: number removed { atom } number put { ... }
//	atom     type(1) and: zigzag varint | float bits(8) | 0/1 | string | uuid(16)
//
// Rows and columns are named, not numbered by schema, so that a later schema
// can read the log: what it does not know, it skips.
const (
	kindEntry  = 'E'
	kindSchema = 'C'
	kindTables = 'D'
	kindHead   = 'H'
	kindRows   = 'S'
	kindFoot   = 'F'
	logVersion = 1

	opInsert = 1
	opModify = 2
	opDelete = 3

	howAtom    = 0
	howSet     = 1
	howMap     = 2
	howSetDiff = 3
	howMapDiff = 4
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func seal(b []byte) []byte {
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendLogAtom(b []byte, a Atom) []byte {
	b = append(b, byte(typeOfAtom(a)))
	switch x := a.(type) {
	case int64:
		b = binary.AppendVarint(b, x)
	case float64:
		b = binary.BigEndian.AppendUint64(b, math.Float64bits(x))
	case bool:
		if x {
			return append(b, 1)
		}
		return append(b, 0)
	case string:
		b = appendText(b, x)
	case UUID:
		b = append(b, x[:]...)
	}
	return b
}

func appendLogValue(b []byte, v Value) []byte {
	switch x := v.(type) {
	case Set:
		b = binary.AppendUvarint(append(b, howSet), uint64(x.Len()))
		for a := range x.All() {
			b = appendLogAtom(b, a)
		}
		return b
	case Map:
		b = binary.AppendUvarint(append(b, howMap), uint64(x.Len()))
		for k, e := range x.All() {
			b = appendLogAtom(appendLogAtom(b, k), e)
		}
		return b
	}
	return appendLogAtom(append(b, howAtom), v)
}

// appendLogDifference appends the new value, or what turns the old one into it
// where that is shorter.
func appendLogDifference(b []byte, old, new Value) []byte {
	switch x := new.(type) {
	case Set:
		if x.Len() < 4 {
			break
		}
		removed, added := DiffSets(old.(Set), x)
		if len(removed)+len(added) > x.Len() {
			break
		}
		b = binary.AppendUvarint(append(b, howSetDiff), uint64(len(removed)))
		for _, a := range removed {
			b = appendLogAtom(b, a)
		}
		b = binary.AppendUvarint(b, uint64(len(added)))
		for _, a := range added {
			b = appendLogAtom(b, a)
		}
		return b
	case Map:
		if x.Len() < 4 {
			break
		}
		changes := DiffMaps(old.(Map), x)
		if len(changes) > x.Len() {
			break
		}
		var removed, put []byte
		var nRemoved, nPut uint64
		for _, c := range changes {
			if c.New == nil {
				removed, nRemoved = appendLogAtom(removed, c.Key), nRemoved+1
			} else {
				put, nPut = appendLogAtom(appendLogAtom(put, c.Key), c.New), nPut+1
			}
		}
		b = append(binary.AppendUvarint(append(b, howMapDiff), nRemoved), removed...)
		return append(binary.AppendUvarint(b, nPut), put...)
	}
	return appendLogValue(b, new)
}

// snapshotPart is about how large a part of a snapshot is, in bytes.
const snapshotPart = 256 << 10

// snapshotChunks yields the parts of a snapshot.
func (s *Store) snapshotChunks(snapshot *Snapshot) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		head := append(header(kindHead, snapshot.revision), snapshot.txid[:]...)
		if !yield(seal(head)) {
			return
		}
		total := 0
		for i, d := range s.dbs {
			if d.volatile {
				continue
			}
			schema := snapshot.dbs[i].schema
			part := appendText(header(kindTables, snapshot.revision), schema.Name)
			if !yield(seal(appendText(part, string(schema.json)))) {
				return
			}
			total++
			for _, t := range schema.tables {
				w := newTableWriter(t)
				flush := func() bool {
					if w.n == 0 {
						return true
					}
					b := appendText(header(kindRows, snapshot.revision), d.Schema.Name)
					b = w.append(binary.AppendUvarint(b, 1))
					total += w.n
					w = newTableWriter(t)
					return yield(seal(b))
				}
				for r := range snapshot.Rows(t) {
					w.n++
					w.rows = append(append(w.rows, r.uuid[:]...), opInsert)
					w.rows = binary.AppendUvarint(w.rows, r.rev)
					w.put(nil, r)
					if len(w.rows) >= snapshotPart && !flush() {
						return
					}
				}
				if !flush() {
					return
				}
			}
		}
		yield(seal(binary.AppendUvarint(header(kindFoot, snapshot.revision), uint64(total))))
	}
}

var errShort = errors.New("unexpected end")

// logReader reads an entry or part; the first mistake sticks.
type logReader struct {
	b     []byte
	err   error
	texts *interner // optional
}

func (r *logReader) take(n uint64) []byte {
	if r.err == nil && n > uint64(len(r.b)) {
		r.err = errShort
	}
	if r.err != nil {
		return nil
	}
	head := r.b[:n]
	r.b = r.b[n:]
	return head
}

func (r *logReader) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *logReader) uvarint() uint64 {
	n, size := binary.Uvarint(r.b)
	if size <= 0 && r.err == nil {
		r.err = errShort
	}
	if r.err != nil {
		return 0
	}
	r.b = r.b[size:]
	return n
}

// count reads a number of things that take at least a byte each.
func (r *logReader) count() int {
	n := r.uvarint()
	if n > uint64(len(r.b)) && r.err == nil {
		r.err = errShort
	}
	if r.err != nil {
		return 0
	}
	return int(n)
}

func (r *logReader) text() string { return string(r.take(r.uvarint())) }

func (r *logReader) uuid() (u UUID) {
	copy(u[:], r.take(16))
	return u
}

func (r *logReader) atom() Atom {
	switch t := AtomicType(r.byte()); t {
	case TypeInteger:
		n, size := binary.Varint(r.b)
		if size <= 0 && r.err == nil {
			r.err = errShort
		}
		if r.err == nil {
			r.b = r.b[size:]
		}
		return n
	case TypeReal:
		if b := r.take(8); b != nil {
			return math.Float64frombits(binary.BigEndian.Uint64(b))
		}
		return float64(0)
	case TypeBoolean:
		return r.byte() != 0
	case TypeString:
		b := r.take(r.uvarint())
		if r.texts == nil || len(b) == 0 {
			return string(b)
		}
		return r.texts.atom(unsafe.String(&b[0], len(b)))
	case TypeUUID:
		return r.uuid()
	default:
		if r.err == nil {
			r.err = fmt.Errorf("atom of type %d", t)
		}
		return int64(0)
	}
}

func (r *logReader) atoms() []Atom {
	n := r.count()
	atoms := make([]Atom, 0, min(n, 1<<16))
	for ; n > 0 && r.err == nil; n-- {
		atoms = append(atoms, r.atom())
	}
	return atoms
}

func (r *logReader) pairs() []Pair {
	n := r.count()
	pairs := make([]Pair, 0, min(n, 1<<16))
	for ; n > 0 && r.err == nil; n-- {
		pairs = append(pairs, Pair{r.atom(), r.atom()})
	}
	return pairs
}

// value reads a value, or the value that a difference makes of old.
func (r *logReader) value(old Value) Value {
	switch how := r.byte(); how {
	case howAtom:
		return r.atom()
	case howSet:
		return NewSet(r.atoms()...)
	case howMap:
		return NewMap(r.pairs()...)
	case howSetDiff:
		removed, added := r.atoms(), r.atoms()
		s, ok := old.(Set)
		if !ok && r.err == nil && old != nil {
			r.err = errors.New("a set's difference in a column that is no set")
		}
		for _, a := range removed {
			s = s.Without(a)
		}
		for _, a := range added {
			s = s.With(a)
		}
		return s
	case howMapDiff:
		removed, put := r.atoms(), r.pairs()
		m, ok := old.(Map)
		if !ok && r.err == nil && old != nil {
			r.err = errors.New("a map's difference in a column that is no map")
		}
		for _, k := range removed {
			m = m.Without(k)
		}
		for _, p := range put {
			m = m.With(p.Key, p.Value)
		}
		return m
	default:
		if r.err == nil {
			r.err = fmt.Errorf("value of kind %d", how)
		}
		return nil
	}
}

// open verifies checksum, kind and version, and returns a reader of the rest.
func openEntry(data []byte, revision uint64) (kind byte, r *logReader, err error) {
	if len(data) < 6 {
		return 0, nil, errShort
	}
	body, sum := data[:len(data)-4], binary.BigEndian.Uint32(data[len(data)-4:])
	if crc32.Checksum(body, castagnoli) != sum {
		return 0, nil, errors.New("wrong checksum")
	}
	r = &logReader{b: body[2:]}
	if body[1] != logVersion {
		return 0, nil, fmt.Errorf("version %d, where %d is known", body[1], logVersion)
	}
	if rev := r.uvarint(); rev != revision && r.err == nil {
		return 0, nil, fmt.Errorf("revision %d in the place of %d", rev, revision)
	}
	return body[0], r, r.err
}

// fits tells whether a value has the shape of the type, whatever its limits.
func (t *ColumnType) fits(v Value) bool {
	switch x := v.(type) {
	case Set:
		a, ok := x.First()
		return t.IsSet() && (!ok || typeOfAtom(a) == t.Key.Type)
	case Map:
		k, e, ok := x.t.Min()
		return t.IsMap() && (!ok || typeOfAtom(k) == t.Key.Type && typeOfAtom(e) == t.Value.Type)
	}
	return t.IsScalar() && typeOfAtom(v) == t.Key.Type
}

// loadedRow is one row of an entry or part.
type loadedRow struct {
	table *TableSchema
	uuid  UUID
	op    byte
	row   *Row // nil for opDelete
	old   *Row
}

// rows reads tables and passes their rows on; old finds the row before a change.
func (r *logReader) rows(schema *DatabaseSchema, revision uint64, snapshot bool, old func(*TableSchema, UUID) *Row, visit func(loadedRow)) error {
	for tables := r.count(); tables > 0 && r.err == nil; tables-- {
		name := r.text()
		var t *TableSchema
		if schema != nil {
			t = schema.Tables[name]
		}
		columns := make([]*ColumnSchema, 0, 32)
		for n := r.count(); n > 0 && r.err == nil; n-- {
			column := r.text()
			if t == nil {
				columns = append(columns, nil)
			} else {
				columns = append(columns, t.columns[column])
			}
		}
		for n := r.count(); n > 0 && r.err == nil; n-- {
			if err := r.row(t, name, columns, revision, snapshot, old, visit); err != nil {
				return err
			}
		}
	}
	if r.err == nil && len(r.b) > 0 {
		r.err = fmt.Errorf("%d bytes too many", len(r.b))
	}
	return r.err
}

func (r *logReader) row(t *TableSchema, name string, columns []*ColumnSchema, revision uint64, snapshot bool, old func(*TableSchema, UUID) *Row, visit func(loadedRow)) error {
	l := loadedRow{table: t, uuid: r.uuid(), op: r.byte()}
	var next *Row
	if t != nil {
		l.old = old(t, l.uuid)
		next = &Row{table: t, uuid: l.uuid, rev: revision}
	}
	switch l.op {
	case opInsert:
		if snapshot {
			if rev := r.uvarint(); next != nil {
				next.rev = rev
			}
		}
		if next != nil {
			next.values = slices.Clone(t.defaults)
		}
	case opModify:
		if next != nil && l.old != nil {
			next.values = slices.Clone(l.old.values)
		}
	case opDelete:
	default:
		return fmt.Errorf("table %q, row %s: operation %d", name, l.uuid, l.op)
	}
	if r.err == nil && t != nil && (l.old == nil) != (l.op == opInsert) {
		return fmt.Errorf("table %q, row %s: operation %d does not fit what is there", name, l.uuid, l.op)
	}
	if l.op != opDelete {
		for n := r.count(); n > 0 && r.err == nil; n-- {
			i := r.uvarint()
			if i >= uint64(len(columns)) {
				return fmt.Errorf("table %q, row %s: column %d of %d", name, l.uuid, i, len(columns))
			}
			c := columns[i]
			if c == nil {
				r.value(nil)
				continue
			}
			v := r.value(next.values[c.Index])
			if r.err == nil && !c.Type.fits(v) {
				return fmt.Errorf("table %q, row %s: column %q does not hold %s", name, l.uuid, c.Name, c.Type.describe())
			}
			next.values[c.Index] = v
		}
		l.row = next
	}
	if r.err == nil && t != nil {
		visit(l)
	}
	return r.err
}
