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
