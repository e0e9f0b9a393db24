package ovsdb

import (
	"fmt"
	"strings"
	"testing"
)

// sessionRequests are what is not about rows; the first word is the client.
var sessionRequests = [][3]string{
	{"a", "nosuch", `[]`}, {"a", "echo", `[]`}, {"a", "echo", `[1,"x",{"a":null}]`}, {"a", "list_dbs", `[]`}, {"a", "get_schema", `[]`}, {"a", "get_schema", `[1]`}, {"a", "get_schema", `["Nosuch"]`}, {"a", "transact", `[]`}, {"a", "transact", `[1]`}, {"a", "transact", `["Nosuch"]`}, {"a", "transact", `["Test"]`},
	{"a", "set_db_change_aware", `[true]`}, {"a", "set_db_change_aware", `[1]`}, {"a", "set_db_change_aware", `[]`},
	// Locks (ovsdb.md, line 13).
	{"a", "lock", `[]`}, {"a", "lock", `[1]`}, {"a", "lock", `["1x"]`}, {"a", "lock", `["l","m"]`}, {"a", "unlock", `["l"]`}, {"a", "unlock", `[]`}, {"a", "lock", `["l"]`}, {"a", "lock", `["l"]`}, {"a", "steal", `["l"]`},
	{"a", "transact", `["Test",{"op":"assert","lock":"l"}]`}, {"b", "transact", `["Test",{"op":"assert","lock":"l"}]`}, {"b", "lock", `["l"]`}, {"b", "transact", `["Test",{"op":"assert","lock":"l"}]`}, {"c", "lock", `["l"]`},
	{"a", "unlock", `["l"]`}, {"b", "transact", `["Test",{"op":"assert","lock":"l"}]`}, {"a", "transact", `["Test",{"op":"assert","lock":"l"}]`}, {"d", "steal", `["l"]`}, {"b", "transact", `["Test",{"op":"assert","lock":"l"}]`}, {"d", "transact", `["Test",{"op":"assert","lock":"l"}]`},
	{"d", "unlock", `["l"]`}, {"b", "unlock", `["l"]`}, {"c", "transact", `["Test",{"op":"assert","lock":"l"}]`}, {"c", "unlock", `["l"]`}, {"d", "unlock", `["l"]`}, {"a", "steal", `["free"]`}, {"b", "steal", `["free"]`}, {"a", "transact", `["Test",{"op":"assert","lock":"free"}]`}, {"b", "unlock", `["free"]`}, {"a", "transact", `["Test",{"op":"assert","lock":"free"}]`},
	{"a", "lock", `["free"]`}, {"a", "unlock", `["free"]`}, {"a", "unlock", `["free"]`}, {"a", "lock", `["x"]`}, {"a", "lock", `["y"]`}, {"a", "transact", `["Test",{"op":"assert","lock":"x"},{"op":"assert","lock":"y"},{"op":"assert","lock":"z"}]`},
}

func TestSessionLikeStock(t *testing.T) {
	b := newBeside(t, testSchemaJSON)
	for _, r := range sessionRequests {
		b.as(r[0], r[1], r[2])
		for _, who := range []string{"a", "b", "c", "d"} {
			b.notes(who)
		}
	}
	// A lock is released when its connection closes.
	b.as("e", "lock", `["gone"]`)
	b.as("a", "lock", `["gone"]`)
	b.close("e")
	b.expect("a", "locked")
	b.as("a", "transact", `["Test",{"op":"assert","lock":"gone"}]`)
	// IDs of requests are any JSON value.
	for _, id := range []string{`"x"`, `18446744073709551615`, `1.5`, `[1,{"a":null}]`, `{"b":2,"a":1}`, `true`, `""`} {
		for _, p := range []*party{b.ours, b.stock} {
			c := p.client(t, "ids")
			c.send(`{"method":"echo","params":[7],"id":%s}`, id)
			if m := c.receive(); string(m.Result) != "[7]" {
				t.Errorf("%s: id %s: %s %s", p.name, id, m.Result, m.Error)
			}
		}
	}
}

