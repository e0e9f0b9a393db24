package ovsdb

import (
	"os"
	"strings"
	"testing"
)

// transactions are run in order on our server and on ovsdb-server.
var transactions = []string{
	`[]`,
	`[{"op":"comment","comment":"x"}]`,
	`[{"op":"comment"}]`,
	`[{"op":"nosuch"}]`,
	`[{}]`,
	`[7]`,
	`[{"op":"commit","durable":true}]`,
	`[{"op":"abort"}]`,
	`[{"op":"comment","comment":"x"},{"op":"abort"},{"op":"comment","comment":"x"}]`,
	`[{"op":"assert","lock":"nobody"}]`,
	`[{"op":"insert","table":"Switch","row":{"name":"sw0"}}]`,
	`[{"op":"insert","table":"Switch","row":{"name":"sw0"}}]`,
	`[{"op":"insert","table":"Switch","row":{"name":"sw1"}},{"op":"insert","table":"Switch","row":{"name":"sw1"}}]`,
	`[{"op":"insert","table":"Nosuch","row":{}}]`,
	`[{"op":"insert","table":"Switch","row":{"nosuch":1}}]`,
	`[{"op":"insert","table":"Switch","row":{"name":1}}]`,
	`[{"op":"insert","table":"Switch"}]`,
	`[{"op":"insert","table":"Switch","row":{},"extra":1}]`,
	`[{"op":"insert","table":"Port","row":{"name":"orphan"}}]`,
	`[{"op":"select","table":"Port","where":[]}]`,
	`[{"op":"insert","table":"Port","row":{"name":"p1","tag":4096}}]`,
	`[{"op":"insert","table":"Port","row":{"name":"p1","tag":-1}}]`,
	`[{"op":"insert","table":"Port","row":{"name":"p1","tag":1.5}}]`,
	`[{"op":"insert","table":"Port","row":{"name":"p1","tag":["set",[1,2]]}}]`,
	`[{"op":"insert","table":"Port","row":{"name":["set",[]]}}]`,
	`[{"op":"insert","table":"Port","row":{"addresses":["set",["a","a"]]}}]`,
	`[{"op":"insert","table":"Switch","row":{"options":["map",[["a","1"],["a","2"]]]}}]`,
	`[{"op":"insert","table":"Port","uuid-name":"p1","row":{"name":"p1","tag":7.0,"weight":0.25,"addresses":["set",["b","a"]]}},
	  {"op":"mutate","table":"Switch","where":[["name","==","sw0"]],"mutations":[["ports","insert",["set",[["named-uuid","p1"]]]]]}]`,
	`[{"op":"select","table":"Port","where":[],"columns":["name","tag","weight","addresses"]}]`,
	`[{"op":"mutate","table":"Switch","where":[["name","==","sw0"]],"mutations":[["ports","insert",["named-uuid","p2"]]]},
	  {"op":"insert","table":"Port","uuid-name":"p2","row":{"name":"p2","peers":["named-uuid","p2"]}}]`,
	`[{"op":"select","table":"Switch","where":[["name","==","sw0"]],"columns":["name","up","options"]}]`,
	`[{"op":"insert","table":"Port","uuid-name":"x","row":{}},{"op":"insert","table":"Port","uuid-name":"x","row":{}}]`,
	`[{"op":"insert","table":"Port","uuid-name":"1x","row":{}}]`,
	`[{"op":"insert","table":"Flow","uuid":"11111111-1111-4111-8111-111111111111","row":{"match":"m","priority":9007199254740993}}]`,
	`[{"op":"insert","table":"Flow","uuid":"11111111-1111-4111-8111-111111111111","row":{"match":"n"}}]`,
	`[{"op":"insert","table":"Flow","uuid":"nonsense","row":{"match":"n"}}]`,
	`[{"op":"select","table":"Flow","where":[["_uuid","==",["uuid","11111111-1111-4111-8111-111111111111"]]],"columns":["_uuid","match","priority"]}]`,
	`[{"op":"delete","table":"Flow","where":[["priority","==",9007199254740993]]},{"op":"insert","table":"Flow","uuid":"11111111-1111-4111-8111-111111111111","row":{}}]`,
	`[{"op":"update","table":"Flow","where":[],"row":{"match":"changed"}}]`,
	`[{"op":"update","table":"Flow","where":[],"row":{"_uuid":["uuid","11111111-1111-4111-8111-111111111112"]}}]`,
	`[{"op":"update","table":"Flow","where":[["nosuch","==",1]],"row":{}}]`,
	`[{"op":"update","table":"Flow","where":[["priority","~",1]],"row":{}}]`,
	`[{"op":"update","table":"Flow","where":[["match","<","x"]],"row":{}}]`,
	`[{"op":"update","table":"Flow","where":[["priority","<"]],"row":{}}]`,
	`[{"op":"update","table":"Flow","where":[true],"row":{"match":"t"}}]`,
	`[{"op":"update","table":"Flow","where":[false],"row":{"match":"f"}}]`,
	`[{"op":"select","table":"Port","where":[["tag","<",8]],"columns":["name"]}]`,
	`[{"op":"select","table":"Port","where":[["tag",">=",7]],"columns":["name"]}]`,
	`[{"op":"select","table":"Port","where":[["tag","==",5000]],"columns":["name"]}]`,
	`[{"op":"select","table":"Port","where":[["tag","!=",7]],"columns":["name"]}]`,
	`[{"op":"select","table":"Port","where":[["addresses","includes","a"]],"columns":["name"]}]`,
	`[{"op":"select","table":"Port","where":[["addresses","excludes",["set",["a","z"]]]],"columns":["name"]}]`,
	`[{"op":"select","table":"Port","where":[["addresses","includes",["set",[]]]],"columns":["name"]}]`,
	`[{"op":"select","table":"Port","where":[["weight","<=",0.25]],"columns":["name"]}]`,
	`[{"op":"select","table":"Port","where":[],"columns":["nosuch"]}]`,
	`[{"op":"select","table":"Port","where":[],"columns":["name","name"]}]`,
	`[{"op":"select","table":"Port","where":[],"columns":["weight","peers"]}]`,
	`[{"op":"mutate","table":"Port","where":[["name","==","p1"]],"mutations":[["tag","+=",1]]}]`,
	`[{"op":"mutate","table":"Port","where":[["name","==","p1"]],"mutations":[["tag","*=",1000]]}]`,
	`[{"op":"mutate","table":"Port","where":[["name","==","p1"]],"mutations":[["tag","/=",0]]}]`,
	`[{"op":"mutate","table":"Port","where":[["name","==","p1"]],"mutations":[["tag","%=",3]]}]`,
	`[{"op":"mutate","table":"Port","where":[["name","==","p1"]],"mutations":[["weight","/=",2]]}]`,
	`[{"op":"mutate","table":"Port","where":[["name","==","p1"]],"mutations":[["weight","%=",2]]}]`,
	`[{"op":"mutate","table":"Port","where":[["name","==","p1"]],"mutations":[["name","+=","x"]]}]`,
	`[{"op":"mutate","table":"Port","where":[["name","==","p1"]],"mutations":[["name","insert","x"]]}]`,
	`[{"op":"mutate","table":"Port","where":[["name","==","p1"]],"mutations":[["name","frob","x"]]}]`,
	`[{"op":"mutate","table":"Port","where":[["name","==","p1"]],"mutations":[["tag","insert",9]]}]`,
	`[{"op":"mutate","table":"Port","where":[["name","==","p1"]],"mutations":[["addresses","insert",["set",["c","a"]]],["addresses","delete","b"]]}]`,
	`[{"op":"mutate","table":"Switch","where":[],"mutations":[["options","insert",["map",[["a","1"],["b","2"]]]]]}]`,
	`[{"op":"mutate","table":"Switch","where":[],"mutations":[["options","insert",["map",[["a","9"]]]],["options","delete",["set",["b"]]]]}]`,
	`[{"op":"mutate","table":"Switch","where":[],"mutations":[["options","delete",["map",[["a","9"]]]]]}]`,
	`[{"op":"select","table":"Switch","where":[["options","includes",["map",[["a","1"]]]]],"columns":["name","options"]}]`,
	`[{"op":"select","table":"Switch","where":[["options","excludes",["map",[["a","2"]]]]],"columns":["name","options"]}]`,
	`[{"op":"insert","table":"Global","row":{"nb_cfg":9223372036854775807,"kind":"a"}}]`,
	`[{"op":"insert","table":"Global","row":{}}]`,
	`[{"op":"insert","table":"Global","row":{"kind":"c"}}]`,
	`[{"op":"update","table":"Global","where":[],"row":{"kind":"b"}}]`,
	`[{"op":"mutate","table":"Global","where":[],"mutations":[["kind","insert","b"]]}]`,
	`[{"op":"mutate","table":"Global","where":[],"mutations":[["nb_cfg","+=",1]]}]`,
	`[{"op":"mutate","table":"Global","where":[],"mutations":[["nb_cfg","-=",9223372036854775807],["nb_cfg","-=",2]]}]`,
	`[{"op":"delete","table":"Global","where":[]},{"op":"insert","table":"Global","row":{"nb_cfg":1}}]`,
	`[{"op":"insert","table":"Needy","row":{}}]`,
	`[{"op":"insert","table":"Switch","uuid-name":"s","row":{"name":"weak"}},{"op":"insert","table":"Needy","row":{"one":["named-uuid","s"]}}]`,
	`[{"op":"delete","table":"Switch","where":[["name","==","weak"]]}]`,
	`[{"op":"insert","table":"Needy","row":{"one":["named-uuid","nosuch"]}}]`,
	`[{"op":"insert","table":"Switch","row":{"name":"dangling","ports":["uuid","22222222-2222-4222-8222-222222222222"]}}]`,
	`[{"op":"insert","table":"Switch","row":{"name":"gone","main":["uuid","22222222-2222-4222-8222-222222222222"]}}]`,
	`[{"op":"select","table":"Switch","where":[["name","==","gone"]],"columns":["name","main","ports"]}]`,
	`[{"op":"delete","table":"Port","where":[["name","==","p1"]]}]`,
	`[{"op":"update","table":"Switch","where":[["name","==","sw0"]],"row":{"ports":["set",[]]}}]`,
	`[{"op":"select","table":"Port","where":[]}]`,
	`[{"op":"delete","table":"Switch","where":[["name","==","sw0"]]},{"op":"insert","table":"Switch","row":{"name":"sw0"}}]`,
	`[{"op":"wait","table":"Switch","where":[["name","==","sw0"]],"columns":["name"],"until":"==","rows":[{"name":"sw0"}],"timeout":0}]`,
	`[{"op":"wait","table":"Switch","where":[["name","==","sw0"]],"columns":["name"],"until":"!=","rows":[{"name":"sw0"}],"timeout":0}]`,
	`[{"op":"wait","table":"Switch","where":[["name","==","nosuch"]],"columns":["name"],"until":"==","rows":[],"timeout":0}]`,
	`[{"op":"wait","table":"Switch","where":[],"columns":["name"],"until":"~","rows":[],"timeout":0}]`,
	`[{"op":"wait","table":"Switch","where":[],"columns":["name"],"until":"==","rows":[],"timeout":-1}]`,
	`[{"op":"wait","table":"Switch","where":[["name","==","sw0"]],"columns":["options","ports"],"until":"==","rows":[{}],"timeout":0}]`,
	`[{"op":"insert","table":"Switch","row":{"name":"a"}},{"op":"insert","table":"Nosuch","row":{}},{"op":"delete","table":"Switch","where":[]}]`,
	`[{"op":"select","table":"Switch","where":[],"columns":["name"]}]`,
}

// TestTransactLikeStock runs the transactions on one connection to each server.
func TestTransactLikeStock(t *testing.T) {
	b := newBeside(t, testSchemaJSON)
	for _, ops := range transactions {
		b.transact(strings.TrimSuffix(strings.TrimPrefix(ops, "["), "]"))
	}
}

func writeSchema(t testing.TB, file string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(testSchemaJSON), 0o600); err != nil {
		t.Fatal(err)
	}
}
