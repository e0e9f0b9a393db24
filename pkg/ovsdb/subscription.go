package ovsdb

import (
	"context"
	"slices"
)

// commitNode is an element of the endless list of commits. Subscribers walk it
// at their own pace; what nobody still points to is garbage.
//
//	tail (or a subscriber) -> node --ready, next--> node --ready, next--> (not ready)
type commitNode struct {
	commit Commit
	txid   UUID
	size   int // of the entry in the log, in bytes
	// ready is closed when next is set.
	ready chan struct{}
	next  *commitNode
}

func newCommitNode() *commitNode { return &commitNode{ready: make(chan struct{})} }

// after returns the following node, or nil while there is none.
func (n *commitNode) after() *commitNode {
	select {
	case <-n.ready:
		return n.next
	default:
		return nil
	}
}

// Subscription receives every commit after its creation, in order. It is used
// by one goroutine at a time.
type Subscription struct {
	at     *commitNode
	closed chan struct{} // of this subscription
	stop   chan struct{} // of the store
}

// Subscribe begins with the next commit.
func (s *Store) Subscribe() *Subscription {
	_, sub := s.SubscribeSnapshot()
	return sub
}

// SubscribeSnapshot returns the present state and a subscription that begins
// with the first commit after it.
func (s *Store) SubscribeSnapshot() (*Snapshot, *Subscription) {
	s.publish.Lock()
	defer s.publish.Unlock()
	return s.current.Load(), &Subscription{at: s.tail, closed: make(chan struct{}), stop: s.stop}
}

// Next blocks until there is a commit, and returns all that there are. It
// returns ErrClosed after Close of the subscription or the store.
func (s *Subscription) Next(ctx context.Context) ([]Commit, error) {
	select {
	case <-s.closed:
		return nil, ErrClosed
	default:
	}
	if s.at.after() == nil {
		select {
		case <-s.at.ready:
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-s.closed:
			return nil, ErrClosed
		case <-s.stop:
			return nil, ErrClosed
		}
	}
	var commits []Commit
	for n := s.at.after(); n != nil; n = n.after() {
		c := n.commit
		c.Changes = publicChanges(c.Changes)
		commits = append(commits, c)
		s.at = n
	}
	return commits, nil
}

// watch returns the present state, and has a function called with each commit after it
// until stop is called. The function runs under Store.publish, before the commit is
// answered: it must be quick, and change nothing but what is its own. A subscription is
// for those who want every commit, since each one wakes a goroutine, which takes as long
// as the rest of a small transaction; this is for those who want few of them.
func (s *Store) watch(tell func(*Commit)) (now *Snapshot, stop func()) {
	s.publish.Lock()
	defer s.publish.Unlock()
	s.watchers = append(slices.Clip(s.watchers), &tell)
	return s.current.Load(), func() {
		s.publish.Lock()
		defer s.publish.Unlock()
		s.watchers = slices.DeleteFunc(slices.Clone(s.watchers), func(t *func(*Commit)) bool { return t == &tell })
	}
}

// Close ends the subscription; a blocked Next returns. Call it once.
func (s *Subscription) Close() { close(s.closed) }

// history finds the commits after a transaction id.
type history struct {
	limit int
	byID  map[UUID]*commitNode
	order []*commitNode
	rows  int // changes held
	bytes int // of their entries in the log
}

// What history keeps alive is bounded by these as well.
const (
	maxHistoryRows  = 200_000
	maxHistoryBytes = 64 << 20
)

func (h *history) len() int { return len(h.order) }

func (h *history) add(n *commitNode) {
	if h.byID == nil {
		h.byID = make(map[UUID]*commitNode)
	}
	h.byID[n.txid] = n
	h.order = append(h.order, n)
	h.rows += len(n.commit.Changes)
	h.bytes += n.size
	for len(h.order) > h.limit || (h.rows > maxHistoryRows || h.bytes > maxHistoryBytes) && len(h.order) > 1 {
		old := h.order[0]
		h.order[0] = nil
		h.order = h.order[1:]
		h.rows -= len(old.commit.Changes)
		h.bytes -= old.size
		delete(h.byID, old.txid)
	}
}

// clear forgets everything: a client's rows are of another schema.
func (h *history) clear() { *h = history{limit: h.limit} }

// pastSince returns the commits after a transaction id up to a snapshot, if the
// id is remembered.
func (s *Store) pastSince(txid UUID, now *Snapshot) ([]*commitNode, bool) {
	s.publish.Lock()
	past, found := s.history.since(txid)
	s.publish.Unlock()
	for len(past) > 0 && past[len(past)-1].commit.Revision > now.revision {
		past = past[:len(past)-1]
	}
	return past, found
}

// since returns the commits after a transaction id, if it is remembered.
func (h *history) since(txid UUID) ([]*commitNode, bool) {
	n := h.byID[txid]
	if n == nil {
		return nil, false
	}
	var past []*commitNode
	for n = n.after(); n != nil; n = n.after() {
		past = append(past, n)
	}
	return past, true
}
