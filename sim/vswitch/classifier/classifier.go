package classifier

import (
	"iter"
	"slices"

	"govn/pkg/openflow"
	"govn/sim/vswitch/packet"
)

// Rule is what a table holds: a match with a priority. Value is its owner's.
type Rule[V any] struct {
	Priority     uint16
	Match        Match
	Conjunctions []openflow.Conjunction // of a conjunctive flow; the rule is then never found
	Value        V

	next *Rule[V] // of the same bucket, by descending priority within equal values
}

// Match is a compiled match: words of a key, under masks.
type Match struct {
	mask   []wordMask
	values []uint32
	hash   uint64 // of values
}

type wordMask struct {
	word uint8
	mask uint32
}

// Compile makes a Match of masked words: mask[w] says which bits of word w must
// be those of value.
func Compile(value, mask *packet.Key) Match {
	var m Match
	for w := range mask {
		if mask[w] != 0 {
			m.mask = append(m.mask, wordMask{uint8(w), mask[w]})
			m.values = append(m.values, value[w]&mask[w])
		}
	}
	m.hash = hashValues(m.values)
	return m
}

const (
	seed  = 0x9e3779b97f4a7c15
	prime = 0xff51afd7ed558ccd
)

func mix(h uint64, v uint32) uint64 {
	h = (h ^ uint64(v)) * prime
	return h ^ h>>29
}

func hashValues(values []uint32) uint64 {
	h := uint64(seed)
	for _, v := range values {
		h = mix(h, v)
	}
	return h
}

// Equal tells whether two matches match the same packets.
func (m *Match) Equal(o *Match) bool {
	return m.hash == o.hash && slices.Equal(m.mask, o.mask) && slices.Equal(m.values, o.values)
}

// Covers tells whether everything that o matches m matches too: each bit of m's
// mask is in o's with the same value.
func (m *Match) Covers(o *Match) bool {
	j := 0
	for i, w := range m.mask {
		for j < len(o.mask) && o.mask[j].word < w.word {
			j++
		}
		if j == len(o.mask) || o.mask[j].word != w.word || o.mask[j].mask&w.mask != w.mask || o.values[j]&w.mask != m.values[i] {
			return false
		}
	}
	return true
}

// Overlaps tells whether there is a packet that both match.
func (m *Match) Overlaps(o *Match) bool {
	j := 0
	for i, w := range m.mask {
		for j < len(o.mask) && o.mask[j].word < w.word {
			j++
		}
		if j < len(o.mask) && o.mask[j].word == w.word && (o.values[j]^m.values[i])&w.mask&o.mask[j].mask != 0 {
			return false
		}
	}
	return true
}

type subtable[V any] struct {
	mask     []wordMask
	rules    map[uint64]*Rule[V]
	n        int
	priority map[uint16]int // how many rules have it
	highest  uint16
	placed   bool // highest is right
}

// Table is a flow table.
type Table[V any] struct {
	subtables []*subtable[V] // by descending highest priority
	byMask    map[string]*subtable[V]
	n         int
	soft      []*Rule[V] // scratch of Lookup
}

// Len is the number of rules.
func (t *Table[V]) Len() int { return t.n }

// Masks is the number of distinct masks.
func (t *Table[V]) Masks() int { return len(t.subtables) }

func maskKey(mask []wordMask) string {
	b := make([]byte, 0, 5*len(mask))
	for _, w := range mask {
		b = append(b, w.word, byte(w.mask>>24), byte(w.mask>>16), byte(w.mask>>8), byte(w.mask))
	}
	return string(b)
}

// Insert adds a rule and returns the one of the same priority and match that it
// took the place of, if there was one.
func (t *Table[V]) Insert(r *Rule[V]) (old *Rule[V]) {
	key := maskKey(r.Match.mask)
	s := t.byMask[key]
	if s == nil {
		if t.byMask == nil {
			t.byMask = map[string]*subtable[V]{}
		}
		s = &subtable[V]{mask: r.Match.mask, rules: map[uint64]*Rule[V]{}, priority: map[uint16]int{}}
		t.byMask[key] = s
		t.subtables = append(t.subtables, s)
	}
	at := s.rules[r.Match.hash]
	var before *Rule[V]
	for ; at != nil; before, at = at, at.next {
		if at.Priority == r.Priority && slices.Equal(at.Match.values, r.Match.values) {
			r.next = at.next
			s.link(before, r)
			at.next = nil
			return at
		}
		if at.Priority < r.Priority {
			break
		}
	}
	// A rule of the same key may still be behind one of a lower priority only
	// if its own is lower, so this is its place.
	r.next = at
	s.link(before, r)
	s.n++
	t.n++
	s.priority[r.Priority]++
	t.order(s)
	return nil
}

func (s *subtable[V]) link(before, r *Rule[V]) {
	if before == nil {
		s.rules[r.Match.hash] = r
	} else {
		before.next = r
	}
}