// TestBlockedWaitsLikeStock runs transactions that wait until others have
// committed (ovsdb.md, lines 11 and 14).
func TestBlockedWaitsLikeStock(t *testing.T) {
	b := newBeside(t, testSchemaJSON)
	wait := func(name, until, rows, timeout string, more string) string {
		return fmt.Sprintf(`["Test",{"op":"wait","table":"Switch","where":[["name","==",%q]],"columns":["name"],"until":%q,"rows":%s%s}%s]`, name, until, rows, timeout, more)
	}
	there := `[{"name":"go"}]`
	// Woken by a commit, holding up nothing behind it on its connection.
	first := b.start("a", "transact", wait("go", "==", there, "", `,{"op":"insert","table":"Flow","row":{"match":"after"}}`))
	b.as("a", "echo", `["meanwhile"]`)
	b.as("a", "transact", `["Test",{"op":"insert","table":"Flow","row":{"match":"before"}}]`)
	b.as("b", "transact", `["Test",{"op":"insert","table":"Switch","row":{"name":"no"}}]`)
	b.as("b", "transact", `["Test",{"op":"insert","table":"Switch","row":{"name":"go"}}]`)
	b.finish("a", first)
	b.transact(`{"op":"select","table":"Flow","where":[],"columns":["match"]}`)
	// A wait that comes true in the middle of somebody's transaction only stays blocked.
	second := b.start("a", "transact", wait("flash", "==", `[{"name":"flash"}]`, "", ``))
	b.as("b", "transact", `["Test",{"op":"insert","table":"Switch","row":{"name":"flash"}},{"op":"delete","table":"Switch","where":[["name","==","flash"]]}]`)
	b.as("a", "echo", `["still"]`)
	// Canceled, it never runs. RFC 7047 section 4.1.4 has it answered, which
	// ovsdb-server omits.
	b.cancel("a", second)
	if m := b.ours.client(t, "a").await(second[b.ours]); string(m.Error) != `"canceled"` {
		t.Errorf("a canceled transaction: %s %s", m.Result, m.Error)
	}
	b.as("a", "echo", `["the cancel was read"]`)
	b.as("b", "transact", `["Test",{"op":"insert","table":"Switch","row":{"name":"flash"}}]`)
	b.as("a", "echo", `["nothing came"]`)
	// The results before the wait are made anew when it runs again.
	third := b.start("a", "transact", `["Test",{"op":"select","table":"Switch","where":[["name","==","late"]],"columns":["name"]},{"op":"wait","table":"Switch","where":[["name","==","late"]],"columns":["name"],"until":"!=","rows":[]},{"op":"comment","comment":"x"}]`)
	b.as("b", "transact", `["Test",{"op":"insert","table":"Switch","row":{"name":"late"}}]`)
	b.finish("a", third)
	// Waits of several clients, woken by one commit; one fails then.
	one := b.start("a", "transact", wait("both", "!=", `[]`, "", `,{"op":"abort"}`))
	two := b.start("b", "transact", wait("both", "!=", `[]`, "", ``))
	b.as("c", "transact", `["Test",{"op":"insert","table":"Switch","row":{"name":"both"}}]`)
	b.finish("a", one)
	b.finish("b", two)
	// A duplicate id, a cancel of nothing, and a client that goes while it waits.
	four := b.start("a", "transact", wait("never", "!=", `[]`, "", ``))
	for _, p := range []*party{b.ours, b.stock} {
		c := p.client(t, "a")
		c.send(`{"method":"transact","params":["Test"],"id":%s}`, four[p])
		if m := c.receive(); !strings.Contains(string(m.Error), "transact: duplicate request ID") {
			t.Errorf("%s: %s", p.name, m.Error)
		}
		c.send(`{"method":"cancel","params":["nothing"],"id":null}`)
	}
	b.close("a")
	b.as("b", "transact", `["Test",{"op":"insert","table":"Switch","row":{"name":"never"}}]`)
	// With a timeout, it fails after that time.
	b.ignoreTimes = true
	b.as("b", "transact", wait("nobody", "!=", `[]`, `,"timeout":20`, ``))
}
