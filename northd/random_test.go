package northd_test

import (
	"flag"
	"path/filepath"
	"testing"

	"govn/northd/topology"
	"govn/test/world"
)

var (
	changes = flag.Int("changes", 150, "random northbound changes of TestIncrementalEqualsFull")
	every   = flag.Int("every", 1, "changes between two comparisons of TestIncrementalEqualsFull")
	seed    = flag.Uint64("seed", 1, "seed of the random changes")
)

// newWorld makes random changes of a zone.
func newWorld(t *testing.T, path string) (*zone, *world.World) {
	z := newZone(t, path)
	w := &world.World{Store: z.store, Schemas: z.schemas, Columns: z.columns, Registry: z.registry,
		Acked: func(name string) error { return z.progress.Applied(name, z.last.Revision, z.at()) },
		Step:  func() error { return z.Step(z.ctx) }}
	w.Seed(*seed)
	return z, w
}

// TestIncrementalEqualsFull makes random changes and compares after each what
// the running compiler came to with what a new process makes of the same
// database (invariants 1 and 2).
func TestIncrementalEqualsFull(t *testing.T) {
	path := filepath.Join(t.TempDir(), "zone.db")
	z, w := newWorld(t, path)
	for i := range *changes {
		// For a while the changes are about switches, then about routers.
		w.Focus = []world.Focus{world.Switches, world.Routers, world.Everything}[i/focusFor%3]
		what, err := w.Change()
		if err != nil {
			t.Fatalf("change %d (%s): %v", i, what, err)
		}
		if i%*every != 0 {
			continue
		}
		got, want := z.dump(), z.full(t, path)
		if got != want {
			t.Fatalf("after change %d (%s):\n%s", i, what, difference(got, want))
		}
	}
	t.Log(w.Report())
	if *changes >= thorough {
		for k, n := range w.Hits {
			if n < 15 {
				t.Errorf("%s was hit only %d times", k, n)
			}
		}
		if w.Deletions*3 < w.Total {
			t.Errorf("only %d of %d changes were deletions", w.Deletions, w.Total)
		}
	}
}

const (
	focusFor = 50    // changes
	thorough = 20000 // changes that hit every column at least 15 times
)

// TestMutantsAreNoticed breaks the compiler in small ways: the comparison of
// TestIncrementalEqualsFull must see each of them.
func TestMutantsAreNoticed(t *testing.T) {
	for name, fault := range map[string]func(*topology.Columns) topology.Fault{
		"a read of addresses is not recorded": func(c *topology.Columns) topology.Fault { return topology.Fault{DropRead: c.LSP.Addresses} },
		"a read of enabled is not recorded":   func(c *topology.Columns) topology.Fault { return topology.Fault{DropRead: c.LSP.Enabled} },
		"a read of a name is not recorded":    func(c *topology.Columns) topology.Fault { return topology.Fault{DropRead: c.LS.Name} },
		"a read of dynamic addresses is not recorded": func(c *topology.Columns) topology.Fault {
			return topology.Fault{DropRead: c.LSP.DynamicAddresses}
		},
		"a read of other_config is not recorded": func(c *topology.Columns) topology.Fault { return topology.Fault{DropRead: c.LS.OtherConfig} },
		"a read of a key's owner is not recorded": func(c *topology.Columns) topology.Fault {
			return topology.Fault{DropRead: c.Allocation.Owner}
		},
		"a read of a router port's networks is not recorded": func(c *topology.Columns) topology.Fault {
			return topology.Fault{DropRead: c.LRP.Networks}
		},
		"a read of a router port's peer is not recorded": func(c *topology.Columns) topology.Fault { return topology.Fault{DropRead: c.LRP.Peer} },
		"a lookup by name is not recorded":               func(c *topology.Columns) topology.Fault { return topology.Fault{DropRead: c.LRP.Name} },
		"a read of a router's enabled is not recorded":   func(c *topology.Columns) topology.Fault { return topology.Fault{DropRead: c.LR.Enabled} },
		"a router port that leaves is not noticed":       func(c *topology.Columns) topology.Fault { return topology.Fault{SkipLeave: c.LR.Ports} },
		"a read of a next hop is not recorded":           func(c *topology.Columns) topology.Fault { return topology.Fault{DropRead: c.Route.Nexthop} },
		"a route that leaves is not noticed":             func(c *topology.Columns) topology.Fault { return topology.Fault{SkipLeave: c.LR.StaticRoutes} },
		"a port that leaves is not noticed":              func(c *topology.Columns) topology.Fault { return topology.Fault{SkipLeave: c.LS.Ports} },
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "zone.db")
			z, w := newWorld(t, path)
			z.Program().Reader.Inject(fault(z.columns))
			for i := range 400 {
				if _, err := w.Change(); err != nil {
					t.Fatal(err)
				}
				if i%4 == 0 && z.dump() != z.full(t, path) {
					return
				}
			}
			t.Error("nobody noticed in 400 changes")
		})
	}
}
