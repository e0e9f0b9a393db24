package ovsdb

import (
	"fmt"
	"strings"
	"testing"
)

// monitorRequests are requests in all the forms that there are, and wrong ones
// (ovsdb.md, line 4). Each pair is a method and its parameters.
var monitorRequests = [][2]string{
	{"monitor", `[]`}, {"monitor", `["Nosuch",1,{}]`}, {"monitor", `["Test",1,{},1]`}, {"monitor", `["Test",1,1]`}, {"monitor", `["Test",1,[]]`}, {"monitor", `[1,1,{}]`},
	{"monitor", `["Test",null,{}]`}, {"monitor", `["Test",true,{}]`}, {"monitor", `["Test",18446744073709551615,{}]`}, {"monitor", `["Test",{"b":1,"a":[2,{}]},{}]`}, {"monitor_cancel", `[{"a":[2,{}],"b":1}]`}, {"monitor_cancel", `[{"a":[2,{}],"b":1}]`},
	{"monitor", `["Test","a",{}]`}, {"monitor", `["Test","a",{}]`}, {"monitor_cond", `["Test","a",{}]`}, {"monitor_cancel", `["a"]`}, {"monitor_cancel", `["a"]`}, {"monitor_cancel", `[]`}, {"monitor_cancel", `[1,2]`},
	{"monitor", `["Test","t1",{"Nosuch":{}}]`}, {"monitor", `["Test","t2",{"Switch":1}]`}, {"monitor", `["Test","t3",{"Switch":[1]}]`}, {"monitor", `["Test","t4",{"Switch":null}]`}, {"monitor", `["Test","t5",{"Switch":[]}]`},
	{"monitor", `["Test","c1",{"Switch":{"columns":"name"}}]`}, {"monitor", `["Test","c2",{"Switch":{"columns":["nosuch"]}}]`}, {"monitor", `["Test","c3",{"Switch":{"columns":[1]}}]`}, {"monitor", `["Test","c4",{"Switch":{"columns":["name","name"]}}]`},
	{"monitor", `["Test","c5",{"Switch":[{"columns":["name"]},{"columns":["name"]}]}]`}, {"monitor", `["Test","c6",{"Switch":[{"columns":["name"]},{"columns":["up"]}]}]`}, {"monitor", `["Test","c7",{"Switch":{"columns":["_uuid","_version"]}}]`}, {"monitor", `["Test","c8",{"Switch":[{},{}]}]`}, {"monitor", `["Test","c9",{"Switch":{"columns":[]}}]`},
	{"monitor", `["Test","s1",{"Switch":{"columns":["name"],"select":{}}}]`}, {"monitor", `["Test","s2",{"Switch":{"columns":["name"],"select":{"initial":1}}}]`}, {"monitor", `["Test","s3",{"Switch":{"columns":["name"],"select":{"nosuch":true}}}]`}, {"monitor", `["Test","s4",{"Switch":{"columns":["name"],"select":[]}}]`},
	{"monitor", `["Test","s5",{"Switch":{"columns":["name"],"select":{"initial":false}}}]`}, {"monitor", `["Test","s6",{"Switch":[{"columns":["name"],"select":{"initial":false}},{"columns":["options"]}]}]`}, {"monitor", `["Test","s7",{"Switch":{"columns":["name"],"nosuch":1}}]`},
	{"monitor", `["Test","w1",{"Switch":{"columns":["name"],"where":[]}}]`}, {"monitor", `["Test","w2",{"Switch":[{"columns":["name"],"where":[["name","==","a"]]}]}]`},
	{"monitor_cond", `["Test","w3",{"Switch":{"columns":["name"],"where":[]}}]`}, {"monitor_cond", `["Test","w4",{"Switch":[{"columns":["name"],"where":true}]}]`}, {"monitor_cond", `["Test","w5",{"Switch":[{"columns":["name"],"where":[true]}]}]`}, {"monitor_cond", `["Test","w6",{"Switch":[{"columns":["name"],"where":[false]}]}]`},
	{"monitor_cond", `["Test","w7",{"Switch":[{"columns":["name"],"where":[false,["name","==","a"]]}]}]`}, {"monitor_cond", `["Test","w8",{"Switch":[{"columns":["name"],"where":[true,["name","==","a"]]}]}]`}, {"monitor_cond", `["Test","w9",{"Switch":[{"columns":["name"],"where":[["nosuch","==","a"]]}]}]`},
	{"monitor_cond", `["Test","x1",{"Switch":[{"columns":["name"],"where":[["name","==",1]]}]}]`}, {"monitor_cond", `["Test","x2",{"Switch":[{"columns":["name"],"where":["name","==","a"]}]}]`}, {"monitor_cond", `["Test","x3",{"Switch":[{"columns":["name"],"where":{}}]}]`}, {"monitor_cond", `["Test","x4",{"Switch":[{"columns":["name"],"where":[["name","<","a"]]}]}]`},
	{"monitor_cond", `["Test","x5",{"Switch":[{"columns":["name"],"where":[["ports","includes",["named-uuid","x"]]]}]}]`}, {"monitor_cond", `["Test","x6",{"Switch":[{"columns":["name"],"where":[["name","==","a"]]},{"columns":["options"],"where":[["name","==","a"]]}]}]`},
	{"monitor_cond", `["Test","x8",{"Switch":[{"where":[["name","==","a"],["name","==","a"]]}]}]`}, {"monitor_cond", `["Test","x9",{"Switch":{"columns":["name"],"select":{"initial":false},"where":[]}}]`},
	{"monitor_cond_since", `["Test","y1",{}]`}, {"monitor_cond_since", `["Test","y2",{},null]`}, {"monitor_cond_since", `["Test","y3",{},1]`}, {"monitor_cond_since", `["Test","y4",{},"x"]`}, {"monitor_cond_since", `["Test","y5",{"Port":[{"columns":["name"]}]},"00000000-0000-0000-0000-000000000000"]`}, {"monitor_cond_since", `["Test","y6",{"Port":{"columns":["name"]}},"` + no + `"]`},
	{"monitor_cond_since", `["Test","y7",{},"` + no + `",1]`},
	{"monitor_cond_change", `[]`}, {"monitor_cond_change", `["y5"]`}, {"monitor_cond_change", `["y5","y5"]`}, {"monitor_cond_change", `["nosuch","nosuch",{}]`}, {"monitor_cond_change", `["y5","y5",{}]`}, {"monitor_cond_change", `["y5","y5",1]`}, {"monitor_cond_change", `["y5","y5",[]]`},
	{"monitor_cond_change", `["y5","y5",{"Nosuch":[{"where":[]}]}]`}, {"monitor_cond_change", `["y5","y5",{"Switch":[{"where":[]}]}]`}, {"monitor_cond_change", `["y5","y5",{"Port":[{"where":[["nosuch","==",1]]}]}]`}, {"monitor_cond_change", `["y5","y5",{"Port":{"where":[["name","==","pa"]]}}]`}, {"monitor_cond_change", `["y5","y5",{"Port":{"where":[["name","==","none"]]}}]`},
	{"monitor_cond_change", `["y5","y5",{"Port":[{"columns":["name"],"where":[]}]}]`}, {"monitor_cond_change", `["y5","y5",{"Port":[{"where":[false]}]}]`}, {"monitor_cond_change", `["y5","y5",{"Port":[{"where":[true]}]}]`},
	{"monitor_cond_change", `["y5","y5",{"Port":[]}]`}, {"monitor_cond_change", `["y5","y5",{"Port":1}]`}, {"monitor_cond_change", `["y5","y5",{"Port":[{"where":[false]},{"where":[["name","==","pa"]]}]}]`}, {"monitor_cond_change", `["y5","y5",{"Port":[{"where":[],"nosuch":1}]}]`},
	{"monitor_cond_change", `["y5","y6",{}]`}, {"monitor_cond_change", `["y5",{"new":[1]},{"Port":[{"where":[false]}]}]`}, {"monitor_cond_change", `["y5","y5",{}]`}, {"monitor_cond_change", `[{"new":[1]},"back",{"Port":[{"where":[true]}]}]`},
	{"monitor_cancel", `["back"]`}, {"monitor_cancel", `["y6"]`},
}

