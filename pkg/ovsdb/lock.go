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
	queues map[string]*lockQueue
}

// lockQueue holds who has asked for a lock and has not unlocked it since.
type lockQueue struct {
	waiting []lockWaiter // the first one is the owner
	// robbed had stolen the lock before it was stolen from them: they must
	// unlock it, but get it no more.
	robbed []*session
}

type lockWaiter struct {
	session *session
	stole   bool
}

// of lists the locks that a session owns, waits for, and has lost: got by a steal
// and not owned any more.
func (l *locks) of(s *session) (held, waiting, lost []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for name, q := range l.queues {
		switch i := q.find(s); {
		case i == 0:
			held = append(held, name)
		case i > 0:
			waiting = append(waiting, name)
		case slices.Contains(q.robbed, s):
			lost = append(lost, name)
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
	return q != nil && len(q.waiting) > 0 && q.waiting[0].session == s
}

func (q *lockQueue) find(s *session) int {
	return slices.IndexFunc(q.waiting, func(w lockWaiter) bool { return w.session == s })
}

// acquire queues the session and tells whether it owns the lock now; ok is
// false if it has asked before. A steal goes to the front, and its victim is
// told; it stays next in line unless it had stolen the lock itself.
func (l *locks) acquire(name string, s *session, steal bool) (owned, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.queues == nil {
		l.queues = make(map[string]*lockQueue)
	}
	q := l.queues[name]
	if q == nil {
		q = &lockQueue{}
		l.queues[name] = q
	}
	if q.find(s) >= 0 || slices.Contains(q.robbed, s) {
		return false, false
	}
	if !steal {
		q.waiting = append(q.waiting, lockWaiter{session: s})
		return len(q.waiting) == 1, true
	}
	if len(q.waiting) > 0 {
		victim := q.waiting[0]
		victim.session.notifyLock("stolen", name)
		if victim.stole {
			q.waiting = slices.Delete(q.waiting, 0, 1)
			q.robbed = append(q.robbed, victim.session)
		}
	}
	q.waiting = slices.Insert(q.waiting, 0, lockWaiter{s, true})
	return true, true
}

// release takes the session out of the queue; the next owner is told.
func (l *locks) release(name string, s *session) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.remove(name, s)
}

func (l *locks) remove(name string, s *session) bool {
	q := l.queues[name]
	if q == nil {
		return false
	}
	i, r := q.find(s), slices.Index(q.robbed, s)
	switch {
	case i >= 0:
		if q.waiting = slices.Delete(q.waiting, i, i+1); i == 0 && len(q.waiting) > 0 {
			q.waiting[0].session.notifyLock("locked", name)
		}
	case r >= 0:
		q.robbed = slices.Delete(q.robbed, r, r+1)
	default:
		return false
	}
	if len(q.waiting)+len(q.robbed) == 0 {
		delete(l.queues, name)
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
