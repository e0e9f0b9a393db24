package northd

import (
	"maps"
	"slices"
	"strings"

	"govn/northd/compile"
	"govn/northd/fabric"
	"govn/pkg/incr"
)

// linkSet is which datapaths are connected. Several patches may connect the same
// two; they are connected for locality while one of them is there, and that is a
// border while all of them are, but for the chassis that may cross one of them.
type linkSet struct {
	pairs map[[2]uint32]map[compile.LinkKey]compile.Link
}

func newLinkSet() *linkSet {
	return &linkSet{pairs: make(map[[2]uint32]map[compile.LinkKey]compile.Link)}
}

// apply takes in what changed and returns the pairs that differ, each once.
func (s *linkSet) apply(changes []incr.SinkChange[compile.LinkKey, compile.Link]) []fabric.Link {
	type was struct {
		there, border bool
		hosts         string
	}
	before := make(map[[2]uint32]was)
	var order [][2]uint32
	note := func(l *compile.Link) map[compile.LinkKey]compile.Link {
		pair := [2]uint32{l.A, l.B}
		if _, noted := before[pair]; !noted {
			there, border, hosts := s.of(pair)
			before[pair] = was{there, border, hosts}
			order = append(order, pair)
		}
		if s.pairs[pair] == nil {
			s.pairs[pair] = make(map[compile.LinkKey]compile.Link)
		}
		return s.pairs[pair]
	}
	for _, ch := range changes {
		if ch.Old != nil {
			delete(note(ch.Old), ch.Key)
		}
		if ch.New != nil {
			note(ch.New)[ch.Key] = *ch.New
		}
	}
	var out []fabric.Link
	for _, pair := range order {
		there, border, hosts := s.of(pair)
		if !there {
			delete(s.pairs, pair)
		}
		if before[pair] != (was{there, border, hosts}) {
			l := fabric.Link{A: pair[0], B: pair[1], Border: border, Gone: !there}
			if hosts != "" {
				l.Hosts = strings.Split(hosts, "\x00")
			}
			out = append(out, l)
		}
	}
	return out
}

// of is whether two datapaths are connected, only by borders, and which chassis
// may cross one of those.
func (s *linkSet) of(pair [2]uint32) (there, border bool, hosts string) {
	border = true
	all := map[string]bool{}
	for _, l := range s.pairs[pair] {
		there, border = true, border && l.Border
		for name := range strings.SplitSeq(l.Hosts, "\x00") {
			all[name] = true
		}
	}
	delete(all, "")
	if !there || !border {
		return there, false, ""
	}
	return true, true, strings.Join(slices.Sorted(maps.Keys(all)), "\x00")
}
