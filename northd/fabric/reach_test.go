package fabric

import (
	"fmt"
	"testing"
)

// Who has a datapath, and who has tunnels to whom: those that share one, also
// when nobody is connected.
func TestHoldersAndTunnels(t *testing.T) {
	bed := testBed(t, Options{})
	at := func() string {
		return fmt.Sprint(bed.Holders(1), bed.Holders(2), bed.Holders(9), bed.Tunnels())
	}
	bed.Apply(twoTenants())
	if got, want := at(), "[hv1] [hv2] [] map[hv1:[] hv2:[]]"; got != want {
		t.Errorf("two tenants: %s, want %s", got, want)
	}
	bed.Apply(Batch{Revision: 2, NbCfg: 1, Items: []ItemChange{portOf(1, 2, "second")},
		Bindings: []Binding{{1, 2, "hv2", true, nil, nil}}})
	if got, want := at(), "[hv1 hv2] [hv2] [] map[hv1:[hv2] hv2:[hv1]]"; got != want {
		t.Errorf("a port of tenant one on hv2: %s, want %s", got, want)
	}
	bed.Apply(Batch{Revision: 3, NbCfg: 1, Bindings: []Binding{{1, 2, "", false, nil, nil}}})
	if got, want := at(), "[hv1] [hv2] [] map[hv1:[] hv2:[]]"; got != want {
		t.Errorf("the port is gone: %s, want %s", got, want)
	}
}
