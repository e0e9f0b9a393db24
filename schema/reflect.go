package schema

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"sync"
)

// newDatabase reads the tables from pointers to their row types. It panics when
// the declarations are wrong, since they are part of the program.
func newDatabase(name, version string, models []any) *Database {
	d := &Database{Name: name, Version: version}
	d.json = sync.OnceValue(d.render)
	for _, m := range models {
		rt := reflect.TypeOf(m).Elem()
		t, err := tableOf(rt)
		if err != nil {
			panic(fmt.Sprintf("schema: %s: %s: %v", name, rt.Name(), err))
		}
		if d.Table(t.Name) != nil {
			panic(fmt.Sprintf("schema: %s: table %q declared twice", name, t.Name))
		}
		t.Model = m
		d.Tables = append(d.Tables, t)
	}
	for _, t := range d.Tables {
		if err := d.check(t); err != nil {
			panic(fmt.Sprintf("schema: %s: table %q: %v", name, t.Name, err))
		}
	}
	return d
}

// check verifies what spans columns and tables: indexes and references.
func (d *Database) check(t *Table) error {
	for _, ix := range t.Indexes {
		for _, c := range ix {
			if t.Column(c) == nil {
				return fmt.Errorf("index on unknown column %q", c)
			}
		}
	}
	for _, c := range t.Columns {
		for _, b := range []*Base{&c.Key, c.Value} {
			if b != nil && b.RefTable != "" && d.Table(b.RefTable) == nil {
				return fmt.Errorf("column %q refers to unknown table %q", c.Name, b.RefTable)
			}
		}
	}
	return nil
}

func tableOf(rt reflect.Type) (*Table, error) {
	t := &Table{}
	for i := range rt.NumField() {
		f := rt.Field(i)
		name := f.Tag.Get("ovsdb")
		if name == "_uuid" {
			if err := t.parseTag(f.Tag.Get("db")); err != nil {
				return nil, err
			}
			continue
		}
		if t.Column(name) != nil {
			return nil, fmt.Errorf("column %q declared twice", name)
		}
		c, err := columnOf(name, f.Type, f.Tag.Get("db"))
		if err != nil {
			return nil, fmt.Errorf("column %q: %w", name, err)
		}
		t.Columns = append(t.Columns, c)
	}
	if t.Name == "" {
		return nil, fmt.Errorf("no _uuid field that names the table")
	}
	return t, nil
}

// words splits a db tag into its words, each a key and what follows "=".
func words(tag string) [][2]string {
	if tag == "" {
		return nil
	}
	var out [][2]string
	for w := range strings.SplitSeq(tag, ",") {
		k, v, _ := strings.Cut(w, "=")
		out = append(out, [2]string{k, v})
	}
	return out
}

func (t *Table) parseTag(tag string) (err error) {
	for _, w := range words(tag) {
		switch w[0] {
		case "table":
			t.Name = w[1]
		case "root":
			t.IsRoot = true
		case "maxrows":
			t.MaxRows, err = strconv.Atoi(w[1])
		case "index":
			t.Indexes = append(t.Indexes, strings.Split(w[1], "+"))
		default:
			err = fmt.Errorf("unknown word %q in the tag of a table", w[0])
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func columnOf(name string, rt reflect.Type, tag string) (*Column, error) {
	c := &Column{Name: name, Min: 1, Max: 1}
	key := rt
	switch rt.Kind() {
	case reflect.Pointer:
		c.Min, key = 0, rt.Elem()
	case reflect.Slice:
		c.Min, c.Max, key = 0, Unlimited, rt.Elem()
	case reflect.Map:
		c.Min, c.Max, key = 0, Unlimited, rt.Key()
		c.Value = &Base{}
		if err := c.Value.setKind(rt.Elem().Kind()); err != nil {
			return nil, err
		}
	}
	if err := c.Key.setKind(key.Kind()); err != nil {
		return nil, err
	}
	for _, w := range words(tag) {
		if err := c.parseWord(w[0], w[1]); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func (b *Base) setKind(k reflect.Kind) error {
	switch k {
	case reflect.Int:
		b.Type = "integer"
	case reflect.Float64:
		b.Type = "real"
	case reflect.Bool:
		b.Type = "boolean"
	case reflect.String:
		b.Type = "string"
	default:
		return fmt.Errorf("no OVSDB type for kind %v", k)
	}
	return nil
}

func (c *Column) parseWord(k, v string) (err error) {
	switch k {
	case "ephemeral":
		c.Ephemeral = true
	case "immutable":
		c.Immutable = true
	case "min":
		c.Min, err = strconv.Atoi(v)
	case "max":
		c.Max, err = strconv.Atoi(v)
	default:
		base := &c.Key
		if rest, ok := strings.CutPrefix(k, "value."); ok {
			if c.Value == nil {
				return fmt.Errorf("%q on a column that is no map", k)
			}
			base, k = c.Value, rest
		}
		err = base.parseWord(k, v)
	}
	return err
}

func (b *Base) parseWord(k, v string) (err error) {
	switch k {
	case "uuid":
		b.Type = "uuid"
	case "ref":
		b.Type, b.RefTable = "uuid", v
	case "weak":
		b.Weak = true
	case "enum":
		b.Enum = strings.Split(v, "|")
	case "maxlen":
		b.MaxLength, err = strconv.Atoi(v)
	case "range":
		lo, hi, ok := strings.Cut(v, "..")
		if !ok {
			return fmt.Errorf("range %q has no dots", v)
		}
		if b.MinInt, err = bound(lo); err == nil {
			b.MaxInt, err = bound(hi)
		}
	default:
		err = fmt.Errorf("unknown word %q in a tag", k)
	}
	return err
}

func bound(s string) (*int64, error) {
	if s == "" {
		return nil, nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return &n, err
}
