package ovsdb

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"strings"
	"testing"
)

// typesSchemaJSON has a table T with a column of every type: scalars (i, r, b,
// s, u), optional ones (oi ...), sets (si ...), sets of one to three (ni, ns),
// maps (mss, mis, ...), and constrained ones (ci, cr, cs, ce, cei, cm).
var typesSchemaJSON = func() string {
	var columns []string
	add := func(name, typ string) { columns = append(columns, fmt.Sprintf(`%q:{"type":%s}`, name, typ)) }
	for _, t := range []string{"integer", "real", "boolean", "string", "uuid"} {
		short := t[:1]
		add(short, fmt.Sprintf("%q", t))
		add("o"+short, fmt.Sprintf(`{"key":%q,"min":0}`, t))
		add("s"+short, fmt.Sprintf(`{"key":%q,"min":0,"max":"unlimited"}`, t))
		add("n"+short, fmt.Sprintf(`{"key":%q,"min":1,"max":3}`, t))
		add("ms"+short, fmt.Sprintf(`{"key":"string","value":%q,"min":0,"max":"unlimited"}`, t))
		add("m"+short+"s", fmt.Sprintf(`{"key":%q,"value":"string","min":0,"max":"unlimited"}`, t))
	}
	add("ci", `{"key":{"type":"integer","minInteger":-5,"maxInteger":5}}`)
	add("cil", `{"key":{"type":"integer","minInteger":1},"min":0}`)
	add("cih", `{"key":{"type":"integer","maxInteger":7},"min":0,"max":2}`)
	add("cr", `{"key":{"type":"real","minReal":-0.5,"maxReal":0.5},"min":0}`)
	add("crl", `{"key":{"type":"real","minReal":0.25},"min":0}`)
	add("crh", `{"key":{"type":"real","maxReal":0.25}}`)
	add("cs", `{"key":{"type":"string","minLength":2,"maxLength":4},"min":0}`)
	add("csl", `{"key":{"type":"string","minLength":2},"min":0,"max":"unlimited"}`)
	add("csh", `{"key":{"type":"string","maxLength":2}}`)
	add("ce", `{"key":{"type":"string","enum":["set",["one","two","th ree"]]},"min":0}`)
	add("ce1", `{"key":{"type":"string","enum":"only"},"min":0}`)
	add("cei", `{"key":{"type":"integer","enum":["set",[1,2]]},"min":0,"max":2}`)
	add("cer", `{"key":{"type":"real","enum":["set",[0.5,2]]},"min":0}`)
	add("ceb", `{"key":{"type":"boolean","enum":true},"min":0}`)
	add("cm", `{"key":{"type":"string","maxLength":3},"value":{"type":"integer","maxInteger":9},"min":1,"max":2}`)
	return `{"name":"Test","version":"1.0.0","tables":{"T":{"isRoot":true,"columns":{` + strings.Join(columns, ",") + `}}}}`
}()

const (
	uuidA = "aaaaaaaa-0000-4000-8000-000000000001"
	uuidB = "bbbbbbbb-0000-4000-8000-000000000001"
	uuidC = "cccccccc-0000-4000-8000-000000000001"
)

// atoms of each type, and what is none of it.
var typeAtoms = map[string][]string{
	"i": {`0`, `1`, `-7`, `9007199254740993`, `9223372036854775807`, `-9223372036854775808`, `2.0`, `1e2`},
	"r": {`0`, `0.5`, `-0.0`, `2`, `1e300`, `-1.25e-7`, `0.1`, `123456789.125`, `1e15`, `1e16`},
	"b": {`true`, `false`},
	"s": {`""`, `"a"`, `"b c"`, `"\u00e4\"\\\n\u0001"`, `"\ud83d\ude00"`, `"9"`},
	"u": {`["uuid","` + uuidA + `"]`, `["uuid","` + uuidB + `"]`, `["uuid","00000000-0000-0000-0000-000000000000"]`},
}

var noAtoms = []string{`null`, `{}`, `[]`, `[1]`, `1.5`, `true`, `"x"`, `7`, `["uuid","x"]`, `["uuid",1]`, `["uuid"]`,
	`["named-uuid","1x"]`, `["named-uuid",3]`, `["named-uuid","fresh"]`, `["nosuch","x"]`, `["set"]`, `["set",1]`, `["set",[[]]]`, `["map",[]]`, `["map",1]`, `["map",[1]]`, `["map",[[1]]]`, `["map",[[1,2,3]]]`}