func TestMonitorRequestsLikeStock(t *testing.T) {
	b := newBeside(t, testSchemaJSON)
	for _, ops := range fill {
		b.transact(ops)
	}
	for _, r := range monitorRequests {
		b.call(r[0], r[1])
	}
	b.transact(`{"op":"update","table":"Switch","where":[["name","==","a"]],"row":{"options":["map",[["n","1"]]],"name":"z"}},{"op":"update","table":"Port","where":[],"row":{"name":"pz"}}`)
	b.transact(`{"op":"delete","table":"Switch","where":[]}`)
}

// TestUpdatesLikeStock compares the updates for every kind of change of every
// type of column with each kind of monitor (ovsdb.md, line 2). Each column has
// servers of its own: ovsdb-server 3.1 crashes when monitors of one table differ
// in the columns of their conditions.
func TestUpdatesLikeStock(t *testing.T) {
	for _, c := range typeColumns() {
		t.Run(c, func(t *testing.T) {
			b := newBeside(t, typesSchemaJSON)
			value := ""
			switch a := typeAtoms[c[len(c)-1:]]; {
			case c[0] == 'm' && len(c) == 3:
				value = fmt.Sprintf(`["map",[[%s,%s]]]`, typeAtoms[c[1:2]][1], a[0])
			default:
				value = a[1]
			}
			b.call("monitor", `["Test","v1",{"T":{}}]`)
			b.call("monitor_cond", `["Test","v2",{"T":[{}]}]`)
			b.call("monitor_cond_since", `["Test","v3",{"T":[{}]},"00000000-0000-0000-0000-000000000000"]`)
			for _, fn := range []string{"==", "!=", "includes", "excludes"} {
				b.as(fn, "monitor_cond", fmt.Sprintf(`["Test",%q,{"T":[{"columns":[%q],"where":[[%q,%q,%s]]}]}]`, fn, c, c, fn, value))
			}
			b.fillTypes()
			for _, v := range typeValues(c) {
				if strings.Contains(v, "fresh") {
					continue
				}
				b.transact(fmt.Sprintf(`{"op":"update","table":"T","where":[["_uuid","!=",["uuid",%q]]],"row":{%q:%s}}`, uuidA, c, v))
				for _, who := range []string{"==", "!=", "includes", "excludes"} {
					b.notes(who)
				}
			}
			b.transact(`{"op":"delete","table":"T","where":[]}`)
		})
	}
}

