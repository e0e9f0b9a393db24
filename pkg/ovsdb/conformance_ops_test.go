package ovsdb

import (
	"fmt"
	"strings"
	"testing"
)

// Themes of operations on the schema of testSchemaJSON. Each is run on a fresh
// pair of servers; a line is the operations of one transaction.
var operationThemes = map[string][]string{
	"form": {
		``, `1`, `null`, `[]`, `{}`, `{"op":1}`, `{"op":null}`, `{"op":"INSERT"}`, `{"op":"insert"}`, `{"op":"insert","table":1}`, `{"op":"insert","table":"Flow","row":[]}`,
		`{"op":"insert","table":"Flow","row":{},"a":1,"b":2}`, `{"op":"insert","table":"Flow","row":{},"a":1,"b":2,"c":3}`,
		`{"op":"select","table":"Flow"}`, `{"op":"select","table":"Flow","where":{}}`, `{"op":"select","table":"Flow","where":[],"columns":{}}`, `{"op":"select","table":"Flow","where":[],"columns":[1]}`,
		`{"op":"select","table":"Flow","where":[],"rows":[]}`, `{"op":"update","table":"Flow","where":[]}`, `{"op":"update","table":"Flow","row":{}}`, `{"op":"update","table":"Flow","where":[],"row":[]}`,
		`{"op":"mutate","table":"Flow","where":[]}`, `{"op":"mutate","table":"Flow","where":[],"mutations":{}}`, `{"op":"delete","table":"Flow"}`, `{"op":"delete","table":"Flow","where":[],"row":{}}`,
		`{"op":"commit"}`, `{"op":"commit","durable":1}`, `{"op":"commit","durable":false}`, `{"op":"commit","durable":true},{"op":"commit","durable":true}`,
		`{"op":"abort","x":1}`, `{"op":"abort"},{"op":"abort"}`, `{"op":"comment","comment":1}`, `{"op":"comment","comment":"a"},{"op":"comment","comment":"b"}`,
		`{"op":"assert"}`, `{"op":"assert","lock":1}`, `{"op":"assert","lock":"1x"}`, `{"op":"assert","lock":"l"}`,
		`{"op":"wait"}`, `{"op":"select"}`, `{"op":"update"}`, `{"op":"mutate"}`, `{"op":"delete"}`, `{"op":"delete","table":"Nosuch"}`, `{"op":"wait","where":[],"table":"Nosuch"}`, `{"op":"wait","where":[],"table":"Flow","until":"==","rows":[],"timeout":0.0}`, `{"op":"wait","table":"Flow","where":[],"until":"=="}`, `{"op":"wait","table":"Flow","where":[],"until":1,"rows":[]}`, `{"op":"wait","table":"Flow","where":[],"until":"==","rows":[1],"timeout":0}`,
		`{"op":"wait","table":"Flow","where":[],"until":"==","rows":{},"timeout":0}`, `{"op":"wait","table":"Flow","where":[],"until":"==","rows":[],"timeout":1.5}`, `{"op":"wait","table":"Flow","where":[],"until":"==","rows":[],"timeout":"0"}`,
		`{"op":"wait","table":"Flow","where":[],"columns":["nosuch"],"until":"==","rows":[],"timeout":0}`, `{"op":"wait","table":"Flow","where":[],"until":"==","rows":[{"nosuch":1}],"timeout":0}`, `{"op":"wait","table":"Flow","where":[],"until":"==","rows":[{"priority":"x"}],"timeout":0}`,
	},
	"insert": {
		`{"op":"insert","table":"Flow","row":{"_uuid":["uuid","` + uuidA + `"]}}`, `{"op":"insert","table":"Flow","row":{"_version":["uuid","` + uuidA + `"]}}`, `{"op":"select","table":"Flow","where":[]}`,
		`{"op":"insert","table":"Flow","uuid":"` + strings.ToUpper(uuidA) + `","row":{}}`, `{"op":"insert","table":"Flow","uuid":"` + uuidA + `","row":{}}`, `{"op":"insert","table":"Flow","uuid":"` + uuidB + `","uuid-name":"x","row":{}}`,
		`{"op":"insert","table":"Flow","uuid":"` + uuidC + `","row":{}},{"op":"insert","table":"Flow","uuid":"` + uuidC + `","row":{}}`,
		`{"op":"insert","table":"Flow","uuid":"` + uuidC + `","row":{}},{"op":"delete","table":"Flow","where":[["_uuid","==",["uuid","` + uuidC + `"]]]},{"op":"insert","table":"Flow","uuid":"` + uuidC + `","row":{}}`,
		`{"op":"insert","table":"Flow","uuid":"00000000-0000-0000-0000-000000000000","row":{"match":"zero"}}`,
		`{"op":"insert","table":"Global","uuid":"` + uuidA + `","row":{}}`, // the same uuid in another table
		`{"op":"insert","table":"Flow","uuid":1,"row":{}}`, `{"op":"insert","table":"Flow","uuid":["uuid","` + uuidC + `"],"row":{}}`, `{"op":"insert","table":"Flow","uuid-name":1,"row":{}}`, `{"op":"insert","table":"Flow","uuid-name":"","row":{}}`,
		`{"op":"insert","table":"Flow","uuid-name":"_","row":{}}`, `{"op":"insert","table":"Flow","uuid-name":"a-b","row":{}}`,
		`{"op":"insert","table":"Flow","row":{"match":"a","match":"b"}},{"op":"select","table":"Flow","where":[["match","==","b"]],"columns":["match"]}`,
		`{"op":"select","table":"Flow","where":[],"columns":["_uuid","match"]}`,
	},
	"named uuids": { // ovsdb.md, line 9
		`{"op":"insert","table":"Switch","row":{"name":"s","ports":["named-uuid","p"]}},{"op":"insert","table":"Port","uuid-name":"p","row":{"name":"p"}}`,
		`{"op":"select","table":"Port","where":[],"columns":["name"]}`,
		`{"op":"insert","table":"Port","uuid-name":"q","row":{"name":"q"}},{"op":"mutate","table":"Switch","where":[["name","==","s"]],"mutations":[["ports","insert",["named-uuid","q"]]]},{"op":"update","table":"Port","where":[["_uuid","==",["named-uuid","q"]]],"row":{"tag":4}}`,
		`{"op":"select","table":"Port","where":[["tag","==",4]],"columns":["name"]}`,
		`{"op":"insert","table":"Port","uuid-name":"q","row":{"name":"r"}},{"op":"wait","table":"Port","where":[["_uuid","==",["named-uuid","q"]]],"columns":["name","peers"],"until":"==","rows":[{"name":"r","peers":["named-uuid","q"]}],"timeout":0}`,
		`{"op":"insert","table":"Port","uuid-name":"q","row":{"name":"r","peers":["named-uuid","q"]}},{"op":"wait","table":"Port","where":[["_uuid","==",["named-uuid","q"]]],"columns":["name","peers"],"until":"==","rows":[{"name":"r","peers":["named-uuid","q"]}],"timeout":0}`,
		`{"op":"insert","table":"Switch","uuid-name":"x","row":{"name":"x"}},{"op":"insert","table":"Port","uuid-name":"x","row":{"name":"x"}}`,
		`{"op":"insert","table":"Switch","row":{"name":"t","main":["named-uuid","never"]}}`, `{"op":"select","table":"Switch","where":[["name","==","t"]],"columns":["main"]}`,
		`{"op":"insert","table":"Switch","row":{"name":"v","ports":["named-uuid","never"]}}`,
		`{"op":"select","table":"Port","where":[["_uuid","==",["named-uuid","never"]]],"columns":["name"]}`,
		`{"op":"delete","table":"Port","where":[["peers","includes",["named-uuid","never"]]]}`,
		`{"op":"insert","table":"Needy","row":{"one":["named-uuid","sw"],"by":["map",[["k",["named-uuid","p"]]]]}},{"op":"insert","table":"Port","uuid-name":"p","row":{"name":"by"}},{"op":"insert","table":"Switch","uuid-name":"sw","row":{"name":"needed"}}`,
		`{"op":"select","table":"Port","where":[["name","==","by"]],"columns":["name"]}`,
	},
	"select": {
		`{"op":"insert","table":"Flow","row":{"match":"a","priority":1}},{"op":"insert","table":"Flow","row":{"match":"a","priority":2}},{"op":"insert","table":"Flow","row":{"match":"b","priority":1}}`,
		`{"op":"select","table":"Flow","where":[]}`, `{"op":"select","table":"Flow","where":[],"columns":["match"]}`, `{"op":"select","table":"Flow","where":[],"columns":[]}`,
		`{"op":"select","table":"Flow","where":[["match","==","a"],["priority",">",1]],"columns":["priority"]}`, `{"op":"select","table":"Flow","where":[],"columns":["match","match"]}`,
		`{"op":"select","table":"Flow","where":[],"columns":["_uuid"]}`, `{"op":"select","table":"Flow","where":[],"columns":["_version"]}`, `{"op":"select","table":"Flow","where":[],"columns":["match","nosuch"]}`,
		`{"op":"select","table":"Nosuch","where":[]}`, `{"op":"select","table":"Flow","where":[],"columns":["match"],"sort":["match"]}`, `{"op":"select","table":"Flow","where":[],"sort":["nosuch"]}`, `{"op":"select","table":"Flow","where":[],"sort":1}`,
		`{"op":"insert","table":"Flow","row":{"match":"new"}},{"op":"select","table":"Flow","where":[["match","==","new"]],"columns":["match"]},{"op":"delete","table":"Flow","where":[["match","==","new"]]},{"op":"select","table":"Flow","where":[["match","==","new"]],"columns":["match"]}`,
	},
	"update": {
		`{"op":"insert","table":"Flow","row":{"match":"a","priority":1}},{"op":"insert","table":"Flow","row":{"match":"b","priority":2}},{"op":"insert","table":"Global","row":{"kind":"a"}}`,
		`{"op":"update","table":"Flow","where":[["match","==","a"]],"row":{"priority":5}}`, `{"op":"update","table":"Flow","where":[],"row":{}}`, `{"op":"update","table":"Flow","where":[["match","==","none"]],"row":{"priority":5}}`,
		`{"op":"update","table":"Flow","where":[],"row":{"nosuch":5}}`, `{"op":"update","table":"Flow","where":[],"row":{"_version":["uuid","` + uuidA + `"]}}`, `{"op":"update","table":"Flow","where":[],"row":{"_uuid":1}}`,
		`{"op":"update","table":"Global","where":[],"row":{"kind":"a"}}`, `{"op":"update","table":"Global","where":[],"row":{"kind":"nonsense"}}`, `{"op":"update","table":"Global","where":[["nb_cfg","==",77]],"row":{"kind":"b"}}`,
		`{"op":"update","table":"Flow","where":[["priority","==",5]],"row":{"priority":6}},{"op":"update","table":"Flow","where":[["priority","==",6]],"row":{"priority":7}},{"op":"select","table":"Flow","where":[],"columns":["match","priority"]}`,
		`{"op":"mutate","table":"Global","where":[],"mutations":[["kind","delete","a"]]}`, `{"op":"mutate","table":"Global","where":[["nb_cfg","==",77]],"mutations":[["kind","insert","b"]]}`,
	},
	"wait": { // ovsdb.md, line 11; sets of rows, as stock has it, not multisets
		`{"op":"insert","table":"Flow","row":{"match":"a","priority":1}},{"op":"insert","table":"Flow","row":{"match":"a","priority":2}},{"op":"insert","table":"Flow","row":{"match":"b","priority":1}}`,
		`{"op":"wait","table":"Flow","where":[],"columns":["match"],"until":"==","rows":[{"match":"a"},{"match":"b"}],"timeout":0}`,
		`{"op":"wait","table":"Flow","where":[],"columns":["match"],"until":"==","rows":[{"match":"a"},{"match":"b"},{"match":"a"}],"timeout":0}`,
		`{"op":"wait","table":"Flow","where":[],"columns":["match"],"until":"!=","rows":[{"match":"a"},{"match":"b"}],"timeout":0}`,
		`{"op":"wait","table":"Flow","where":[],"columns":["match"],"until":"!=","rows":[{"match":"a"},{"match":"b"},{"match":"b"}],"timeout":0}`,
		`{"op":"wait","table":"Flow","where":[],"columns":["match"],"until":"==","rows":[{"match":"a"},{"match":"b"},{"match":"b"}],"timeout":0}`,
		`{"op":"wait","table":"Flow","where":[],"until":"==","rows":[{"match":"a","priority":1},{"match":"b","priority":1},{"match":"a","priority":2}],"timeout":0}`,
		`{"op":"wait","table":"Flow","where":[["priority","==",2]],"until":"==","rows":[{"match":"a","priority":2}],"timeout":0}`,
		`{"op":"wait","table":"Flow","where":[["priority","==",2]],"columns":[],"until":"==","rows":[{}],"timeout":0}`, `{"op":"wait","table":"Flow","where":[],"columns":[],"until":"==","rows":[{},{}],"timeout":0}`, `{"op":"wait","table":"Flow","where":[],"columns":[],"until":"==","rows":[],"timeout":0}`,
		`{"op":"wait","table":"Flow","where":[["priority","==",2]],"columns":["priority"],"until":"==","rows":[{"match":"ignored","priority":2}],"timeout":0}`,
		`{"op":"wait","table":"Flow","where":[["priority","==",3]],"columns":["priority"],"until":"==","rows":[],"timeout":5}`, `{"op":"wait","table":"Flow","where":[["priority","==",9]],"columns":["priority"],"until":"!=","rows":[],"timeout":0}`,
		`{"op":"wait","table":"Flow","where":[["priority","==",2]],"columns":["_uuid"],"until":"!=","rows":[{"_uuid":["uuid","` + uuidA + `"]}],"timeout":0}`,
		`{"op":"insert","table":"Flow","row":{"match":"x"}},{"op":"wait","table":"Flow","where":[["match","==","x"]],"columns":["match"],"until":"!=","rows":[{"match":"x"}],"timeout":0}`,
		`{"op":"select","table":"Flow","where":[["match","==","x"]],"columns":["match"]}`,
		`{"op":"wait","table":"Switch","where":[],"columns":["ports"],"until":"==","rows":[{"ports":["set",[]]}],"timeout":0}`,
		`{"op":"wait","table":"Nosuch","where":[],"columns":["ports"],"until":"==","rows":[],"timeout":0}`,
	},
	"failures": { // ovsdb.md, line 6
		`{"op":"abort"},{"op":"insert","table":"Flow","row":{}},1,{"op":"nosuch"}`, `{"op":"insert","table":"Flow","row":{}},{"op":"abort"},{"op":"insert","table":"Flow","row":{}},{"op":"insert","table":"Flow","row":{}}`,
		`{"op":"insert","table":"Global","row":{}},{"op":"insert","table":"Global","row":{}},{"op":"comment","comment":"x"}`, `{"op":"select","table":"Global","where":[],"columns":["nb_cfg"]}`,
	},
}

