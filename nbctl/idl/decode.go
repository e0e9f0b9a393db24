package idl

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"govn/pkg/ovsdb"
)

// ErrSyntax is returned when a server sends what is not OVSDB.
var ErrSyntax = errors.New("syntax error in what the server sent")

// maxDepth is how deep arrays and objects may be nested in a message.
const maxDepth = 64

// reader reads JSON from memory. The first error sticks: after it every read
// returns zero and more returns false.
type reader struct {
	b   []byte
	i   int
	err error
}

func (r *reader) fail(want string) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: want %s at offset %d", ErrSyntax, want, r.i)
	}
	r.i = len(r.b)
}

// peek returns the next character that is not white space, 0 at the end.
func (r *reader) peek() byte {
	for ; r.i < len(r.b); r.i++ {
		switch c := r.b[r.i]; c {
		case ' ', '\t', '\r', '\n':
		default:
			return c
		}
	}
	return 0
}

func (r *reader) expect(c byte) {
	if r.peek() != c {
		r.fail(strconv.QuoteRune(rune(c)))
		return
	}
	r.i++
}

// more steps through an array or object: it skips what opens it or separates
// the elements, and returns false at the end, which it takes too.
func (r *reader) more(first *bool, end byte) bool {
	switch c := r.peek(); {
	case r.err != nil:
		return false
	case c == end:
		r.i++
		return false
	case !*first:
		r.expect(',')
	}
	*first = false
	return r.err == nil
}

// text reads a string.
func (r *reader) text() string {
	r.expect('"')
	if r.err != nil {
		return ""
	}
	start, plain := r.i, true
	for ; r.i < len(r.b); r.i++ {
		switch c := r.b[r.i]; {
		case c == '"':
			raw := r.b[start:r.i]
			r.i++
			if plain && utf8.Valid(raw) {
				return string(raw)
			}
			var s string
			if err := json.Unmarshal(r.b[start-1:r.i], &s); err != nil {
				r.fail("string")
			}
			return s
		case c == '\\':
			plain = false
			r.i++
		}
	}
	r.fail("end of string")
	return ""
}

// word reads a number, true, false or null.
func (r *reader) word() string {
	r.peek()
	start := r.i
	for ; r.i < len(r.b); r.i++ {
		c := r.b[r.i]
		if c != '+' && c != '-' && c != '.' && (c < '0' || c > '9') && !letter(c) {
			break
		}
	}
	if start == r.i {
		r.fail("value")
		return ""
	}
	return string(r.b[start:r.i])
}

// skip reads any value and returns its bytes.
func (r *reader) skip() []byte {
	r.peek()
	start := r.i
	end, err := valueEnd(r.b[start:])
	if err != nil || end == 0 {
		r.fail("value")
		return nil
	}
	r.i = start + end
	return r.b[start:r.i]
}

// valueEnd returns the length of the JSON value that b begins with, 0 when b
// does not hold all of it. It looks only at brackets and quotes.
func valueEnd(b []byte) (int, error) {
	depth, i := 0, 0
	for ; i < len(b); i++ {
		switch b[i] {
		case '"':
			for i++; ; i++ {
				if i >= len(b) {
					return 0, nil
				}
				if b[i] == '\\' {
					i++
				} else if b[i] == '"' {
					break
				}
			}
			if depth == 0 {
				return i + 1, nil
			}
		case '{', '[':
			if depth++; depth > maxDepth {
				return 0, fmt.Errorf("%w: nested deeper than %d", ErrSyntax, maxDepth)
			}
		case '}', ']':
			if depth--; depth < 0 {
				return i, nil // the end of what holds a number or keyword
			}
			if depth == 0 {
				return i + 1, nil
			}
		case ',':
			if depth == 0 {
				return i, nil
			}
		}
	}
	return 0, nil
}

// null takes a null, if that is what is next.
func (r *reader) null() bool {
	if r.peek() != 'n' {
		return false
	}
	return r.word() == "null"
}

// atom reads an <atom> of RFC 7047 section 5.1.
func (r *reader) atom(t ovsdb.AtomicType) Atom {
	switch t {
	case ovsdb.TypeString:
		return r.text()
	case ovsdb.TypeUUID:
		r.expect('[')
		if tag := r.text(); tag != "uuid" {
			r.fail("uuid")
		}
		r.expect(',')
		u := r.uuid()
		r.expect(']')
		return u
	}
	word := r.word()
	switch t {
	case ovsdb.TypeInteger:
		n, err := strconv.ParseInt(word, 10, 64)
		if err != nil {
			f, err := strconv.ParseFloat(word, 64)
			if err != nil || f != float64(int64(f)) {
				r.fail("integer")
			}
			n = int64(f)
		}
		return n
	case ovsdb.TypeReal:
		f, err := strconv.ParseFloat(word, 64)
		if err != nil {
			r.fail("number")
		}
		return f
	}
	if word != "true" && word != "false" {
		r.fail("boolean")
	}
	return word == "true"
}

func (r *reader) uuid() UUID {
	u, err := ovsdb.ParseUUID(r.text())
	if err != nil {
		r.fail("UUID")
	}
	return u
}

// datum reads a <value> of a column. It does not check constraints other than
// that one value is one: the server has done that.
func (r *reader) datum(t *ovsdb.ColumnType) (d Datum) {
	if t.IsMap() {
		r.expect('[')
		if tag := r.text(); tag != "map" {
			r.fail("map")
		}
		r.expect(',')
		r.expect('[')
		for first := true; r.more(&first, ']'); {
			r.expect('[')
			d.Keys = append(d.Keys, r.atom(t.Key.Type))
			r.expect(',')
			d.Values = append(d.Values, r.atom(t.Value.Type))
			r.expect(']')
		}
		r.expect(']')
		d.sort()
		return d
	}
	if r.peek() != '[' {
		return Datum{Keys: []Atom{r.atom(t.Key.Type)}}
	}
	start := r.i
	r.i++
	if tag := r.text(); tag != "set" {
		r.i = start
		return Datum{Keys: []Atom{r.atom(t.Key.Type)}}
	}
	r.expect(',')
	r.expect('[')
	for first := true; r.more(&first, ']'); {
		d.Keys = append(d.Keys, r.atom(t.Key.Type))
	}
	r.expect(']')
	if t.IsScalar() && len(d.Keys) != 1 {
		r.fail("exactly one value")
		return Datum{Keys: []Atom{zero(t.Key.Type)}}
	}
	d.sort()
	return d
}

// row reads a <row>; columns that the schema does not have are skipped.
func (r *reader) row(t *ovsdb.TableSchema, set func(*ovsdb.ColumnSchema, Datum)) {
	r.expect('{')
	for first := true; r.more(&first, '}'); {
		c := column(t, r.text())
		r.expect(':')
		if c == nil {
			r.skip()
			continue
		}
		set(c, r.datum(&c.Type))
	}
}

// column returns the column of a table with that name, or nil.
func column(t *ovsdb.TableSchema, name string) *ovsdb.ColumnSchema {
	i, ok := slices.BinarySearchFunc(t.Columns, name, func(c *ovsdb.ColumnSchema, name string) int {
		return strings.Compare(c.Name, name)
	})
	if !ok {
		return nil
	}
	return t.Columns[i]
}

// object calls member for each member of an object.
func (r *reader) object(member func(name string)) {
	r.expect('{')
	for first := true; r.more(&first, '}'); {
		name := r.text()
		r.expect(':')
		if r.err == nil {
			member(name)
		}
	}
}
