package ovsdb

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// refsSchemaJSON has references of every kind between the roots R and S and the
// others (A, B, C, D): strong and weak, in sets, optional columns, keys and
// values of maps, with minimums; unique indexes over one and several columns,
// limits of rows, immutable columns.
const refsSchemaJSON = `{"name":"Test","version":"1.0.0","tables":{
 "R":{"isRoot":true,"columns":{
   "n":{"type":"string"},
   "a":{"type":{"key":{"type":"uuid","refTable":"A"},"min":0,"max":"unlimited"}},
   "a1":{"type":{"key":{"type":"uuid","refTable":"A","refType":"strong"},"min":0}},
   "wa":{"type":{"key":{"type":"uuid","refTable":"A","refType":"weak"},"min":0,"max":"unlimited"}},
   "wa1":{"type":{"key":{"type":"uuid","refTable":"A","refType":"weak"},"min":0}},
   "ka":{"type":{"key":{"type":"uuid","refTable":"A"},"value":"string","min":0,"max":"unlimited"}},
   "va":{"type":{"key":"string","value":{"type":"uuid","refTable":"A"},"min":0,"max":"unlimited"}},
   "wka":{"type":{"key":{"type":"uuid","refTable":"A","refType":"weak"},"value":"string","min":0,"max":"unlimited"}},
   "wva":{"type":{"key":"string","value":{"type":"uuid","refTable":"A","refType":"weak"},"min":0,"max":"unlimited"}},
   "kava":{"type":{"key":{"type":"uuid","refTable":"A"},"value":{"type":"uuid","refTable":"B"},"min":0,"max":"unlimited"}},
   "s":{"type":{"key":{"type":"uuid","refTable":"S"},"min":0,"max":"unlimited"}}}},
 "S":{"isRoot":true,"columns":{
   "n":{"type":"string"},
   "need":{"type":{"key":{"type":"uuid","refTable":"A","refType":"weak"},"min":1,"max":2}},
   "fix":{"mutable":false,"type":{"key":{"type":"uuid","refTable":"A","refType":"weak"},"min":0}}}},
 "A":{"columns":{
   "n":{"type":"string"},
   "b":{"type":{"key":{"type":"uuid","refTable":"B"},"min":0,"max":"unlimited"}},
   "self":{"type":{"key":{"type":"uuid","refTable":"A"},"min":0,"max":"unlimited"}},
   "wself":{"type":{"key":{"type":"uuid","refTable":"A","refType":"weak"},"min":0,"max":"unlimited"}}}},
 "B":{"columns":{
   "n":{"type":"string"},
   "a":{"type":{"key":{"type":"uuid","refTable":"A"},"min":0,"max":"unlimited"}},
   "wr":{"type":{"key":{"type":"uuid","refTable":"R","refType":"weak"},"min":0,"max":"unlimited"}}}},
 "U":{"isRoot":true,"maxRows":4,"columns":{
   "n":{"type":"string"},"x":{"type":"integer"},"y":{"type":{"key":"string","min":0}},"z":{"type":{"key":"string","value":"integer","min":0,"max":"unlimited"}},
   "r":{"type":{"key":{"type":"uuid","refTable":"R","refType":"weak"},"min":0}},"f":{"mutable":false,"type":"integer"}},
   "indexes":[["x"],["y","z"],["r","f"]]},
 "V":{"isRoot":true,"columns":{"n":{"type":"string"},"x":{"type":"integer"},"y":{"type":{"key":"string","min":0,"max":"unlimited"}},"f":{"type":"real"}},"indexes":[["x","y","f"]]},
 "M":{"maxRows":1,"columns":{"n":{"type":"string"}}},
 "H":{"isRoot":true,"columns":{"n":{"type":"string"},"m":{"type":{"key":{"type":"uuid","refTable":"M"},"min":0,"max":"unlimited"}}}}
}}`

const (
	r1 = "11111111-0000-4000-8000-000000000001"
	r2 = "11111111-0000-4000-8000-000000000002"
	s1 = "22222222-0000-4000-8000-000000000001"
	a1 = "33333333-0000-4000-8000-000000000001"
	a2 = "33333333-0000-4000-8000-000000000002"
	a3 = "33333333-0000-4000-8000-000000000003"
	b1 = "44444444-0000-4000-8000-000000000001"
	b2 = "44444444-0000-4000-8000-000000000002"
	no = "99999999-0000-4000-8000-000000000009"
)

func ref(u string) string { return `["uuid","` + u + `"]` }

func ins(table, u, row string) string {
	return `{"op":"insert","table":"` + table + `","uuid":"` + u + `","row":{` + row + `}}`
}

