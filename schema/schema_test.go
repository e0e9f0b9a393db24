package schema

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/ovn-org/libovsdb/model"
)

// String is the notation of the lists in testdata: "?" is at most one element,
// "xMIN..MAX" a set, ref(T) a strong reference.
func (c *Column) String() string {
	s := c.Key.notation()
	switch {
	case c.Value != nil:
		s = "map<" + s + "," + c.Value.notation() + ">"
	case c.Min == 0 && c.Max == 1:
		s += "?"
	case c.Max == Unlimited:
		s += fmt.Sprintf(" x%d..*", c.Min)
	case c.Max != 1:
		s += fmt.Sprintf(" x%d..%d", c.Min, c.Max)
	}
	if c.Ephemeral {
		s += " ephemeral"
	}
	if c.Immutable {
		s += " immutable"
	}
	return s
}

func (b *Base) notation() string {
	switch {
	case b.RefTable != "" && b.Weak:
		return "ref(" + b.RefTable + ",weak)"
	case b.RefTable != "":
		return "ref(" + b.RefTable + ")"
	case b.Enum != nil:
		return b.Type + "{" + strings.Join(b.Enum, "/") + "}"
	case b.MaxLength > 0:
		return fmt.Sprintf("%s(len<=%d)", b.Type, b.MaxLength)
	case b.MinInt != nil && b.MaxInt != nil:
		return fmt.Sprintf("%s[%d..%d]", b.Type, *b.MinInt, *b.MaxInt)
	case b.MinInt != nil:
		return fmt.Sprintf("%s[%d..]", b.Type, *b.MinInt)
	}
	return b.Type
}

// String is the head of a table in the lists in testdata.
func (t *Table) String() string {
	s := "table " + t.Name
	if t.IsRoot {
		s += " root"
	}
	if t.MaxRows > 0 {
		s += fmt.Sprintf(" maxrows=%d", t.MaxRows)
	}
	for _, ix := range t.Indexes {
		s += " index=" + strings.Join(ix, "+")
	}
	return s
}

// The declarations are those of OVN, as the lists in testdata have them.
func TestColumnLists(t *testing.T) {
	for name, d := range map[string]*Database{"northbound": Northbound(), "southbound": Southbound(),
		"ic-northbound": ICNorthbound(), "ic-southbound": ICSouthbound()} {
		want, err := os.ReadFile(filepath.Join("testdata", name+".tables"))
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		for _, tab := range d.Tables {
			fmt.Fprintln(&b, tab)
			for _, c := range tab.Columns {
				fmt.Fprintf(&b, "  %s %s\n", c.Name, c)
			}
		}
		if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(b.String(), "\n")); diff != "" {
			t.Errorf("%s (-list +declared):\n%s", name, diff)
		}
	}
}

// parse reads a JSON schema into the form that the declarations have.
func parse(t *testing.T, b []byte) *Database {
	t.Helper()
	var doc struct {
		Name, Version, Cksum string
		Tables               map[string]struct {
			Columns map[string]struct {
				Type      json.RawMessage
				Ephemeral bool
				Mutable   *bool
			}
			IsRoot  bool
			MaxRows int
			Indexes [][]string
		}
	}
	if err := json.Unmarshal(b, &doc); err != nil {
		t.Fatal(err)
	}
	d := &Database{Name: doc.Name, Version: doc.Version}
	for name, jt := range doc.Tables {
		tab := &Table{Name: name, IsRoot: jt.IsRoot, MaxRows: jt.MaxRows, Indexes: jt.Indexes}
		for name, jc := range jt.Columns {
			c := parseType(t, jc.Type)
			c.Name, c.Ephemeral, c.Immutable = name, jc.Ephemeral, jc.Mutable != nil && !*jc.Mutable
			// Debian's OVN 23.03 has the word inside the type, where nobody reads it.
			c.Ephemeral = c.Ephemeral || bytes.Contains(jc.Type, []byte(`"ephemeral"`))
			tab.Columns = append(tab.Columns, c)
		}
		d.Tables = append(d.Tables, tab)
	}
	return d
}

