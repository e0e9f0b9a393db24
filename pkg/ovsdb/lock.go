package ovsdb

import (
	"slices"
	"sync"
)

// locks are those of RFC 7047, sections 4.1.8 to 4.1.10: a lock belongs to the
// first session of its queue. They are local to a server and end with their
// session's connection.
type locks struct {
	mu     sync.Mutex
	queues map[string][]*session
	stolen map[string]map[*session]bool // asked for by "steal"
}

// of lists the locks that a session owns, waits for, and has lost: got by a steal
// and not owned any more.
func (l *locks) of(s *session) (held, waiting, lost []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for name, q := range l.queues {
		switch i := slices.Index(q, s); {
		case i == 0:
			held = append(held, name)
		case i > 0 && l.stolen[name][s]:
			lost = append(lost, name)
		case i > 0:
			waiting = append(waiting, name)
		}
	}
	slices.Sort(held)
	slices.Sort(waiting)
	slices.Sort(lost)
	return held, waiting, lost
}

// holds tells whether a session owns a lock.
func (l *locks) holds(name string, s *session) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	q := l.queues[name]
	return len(q) > 0 && q[0] == s
}

// acquire queues the session and tells whether it owns the lock now; ok is
// false if it has asked before. A steal goes to the front, and its victim is
// told and stays next in line.
func (l *locks) acquire(name string, s *session, steal bool) (owned, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.queues == nil {
		l.queues = make(map[string][]*session)
	}
	q := l.queues[name]
	if slices.Contains(q, s) {
		return false, false
	}
	if steal {
		if len(q) > 0 {
			q[0].notifyLock("stolen", name)
		}
		if l.stolen == nil {
			l.stolen = make(map[string]map[*session]bool)
		}
		if l.stolen[name] == nil {
			l.stolen[name] = make(map[*session]bool)
		}
		l.stolen[name][s] = true
		l.queues[name] = slices.Insert(q, 0, s)
		return true, true
	}
	l.queues[name] = append(q, s)
	return len(q) == 0, true
}

// release takes the session out of the queue; the next owner is told.
func (l *locks) release(name string, s *session) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.remove(name, s)
}

func (l *locks) remove(name string, s *session) bool {
	q := l.queues[name]
	i := slices.Index(q, s)
	if i < 0 {
		return false
	}
	if delete(l.stolen[name], s); len(l.stolen[name]) == 0 {
		delete(l.stolen, name)
	}
	if q = slices.Delete(q, i, i+1); len(q) == 0 {
		delete(l.queues, name)
		return true
	}
	if l.queues[name] = q; i == 0 {
		q[0].notifyLock("locked", name)
	}
	return true
}

// drop takes a session that ends out of all queues.
func (l *locks) drop(s *session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for name := range l.queues {
		l.remove(name, s)
	}
}

func (s *session) notifyLock(method, name string) {
	b := append([]byte(`{"id":null,"method":"`), method...)
	b = appendString(append(b, `","params":[`...), name)
	s.codec.send(append(b, "]}"...))
}
