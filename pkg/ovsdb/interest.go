package ovsdb

import "slices"

// interests tell which monitors a commit may concern, so that the others do no
// work at all for it: their sessions are not even woken. A monitored table has
// one key, or with a condition that consists of equalities one for each of them:
//
//	table                   sees every change: no condition, or one that must be
//	                        evaluated for each row (!=, <, excludes ...)
//	table, column, value    sees rows that have, or had, the value in the column
//
// A commit looks up, for each row that it changed, the table and the values of
// those columns that occur in keys. What it finds is a superset of the monitors
// that match; each of them evaluates its condition then. Guarded by Store.publish.
type interests struct {
	monitors map[interestKey]map[*monitor]int
	columns  map[*TableSchema]map[*ColumnSchema]int // how many keys have a column
	numbered uint64
	// lookups and told count the work, for tests.
	lookups, told uint64
}

type interestKey struct {
	table  *TableSchema
	column *ColumnSchema // nil: all rows
	value  [16]byte
}

// keys lists the keys of a condition.
func (a anyOf) keys(t *TableSchema) []interestKey {
	every := []interestKey{{table: t}}
	if len(a) == 0 {
		return every
	}
	var keys []interestKey
	for i := range a {
		c := &a[i]
		if c.column == nil && !c.always {
			continue
		}
		if !c.isEquality() {
			return every
		}
		keys = append(keys, interestKey{t, c.column, hashValue(c.arg)})
	}
	return keys
}

// add registers a monitor for a table.
func (in *interests) add(m *monitor, t *TableSchema, where anyOf) {
	if in.monitors == nil {
		in.monitors = make(map[interestKey]map[*monitor]int)
		in.columns = make(map[*TableSchema]map[*ColumnSchema]int)
	}
	if m.number == 0 {
		in.numbered++
		m.number, m.keys = in.numbered, make(map[interestKey]int)
	}
	for _, k := range where.keys(t) {
		if in.monitors[k] == nil {
			in.monitors[k] = make(map[*monitor]int)
			if k.column != nil {
				if in.columns[t] == nil {
					in.columns[t] = make(map[*ColumnSchema]int)
				}
				in.columns[t][k.column]++
			}
		}
		in.monitors[k][m]++
		m.keys[k]++
	}
}

// remove is the opposite of add.
func (in *interests) remove(m *monitor, t *TableSchema, where anyOf) {
	for _, k := range where.keys(t) {
		if m.keys[k] > 0 {
			in.release(m, k, 1)
		}
	}
}

// drop removes all of a monitor's keys.
func (in *interests) drop(m *monitor) {
	for k, n := range m.keys {
		in.release(m, k, n)
	}
}

func (in *interests) release(m *monitor, k interestKey, n int) {
	if m.keys[k] -= n; m.keys[k] == 0 {
		delete(m.keys, k)
	}
	of := in.monitors[k]
	if of[m] -= n; of[m] > 0 {
		return
	}
	if delete(of, m); len(of) > 0 {
		return
	}
	if delete(in.monitors, k); k.column == nil {
		return
	}
	columns := in.columns[k.table]
	if columns[k.column]--; columns[k.column] > 0 {
		return
	}
	if delete(columns, k.column); len(columns) == 0 {
		delete(in.columns, k.table)
	}
}

// tell leaves a commit in the inboxes of the sessions whose monitors it may
// concern.
func (in *interests) tell(n *commitNode) {
	if len(in.monitors) == 0 {
		return
	}
	var found []*monitor
	look := func(k interestKey) {
		in.lookups++
		for m := range in.monitors[k] {
			if m.toldOf != n {
				m.toldOf = n
				found = append(found, m)
			}
		}
	}
	var table *TableSchema // its monitors without equalities were found
	for i := range n.commit.Changes {
		c := &n.commit.Changes[i]
		if c.Table != table {
			table = c.Table
			look(interestKey{table: table})
		}
		for column := range in.columns[table] {
			if c.Old != nil {
				look(interestKey{table, column, hashValue(c.Old.Get(column))})
			}
			if c.New != nil && (c.Old == nil || !ValuesEqual(c.Old.Get(column), c.New.Get(column))) {
				look(interestKey{table, column, hashValue(c.New.Get(column))})
			}
		}
	}
	slices.SortFunc(found, func(a, b *monitor) int { return int(a.number) - int(b.number) })
	in.told += uint64(len(found))
	for _, m := range found {
		m.session.note(n, m)
	}
}

// interest registers a monitor for tables under conditions, and notes the
// commits since a node that the caller has seen, whatever they change.
func (s *Store) interest(m *monitor, since *commitNode, conditions map[*tableMonitor]anyOf) {
	s.publish.Lock()
	defer s.publish.Unlock()
	for tm, where := range conditions {
		s.interests.add(m, tm.table, where)
	}
	for n := since.after(); n != nil; n = n.after() {
		if !m.session.knows(n, m) {
			m.session.note(n, m)
		}
	}
}

// moment is the present state, and the node of the commit that led to it.
func (s *Store) moment() (*Snapshot, *commitNode) {
	s.publish.Lock()
	defer s.publish.Unlock()
	return s.current.Load(), s.tail
}

// changeInterest leaves the conditions that a monitor has for new ones, which
// were registered before.
func (s *Store) changeInterest(m *monitor, conditions map[*tableMonitor]anyOf) {
	s.publish.Lock()
	defer s.publish.Unlock()
	for tm := range conditions {
		s.interests.remove(m, tm.table, tm.where)
	}
}

// disinterest drops all keys of a monitor.
func (s *Store) disinterest(m *monitor) {
	s.publish.Lock()
	defer s.publish.Unlock()
	s.interests.drop(m)
}

// noted is a commit that may concern a monitor.
type noted struct {
	node    *commitNode
	monitor *monitor
}

// note leaves a commit in the inbox. It is called with Store.publish held, so it
// must not take s.mu.
func (s *session) note(n *commitNode, m *monitor) {
	s.inboxMu.Lock()
	s.inbox = append(s.inbox, noted{n, m})
	s.inboxMu.Unlock()
	s.wake()
}

// knows tells whether a commit is in the inbox for a monitor.
func (s *session) knows(n *commitNode, m *monitor) bool {
	s.inboxMu.Lock()
	defer s.inboxMu.Unlock()
	return slices.Contains(s.inbox, noted{n, m})
}

// due tells the lowest revision in the inbox of which updates can be sent. What
// is for monitors that have not begun waits for them. s.mu is held.
func (s *session) due() (revision uint64, ok bool) {
	s.inboxMu.Lock()
	defer s.inboxMu.Unlock()
	for _, e := range s.inbox {
		if e.monitor.live && (!ok || e.node.commit.Revision < revision) {
			revision, ok = e.node.commit.Revision, true
		}
	}
	return revision, ok
}

// collect takes what is due up to a revision out of the inbox. s.mu is held.
func (s *session) collect(revision uint64) (list []noted) {
	s.inboxMu.Lock()
	defer s.inboxMu.Unlock()
	if len(s.inbox) == 0 {
		return nil
	}
	rest := s.inbox[:0]
	for _, e := range s.inbox {
		switch {
		case e.monitor.ended:
		case e.monitor.live && e.node.commit.Revision <= revision:
			list = append(list, e)
		default:
			rest = append(rest, e)
		}
	}
	clear(s.inbox[len(rest):])
	s.inbox = rest
	return list
}
