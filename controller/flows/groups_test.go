package flows

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"govn/pkg/abi"
	"govn/pkg/openflow"
)

func selecting(id uint32, buckets ...uint32) *openflow.GroupDesc {
	g := &openflow.GroupDesc{ID: id, GroupType: openflow.GroupSelect}
	for _, b := range buckets {
		g.Buckets = append(g.Buckets, openflow.Bucket{ID: b, Weight: 1})
	}
	return g
}

// TestGroups goes through what groups can meet: new, changed, gone, installed by
// somebody before, somebody else's, refused.
func TestGroups(t *testing.T) {
	g := NewGroups()
	const a, b, foreign = abi.MinAllocatedGroup, abi.MinSelectGroup + 2, 7
	want := func(step string, prune bool, wanted string) {
		t.Helper()
		before, after := g.Diff(prune)
		var got []string
		for _, m := range append(before, after...) {
			mod := m.(*openflow.GroupMod)
			got = append(got, fmt.Sprintf("%d:%#x/%d", mod.Command, mod.Group.ID, len(mod.Group.Buckets)))
		}
		if text := strings.Join(got, " "); text != wanted {
			t.Errorf("%s: %q, want %q", step, text, wanted)
		}
	}
	g.Set(a, selecting(a, 1, 2))
	g.Set(b, selecting(b, 1))
	g.Reset([]openflow.GroupDesc{*selecting(foreign, 1), *selecting(b, 1), *selecting(a+1, 1)})
	want("one is there, one is not, one is too many", false, "32768:0x40000000/2")
	want("with deletions", true, "32768:0x40000000/2 2:0x40000001/0")
	g.Committed()
	want("nothing to do", true, "")
	if w, i := g.Len(); w != 2 || i != 2 || !g.Settled() {
		t.Errorf("%d are wanted and %d installed", w, i)
	}
	g.Set(b, selecting(b, 1, 2, 3))
	want("a change waits while what is there may be newer", false, "")
	want("a change", true, "32768:0x80000002/3")
	bad := g.Blame(0, errors.New("no"))
	if bad == nil || bad.Group.ID != b || g.Blame(1, bad) != nil {
		t.Fatalf("blamed: %v", bad)
	}
	g.Bar(b, bad.Err)
	want("a group that was refused", true, "")
	for id, err := range g.Barred() {
		if id != b || err.Error() != "no" {
			t.Errorf("barred: %d: %v", id, err)
		}
	}
	if !g.Set(b, selecting(b, 9)) || g.Set(b, selecting(b, 9)) {
		t.Error("another content has another try, once")
	}
	g.Set(a, nil)
	want("another try, and one that is gone", true, "32768:0x80000002/1 2:0x40000000/0")
	g.Committed()
	g.Reset(nil)
	want("another Open vSwitch", true, "32768:0x80000002/1")
}
