package idl

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"govn/pkg/ovsdb"
)

// Symbols gives UUIDs to the names of rows, written @name. It may be nil.
type Symbols interface {
	// Symbol returns the UUID that stands for a name with its "@", and notes
	// that it was used by a column of the given kind of reference.
	Symbol(name string, kind ovsdb.RefType) UUID
}

const delimiters = ":=, []{}!<>"

// Delimiter tells whether c ends a token outside of quotes.
func Delimiter(c byte) bool { return strings.IndexByte(delimiters, c) >= 0 }

// Token splits the first word from s: up to a delimiter that is not in quotes.
// A backslash takes the next character as it is.
func Token(s string) (word, rest string, err error) {
	var out []byte
	quoted := false
	i := 0
	for ; i < len(s) && (quoted || !Delimiter(s[i])); i++ {
		c := s[i]
		if c == '\\' {
			if quoted {
				out = append(out, '\\')
			}
			if i++; i == len(s) {
				return "", "", fmt.Errorf("%s: backslash at end of argument", s)
			}
		} else if c == '"' {
			quoted = !quoted
		}
		out = append(out, s[i])
	}
	if quoted {
		return "", "", fmt.Errorf("%s: quoted string extends past end of argument", s)
	}
	return string(out), s[i:], nil
}

// ParseAtom reads an atom of a type and verifies its constraints.
func ParseAtom(b *ovsdb.BaseType, s string, names Symbols) (Atom, error) {
	atoms, err := parseAtoms(b, s, names, false)
	if err != nil {
		return nil, err
	}
	return atoms[0], nil
}

// maxRange is the greatest number of elements that a range may stand for.
const maxRange = 1 << 16

// parseAtoms reads an atom, or, of integers where that is allowed, a range A-B.
func parseAtoms(b *ovsdb.BaseType, s string, names Symbols, ranges bool) ([]Atom, error) {
	var a Atom
	switch b.Type {
	case ovsdb.TypeInteger:
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil && ranges {
			return parseRange(b, s)
		}
		if err != nil {
			return nil, fmt.Errorf("%q is not a valid integer", s)
		}
		a = n
	case ovsdb.TypeReal:
		f, err := strconv.ParseFloat(s, 64)
		if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
			return nil, fmt.Errorf("%q is not a valid real number", s)
		}
		a = f + 0 // not -0
	case ovsdb.TypeBoolean:
		switch s {
		case "true", "yes", "on", "1":
			a = true
		case "false", "no", "off", "0":
			a = false
		default:
			return nil, fmt.Errorf("%q is not a valid boolean (use \"true\" or \"false\")", s)
		}
	case ovsdb.TypeString:
		text, err := parseString(s)
		if err != nil {
			return nil, err
		}
		a = text
	case ovsdb.TypeUUID:
		if strings.HasPrefix(s, "@") && names != nil {
			a = names.Symbol(s, b.Ref)
			break
		}
		u, err := ovsdb.ParseUUID(s)
		if err != nil {
			return nil, fmt.Errorf("%q is not a valid UUID", s)
		}
		a = u
	default:
		return nil, errors.New("a value where none is expected")
	}
	return []Atom{a}, check(b, a)
}

func parseRange(b *ovsdb.BaseType, s string) ([]Atom, error) {
	i := strings.IndexByte(s[min(1, len(s)):], '-') + 1
	if i < 1 {
		return nil, fmt.Errorf("%q is not a valid integer or range", s)
	}
	from, err1 := strconv.ParseInt(s[:i], 10, 64)
	to, err2 := strconv.ParseInt(s[i+1:], 10, 64)
	switch {
	case err1 != nil || err2 != nil:
		return nil, fmt.Errorf("%q is not a valid integer or range", s)
	case to < from:
		return nil, fmt.Errorf("%q is not a valid range. Range end cannot be before start.", s)
	case uint64(to)-uint64(from) >= maxRange:
		return nil, fmt.Errorf("%q is a range of more than %d values", s, maxRange)
	}
	var out []Atom
	for n := from; ; n++ {
		if err := check(b, n); err != nil {
			return nil, err
		}
		if out = append(out, n); n == to {
			return out, nil
		}
	}
}

func parseString(s string) (string, error) {
	if s == "" {
		return "", errors.New(`An empty string is not valid as input; use "" to represent the empty string`)
	}
	if strings.IndexByte(s, 0) >= 0 {
		return "", fmt.Errorf("%q contains a null byte", s)
	}
	if s[0] != '"' {
		return s, nil
	}
	if len(s) < 2 || s[len(s)-1] != '"' {
		return "", fmt.Errorf("%s: missing quote at end of quoted string", s)
	}
	var out string
	if err := json.Unmarshal([]byte(s), &out); err != nil || strings.IndexByte(out, 0) >= 0 {
		return "", fmt.Errorf("%s: not a JSON string", s)
	}
	return out, nil
}

