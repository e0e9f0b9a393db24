package ovsdb

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// methods are the requests of RFC 7047 section 4.1 and ovsdb-server(7). A
// method returns its result as JSON, or an error, or neither when it has
// arranged for the reply itself.
var methods map[string]func(*session, *request) ([]byte, error)

func init() {
	methods = map[string]func(*session, *request) ([]byte, error){
		"list_dbs":            (*session).listDBs,
		"get_schema":          (*session).getSchema,
		"get_server_id":       (*session).getServerID,
		"transact":            (*session).transact,
		"cancel":              (*session).cancel,
		"monitor":             func(s *session, r *request) ([]byte, error) { return s.monitor(r, monitorV1) },
		"monitor_cond":        func(s *session, r *request) ([]byte, error) { return s.monitor(r, monitorV2) },
		"monitor_cond_since":  func(s *session, r *request) ([]byte, error) { return s.monitor(r, monitorV3) },
		"monitor_cond_change": (*session).monitorChange,
		"monitor_cancel":      (*session).monitorCancel,
		"lock":                func(s *session, r *request) ([]byte, error) { return s.lock(r, false) },
		"steal":               func(s *session, r *request) ([]byte, error) { return s.lock(r, true) },
		"unlock":              (*session).unlock,
		"echo":                (*session).echo,
		"set_db_change_aware": (*session).setDBChangeAware,
		"convert":             (*session).convert,
	}
}

func (s *session) dispatch(r *request) {
	// "cancel" is the one notification that there is; ovsdb-server passes over
	// others.
	notification := r.id.kind == jsonNull
	if notification && r.method != "cancel" {
		return
	}
	method := methods[r.method]
	if method == nil || !notification && r.method == "cancel" {
		s.reply(&r.id, nil, plainError("unknown method"))
		return
	}
	result, err := method(s, r)
	if result != nil || err != nil {
		s.reply(&r.id, result, err)
	}
}

// dbParam returns the database named by the first parameter.
func (s *session) dbParam(r *request) (*database, error) {
	if len(r.params) == 0 || r.params[0].kind != jsonString {
		return nil, syntaxError(r.array(), r.method+" request params must begin with <db-name>")
	}
	db := s.srv.dbs[r.params[0].text]
	if db == nil {
		return nil, &Error{
			Kind: ErrUnknownDatabase, Syntax: r.array().short(),
			Details: fmt.Sprintf("%s request specifies unknown database %s", r.method, r.params[0].text),
		}
	}
	return db, nil
}

// exhausted is the error for what goes beyond a limit and is refused.
func (srv *Server) exhausted(l limit, format string, args ...any) error {
	return errorf(ErrResources, "%v", srv.meter.exceeded(l, format, args...))
}

// array is the parameters as they came.
func (r *request) array() *jsonValue { return &jsonValue{kind: jsonArray, list: r.params} }

func (s *session) listDBs(*request) ([]byte, error) {
	b := []byte{'['}
	for _, name := range slices.Sorted(maps.Keys(s.srv.dbs)) {
		if s.srv.dbs[name].Private {
			continue
		}
		if len(b) > 1 {
			b = append(b, ',')
		}
		b = appendString(b, name)
	}
	return append(b, ']'), nil
}

func (s *session) getSchema(r *request) ([]byte, error) {
	db, err := s.dbParam(r)
	if err != nil {
		return nil, err
	}
	return db.now.Load().JSON(), nil
}

func (s *session) getServerID(*request) ([]byte, error) {
	return appendString(nil, s.srv.id.String()), nil
}

func (s *session) echo(r *request) ([]byte, error) { return r.array().append(nil), nil }

// setDBChangeAware tells whether the client understands that a database is
// converted under it (ovsdb-server(7), 4.1.18).
func (s *session) setDBChangeAware(r *request) ([]byte, error) {
	if len(r.params) != 1 || r.params[0].kind != jsonBool {
		return nil, syntaxError(r.array(), "set_db_change_aware: true or false parameter expected")
	}
	s.mu.Lock()
	s.aware = r.params[0].text == "true"
	s.mu.Unlock()
	return []byte("{}"), nil
}

func (s *session) transact(r *request) ([]byte, error) {
	db, err := s.dbParam(r)
	if err != nil {
		return nil, err
	}
	tr := &transaction{
		store: s.store, db: db, ops: r.params[1:], who: OwnerClient, access: s.access(),
		holds: func(lock string) bool { return s.srv.locks.holds(lock, s) }, held: &s.codec.held,
		asker: asker{s.client, s.srv.opts.Authorizer},
	}
	if n, most := len(tr.ops), s.srv.opts.MaxOperations; n > most {
		return nil, s.srv.exhausted(limitOperations, "the transaction has %d operations, more than %d", n, most)
	}
	if db.volatile {
		tr.shows = s.srv.shows
	}
	s.mu.Lock()
	alone := len(s.steps) == 0
	duplicate := slices.ContainsFunc(s.blocked, func(b *blocked) bool { return sameJSON(&b.id, &r.id) })
	s.mu.Unlock()
	if duplicate {
		return nil, syntaxError(r.array(), "transact: duplicate request ID")
	}
	// With more requests at hand we go on with those, and leave the disk to the writer.
	tr.leads = alone && len(s.codec.buf) == 0 && s.store.durable.leads()
	if ended := s.attempt(&blocked{id: r.id, tr: tr, since: time.Now(), size: r.weight}); ended && r.id.list == nil {
		s.codec.consume()
	}
	return nil, nil
}

