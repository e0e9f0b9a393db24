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
		{[]change{{Key: key(1), New: link(1, 2, true)}, {Key: key(2), New: link(1, 2, true)}}, "1-2 border[];"},
		{[]change{{Key: key(3), New: link(1, 2, false)}}, "1-2;"},
		{[]change{{Key: key(1), Old: link(1, 2, true)}}, ""},
		{[]change{{Key: key(3), Old: link(1, 2, false), New: link(2, 3, false)}}, "1-2 border[];2-3;"},
		{[]change{{Key: key(2), Old: link(1, 2, true)}}, "1-2 gone;"},
		{[]change{{Key: key(3), Old: link(2, 3, false)}, {Key: key(4), New: link(2, 3, false)}}, ""},
		{[]change{{Key: key(4), Old: link(2, 3, false)}}, "2-3 gone;"},
	} {
		got := ""
		for _, l := range s.apply(tc.changes) {
			got += fmt.Sprintf("%d-%d", l.A, l.B)
			switch {
			case l.Gone:
				got += " gone"
			case l.Border:
				got += " border" + fmt.Sprint(l.Hosts)
			}
			got += ";"
		}
		if got != tc.want {
			t.Errorf("step %d: %s, want %s", i, got, tc.want)
		}
	}
	if len(s.pairs) != 0 {
		t.Errorf("%d pairs are left", len(s.pairs))
	}

	// Hosts of borders are those of all of them.
	host := func(names string) *compile.Link { return &compile.Link{A: 1, B: 2, Border: true, Hosts: names} }
	got := s.apply([]change{{Key: key(1), New: host("hv2")}, {Key: key(2), New: host("hv1\x00hv2")}})
	if fmt.Sprint(got[0].Hosts) != "[hv1 hv2]" || len(got) != 1 {
		t.Errorf("%+v, want the hosts hv1 and hv2", got)
	}
}
