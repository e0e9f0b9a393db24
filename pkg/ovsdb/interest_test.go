package ovsdb

import (
	"fmt"
	"strings"
	"testing"

	"govn/pkg/eventually"
)

// TestUnrelatedMonitorsCostNothing counts what a commit does with 0 and with
// 2,000 monitors that it does not concern: look-ups, and sessions that are woken.
func TestUnrelatedMonitorsCostNothing(t *testing.T) {
	type work struct{ lookups, told uint64 }
	measure := func(unrelated int) (all []work) {
		d := testSchema(t)
		s := openTest(t, NewMemoryEngine(), d)
		sock := serve(t, s, ServerOptions{})
		c := dial(t, sock)
		for _, ops := range fill {
			c.result("transact", `["Test",`+ops+`]`)
		}
		c.result("monitor_cond", `["Test","mine",{"Switch":[{"columns":["name","options"],"where":[["name","==","a"],["name","==","z"]]}]}]`)
		// One of each kind, so that what is looked for does not differ.
		others := []*client{dial(t, sock), dial(t, sock)}
		for i := range max(unrelated, 5) {
			where := fmt.Sprintf(`"Switch":[{"columns":["name"],"where":[["name","==","other%d"],["_uuid","==",%s]]}]`, i, ref(NewUUID().String()))
			switch i % 5 {
			case 1:
				where = fmt.Sprintf(`"Switch":[{"where":[["main","includes",%s]]}]`, ref(NewUUID().String()))
			case 2:
				where = `"Switch":[{"where":[false]}]`
			case 3:
				where = `"Flow":[{}]`
			case 4:
				where = `"Flow":[{"where":[["priority",">",7]]}]`
			}
			others[i%2].result("monitor_cond", fmt.Sprintf(`["Test",%d,{%s}]`, i, where))
		}
		count := func(ops string, updates int) {
			t.Helper()
			s.publish.Lock()
			before := work{s.interests.lookups, s.interests.told}
			s.publish.Unlock()
			c.result("transact", `["Test",`+ops+`]`)
			if len(c.notes) != updates {
				t.Errorf("%s: %d updates", ops, len(c.notes))
			}
			s.publish.Lock()
			all = append(all, work{s.interests.lookups - before.lookups, s.interests.told - before.told})
			s.publish.Unlock()
		}
		count(`{"op":"update","table":"Switch","where":[["name","==","a"]],"row":{"options":["map",[["x","y"]]]}}`, 1)
		count(`{"op":"update","table":"Switch","where":[["name","==","b"]],"row":{"options":["map",[["x","y"]]]}}`, 0)
		count(`{"op":"update","table":"Switch","where":[["name","==","b"]],"row":{"name":"z"}}`, 1)
		count(`{"op":"update","table":"Switch","where":[["name","==","z"]],"row":{"name":"b"}}`, 1)
		count(`{"op":"mutate","table":"Port","where":[],"mutations":[["addresses","insert","new"]]}`, 0)
		c.result("monitor_cond_change", `["mine","mine",{"Switch":[{"where":[["name","==","b"]]}]}]`)
		count(`{"op":"update","table":"Switch","where":[["name","==","a"]],"row":{"options":["map",[]]}}`, 0)
		count(`{"op":"update","table":"Switch","where":[["name","==","b"]],"row":{"options":["map",[]]}}`, 1)
		c.result("monitor_cancel", `["mine"]`)
		count(`{"op":"update","table":"Switch","where":[["name","==","b"]],"row":{"options":["map",[["p","q"]]]}}`, 0)
		for _, o := range others {
			o.conn.Close()
		}
		eventually.That(t, "nothing is left of the monitors", func() bool {
			s.publish.Lock()
			defer s.publish.Unlock()
			return len(s.interests.monitors)+len(s.interests.columns) == 0
		})
		return all
	}
	few, many := measure(5), measure(900)
	if fmt.Sprint(few) != fmt.Sprint(many) {
		t.Errorf("work with 5 unrelated monitors %v, with 900 %v", few, many)
	}
	told := ""
	for _, w := range few {
		told += fmt.Sprint(w.told)
	}
	if told != "10110010"[:len(few)] {
		t.Errorf("monitors that each commit was told to: %s", told)
	}
	t.Logf("look-ups and monitors told, per commit: %v", strings.Trim(fmt.Sprint(few), "[]"))
}
