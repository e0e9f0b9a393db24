package northd

import (
	"govn/northd/fabric"
	"govn/northd/translate"
)

// bodyStore counts the units that use a body, so that the fabric learns of a
// body once and forgets it with its last unit.
type bodyStore struct {
	users map[[16]byte]int
}

// expect makes room for the bodies of a start.
func (s *bodyStore) expect(n int) {
	if len(s.users) == 0 {
		s.users = make(map[[16]byte]int, n)
	}
}

func newBodyStore() *bodyStore { return &bodyStore{users: make(map[[16]byte]int)} }

func (s *bodyStore) hold(body *translate.Body, b *fabric.Batch) {
	s.users[body.Hash]++
	if s.users[body.Hash] == 1 {
		b.Bodies = append(b.Bodies, fabric.BodyChange{Hash: body.Hash, Value: body.Bytes})
	}
}

func (s *bodyStore) drop(body *translate.Body, b *fabric.Batch) {
	s.users[body.Hash]--
	if s.users[body.Hash] == 0 {
		delete(s.users, body.Hash)
		b.Bodies = append(b.Bodies, fabric.BodyChange{Hash: body.Hash})
	}
}
