package northd

import (
	"fmt"
	"testing"

	"govn/northd/compile"
	"govn/pkg/incr"
	"govn/pkg/ovsdb"
)

// Two datapaths are connected while one patch does; that is a border while all of
// them are.
func TestLinkSet(t *testing.T) {
	s := newLinkSet()
	key := func(n byte) compile.LinkKey { return compile.LinkKey{Port: ovsdb.UUID{n}} }
	link := func(a, b uint32, border bool) *compile.Link { return &compile.Link{A: a, B: b, Border: border} }
	type change = incr.SinkChange[compile.LinkKey, compile.Link]
	for i, tc := range []struct {
		changes []change
		want    string
	}{
		{[]change{{Key: key(1), New: link(1, 2, true)}, {Key: key(2), New: link(1, 2, true)}}, "[{1 2 true false}]"},
		{[]change{{Key: key(3), New: link(1, 2, false)}}, "[{1 2 false false}]"},
		{[]change{{Key: key(1), Old: link(1, 2, true)}}, "[]"},
		{[]change{{Key: key(3), Old: link(1, 2, false), New: link(2, 3, false)}}, "[{1 2 true false} {2 3 false false}]"},
		{[]change{{Key: key(2), Old: link(1, 2, true)}}, "[{1 2 false true}]"},
		{[]change{{Key: key(3), Old: link(2, 3, false)}, {Key: key(4), New: link(2, 3, false)}}, "[]"},
		{[]change{{Key: key(4), Old: link(2, 3, false)}}, "[{2 3 false true}]"},
	} {
		if got := fmt.Sprint(s.apply(tc.changes)); got != tc.want {
			t.Errorf("step %d: %s, want %s", i, got, tc.want)
		}
	}
	if len(s.pairs) != 0 {
		t.Errorf("%d pairs are left", len(s.pairs))
	}
}