// conditionStories are monitors whose conditions change (ovsdb.md, lines 1 and
// 3): "#METHOD PARAMS" is a request, all else a transaction.
var conditionStories = map[string][]string{
	"a row enters and leaves": {
		`#monitor_cond ["Test","m",{"Switch":[{"columns":["up","options"],"where":[["name","==","a"],["name","==","b"]]}]}]`,
		`{"op":"update","table":"Switch","where":[["name","==","a"]],"row":{"name":"x"}}`, `{"op":"update","table":"Switch","where":[["name","==","x"]],"row":{"up":true}}`,
		`{"op":"update","table":"Switch","where":[["name","==","x"]],"row":{"name":"a","options":["map",[]]}}`, `{"op":"update","table":"Switch","where":[["name","==","b"]],"row":{"name":"c"}},{"op":"update","table":"Switch","where":[["name","==","a"]],"row":{"name":"b"}}`,
		`{"op":"update","table":"Switch","where":[["name","==","b"]],"row":{"name":"a"}}`, `{"op":"update","table":"Switch","where":[["name","==","a"]],"row":{"name":"q","up":false}}`, `{"op":"delete","table":"Switch","where":[["name","==","q"]]}`,
		`{"op":"insert","table":"Switch","uuid":"` + swA + `","row":{"name":"a"}}`, `{"op":"delete","table":"Switch","where":[["name","==","a"]]}`,
	},
	"selections": {
		`#monitor_cond ["Test","m",{"Switch":[{"columns":["name"],"select":{"insert":false},"where":[["name","==","a"]]},{"columns":["up"],"select":{"delete":false,"modify":false},"where":[["name","==","a"]]}]}]`,
		`{"op":"update","table":"Switch","where":[],"row":{"up":true}}`, `{"op":"update","table":"Switch","where":[["name","==","a"]],"row":{"name":"x"}}`, `{"op":"update","table":"Switch","where":[],"row":{"up":["set",[]]}}`,
		`{"op":"insert","table":"Switch","uuid":"` + portB + `","row":{"name":"a"}}`, `{"op":"update","table":"Switch","where":[["name","==","a"]],"row":{"name":"y"}}`, `{"op":"delete","table":"Switch","where":[]}`,
	},
	"selections of one monitor": {
		`#monitor_cond ["Test","m",{"Port":[{"columns":["name"],"select":{"delete":false},"where":[["tag","==",4]]}]}]`, `#monitor_cond ["Test","n",{"Port":[{"columns":["name"],"select":{"insert":false},"where":[["tag","==",4]]}]}]`, `#monitor_cond ["Test","o",{"Port":[{"columns":["name"],"select":{"modify":false},"where":[["tag","==",4]]}]}]`,
		`{"op":"mutate","table":"Port","where":[],"mutations":[["tag","+=",1]]}`, `{"op":"update","table":"Port","where":[],"row":{"name":"new"}}`, `{"op":"mutate","table":"Port","where":[],"mutations":[["tag","+=",1]]}`, `{"op":"update","table":"Port","where":[],"row":{"tag":4}}`, `{"op":"delete","table":"Switch","where":[]}`,
	},
	"change of conditions": {
		`#monitor_cond ["Test","m",{"Switch":[{"columns":["name"],"where":[["name","==","a"]]}],"Port":[{"columns":["name"],"where":[false]}]}]`,
		`#monitor_cond_change ["m","m",{"Switch":[{"where":[["name","==","b"]]}]}]`, `#monitor_cond_change ["m","m",{"Switch":[{"where":[["name","==","b"]]}]}]`, `{"op":"update","table":"Switch","where":[["name","==","b"]],"row":{"up":true,"name":"bb"}}`,
		`#monitor_cond_change ["m","m2",{"Switch":[{"where":[["up","==",true]]}],"Port":[{"where":[["tag","!=",9]]}]}]`, `{"op":"update","table":"Port","where":[],"row":{"tag":9}}`, `#monitor_cond_change ["m2","m",{"Switch":[{"where":[]}]}]`,
		`#monitor_cond_change ["m","m",{"Switch":[{"where":[true]}],"Port":[{"where":[]}]}]`, `#monitor_cond_change ["m","m",{"Switch":[{"where":[false]}],"Port":[{"where":[false]}]}]`, `{"op":"delete","table":"Switch","where":[]}`,
	},
	"conditions of monitor_cond_since": {
		`#monitor_cond_since ["Test","m",{"Switch":[{"columns":["name","options"],"where":[["options","includes",["map",[["k","1"]]]]]}]},"00000000-0000-0000-0000-000000000000"]`,
		`{"op":"mutate","table":"Switch","where":[["name","==","b"]],"mutations":[["options","insert",["map",[["k","1"],["x","y"]]]]]}`, `#monitor_cond_change ["m","m",{"Switch":[{"where":[["options","excludes",["map",[["x","y"]]]]]}]}]`,
		`{"op":"mutate","table":"Switch","where":[],"mutations":[["options","delete",["set",["x"]]]]}`, `{"op":"mutate","table":"Switch","where":[],"mutations":[["options","delete",["set",["k","l"]]]]}`, `{"op":"delete","table":"Switch","where":[]}`,
	},
	"two monitors of one client, one canceled": {
		`#monitor ["Test",1,{"Switch":{"columns":["name"]}}]`, `#monitor_cond ["Test",2,{"Switch":[{"columns":["name"]}]}]`, `{"op":"update","table":"Switch","where":[["name","==","a"]],"row":{"name":"x"}}`, `#monitor_cancel [1]`, `{"op":"update","table":"Switch","where":[["name","==","x"]],"row":{"name":"y"}}`,
		`#monitor ["Test",1,{"Port":{"columns":["name"]}}]`, `{"op":"update","table":"Port","where":[],"row":{"name":"y"}}`, `#monitor_cancel [2]`, `{"op":"delete","table":"Switch","where":[]}`,
	},
	"inserted and deleted at once": {
		`#monitor_cond ["Test","m",{"Switch":[{}],"Port":[{}]}]`, `{"op":"insert","table":"Switch","row":{"name":"n"}},{"op":"delete","table":"Switch","where":[["name","==","n"]]}`, `{"op":"insert","table":"Port","row":{"name":"orphan"}}`,
		`{"op":"update","table":"Switch","where":[["name","==","a"]],"row":{"name":"t"}},{"op":"update","table":"Switch","where":[["name","==","t"]],"row":{"name":"a"}}`, `{"op":"delete","table":"Switch","where":[["name","==","a"]]},{"op":"insert","table":"Switch","uuid":"` + portB + `","row":{"name":"a"}}`,
	},
}

func TestConditionsOfMonitorsLikeStock(t *testing.T) {
	for name, lines := range conditionStories {
		t.Run(name, func(t *testing.T) {
			b := newBeside(t, testSchemaJSON)
			for _, ops := range fill {
				b.transact(ops)
			}
			for _, line := range lines {
				if request, ok := strings.CutPrefix(line, "#"); ok {
					method, params, _ := strings.Cut(request, " ")
					b.call(method, params)
				} else {
					b.transact(line)
				}
			}
		})
	}
}
