package ovsdb

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// TestMatcher: many clauses match the rows that they match one by one.
func TestMatcher(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	s := openTest(t, NewMemoryEngine(), testSchema(t))
	c := dial(t, serve(t, s, ServerOptions{}))
	set := func(n int, element func(int) string) string {
		var list []string
		for i := range rnd.IntN(n + 1) {
			list = append(list, element(i))
		}
		return `["set",[` + strings.Join(list, ",") + `]]`
	}
	uuids := make([]string, 60)
	for i := range uuids {
		uuids[i] = fmt.Sprintf("33333333-0000-4000-8000-%012d", i)
	}
	values := map[string]func() string{
		"_uuid": func() string { return ref(uuids[rnd.IntN(len(uuids))]) },
		"name":  func() string { return fmt.Sprintf(`"p%d"`, rnd.IntN(60)) },
		"tag":   func() string { return set(1, func(int) string { return fmt.Sprint(rnd.IntN(10)) }) },
		"addresses": func() string {
			return set(2, func(i int) string { return fmt.Sprintf(`"%d%d"`, i, rnd.IntN(3)) })
		},
		"weight": func() string { return fmt.Sprintf("%d.5", rnd.IntN(10)) },
		"peers":  func() string { return set(1, func(int) string { return ref(uuids[rnd.IntN(3)]) }) },
	}
	columns := []string{"_uuid", "name", "tag", "addresses", "weight", "peers"}
	var ports []string
	for i, u := range uuids {
		ports = append(ports, ref(u))
		c.result("transact", `["Test",`+ins("Port", u, fmt.Sprintf(`"name":"p%d","tag":%s,"addresses":%s,"weight":%s,"peers":%s`,
			i, values["tag"](), values["addresses"](), values["weight"](), values["peers"]()))+`,`+
			ins("Switch", NewUUID().String(), fmt.Sprintf(`"name":"s%d","ports":%s`, i, ports[i]))+`]`)
	}
	now := s.Snapshot()
	port := s.dbs[0].Schema.Table("Port")
	if n := now.Len(port); n != len(uuids) {
		t.Fatalf("%d ports", n)
	}
	matched := 0
	for range 300 {
		var clauses []string
		for range rnd.IntN(3 * fewClauses) {
			column := columns[rnd.IntN(len(columns))]
			fn := "=="
			switch n := rnd.IntN(40); {
			case n < 15:
				fn = "includes"
			case n == 15:
				fn = "excludes"
			case n == 16 && column == "weight":
				fn = ">"
			case n == 17:
				clauses = append(clauses, "false")
			case n == 18 && rnd.IntN(20) == 0:
				clauses = append(clauses, "true")
			}
			clauses = append(clauses, fmt.Sprintf(`[%q,%q,%s]`, column, fn, values[column]()))
		}
		text := "[" + strings.Join(clauses, ",") + "]"
		v, err := parseJSON(text, defaultJSONLimits)
		if err != nil {
			t.Fatal(err)
		}
		where, err := parseAnyOf(port, &v)
		if err != nil {
			t.Fatal(err)
		}
		m := where.matcher()
		for r := range now.Rows(port) {
			got, want := m.matches(r), where.matches(r)
			if got != want {
				t.Errorf("%s: row %s: %t, one by one %t", text, r.Get(port.Column("name")), got, want)
			}
			if want && len(where) > fewClauses {
				matched++
			}
		}
	}
	if matched < 1000 || matched > 250*len(uuids) {
		t.Errorf("%d rows matched long conditions", matched)
	}
}

// TestWorkOfMonitorsIsLimited: a monitor, or a change of one, that has to look at
// too much is refused and leaves nothing, whichever way it does that; thousands of
// equalities are looked up and are not too much.
func TestWorkOfMonitorsIsLimited(t *testing.T) {
	l := newLimited(t, Limits{MaxWork: 20_000})
	c := dial(t, l.sock)
	flowRows(c, 1000)
	many := func(n int, clause string) string { return strings.Repeat(","+clause, n)[1:] }
	const less, equal = `["priority","<",-1]`, `["priority","==",-1]`
	c.result("monitor_cond", `["Test","m",{"Flow":{"where":[`+less+`]}}]`)
	for _, tt := range []struct {
		method, params string
		ok             bool
	}{
		{"monitor_cond", `["Test","n",{"Flow":{"where":[` + many(500, less) + `]}}]`, false},
		{"monitor_cond_since", `["Test","n",{"Flow":{"where":[` + many(500, less) + `]}},"00000000-0000-0000-0000-000000000000"]`, false},
		{"monitor_cond", `["Test","n",{"Flow":[` + many(500, `{"columns":[]}`) + `]}]`, false},
		{"monitor", `["Test","n",{"Flow":[` + many(500, `{"columns":[]}`) + `]}]`, false},
		{"monitor_cond_change", `["m","m",{"Flow":[{"where":[` + many(500, less) + `]}]}]`, false},
		{"monitor_cond_change", `["m","m",{"Flow":[{"where":[` + many(5000, equal) + `]}]}]`, true},
		{"monitor_cond", `["Test","n",{"Flow":{"where":[` + many(5000, equal) + `]},"Switch":{"where":[` + many(5000, `["name","!=","x"]`) + `]}}]`, true},
		{"monitor_cancel", `["n"]`, true},
	} {
		before := l.exceededCount("work")
		m := c.call(tt.method, tt.params)
		refused := strings.Contains(string(m.Error), `"resources exhausted"`) && strings.Contains(string(m.Error), `a limit is exceeded (work): monitor \"`)
		if refused == tt.ok || tt.ok && string(m.Error) != "null" || (l.exceededCount("work") > before) == tt.ok {
			t.Errorf("%s %.60s: %s", tt.method, tt.params, m.Error)
		}
	}
	if n := l.metric("monitors", ""); n != 1 {
		t.Errorf("%g monitors", n)
	}
	// The condition that was not refused is in force.
	c.result("transact", `["Test",{"op":"insert","table":"Flow","row":{"priority":-1}},{"op":"insert","table":"Flow","row":{"priority":-2}}]`)
	if len(c.notes) != 1 || strings.Count(string(c.notes[0].Params), `"insert"`) != 1 {
		t.Errorf("%d updates: %v", len(c.notes), c.notes)
	}
}