func sameJSON(a, b *jsonValue) bool { return a.String() == b.String() }

// cancel is a notification: the canceled request is what gets the answer.
func (s *session) cancel(r *request) ([]byte, error) {
	if len(r.params) != 1 {
		return nil, syntaxError(r.array(), "cancel request params must be <id>")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, b := range s.blocked {
		if sameJSON(&b.id, &r.params[0]) {
			if b.canceled = true; !b.running {
				s.blocked = slices.Delete(s.blocked, i, i+1)
				s.codec.held.add(-b.size)
				s.reply(&b.id, nil, plainError(ErrCanceled))
			}
			break
		}
	}
	return nil, nil
}

func (s *session) lockParam(r *request) (string, error) {
	if s.access().readOnly {
		return "", errReadOnlyLock
	}
	if len(r.params) != 1 || r.params[0].kind != jsonString || !isID(r.params[0].text) {
		return "", syntaxError(r.array(), r.method+" request params must be <id>")
	}
	return strings.Clone(r.params[0].text), nil
}

func (s *session) lock(r *request, steal bool) ([]byte, error) {
	name, err := s.lockParam(r)
	if err != nil {
		return nil, err
	}
	if most := s.srv.opts.MaxLocks; s.locked >= most {
		return nil, s.srv.exhausted(limitLocks, "lock %q: the connection has asked for %d locks", name, most)
	}
	owned, ok := s.srv.locks.acquire(name, s, steal)
	if ok {
		s.locked++
		s.codec.held.add(int64(len(name)))
	}
	switch {
	case !ok:
		return nil, syntaxError(r.array(), fmt.Sprintf("must issue \"unlock\" before new %q", r.method))
	case owned:
		return []byte(`{"locked":true}`), nil
	}
	return []byte(`{"locked":false}`), nil
}

func (s *session) unlock(r *request) ([]byte, error) {
	name, err := s.lockParam(r)
	if err != nil {
		return nil, err
	}
	if !s.srv.locks.release(name, s) {
		return nil, syntaxError(r.array(), "unlock: \"unlock\" without \"lock\" or \"steal\"")
	}
	s.locked--
	s.codec.held.add(-int64(len(name)))
	return []byte("{}"), nil
}

// monitor begins a monitor: virtual tables are rendered now, the reply follows
// when the present revision is durable and all updates up to it are sent.
func (s *session) monitor(r *request, kind monitorKind) ([]byte, error) {
	db, err := s.dbParam(r)
	if err != nil {
		return nil, err
	}
	if n := len(r.params); n < 3 || kind == monitorV3 && n != 4 {
		return nil, syntaxError(r.array(), "invalid parameters")
	}
	snapshot, tail := s.store.moment()
	m, err := parseMonitor(db, snapshot.db(db.Schema).schema, kind, &r.params[1], &r.params[2])
	if err != nil {
		return nil, err
	}
	m.from, m.session = snapshot.revision, s
	if db.volatile {
		m.shows = s.srv.shows
	}
	var since UUID
	if kind == monitorV3 {
		if r.params[3].kind != jsonString {
			return nil, syntaxError(&r.params[3], "last-txn-id must be string")
		}
		if since, err = ParseUUID(r.params[3].text); err != nil {
			return nil, syntaxError(&r.params[3], "last-txn-id must be UUID format.")
		}
	}
	key := m.id.canonical()
	s.mu.Lock()
	if s.ids[key] != nil {
		s.mu.Unlock()
		return nil, syntaxError(&r.params[1], "duplicate monitor ID")
	}
	if n, most := len(s.ids), s.srv.opts.MaxMonitors; n >= most {
		s.mu.Unlock()
		return nil, s.srv.exhausted(limitMonitors, "monitor %s of database %q: the connection has %d monitors", m.id.short(), db.Schema.Name, n)
	}
	m.size = r.weight
	s.codec.held.add(m.size)
	s.ids[key] = m
	s.mu.Unlock()
	for _, tm := range m.tables {
		hub := db.virtual[tm.table.Name]
		if hub == nil {
			continue
		}
		shown := make(map[UUID]*Row)
		rows, stop := hub.watch(func(c []Change) { s.virtualChanges(m, c) })
		m.stops = append(m.stops, stop)
		for _, row := range rows {
			shown[row.uuid] = row
		}
		s.mu.Lock()
		m.virtual[tm.table] = shown
		s.mu.Unlock()
	}
	conditions := make(map[*tableMonitor]anyOf, len(m.tables))
	work := 0
	s.mu.Lock()
	for _, tm := range m.tables {
		conditions[tm] = tm.where
		work += m.work(snapshot, tm, &tm.match)
	}
	s.mu.Unlock()
	if err := s.bearable(m, work); err != nil {
		m.stop()
		s.mu.Lock()
		delete(s.ids, key)
		s.mu.Unlock()
		s.codec.held.add(-m.size)
		return nil, err
	}
	s.store.interest(m, tail, conditions)
	past, found := s.store.pastSince(since, snapshot)
	id := r.id
	s.later(snapshot.revision, func() { s.startMonitor(m, &id, snapshot, since, past, found) })
	return nil, nil
}

// startMonitor sends the reply. s.mu is held.
func (s *session) startMonitor(m *monitor, id *jsonValue, snapshot *Snapshot, since UUID, past []*commitNode, found bool) {
	s.txid = snapshot.txid
	var b []byte
	found = found && len(m.virtual) == 0
	if m.kind == monitorV3 {
		last := snapshot.txid
		b = fmt.Appendf(b, "[%t,", found)
		b = append(appendString(b, last.String()), ',')
	}
	if found {
		b = m.catchUp(b, past, snapshot)
	} else {
		u := m.begin(b)
		var grown growth
		fits := true
		for _, tm := range m.tables {
			m.rows(snapshot, tm.table, func(r *Row) {
				if fits = fits && grown.to(&s.codec.held, len(u.b)); fits {
					u.initial(tm, r)
				}
			})
		}
		b = u.finish()
		defer grown.settle(&s.codec.held)
	}
	if m.kind == monitorV3 {
		b = append(b, ']')
	}
	s.reply(id, b, nil)
	m.live = true
	s.monitors = append(s.monitors, m)
	for _, changes := range m.early {
		s.sendVirtual(m, changes)
	}
	m.early = nil
	if s.convertedAt[m.db] > m.from {
		s.cancelMonitors(m.db)
	}
}

// virtualChanges follows a virtual table; it is called by its hub.
func (s *session) virtualChanges(m *monitor, changes []Change) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !m.live {
		m.early = append(m.early, slices.Clone(changes))
		return
	}
	s.sendVirtual(m, changes)
}