func parseType(t *testing.T, raw []byte) *Column {
	c := &Column{Min: 1, Max: 1}
	if raw[0] == '"' {
		c.Key = parseBase(t, raw)
		return c
	}
	var o struct {
		Key, Value, Max json.RawMessage
		Min             *int
	}
	if err := json.Unmarshal(raw, &o); err != nil {
		t.Fatal(err)
	}
	c.Key = parseBase(t, o.Key)
	if o.Value != nil {
		v := parseBase(t, o.Value)
		c.Value = &v
	}
	if o.Min != nil {
		c.Min = *o.Min
	}
	switch string(o.Max) {
	case "":
	case `"unlimited"`:
		c.Max = Unlimited
	default:
		if err := json.Unmarshal(o.Max, &c.Max); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func parseBase(t *testing.T, raw []byte) Base {
	var b Base
	if raw[0] == '"' {
		raw = append(append([]byte(`{"type":`), raw...), '}')
	}
	var o struct {
		Type, RefTable, RefType string
		Enum                    []json.RawMessage
		MinInteger, MaxInteger  *int64
		MaxLength               int
	}
	if err := json.Unmarshal(raw, &o); err != nil {
		t.Fatal(err)
	}
	b = Base{Type: o.Type, RefTable: o.RefTable, Weak: o.RefType == "weak", MinInt: o.MinInteger, MaxInt: o.MaxInteger, MaxLength: o.MaxLength}
	if o.Enum != nil {
		if err := json.Unmarshal(o.Enum[1], &b.Enum); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

// What the JSON says is what is declared.
func TestJSON(t *testing.T) {
	for name, d := range All() {
		got := parse(t, d.JSON())
		if got.Name != d.Name || got.Version != d.Version || len(got.Tables) != len(d.Tables) {
			t.Fatalf("%s: JSON of %q %q with %d tables", name, got.Name, got.Version, len(got.Tables))
		}
		for _, want := range d.Tables {
			tab := got.Table(want.Name)
			if tab == nil {
				t.Errorf("%s: no table %q in the JSON", name, want.Name)
				continue
			}
			if tab.String() != want.String() || len(tab.Columns) != len(want.Columns) {
				t.Errorf("%s: %q with %d columns, want %q with %d", name, tab, len(tab.Columns), want, len(want.Columns))
			}
			for _, c := range want.Columns {
				if g := tab.Column(c.Name); !reflect.DeepEqual(g, c) {
					t.Errorf("%s: %s.%s is %v, want %v", name, want.Name, c.Name, g, c)
				}
			}
		}
		if again := d.render(); !bytes.Equal(again, d.JSON()) {
			t.Errorf("%s: the JSON is not stable", name)
		}
	}
}

// The checksum is that of cksum(1).
func TestCksum(t *testing.T) {
	for _, in := range []string{"", "a", "hello\n", strings.Repeat("x", 70_000)} {
		cmd := exec.Command("cksum")
		cmd.Stdin = strings.NewReader(in)
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		if got, want := cksum([]byte(in)), strings.TrimSpace(string(out)); got != want {
			t.Errorf("cksum of %d bytes: %q, want %q", len(in), got, want)
		}
	}
}

// Stock ovsdb-tool makes databases from the JSON.
func TestStockOvsdbToolAccepts(t *testing.T) {
	for name, d := range All() {
		dir := t.TempDir()
		file := filepath.Join(dir, name+".ovsschema")
		if err := os.WriteFile(file, d.JSON(), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command("ovsdb-tool", "create", filepath.Join(dir, "db"), file).CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s", name, err, out)
		}
		out, err := exec.Command("ovsdb-tool", "schema-version", file).CombinedOutput()
		if err != nil || strings.TrimSpace(string(out)) != d.Version {
			t.Errorf("%s: version %s, %v", name, out, err)
		}
	}
}

// libovsdb takes every row type as a model, with the types it expects.
func TestClientModel(t *testing.T) {
	for name, d := range All() {
		cm, err := d.ClientModel()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if _, errs := model.NewDatabaseModel(serverSchema(t, d), cm); len(errs) > 0 {
			t.Errorf("%s: %v", name, errs)
		}
	}
}

// Wrong declarations are found when the database is built.
func TestBadDeclarations(t *testing.T) {
	type noTable struct {
		UUID string `ovsdb:"_uuid"`
	}
	type badWord struct {
		UUID string `ovsdb:"_uuid" db:"table=T"`
		A    int    `ovsdb:"a" db:"rang=1..2"`
	}
	type badRange struct {
		UUID string `ovsdb:"_uuid" db:"table=T"`
		A    int    `ovsdb:"a" db:"range=1-2"`
	}
	type badRef struct {
		UUID string `ovsdb:"_uuid" db:"table=T"`
		A    string `ovsdb:"a" db:"ref=U"`
	}
	type badIndex struct {
		UUID string `ovsdb:"_uuid" db:"table=T,index=a+b"`
		A    string `ovsdb:"a"`
	}
	type badType struct {
		UUID string `ovsdb:"_uuid" db:"table=T"`
		A    uint8  `ovsdb:"a"`
	}
	type noMap struct {
		UUID string `ovsdb:"_uuid" db:"table=T"`
		A    string `ovsdb:"a" db:"value.uuid"`
	}
	type twice struct {
		UUID string `ovsdb:"_uuid" db:"table=T"`
		A    string `ovsdb:"a"`
		B    string `ovsdb:"a"`
	}
	for _, m := range []any{&noTable{}, &badWord{}, &badRange{}, &badRef{}, &badIndex{}, &badType{}, &noMap{}, &twice{}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%T was accepted", m)
				}
			}()
			newDatabase("D", "1.0.0", []any{m})
		}()
	}
}