// values of a column by its name: good and bad ones.
func typeValues(column string) (all []string) {
	set := func(a ...string) string { return `["set",[` + strings.Join(a, ",") + `]]` }
	pairs := func(a ...string) string {
		list := make([]string, 0, len(a)/2)
		for i := 0; i < len(a); i += 2 {
			list = append(list, "["+a[i]+","+a[i+1]+"]")
		}
		return `["map",[` + strings.Join(list, ",") + `]]`
	}
	switch {
	case len(column) == 3 && column[0] == 'm':
		k, v := typeAtoms[column[1:2]], typeAtoms[column[2:3]]
		all = append(all, pairs(), pairs(k[0], v[1]), pairs(k[1], v[0]), pairs(k[0], v[0], k[1], v[1]), pairs(k[1], v[0], k[0], v[0]), pairs(k[0], v[0], k[0], v[1]), pairs(k[0], v[0], k[0], v[0]), set(), set(k[0]), k[0])
		if len(k) > 2 {
			all = append(all, pairs(k[2], v[0], k[1], v[1], k[0], v[0]), set(k[2], k[0]))
		}
	default:
		a := typeAtoms[column[len(column)-1:]]
		all = append(all, a...)
		all = append(all, set(), set(a[0]), set(a[1]), set(a[0], a[1]), set(a[1], a[0]), set(a[0], a[0]))
		if len(a) > 3 {
			all = append(all, set(a[0], a[1], a[2]), set(a[3], a[2], a[1], a[0]))
		}
	}
	return append(all, noAtoms...)
}

// typeColumns are those without constraints, in a fixed order.
func typeColumns() (all []string) {
	for _, t := range []string{"i", "r", "b", "s", "u"} {
		all = append(all, t, "o"+t, "s"+t, "n"+t, "ms"+t)
		if t != "s" {
			all = append(all, "m"+t+"s")
		}
	}
	return all
}

// TestValuesLikeStock inserts and reads back every kind of value in every type
// of column: what is a value, and in which form it is printed (ovsdb.md, line 10).
func TestValuesLikeStock(t *testing.T) {
	b := newBeside(t, typesSchemaJSON)
	for _, column := range typeColumns() {
		for _, v := range typeValues(column) {
			b.transact(fmt.Sprintf(`{"op":"insert","table":"T","row":{%q:%s}},{"op":"select","table":"T","where":[],"columns":[%q]},{"op":"delete","table":"T","where":[]}`, column, v, column))
		}
	}
}

