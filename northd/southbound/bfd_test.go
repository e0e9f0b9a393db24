package southbound

import (
	"fmt"
	"testing"

	"govn/proto"
)

// What a chassis says of sessions that nobody has is bounded, and a state that is
// none is nothing.
func TestBFDReportsAreBounded(t *testing.T) {
	r := &Registry{bfd: newBFDStates()}
	var list []*proto.BfdStatus
	for i := range 3 * maxBFDStates {
		list = append(list, &proto.BfdStatus{Discriminator: uint32(i), State: []string{"up", "down", fmt.Sprint("state ", i)}[i%3]})
	}
	for range 2 {
		if err := r.sessions("hv1", list); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(r.bfd.reports["hv1"]); n != maxBFDStates {
		t.Errorf("%d states of sessions are kept", n)
	}
	for discr, state := range r.bfd.reports["hv1"] {
		if discr%3 == 2 || !isState(state) {
			t.Errorf("state %q of session %d is kept", state, discr)
		}
	}
}