func upd(table, u, row string) string {
	return `{"op":"update","table":"` + table + `","where":[["_uuid","==",` + ref(u) + `]],"row":{` + row + `}}`
}

func mut(table, u, column, op, v string) string {
	return `{"op":"mutate","table":"` + table + `","where":[["_uuid","==",` + ref(u) + `]],"mutations":[["` + column + `","` + op + `",` + v + `]]}`
}

func del(table, u string) string {
	return `{"op":"delete","table":"` + table + `","where":[["_uuid","==",` + ref(u) + `]]}`
}

// referenceThemes prove lines 7 and 8 of ovsdb.md. After each transaction the
// whole database is read and compared, and so are the updates that a monitor of
// each kind shows for it.
var referenceThemes = map[string][]string{
	"strong references": {
		ins("R", r1, `"a":`+ref(no)), ins("R", r1, `"a1":`+ref(no)), ins("R", r1, `"ka":["map",[[`+ref(no)+`,"x"]]]`), ins("R", r1, `"va":["map",[["x",`+ref(no)+`]]]`),
		ins("R", r1, `"a":`+ref(a1)) + "," + ins("A", a1, `"n":"a1"`),
		mut("R", r1, "a", "insert", ref(no)), mut("R", r1, "a", "insert", ref(b1)),
		del("A", a1),
		del("A", a1) + "," + upd("R", r1, `"a":["set",[]]`),
		ins("A", a1, ``) + "," + ins("A", a2, ``) + "," + upd("R", r1, `"a1":`+ref(a1)+`,"ka":["map",[[`+ref(a1)+`,"1"],[`+ref(a2)+`,"2"]]],"va":["map",[["1",`+ref(a1)+`],["2",`+ref(a1)+`],["3",`+ref(a2)+`]]]`),
		del("A", a1), del("A", a2), del("A", a1) + "," + del("A", a2),
		upd("R", r1, `"a1":["set",[]]`), mut("R", r1, "ka", "delete", ref(a1)), mut("R", r1, "va", "delete", `["set",["1","2"]]`), // a1 goes now
		mut("R", r1, "va", "delete", `["map",[["3",`+ref(a1)+`]]]`),
		del("R", r1), // and a2
		ins("S", s1, `"n":"root","need":`+ref(a1)),
	},
	"garbage": {
		ins("A", a1, ``), ins("A", a1, `"b":`+ref(b1)) + "," + ins("B", b1, ``),
		ins("R", r1, `"a":`+ref(a1)) + "," + ins("A", a1, `"b":["set",[`+ref(b1)+`,`+ref(b2)+`]]`) + "," + ins("B", b1, `"a":`+ref(a2)) + "," + ins("B", b2, ``) + "," + ins("A", a2, ``),
		mut("A", a1, "b", "delete", ref(b1)), // b1 and a2
		ins("A", a2, `"self":`+ref(a2)) + "," + mut("R", r1, "a", "insert", ref(a2)),
		mut("R", r1, "a", "delete", ref(a2)), // a2 keeps itself
		ins("A", a3, `"b":`+ref(b1)) + "," + ins("B", b1, `"a":`+ref(a3)),
		del("A", a3), del("A", a3) + "," + del("B", b1),
		upd("A", a2, `"self":["set",[]]`),
		mut("R", r1, "a", "insert", ref(a1)), mut("R", r1, "a", "delete", ref(a1)) + "," + mut("R", r1, "a1", "insert", ref(a1)),
		upd("R", r1, `"a1":["set",[]]`) + "," + ins("R", r2, `"a":`+ref(a1)),
		del("R", r2) + "," + upd("A", a1, `"n":"last words"`), ins("S", s1, ``),
	},
	"weak references": {
		ins("R", r1, `"wa":`+ref(no)+`,"wa1":`+ref(no)+`,"wka":["map",[[`+ref(no)+`,"x"]]],"wva":["map",[["x",`+ref(no)+`]]]`),
		ins("A", a1, ``) + "," + ins("A", a2, `"wself":["set",[`+ref(a1)+`,`+ref(a2)+`]]`) + "," + ins("R", r2, `"a":["set",[`+ref(a1)+`,`+ref(a2)+`]]`),
		upd("R", r1, `"wa":["set",[`+ref(a1)+`,`+ref(a2)+`,`+ref(no)+`]],"wa1":`+ref(a1)+`,"wka":["map",[[`+ref(a1)+`,"x"],[`+ref(no)+`,"y"]]],"wva":["map",[["x",`+ref(a1)+`],["y",`+ref(a2)+`]]]`),
		ins("S", s1, `"need":`+ref(no)), ins("S", s1, ``), ins("S", s1, `"need":["set",[`+ref(a1)+`,`+ref(no)+`]],"fix":`+ref(a1)),
		mut("R", r2, "a", "delete", ref(a1)), // s1 would be left without
		mut("S", s1, "need", "insert", ref(a2)),
		mut("R", r2, "a", "delete", ref(a1)), // a1 and all weak references to it, the immutable one as well
		mut("S", s1, "need", "insert", ref(no)), upd("S", s1, `"need":`+ref(no)), upd("S", s1, `"need":["set",["`+no+`"]]`),
		del("R", r2), del("S", s1) + "," + del("R", r2),
		ins("R", r2, `"a":`+ref(a1)) + "," + ins("A", a1, `"b":`+ref(b1)) + "," + ins("B", b1, `"wr":["set",[`+ref(r1)+`,`+ref(r2)+`]]`),
		del("R", r1), ins("R", r1, ``) + "," + mut("B", b1, "wr", "insert", ref(r1)) + "," + del("R", r1),
		upd("R", r2, `"wa":`+ref(a1)) + "," + upd("R", r2, `"a":["set",[]]`),
		upd("R", r2, `"wa":`+ref(no)), // nothing changes in the end
	},
	"indexes": {
		ins("U", uuidA, `"x":1,"y":"p","z":["map",[["k",1]]]`), ins("U", uuidB, `"x":1`), ins("U", uuidB, `"x":2,"y":"p","z":["map",[["k",1]]]`), ins("U", uuidB, `"x":2,"y":"p","f":1`), ins("U", uuidC, `"x":3,"y":"q","f":2`),
		upd("U", uuidB, `"x":1`), upd("U", uuidB, `"x":1`) + "," + upd("U", uuidA, `"x":2`), // trade
		mut("U", uuidB, "x", "+=", "1"), mut("U", uuidC, "y", "delete", `"q"`), mut("U", uuidC, "y", "delete", `"q"`) + "," + upd("U", uuidB, `"y":["set",[]]`),
		del("U", uuidA) + "," + ins("U", a1, `"x":2,"y":"p","z":["map",[["k",1]]]`), // line 7: one name, deleted and inserted
		ins("R", r1, ``) + "," + upd("U", uuidB, `"r":`+ref(r1)) + "," + ins("U", a2, `"x":77,"f":1,"y":"other"`),
		del("R", r1), // makes two rows equal
		upd("U", uuidB, `"f":9`), mut("U", uuidB, "f", "+=", "1"), upd("U", uuidB, `"f":1`),
		ins("U", a3, `"x":5,"f":5,"y":"5"`), ins("U", b1, `"x":6,"f":6,"y":"6"`), del("U", a1) + "," + ins("U", b1, `"x":6,"f":6,"y":"6"`),
		`{"op":"delete","table":"U","where":[["x",">",3]]},{"op":"update","table":"U","where":[],"row":{"x":0}}`, `{"op":"delete","table":"U","where":[]}`,
	},
	"index of three": {
		ins("V", uuidA, `"x":1,"y":["set",["a","b"]]`) + "," + ins("V", uuidB, `"x":1,"y":["set",["b","a"]]`), ins("V", uuidA, `"x":1,"f":0.5`) + "," + ins("V", uuidB, `"x":1,"y":"only","f":0.5`), upd("V", uuidA, `"y":"only"`),
	},
	"limits of rows": {
		ins("M", a1, ``), ins("H", r1, `"m":`+ref(a1)) + "," + ins("M", a1, ``), ins("H", r2, `"m":`+ref(a2)) + "," + ins("M", a2, ``),
		ins("H", r2, `"m":`+ref(a2)) + "," + ins("M", a2, ``) + "," + upd("H", r1, `"m":["set",[]]`), // at most one in the end
		ins("M", a3, ``), // collected before it counts
		ins("M", a3, ``) + "," + ins("M", b1, ``) + "," + upd("H", r1, `"m":["set",[`+ref(a3)+`,`+ref(b1)+`]]`),
		`{"op":"delete","table":"H","where":[]}`,
	},
	"which error comes first": {
		ins("R", r1, `"a":`+ref(no)) + "," + ins("U", uuidA, `"x":1`) + "," + ins("U", uuidB, `"x":1`),
		ins("S", s1, ``) + "," + ins("U", uuidA, `"x":1`) + "," + ins("U", uuidB, `"x":1`),
		ins("S", s1, ``) + "," + ins("R", r1, `"a":`+ref(no)),
		ins("H", r1, `"m":["set",[`+ref(a1)+`,`+ref(a2)+`]]`) + "," + ins("M", a1, ``) + "," + ins("M", a2, ``) + "," + ins("S", s1, ``),
		ins("H", r1, `"m":["set",[`+ref(a1)+`,`+ref(a2)+`]]`) + "," + ins("M", a1, ``) + "," + ins("M", a2, ``) + "," + ins("U", uuidA, `"x":1`) + "," + ins("U", uuidB, `"x":1`),
		ins("H", r1, `"m":["set",[`+ref(a1)+`,`+ref(a2)+`]]`) + "," + ins("M", a1, ``) + "," + ins("M", a2, ``) + "," + ins("R", r1, `"a":`+ref(no)),
		ins("S", s1, `"n":1`) + "," + ins("R", r1, `"a":`+ref(no)),
	},
}