// TestOperationsLikeStock proves what RFC 7047 section 5.2 says of each
// operation, as ovsdb-server understands it.
func TestOperationsLikeStock(t *testing.T) {
	for theme, lines := range operationThemes {
		t.Run(theme, func(t *testing.T) {
			b := newBeside(t, testSchemaJSON)
			for _, ops := range lines {
				b.transact(ops)
			}
		})
	}
}

// TestSortLikeStock: with "sort" (which RFC 7047 does not know) rows come in the
// order of the columns named.
func TestSortLikeStock(t *testing.T) {
	b := newBeside(t, typesSchemaJSON)
	for i := range 20 {
		b.transact(fmt.Sprintf(`{"op":"insert","table":"T","uuid":"%08d-0000-4000-8000-000000000000","row":{"i":%d,"s":"%c","si":["set",[%d,%d]],"oi":%s,"msi":["map",[["%c",%d]]]}}`,
			i, i*7%20, 'a'+i*3%5, i%3, 100-i, []string{`["set",[]]`, `3`, `-3`}[i%3], 'a'+i%4, i%3))
	}
	for _, sort := range []string{`["i"]`, `["s","i"]`, `["oi","i"]`, `["si"]`, `["msi","i"]`, `["_uuid"]`} {
		b.inOrder = true
		b.transact(`{"op":"select","table":"T","where":[],"columns":["_uuid","i","s","si","oi","msi"],"sort":` + sort + `}`)
	}
}