// check verifies the constraints of a base type.
func check(b *ovsdb.BaseType, a Atom) error {
	if b.Enum.Len() > 0 {
		if b.Enum.Has(a) {
			return nil
		}
		var all []string
		for e := range b.Enum.All() {
			all = append(all, FormatAtom(e))
		}
		return fmt.Errorf("constraint violation: %s is not one of the allowed values ([%s])", FormatAtom(a), strings.Join(all, ", "))
	}
	// bounds says which side is violated; unlimited sides are not mentioned.
	bounds := func(value, low, high string, noLow, noHigh bool) error {
		switch {
		case !noLow && !noHigh:
			return fmt.Errorf("constraint violation: %s is not in the valid range %s to %s (inclusive)", value, low, high)
		case noHigh:
			return fmt.Errorf("constraint violation: %s is less than minimum allowed value %s", value, low)
		}
		return fmt.Errorf("constraint violation: %s is greater than maximum allowed value %s", value, high)
	}
	switch x := a.(type) {
	case int64:
		if x < b.MinInteger || x > b.MaxInteger {
			return bounds(BareAtom(x), BareAtom(b.MinInteger), BareAtom(b.MaxInteger), b.MinInteger == math.MinInt64, b.MaxInteger == math.MaxInt64)
		}
	case float64:
		if x < b.MinReal || x > b.MaxReal {
			return bounds(BareAtom(x), BareAtom(b.MinReal), BareAtom(b.MaxReal), b.MinReal == -math.MaxFloat64, b.MaxReal == math.MaxFloat64)
		}
	case string:
		if n := utf8.RuneCountInString(x); n < b.MinLength {
			return fmt.Errorf("constraint violation: \"%s\" length %d is less than minimum allowed length %d", x, n, b.MinLength)
		} else if n > b.MaxLength {
			return fmt.Errorf("constraint violation: \"%s\" length %d is greater than maximum allowed length %d", x, n, b.MaxLength)
		}
	}
	return nil
}

func plural(t *ovsdb.ColumnType) string {
	if t.IsMap() {
		return "pair(s)"
	}
	return "value(s)"
}

// ParseDatum reads a value of a column as database commands take it: elements
// separated by spaces or commas, brackets or braces around them optional.
func ParseDatum(t *ovsdb.ColumnType, s string, names Symbols) (Datum, error) {
	open, end := byte('['), byte(']')
	if t.IsMap() {
		open, end = '{', '}'
	}
	var d Datum
	p := strings.TrimLeft(s, " ")
	if p == "" {
		if t.IsMap() {
			return Datum{}, errors.New(`use "{}" to specify the empty map`)
		}
		return Datum{}, errors.New(`use "[]" to specify the empty set`)
	}
	bracket := p != "" && p[0] == open
	if bracket {
		p = strings.TrimLeft(p[1:], " ")
	}
	for p != "" && !(bracket && p[0] == end) {
		var err error
		if p, err = d.parseElement(t, s, p, names); err != nil {
			return Datum{}, err
		}
		p = strings.TrimLeft(p, " ")
		p = strings.TrimPrefix(p, ",")
		p = strings.TrimLeft(p, " ")
	}
	if bracket {
		if p == "" {
			return Datum{}, fmt.Errorf("%s: missing \"%c\" at end of data", s, end)
		}
		if p = strings.TrimLeft(p[1:], " "); p != "" {
			return Datum{}, fmt.Errorf("%s: trailing garbage after \"%c\"", s, end)
		}
	}
	if n := len(d.Keys); n < t.Min {
		return Datum{}, fmt.Errorf("%s: %d %s specified but the minimum number is %d", s, n, plural(t), t.Min)
	} else if n > t.Max {
		return Datum{}, fmt.Errorf("%s: %d %s specified but the maximum number is %d", s, n, plural(t), t.Max)
	}
	d.sort()
	for i := 1; i < len(d.Keys); i++ {
		if Compare(d.Keys[i-1], d.Keys[i]) == 0 {
			if t.IsMap() {
				return Datum{}, fmt.Errorf("%s: map contains duplicate key", s)
			}
			return Datum{}, fmt.Errorf("%s: set contains duplicate value", s)
		}
	}
	return d, nil
}

// parseElement reads one element or pair from p, which is a part of s.
func (d *Datum) parseElement(t *ovsdb.ColumnType, s, p string, names Symbols) (rest string, err error) {
	token := func(b *ovsdb.BaseType, ranges bool) ([]Atom, error) {
		if p == "" || Delimiter(p[0]) {
			return nil, fmt.Errorf("%s: unexpected %s parsing %s", s, at(p), noun(t))
		}
		var word string
		if word, p, err = Token(p); err != nil {
			return nil, err
		}
		return parseAtoms(b, word, names, ranges)
	}
	keys, err := token(&t.Key, !t.IsMap())
	if err != nil {
		return "", err
	}
	d.Keys = append(d.Keys, keys...)
	if !t.IsMap() {
		return p, nil
	}
	if p == "" || p[0] != '=' {
		return "", fmt.Errorf("%s: syntax error at %s expecting \"=\"", s, at(p))
	}
	p = p[1:]
	values, err := token(&t.Value, false)
	if err != nil {
		return "", err
	}
	d.Values = append(d.Values, values...)
	return p, nil
}

// noun names a type in English.
func noun(t *ovsdb.ColumnType) string {
	switch {
	case t.IsMap():
		return fmt.Sprintf("map of %s-%s pairs", t.Key.Type, t.Value.Type)
	case t.Max > 1:
		return "set of " + t.Key.Type.String() + "s"
	}
	return t.Key.Type.String()
}

// at names the character that p begins with.
func at(p string) string {
	if p == "" {
		return "end of input"
	}
	return fmt.Sprintf("\"%c\"", p[0])
}