func TestReferencesLikeStock(t *testing.T) {
	for theme, lines := range referenceThemes {
		t.Run(theme, func(t *testing.T) {
			b := newBeside(t, refsSchemaJSON)
			all := `{"R":{},"S":{},"A":{},"B":{},"U":{},"V":{},"M":{},"H":{}}`
			b.as("v1", "monitor", `["Test","m",`+all+`]`)
			b.as("v2", "monitor_cond", `["Test","m",`+all+`]`)
			b.ignoreIdle = true
			b.as("v3", "monitor_cond", `["Test","m",`+regexp.MustCompile(`"(.)":\{\}`).ReplaceAllString(all, `"$1":{"columns":["n"]}`)+`]`)
			for _, ops := range lines {
				b.transact(ops)
				b.notes("v1")
				b.notes("v2")
				b.notes("v3")
			}
			for _, table := range []string{"R", "S", "A", "B", "U", "V", "M", "H"} {
				b.transact(`{"op":"select","table":"` + table + `","where":[]}`)
			}
		})
	}
}

// TestDefaultsLikeStock: an insert that leaves a column to a default which breaks
// the column's constraints is refused at once, and so before its rights are looked
// at; a row of a wait is not.
func TestDefaultsLikeStock(t *testing.T) {
	tables := map[string]string{
		"Enum": `{"key":{"type":"string","enum":["set",["a","b"]]}}`, "Range": `{"key":{"type":"integer","minInteger":5,"maxInteger":9}}`,
		"Length": `{"key":{"type":"string","minLength":2}}`, "Real": `{"key":{"type":"real","minReal":0.5}}`, "Plain": `{"key":"string","min":1,"max":3}`,
		"Some": `{"key":{"type":"string","enum":["set",["x"]]},"min":1,"max":3}`, "Strong": `{"key":{"type":"uuid","refTable":"Enum"}}`,
		"Weak": `{"key":{"type":"uuid","refTable":"Enum","refType":"weak"}}`, "None": `{"key":{"type":"string","enum":["set",["x"]]},"min":0,"max":3}`,
		"Keys": `{"key":{"type":"string","enum":["set",["k"]]},"value":"integer","min":1,"max":2}`, "Values": `{"key":"string","value":{"type":"integer","minInteger":3},"min":1,"max":2}`,
	}
	good := map[string]string{"Enum": `"a"`, "Range": `5`, "Length": `"xx"`, "Real": `0.5`, "Some": `"x"`, "Keys": `["map",[["k",0]]]`, "Values": `["map",[["",3]]]`}
	var schema []string
	names := slices.Sorted(maps.Keys(tables))
	for _, name := range names {
		schema = append(schema, fmt.Sprintf(`%q:{"isRoot":true,"columns":{"c":{"type":%s},"n":{"type":"string"}}}`, name, tables[name]))
	}
	b := newBeside(t, `{"name":"Test","version":"1.0.0","tables":{`+strings.Join(schema, ",")+`}}`)
	for _, name := range names {
		b.transact(fmt.Sprintf(`{"op":"insert","table":%q,"row":{}}`, name))
		b.transact(fmt.Sprintf(`{"op":"insert","table":%q,"row":{"n":"x"}},{"op":"comment","comment":"x"}`, name))
		b.transact(fmt.Sprintf(`{"op":"insert","table":%q,"row":{"nosuch":1}}`, name))
		if v, ok := good[name]; ok {
			b.transact(fmt.Sprintf(`{"op":"insert","table":%q,"row":{"c":%s}}`, name, v))
		}
		b.transact(fmt.Sprintf(`{"op":"wait","timeout":0,"table":%q,"where":[],"columns":["c","n"],"until":"!=","rows":[{"n":"x"}]}`, name))
		b.transact(fmt.Sprintf(`{"op":"select","table":%q,"where":[],"columns":["n"]}`, name))
	}
}
