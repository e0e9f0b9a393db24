package idl

import (
	"testing"
	"unicode/utf8"

	"govn/pkg/ovsdb"
)

// column types of all shapes.
var (
	oneString   = ovsdb.ColumnType{Key: ovsdb.NewBaseType(ovsdb.TypeString), Min: 1, Max: 1}
	optInteger  = ovsdb.ColumnType{Key: ovsdb.NewBaseType(ovsdb.TypeInteger), Max: 1}
	manyStrings = ovsdb.ColumnType{Key: ovsdb.NewBaseType(ovsdb.TypeString), Max: ovsdb.Unlimited}
	integers    = ovsdb.ColumnType{Key: ovsdb.NewBaseType(ovsdb.TypeInteger), Max: ovsdb.Unlimited}
	uuids       = ovsdb.ColumnType{Key: ovsdb.NewBaseType(ovsdb.TypeUUID), Max: ovsdb.Unlimited}
	stringMap   = ovsdb.ColumnType{Key: ovsdb.NewBaseType(ovsdb.TypeString), Value: ovsdb.NewBaseType(ovsdb.TypeString), Max: ovsdb.Unlimited}
	intMap      = ovsdb.ColumnType{Key: ovsdb.NewBaseType(ovsdb.TypeInteger), Value: ovsdb.NewBaseType(ovsdb.TypeBoolean), Max: ovsdb.Unlimited}
	allTypes    = []*ovsdb.ColumnType{&oneString, &optInteger, &manyStrings, &integers, &uuids, &stringMap, &intMap}
)

func TestParseDatum(t *testing.T) {
	limited := ovsdb.ColumnType{Key: ovsdb.NewBaseType(ovsdb.TypeInteger), Min: 1, Max: 1}
	limited.Key.MinInteger, limited.Key.MaxInteger = 0, 9
	enum := ovsdb.ColumnType{Key: ovsdb.NewBaseType(ovsdb.TypeString), Min: 1, Max: 1}
	enum.Key.Enum = ovsdb.NewSet("gre", "vxlan")
	for _, tt := range []struct {
		typ  *ovsdb.ColumnType
		in   string
		want string // Format of the result, or the error
	}{
		{&manyStrings, `b,a c`, `[a, b, c]`},
		{&manyStrings, `["x y",z]`, `["x y", z]`},
		{&manyStrings, `[]`, `[]`},
		{&manyStrings, ``, `use "[]" to specify the empty set`},
		{&stringMap, ``, `use "{}" to specify the empty map`},
		{&manyStrings, `a,a`, `a,a: set contains duplicate value`},
		{&manyStrings, `[a`, `[a: missing "]" at end of data`},
		{&manyStrings, `[a]b`, `[a]b: trailing garbage after "]"`},
		{&manyStrings, `a:b`, `a:b: unexpected ":" parsing set of strings`},
		{&manyStrings, `a\:b`, `["a:b"]`},
		{&manyStrings, `"a`, `"a: quoted string extends past end of argument`},
		{&manyStrings, `a\`, `a\: backslash at end of argument`},
		{&integers, `3-5 1`, `[1, 3, 4, 5]`},
		{&integers, `-2--1`, `[-2, -1]`},
		{&integers, `5-3`, `"5-3" is not a valid range. Range end cannot be before start.`},
		{&integers, `0-9223372036854775807`, `"0-9223372036854775807" is a range of more than 65536 values`},
		{&integers, `x`, `"x" is not a valid integer or range`},
		{&optInteger, `7`, `7`},
		{&optInteger, `[]`, `[]`},
		{&optInteger, `1,2`, `1,2: 2 value(s) specified but the maximum number is 1`},
		{&stringMap, `b=2,a=1`, `{a="1", b="2"}`},
		{&stringMap, `{a="x=y"}`, `{a="x=y"}`},
		{&stringMap, `a=1,a=2`, `a=1,a=2: map contains duplicate key`},
		{&stringMap, `a`, `a: syntax error at end of input expecting "="`},
		{&stringMap, `a=`, `a=: unexpected end of input parsing map of string-string pairs`},
		{&intMap, `1=yes 2=off`, `{1=true, 2=false}`},
		{&intMap, `1=maybe`, `"maybe" is not a valid boolean (use "true" or "false")`},
		{&oneString, `""`, `""`},
		{&oneString, `true`, `"true"`},
		{&oneString, `sw0`, `sw0`},
		{&oneString, `0sw`, `"0sw"`},
		{&oneString, `"é\n"`, `"é\n"`},
		{&uuids, `a1b2c3d4-0000-4000-8000-000000000001`, `[a1b2c3d4-0000-4000-8000-000000000001]`},
		{&uuids, `a1b2`, `"a1b2" is not a valid UUID`},
		{&uuids, `@name`, `"@name" is not a valid UUID`},
		{&limited, `10`, `constraint violation: 10 is not in the valid range 0 to 9 (inclusive)`},
		{&enum, `stt`, `constraint violation: stt is not one of the allowed values ([gre, vxlan])`},
	} {
		d, err := ParseDatum(tt.typ, tt.in, nil)
		got := d.Format(tt.typ)
		if err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("ParseDatum(%s) = %s, want %s", tt.in, got, tt.want)
		}
	}
}

func TestFormatReal(t *testing.T) {
	for _, tt := range []struct {
		f    float64
		want string
	}{
		{0, "0"}, {1, "1"}, {-2.5, "-2.5"}, {0.1, "0.1"}, {1.0 / 3, "0.333333333333333"},
		{1e15, "1e+15"}, {123456789012345, "123456789012345"}, {1e-5, "1e-05"}, {0.0001, "0.0001"}, {2.5e300, "2.5e+300"},
	} {
		if got := formatReal(tt.f); got != tt.want {
			t.Errorf("formatReal(%v) = %s, want %s as printf(\"%%.15g\") says", tt.f, got, tt.want)
		}
	}
}

// What is accepted is printed in a form that is accepted and means the same.
func FuzzParseDatum(f *testing.F) {
	for _, s := range []string{`a,b`, `{a=b, "c d"="e\n"}`, `[1, 2]`, `1-3`, `"\u00e9"`, `a\`, `true=yes`, `""=""`, `1=on,-1=off`} {
		for i := range allTypes {
			f.Add(uint8(i), s)
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, s string) {
		typ := allTypes[int(which)%len(allTypes)]
		d, err := ParseDatum(typ, s, nil)
		if err != nil || !utf8.ValidString(s) {
			return
		}
		if n := d.Len(); n < typ.Min || n > typ.Max {
			t.Fatalf("%q has %d elements", s, n)
		}
		text := d.Format(typ)
		again, err := ParseDatum(typ, text, nil)
		if err != nil || !again.Equal(d) {
			t.Fatalf("%q is printed as %q, which means %v, %v", s, text, again, err)
		}
		// The same through the notation of the wire.
		r := &reader{b: d.AppendJSON(nil, typ)}
		if wire := r.datum(typ); r.err != nil || !wire.Equal(d) {
			t.Fatalf("%q goes as %s and comes as %v, %v", s, r.b, wire, r.err)
		}
	})
}

func FuzzToken(f *testing.F) {
	f.Add(`a:b=c`)
	f.Add(`"a b"c d`)
	f.Fuzz(func(t *testing.T, s string) {
		word, rest, err := Token(s)
		if err == nil && len(word)+len(rest) > len(s) {
			t.Fatalf("Token(%q) = %q, %q", s, word, rest)
		}
	})
}