// order puts s where its highest priority belongs.
func (t *Table[V]) order(s *subtable[V]) {
	highest := uint16(0)
	for p := range s.priority {
		highest = max(highest, p)
	}
	if highest == s.highest && s.placed {
		return
	}
	s.highest, s.placed = highest, true
	slices.SortStableFunc(t.subtables, func(a, b *subtable[V]) int { return int(b.highest) - int(a.highest) })
}

// Remove takes a rule out; it must be in the table.
func (t *Table[V]) Remove(r *Rule[V]) {
	key := maskKey(r.Match.mask)
	s := t.byMask[key]
	if s == nil {
		return
	}
	var before *Rule[V]
	at := s.rules[r.Match.hash]
	for ; at != nil && at != r; before, at = at, at.next {
	}
	if at == nil {
		return
	}
	switch {
	case before != nil:
		before.next = r.next
	case r.next != nil:
		s.rules[r.Match.hash] = r.next
	default:
		delete(s.rules, r.Match.hash)
	}
	r.next = nil
	s.n--
	t.n--
	if s.priority[r.Priority]--; s.priority[r.Priority] == 0 {
		delete(s.priority, r.Priority)
	}
	if s.n == 0 {
		delete(t.byMask, key)
		t.subtables = slices.DeleteFunc(t.subtables, func(o *subtable[V]) bool { return o == s })
		return
	}
	t.order(s)
}

// Find returns the rule of exactly this priority and match.
func (t *Table[V]) Find(priority uint16, m *Match) *Rule[V] {
	s := t.byMask[maskKey(m.mask)]
	if s == nil {
		return nil
	}
	for r := s.rules[m.hash]; r != nil; r = r.next {
		if r.Priority == priority && slices.Equal(r.Match.values, m.values) {
			return r
		}
	}
	return nil
}

// All iterates over the rules, in no order. The table must not change
// meanwhile.
func (t *Table[V]) All() iter.Seq[*Rule[V]] {
	return func(yield func(*Rule[V]) bool) {
		for _, s := range t.subtables {
			for _, head := range s.rules {
				for r := head; r != nil; r = r.next {
					if !yield(r) {
						return
					}
				}
			}
		}
	}
}

// Lookup finds the rule of the highest priority that matches, nil when none
// does. It sets conj_id of the key while it works, and leaves it as it was.
func (t *Table[V]) Lookup(k *packet.Key) *Rule[V] {
	t.soft = t.soft[:0]
	best := t.lookup(k, true)
	if len(t.soft) == 0 {
		return best
	}
	return t.conjunctive(k, best)
}

func (t *Table[V]) lookup(k *packet.Key, conjunctions bool) (best *Rule[V]) {
	for _, s := range t.subtables {
		if best != nil && best.Priority >= s.highest {
			break
		}
		h := uint64(seed)
		for _, w := range s.mask {
			h = mix(h, k[w.word]&w.mask)
		}
		for r := s.rules[h]; r != nil; r = r.next {
			if best != nil && best.Priority >= r.Priority {
				break
			}
			if !r.matches(k) {
				continue
			}
			if r.Conjunctions == nil {
				best = r
				break
			}
			if conjunctions {
				t.soft = append(t.soft, r)
			}
		}
	}
	return best
}

func (r *Rule[V]) matches(k *packet.Key) bool {
	for i, w := range r.Match.mask {
		if k[w.word]&w.mask != r.Match.values[i] {
			return false
		}
	}
	return true
}

// conjunctive looks for a conjunction all of whose clauses matched, from the
// highest priority down to that of the ordinary match.
func (t *Table[V]) conjunctive(k *packet.Key, best *Rule[V]) *Rule[V] {
	soft := slices.Clone(t.soft)
	slices.SortStableFunc(soft, func(a, b *Rule[V]) int { return int(b.Priority) - int(a.Priority) })
	for len(soft) > 0 {
		priority := soft[0].Priority
		if best != nil && priority <= best.Priority {
			break
		}
		n := 1
		for n < len(soft) && soft[n].Priority == priority {
			n++
		}
		if id, ok := complete(soft[:n]); ok {
			saved := k.Get(openflow.FieldConjID)
			k.SetConjID(id)
			r := t.lookup(k, false)
			k.Set(openflow.FieldConjID, saved)
			if r != nil {
				return r
			}
		}
		soft = soft[n:]
	}
	return best
}

// complete finds the conjunction all of whose clauses are among the rules, the
// one of the lowest id if there are several.
func complete[V any](rules []*Rule[V]) (id uint32, ok bool) {
	type clauses struct {
		seen uint64
		n    uint8
	}
	found := map[uint32]clauses{}
	for _, r := range rules {
		for _, c := range r.Conjunctions {
			f := found[c.ID]
			f.seen |= 1 << c.Clause
			f.n = c.NClauses
			found[c.ID] = f
		}
	}
	for i, f := range found {
		if f.seen == 1<<f.n-1 && (!ok || i < id) {
			id, ok = i, true
		}
	}
	return id, ok
}
