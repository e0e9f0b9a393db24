package northd

import (
	"govn/northd/compile"
	"govn/northd/fabric"
	"govn/pkg/incr"
)

// linkSet is which datapaths are connected. Several patches may connect the same
// two; they are connected for locality while one of them is there, and that is a
// border while all of them are.
type linkSet struct {
	pairs map[[2]uint32]map[compile.LinkKey]bool // whether the patch is a border
}

func newLinkSet() *linkSet {
	return &linkSet{pairs: make(map[[2]uint32]map[compile.LinkKey]bool)}
}

// apply takes in what changed and returns the pairs that differ, each once.
func (s *linkSet) apply(changes []incr.SinkChange[compile.LinkKey, compile.Link]) []fabric.Link {
	type was struct{ there, border bool }
	before := make(map[[2]uint32]was)
	var order [][2]uint32
	note := func(l *compile.Link) map[compile.LinkKey]bool {
		pair := [2]uint32{l.A, l.B}
		if _, noted := before[pair]; !noted {
			there, border := s.of(pair)
			before[pair] = was{there, border}
			order = append(order, pair)
		}
		if s.pairs[pair] == nil {
			s.pairs[pair] = make(map[compile.LinkKey]bool)
		}
		return s.pairs[pair]
	}
	for _, ch := range changes {
		if ch.Old != nil {
			delete(note(ch.Old), ch.Key)
		}
		if ch.New != nil {
			note(ch.New)[ch.Key] = ch.New.Border
		}
	}
	var out []fabric.Link
	for _, pair := range order {
		there, border := s.of(pair)
		if !there {
			delete(s.pairs, pair)
		}
		if before[pair] != (was{there, border}) {
			out = append(out, fabric.Link{A: pair[0], B: pair[1], Border: border, Gone: !there})
		}
	}
	return out
}

// of is whether two datapaths are connected, and only by borders.
func (s *linkSet) of(pair [2]uint32) (there, border bool) {
	border = true
	for _, b := range s.pairs[pair] {
		there, border = true, border && b
	}
	return there, there && border
}
