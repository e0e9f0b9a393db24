package pipeline

import (
	"slices"
	"testing"
)

// TestTemplates fails where a template does not parse: the program would not
// start.
func TestTemplates(t *testing.T) {
	Parse()
	for _, s := range slices.Concat(SwitchStages(), RouterStages()) {
		limit := uint8(29)
		if s.Direction == Egress {
			limit = 16
		}
		if s.Table >= limit {
			t.Errorf("%s is table %d, and ovn-trace knows only %d", s, s.Table, limit)
		}
		if again, err := StageByID(s.ID); err != nil || again != s {
			t.Errorf("%s has the id %d, which is that of %v", s, s.ID, again)
		}
	}
}