// TestConstraintsLikeStock gives each constrained column what it allows, what
// lies at its limits, and what it refuses, on insert, update and mutate.
func TestConstraintsLikeStock(t *testing.T) {
	values := map[string][]string{
		"ci":  {`-5`, `5`, `-6`, `6`},
		"cil": {`1`, `0`, `["set",[]]`, `["set",[1,2]]`},
		"cih": {`7`, `8`, `["set",[6,7]]`, `["set",[6,8]]`, `["set",[5,6,7]]`},
		"cr":  {`-0.5`, `0.5`, `0.50001`, `-1`},
		"crl": {`0.25`, `0.125`},
		"crh": {`0.25`, `0.375`, `1e300`},
		"cs":  {`"ab"`, `"abcd"`, `"a"`, `"abcde"`, `"\u00e4\u00e4"`, `"\u00e4"`, `"\ud83d\ude00\ud83d\ude00\ud83d\ude00\ud83d\ude00\ud83d\ude00"`, `""`},
		"csl": {`"ab"`, `"a"`, `["set",["ab","cd"]]`, `["set",["ab","c"]]`},
		"csh": {`""`, `"ab"`, `"abc"`},
		"ce":  {`"one"`, `"two"`, `"th ree"`, `"four"`, `""`, `"with \"quotes\""`},
		"ce1": {`"only"`, `"other"`},
		"cei": {`1`, `3`, `["set",[1,2]]`, `["set",[2,3]]`},
		"cer": {`0.5`, `2`, `2.5`},
		"ceb": {`true`, `false`},
		"cm":  {`["map",[["a",1]]]`, `["map",[]]`, `["map",[["a",1],["b",2]]]`, `["map",[["a",1],["b",2],["c",3]]]`, `["map",[["abcd",1]]]`, `["map",[["a",10]]]`},
	}
	b := newBeside(t, typesSchemaJSON)
	for _, column := range []string{"ci", "cil", "cih", "cr", "crl", "crh", "cs", "csl", "csh", "ce", "ce1", "cei", "cer", "ceb", "cm"} {
		for _, v := range values[column] {
			read := fmt.Sprintf(`{"op":"select","table":"T","where":[],"columns":[%q]}`, column)
			b.transact(fmt.Sprintf(`{"op":"insert","table":"T","row":{%q:%s}},%s,{"op":"delete","table":"T","where":[]}`, column, v, read))
			b.transact(fmt.Sprintf(`{"op":"insert","table":"T","row":{}},{"op":"update","table":"T","where":[],"row":{%q:%s}},%s,{"op":"delete","table":"T","where":[]}`, column, v, read))
			for _, op := range []string{"insert", "delete", "+=", "*="} {
				b.transact(fmt.Sprintf(`{"op":"insert","table":"T","row":{}},{"op":"mutate","table":"T","where":[],"mutations":[[%q,%q,%s]]},%s,{"op":"delete","table":"T","where":[]}`, column, op, v, read))
			}
			for _, fn := range []string{"==", "includes", "excludes", "<"} {
				b.transact(fmt.Sprintf(`{"op":"insert","table":"T","row":{}},{"op":"select","table":"T","where":[[%q,%q,%s]],"columns":[%q]},{"op":"delete","table":"T","where":[]}`, column, fn, v, column))
			}
		}
	}
}

// TestConditionsLikeStock applies every function with every kind of argument to
// every type of column, to rows with different values.
func TestConditionsLikeStock(t *testing.T) {
	b := newBeside(t, typesSchemaJSON)
	b.fillTypes()
	for _, column := range append(typeColumns(), "_uuid", "_version") {
		values := []string{`["uuid","` + uuidA + `"]`, `["uuid","x"]`, `"` + uuidA + `"`, `["set",[]]`, `["set",[["uuid","` + uuidA + `"],["uuid","` + uuidB + `"]]]`}
		if column[0] != '_' {
			values = typeValues(column)
		}
		for _, fn := range []string{"<", "<=", "==", "!=", ">=", ">", "includes", "excludes", "=", ""} {
			for _, v := range values {
				b.transact(fmt.Sprintf(`{"op":"select","table":"T","where":[[%q,%q,%s]],"columns":["_uuid"]}`, column, fn, v))
			}
		}
	}
	for _, where := range []string{
		`[true]`, `[false]`, `[true,false]`, `[true,["i","==",1]]`, `[["i","==",1],["i","==",1]]`, `[["i",">",0],["i","<",2]]`, `[["i","==",1],["r","==",1]]`,
		`true`, `1`, `{}`, `[1]`, `[null]`, `[[]]`, `[["i"]]`, `[["i","=="]]`, `[["i","==",1,2]]`, `[[1,"==",1]]`, `[["i",1,1]]`, `[["nosuch","==",1]]`, `["i","==",1]`,
	} {
		b.transact(fmt.Sprintf(`{"op":"select","table":"T","where":%s,"columns":["_uuid"]}`, where))
	}
}

// fillTypes inserts three rows with chosen UUIDs: defaults, small values, large ones.
func (b *beside) fillTypes() {
	rows := map[string]int{uuidA: -1, uuidB: 0, uuidC: 1}
	for _, u := range []string{uuidA, uuidB, uuidC} {
		var members []string
		if n := rows[u]; n >= 0 {
			for _, c := range typeColumns() {
				v := ""
				switch k := typeAtoms[c[len(c)-1:]]; {
				case c[0] == 'm' && len(c) == 3:
					keys, vals := typeAtoms[c[1:2]], typeAtoms[c[2:3]]
					v = fmt.Sprintf(`["map",[[%s,%s]]]`, keys[n], vals[1])
					if n == 1 {
						v = fmt.Sprintf(`["map",[[%s,%s],[%s,%s]]]`, keys[0], vals[0], keys[1], vals[1])
					}
				case len(c) == 1 || c[0] == 'o':
					v = k[n]
				case n == 0:
					v = k[1]
				default:
					v = fmt.Sprintf(`["set",[%s,%s]]`, k[1], k[0])
				}
				members = append(members, fmt.Sprintf("%q:%s", c, v))
			}
		}
		b.transact(fmt.Sprintf(`{"op":"insert","table":"T","uuid":%q,"row":{%s}}`, u, strings.Join(members, ",")))
	}
}

