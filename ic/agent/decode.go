package agent

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/ovn-org/libovsdb/model"

	checked "govn/pkg/ovsdb"
)

// decoder makes rows of what a database tells. A row is never changed: one that is
// told to have changed is copied first, with the columns that did.
type decoder struct {
	tables map[string]*rowType
	keys   map[string]string // of maps: each is kept once
}

// maxKeys is how many keys of maps a decoder keeps.
const maxKeys = 4096

// rowType is the type of a table's rows: the field of each column.
type rowType struct {
	of     reflect.Type
	uuid   int
	fields map[string]int
}

func newDecoder(tables map[string]model.Model) *decoder {
	d := &decoder{tables: make(map[string]*rowType), keys: make(map[string]string)}
	for name, m := range tables {
		t := &rowType{of: reflect.TypeOf(m).Elem(), fields: make(map[string]int)}
		for i := range t.of.NumField() {
			tag := t.of.Field(i).Tag
			if column := tag.Get("ovsdb"); column == "_uuid" {
				t.uuid = i
			} else if _, other := t.fields[column]; column != "" && !other {
				t.fields[column] = i
			}
			if column := tag.Get("elements"); column != "" {
				t.fields[column] = i
			}
		}
		d.tables[name] = t
	}
	return d
}

// decode is a row after what was told of it; old is nil where it is new. The
// result is nil where the row is gone or of no table of the agent's.
func (d *decoder) decode(old row, told *checked.RowTold, uuid string) (row, error) {
	t := d.tables[told.Table]
	if t == nil || told.Kind == checked.RowGone {
		return nil, nil
	}
	p := reflect.New(t.of)
	v := p.Elem()
	if old != nil {
		v.Set(reflect.ValueOf(old).Elem())
	}
	v.Field(t.uuid).SetString(uuid)
	for i := range told.Columns {
		c := &told.Columns[i]
		f, ok := t.fields[c.Name]
		if !ok {
			continue
		}
		if err := d.set(v.Field(f), c); err != nil {
			return nil, fmt.Errorf("table %q row %s column %q: %w", told.Table, uuid, c.Name, err)
		}
	}
	r, ok := p.Interface().(row)
	if !ok {
		return nil, fmt.Errorf("table %q has rows of type %v", told.Table, t.of)
	}
	return r, nil
}

// set sets a field to a column's value, or to what a difference makes of it.
func (d *decoder) set(f reflect.Value, c *checked.ColumnTold) error {
	switch field := f.Addr().Interface().(type) {
	case *string:
		*field = atomText(first(c.Value))
	case **string:
		*field = nil
		if a := first(c.Value); a != nil {
			s := atomText(a)
			*field = &s
		}
	case *int:
		n, _ := first(c.Value).(int64)
		*field = int(n)
	case *[]string:
		*field = elements(*field, c)
	case *checked.Set:
		if !c.Difference {
			*field = checked.Set{}
		}
		*field = toggled(*field, c.Value)
	case *map[string]string:
		*field = d.pairs(*field, c)
	default:
		return fmt.Errorf("a field of type %v", f.Type())
	}
	return nil
}

// first is the value of a column with at most one element; nil: it has none.
func first(v checked.Value) checked.Atom {
	if s, ok := v.(checked.Set); ok {
		a, _ := s.First()
		return a
	}
	return v
}

func atomText(a checked.Atom) string {
	switch a := a.(type) {
	case nil:
		return ""
	case string:
		return a
	case checked.UUID:
		return a.String()
	}
	return fmt.Sprint(a)
}

// elements are those of a small set column, in order.
func elements(old []string, c *checked.ColumnTold) []string {
	var now []string
	if c.Difference {
		now = slices.Clone(old)
	}
	each(c.Value, func(a checked.Atom) {
		s := atomText(a)
		if i, there := slices.BinarySearch(now, s); there {
			now = slices.Delete(now, i, i+1)
		} else {
			now = slices.Insert(now, i, s)
		}
	})
	return now
}

// toggled is a set without the elements of a difference that it has, and with the
// others.
func toggled(set checked.Set, difference checked.Value) checked.Set {
	if all, ok := difference.(checked.Set); ok && set.Len() == 0 {
		return all
	}
	each(difference, func(a checked.Atom) {
		if set.Has(a) {
			set = set.Without(a)
		} else {
			set = set.With(a)
		}
	})
	return set
}

func each(v checked.Value, do func(checked.Atom)) {
	s, ok := v.(checked.Set)
	if !ok {
		do(v)
		return
	}
	for a := range s.All() {
		do(a)
	}
}

// pairs are those of a map column; nil: none.
func (d *decoder) pairs(old map[string]string, c *checked.ColumnTold) map[string]string {
	m, _ := c.Value.(checked.Map)
	n := m.Len()
	if c.Difference {
		n += len(old)
	}
	if n == 0 {
		return nil
	}
	now := make(map[string]string, n)
	if c.Difference {
		for k, v := range old {
			now[k] = v
		}
	}
	for key, value := range m.All() {
		k, v := d.key(atomText(key)), atomText(value)
		if was, there := now[k]; there && was == v && c.Difference {
			delete(now, k)
		} else {
			now[k] = v
		}
	}
	return now
}

func (d *decoder) key(s string) string {
	if known, ok := d.keys[s]; ok {
		return known
	}
	if len(d.keys) < maxKeys {
		d.keys[s] = s
	}
	return s
}

// setOf is a set of texts.
func setOf(list []string) checked.Set {
	atoms := make([]checked.Atom, len(list))
	for i, s := range list {
		atoms[i] = s
	}
	return checked.NewSet(atoms...)
}

func textsOf(atoms []checked.Atom) []string {
	list := make([]string, len(atoms))
	for i, a := range atoms {
		list[i] = atomText(a)
	}
	return list
}
