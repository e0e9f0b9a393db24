package ovsdb

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
)

// weighed counts the bytes that are appended to the log.
type weighed struct {
	Engine
	bytes atomic.Int64
}

func (w *weighed) Append(ctx context.Context, batch []Entry) error {
	for _, e := range batch {
		w.bytes.Add(int64(len(e.Data)))
	}
	return w.Engine.Append(ctx, batch)
}

// cost of one mutation: bytes in the log, in the update of a monitor, and
// allocated on the heap.
type cost struct{ log, update, heap int64 }

// TestLargeSetsAndMaps inserts and deletes one element of a set and of a map of
// 100,000: what the log and the update2 take does not depend on the number, and
// what is allocated grows with its logarithm.
func TestLargeSetsAndMaps(t *testing.T) {
	for _, column := range []struct{ table, name, element, one string }{
		{"Port", "addresses", `"e%d"`, `"one more"`},
		{"Switch", "options", `["e%d","v%[1]d"]`, `["map",[["one more","v"]]]`},
		{"Port", "peers", `["uuid","%08d-0000-4000-8000-000000000000"]`, ref(portA)},
	} {
		t.Run(column.name, func(t *testing.T) {
			measure := func(n int) (all [2]cost) {
				d := testSchema(t)
				engine := &weighed{Engine: NewMemoryEngine()}
				s := openTest(t, engine, d)
				c := dial(t, serve(t, s, ServerOptions{}))
				elements := make([]string, n)
				for i := range elements {
					elements[i] = fmt.Sprintf(column.element, i)
				}
				kind := map[bool]string{true: "map", false: "set"}[column.name == "options"]
				var more strings.Builder
				if column.name == "peers" {
					// Weak references to what does not exist would vanish.
					for i := range elements {
						u := fmt.Sprintf("%08d-0000-4000-8000-000000000000", i)
						fmt.Fprintf(&more, `,{"op":"insert","table":"Port","uuid":%q,"row":{"name":%q}},{"op":"mutate","table":"Switch","where":[["name","==","s"]],"mutations":[["ports","insert",["uuid",%q]]]}`, u, u, u)
					}
				}
				c.result("transact", `["Test",{"op":"insert","table":"Switch","row":{"name":"s","ports":["uuid","`+portA+`"]}},{"op":"insert","table":"Port","uuid":"`+portA+`","row":{"name":"p"}}`+more.String()+
					fmt.Sprintf(`,{"op":"update","table":%q,"where":[["name","==",%q]],"row":{%q:[%q,[%s]]}}]`, column.table, strings.ToLower(column.table[:1]), column.name, kind, strings.Join(elements, ",")))
				if got := s.Snapshot().Lookup(d.Table(column.table), 0, strings.ToLower(column.table[:1])); valueLen(got.Get(d.Table(column.table).Column(column.name))) != n {
					t.Fatalf("the column has %d elements", valueLen(got.Get(d.Table(column.table).Column(column.name))))
				}
				c.call("monitor_cond", fmt.Sprintf(`["Test","m",{%q:[{"columns":[%q]}]}]`, column.table, column.name))
				for i, op := range []string{"insert", "delete"} {
					params := fmt.Sprintf(`["Test",{"op":"mutate","table":%q,"where":[["name","==",%q]],"mutations":[[%q,%q,%s]]}]`, column.table, strings.ToLower(column.table[:1]), column.name, op, column.one)
					var before, after runtime.MemStats
					log := engine.bytes.Load()
					runtime.ReadMemStats(&before)
					c.result("transact", params)
					runtime.ReadMemStats(&after)
					all[i] = cost{log: engine.bytes.Load() - log, heap: int64(after.TotalAlloc - before.TotalAlloc)}
					for _, m := range c.notes {
						all[i].update += int64(len(m.Params))
					}
				}
				return all
			}
			few, many := 10, 100_000
			if column.name == "peers" {
				many = 10_000 // each is a row
			}
			small, large := measure(few), measure(many)
			for i, op := range []string{"insert", "delete"} {
				t.Logf("%s: %d elements %+v, %d elements %+v", op, few, small[i], many, large[i])
				if large[i].log > small[i].log+8 || large[i].update != small[i].update || large[i].log == 0 || large[i].update == 0 {
					t.Errorf("%s: %d elements %+v, %d elements %+v: bytes depend on the number", op, few, small[i], many, large[i])
				}
				if large[i].heap > small[i].heap+64<<10 {
					t.Errorf("%s: %d elements allocate %d bytes, %d elements %d", op, few, small[i].heap, many, large[i].heap)
				}
			}
		})
	}
}