// TestMutationsLikeStock applies every mutator with every kind of argument to
// every type of column; the transaction is then aborted, so that each begins
// from the same rows.
func TestMutationsLikeStock(t *testing.T) {
	b := newBeside(t, typesSchemaJSON)
	b.fillTypes()
	for _, column := range append(typeColumns(), "_uuid", "_version") {
		values := []string{`["uuid","` + uuidA + `"]`}
		if column[0] != '_' {
			values = typeValues(column)
		}
		for _, op := range []string{"+=", "-=", "*=", "/=", "%=", "insert", "delete", "?", ""} {
			for _, v := range values {
				if strings.Contains(v, "fresh") {
					continue // a random UUID: where it stands in a set is chance
				}
				if op == "*=" && strings.Contains(v, "922337203685477580") {
					continue // TestArithmeticLikeStock
				}
				b.transact(fmt.Sprintf(`{"op":"mutate","table":"T","where":[],"mutations":[[%q,%q,%s]]},{"op":"select","table":"T","where":[],"columns":["_uuid",%q]},{"op":"abort"}`, column, op, v, column))
			}
		}
	}
	for _, m := range []string{
		`{}`, `1`, `[]`, `[1]`, `[[]]`, `[["i"]]`, `[["i","+="]]`, `[["i","+=",1,2]]`, `[[1,"+=",1]]`, `[["i",1,1]]`, `[["nosuch","+=",1]]`, `["i","+=",1]`,
		`[["i","+=",1],["i","*=",2],["i","-=",3]]`, `[["i","+=",1],["i","/=",0]]`, `[["si","insert",["set",[1,2,3]]],["si","%=",2]]`,
		`[["si","insert",["set",[1,2,3]]],["si","*=",-1]]`, `[["si","insert",5],["si","delete",5]]`, `[["ni","delete",["set",[0,1,-7]]]]`,
	} {
		b.transact(fmt.Sprintf(`{"op":"mutate","table":"T","where":[],"mutations":%s},{"op":"select","table":"T","where":[],"columns":["_uuid","i","si","ni"]},{"op":"abort"}`, m))
	}
}

// TestArithmeticLikeStock computes at the limits of integers. Products are
// compared with the exact ones: ovsdb-server 3.1 refuses some that fit, and
// crashes on a negative number times 0.
func TestArithmeticLikeStock(t *testing.T) {
	b := newBeside(t, typesSchemaJSON)
	numbers := []int64{0, 1, -1, 3, -3, math.MinInt64, -math.MaxInt64, math.MaxInt64, 1 << 62, -1 << 62, 3037000499, 3037000500, -3037000500}
	for _, x := range numbers {
		for _, y := range numbers {
			for _, op := range []string{"+=", "-=", "/=", "%="} {
				b.transact(fmt.Sprintf(`{"op":"insert","table":"T","row":{"i":%d}},{"op":"mutate","table":"T","where":[],"mutations":[["i",%q,%d]]},{"op":"select","table":"T","where":[],"columns":["i"]},{"op":"abort"}`, x, op, y))
			}
			product := new(big.Int).Mul(big.NewInt(x), big.NewInt(y))
			m := mutation{op: "*=", arg: y, column: b.store.dbs[0].Schema.Table("T").Column("i")}
			switch got, err := m.apply(x); {
			case product.IsInt64() && (err != nil || got != product.Int64()):
				t.Errorf("%d * %d is %v, %v", x, y, got, err)
			case !product.IsInt64() && !errors.Is(err, &Error{Kind: ErrRange}):
				t.Errorf("%d * %d is %v, %v, not a range error", x, y, got, err)
			}
		}
	}
}
