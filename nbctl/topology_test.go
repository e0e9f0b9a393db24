package nbctl

import (
	"slices"
	"testing"
)

// In the picture a port of another zone is not counted as a machine here.
func TestPictureOfTransitSwitch(t *testing.T) {
	z := shownZone{Switches: []shownSwitch{{UUID: "u", Name: "ts1", Ports: []shownPort{
		{Name: "ts1-east", Type: "router", RouterPort: "east-ts1"}, {Name: "ts1-west", Type: "remote"}, {Name: "vm", Type: ""},
	}}}}
	if got, want := z.graph().Nodes[0].Notes, []string{"1 port", "1 port of other zones"}; !slices.Equal(got, want) {
		t.Errorf("notes %q, want %q", got, want)
	}
}