func (s *session) sendVirtual(m *monitor, changes []Change) {
	if b := m.applyVirtual(changes, s.txid); b != nil {
		s.codec.send(b)
	}
}

func (s *session) monitorChange(r *request) ([]byte, error) {
	if len(r.params) != 3 {
		return nil, syntaxError(r.array(), "invalid parameters")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.ids[r.params[0].canonical()]
	if m == nil || m.kind == monitorV1 {
		return nil, syntaxError(&r.params[0], "unknown monitor session")
	}
	key := r.params[1].canonical()
	if s.ids[key] != nil && s.ids[key] != m {
		return nil, syntaxError(&r.params[1], "duplicate monitor ID")
	}
	snapshot, tail := s.store.moment()
	id, next := r.id, r.params[1]
	if snapshot.db(m.db.Schema).schema != m.schema {
		return nil, syntaxError(&r.params[0], "unknown monitor session") // its database was converted
	}
	conditions, err := m.parseConditions(&r.params[2])
	if err != nil {
		return nil, err
	}
	work := 0
	for tm, where := range conditions {
		after := where.matcher()
		work += m.work(snapshot, tm, &tm.match) + m.work(snapshot, tm, &after)
	}
	if err := s.bearable(m, work); err != nil {
		return nil, err
	}
	s.store.interest(m, tail, conditions)
	delete(s.ids, r.params[0].canonical())
	s.ids[key] = m
	s.codec.held.add(r.weight - m.size)
	m.size = r.weight
	s.take(step{snapshot.revision, 0, !s.srv.opts.Relaxed, func() {
		if !slices.Contains(s.monitors, m) { // canceled meanwhile
			s.reply(&id, nil, syntaxError(&r.params[0], "unknown monitor session"))
			return
		}
		m.id = next
		s.store.changeInterest(m, conditions)
		if b := m.changeConditions(conditions, snapshot); b != nil {
			s.codec.send(b)
		}
		s.reply(&id, []byte("{}"), nil)
	}})
	return nil, nil
}

func (s *session) monitorCancel(r *request) ([]byte, error) {
	if len(r.params) != 1 {
		return nil, plainError("invalid parameters")
	}
	key := r.params[0].canonical()
	s.mu.Lock()
	m := s.ids[key]
	delete(s.ids, key)
	s.mu.Unlock()
	if m == nil {
		return nil, plainError("unknown monitor")
	}
	s.codec.held.add(-m.size)
	s.store.disinterest(m)
	id := r.id
	s.later(s.store.Snapshot().revision, func() {
		m.ended = true
		s.monitors = slices.DeleteFunc(s.monitors, func(o *monitor) bool { return o == m })
		s.reply(&id, []byte("{}"), nil)
	})
	m.stop()
	return nil, nil
}
