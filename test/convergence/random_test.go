package convergence

import (
	"flag"
	"iter"
	"maps"
	"math/rand/v2"
	"testing"

	"govn/test/world"
)

var (
	changes = flag.Int("changes", 60, "random northbound changes")
	every   = flag.Int("every", 30, "changes between two comparisons with a fresh chassis")
	seed    = flag.Uint64("seed", 1, "seed of the random changes")
)

func mapsKeys(m map[string]int) iter.Seq[string] { return maps.Keys(m) }

// TestChassisEqualsFresh makes random changes of the northbound database and of
// the interfaces, and compares the flows of each chassis with a fresh one's.
func TestChassisEqualsFresh(t *testing.T) {
	z := startZone(t)
	hosts := []*chassis{z.newChassis(0), z.newChassis(1)}
	w := &world.World{Store: z.store, Schemas: z.schemas, Columns: z.columns, Registry: z.registry, Step: z.settled}
	w.Seed(*seed)
	r := rand.New(rand.NewPCG(*seed, 7))
	compared, most := 0, 0
	for i := range *changes {
		what, err := w.Change()
		if err != nil {
			t.Fatalf("change %d (%s): %v", i, what, err)
		}
		if r.IntN(3) > 0 {
			hosts[r.IntN(len(hosts))].plug(r, w.PortNames())
		}
		if (i+1)%*every != 0 {
			continue
		}
		for _, c := range hosts { // what was plugged last is on its way
			c.awaitSince()
		}
		if err := z.settled(); err != nil {
			t.Fatal(err)
		}
		for n, c := range hosts {
			before := flows(c.ovs)
			compared++
			most = max(most, len(before))
			c.stop()
			fresh := z.openVSwitch(c.name, n)
			for id, port := range c.interfaces {
				addInterface(fresh, id, port, "external_ids:govn-since="+c.since(port))
			}
			c.run(fresh)
			if err := z.settled(); err != nil {
				t.Fatal(err)
			}
			if d := difference(before, flows(fresh)); d != "" {
				t.Fatalf("after change %d, %s and a fresh chassis in its place differ:\n%s", i, c.name, d)
			}
			c.stop()
			c.run(c.ovs)
			if err := z.settled(); err != nil {
				t.Fatal(err)
			}
			if d := difference(before, flows(c.ovs)); d != "" {
				t.Fatalf("after change %d, %s differs from before its restart:\n%s", i, c.name, d)
			}
		}
	}
	t.Logf("%d comparisons, up to %d flows; %s", compared, most, w.Report())
}
