package ovsdb

import (
	"context"
	"maps"
	"slices"
)

// convert is "convert" of ovsdb-server(7), 4.1.20.
func (s *session) convert(r *request) ([]byte, error) {
	db, err := s.dbParam(r)
	if err != nil {
		return nil, err
	}
	a := s.access()
	if err := a.mayConvert(db.Schema.Name); err != nil {
		return nil, err
	}
	if s.srv.opts.Authorizer != nil && !s.client.Local {
		return nil, errorf(ErrPermission, "database %s is converted by clients on unix sockets only", db.Schema.Name)
	}
	if len(r.params) != 2 {
		return nil, syntaxError(r.array(), "array expected")
	}
	if db.Private {
		return nil, errorf(ErrPermission, "database %q is written by the server only", db.Schema.Name)
	}
	if a.readOnly { // in ovsdb-server 3.1 it may
		return nil, errorf(ErrNotAllowed, "convert operation not allowed when database server is in read only mode")
	}
	s.mu.Lock()
	s.converting = true
	s.mu.Unlock()
	revision, err := s.store.convert(context.Background(), db, &r.params[1])
	s.mu.Lock()
	defer s.mu.Unlock()
	s.converting = false
	if err != nil {
		return nil, err
	}
	id := r.id
	s.enqueue(step{revision, 0, !s.srv.opts.Relaxed, func() {
		s.reply(&id, []byte("{}"), nil)
		if !s.aware {
			s.codec.finish()
		}
	}})
	return nil, nil
}

// converted is told that a database was converted. An aware client gets its
// monitors and waiting transactions canceled, any other is disconnected, as by
// ovsdb-server: even one that has nothing to do with the database.
func (s *session) converted(d *database, revision uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.convertedAt[d] = revision
	s.enqueue(step{revision, 0, !s.srv.opts.Relaxed, func() {
		if !s.aware {
			if !s.converting {
				s.codec.finish()
			}
			return
		}
		s.cancelMonitors(d)
		s.cancelBlocked(d)
	}})
}

// cancelMonitors ends the monitors that began before their database was
// converted. s.mu is held.
func (s *session) cancelMonitors(d *database) {
	s.monitors = slices.DeleteFunc(s.monitors, func(m *monitor) bool {
		if m.db != d || m.from >= s.convertedAt[d] {
			return false
		}
		maps.DeleteFunc(s.ids, func(_ string, o *monitor) bool { return o == m })
		m.ended = true
		s.store.disinterest(m)
		s.stops = append(s.stops, m.stop)
		s.codec.held.add(-m.size)
		s.wake()
		b := m.id.append([]byte(`{"id":null,"method":"monitor_canceled","params":[`))
		s.codec.send(append(b, "]}"...))
		return true
	})
}

// stopMonitors takes canceled monitors from their virtual tables, whose locks
// come before s.mu.
func (s *session) stopMonitors() {
	s.mu.Lock()
	stops := s.stops
	s.stops = nil
	s.mu.Unlock()
	for _, stop := range stops {
		stop()
	}
}

// cancelBlocked answers the transactions that wait in a database. s.mu is held.
func (s *session) cancelBlocked(d *database) {
	s.blocked = slices.DeleteFunc(s.blocked, func(b *blocked) bool {
		if b.tr.db != d {
			return false
		}
		if b.canceled = true; b.running {
			return false // its run answers
		}
		s.codec.held.add(-b.size)
		s.reply(&b.id, nil, plainError(ErrCanceled))
		return true
	})
}

// databaseConverted tells all sessions.
func (srv *Server) databaseConverted(d *database, revision uint64) {
	if srv.dbs[d.Schema.Name] != d {
		return
	}
	for _, s := range srv.attending() {
		s.converted(d, revision)
	}
}

// attending are the sessions of this moment.
func (srv *Server) attending() []*session {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	return slices.Collect(maps.Keys(srv.sessions))
}

// attend has a session told of conversions.
func (srv *Server) attend(s *session) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	srv.sessions[s] = struct{}{}
}

// dismiss is the opposite of attend.
func (srv *Server) dismiss(s *session) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	delete(srv.sessions, s)
}
