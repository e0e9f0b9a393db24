package idl

import (
	"strconv"
	"strings"

	"govn/pkg/ovsdb"
)

// FormatAtom prints an atom as the database commands take it: strings in quotes
// unless they can be taken for nothing else.
func FormatAtom(a Atom) string {
	if s, ok := a.(string); ok && needsQuotes(s) {
		return string(appendQuoted(nil, s))
	}
	return BareAtom(a)
}

// BareAtom prints an atom without quotes.
func BareAtom(a Atom) string {
	switch x := a.(type) {
	case string:
		return x
	case int64:
		return strconv.FormatInt(x, 10)
	case bool:
		return strconv.FormatBool(x)
	case float64:
		return formatReal(x)
	case UUID:
		return x.String()
	}
	return ""
}

// formatReal prints as C's %.15g.
func formatReal(f float64) string {
	s := strconv.FormatFloat(f, 'e', 14, 64)
	mantissa, exponent, ok := strings.Cut(s, "e")
	if !ok {
		return s // Inf, NaN
	}
	exp, _ := strconv.Atoi(exponent)
	if exp < -4 || exp >= 15 {
		if strings.Contains(mantissa, ".") {
			mantissa = strings.TrimRight(strings.TrimRight(mantissa, "0"), ".")
		}
		return mantissa + "e" + exponent
	}
	s = strconv.FormatFloat(f, 'f', 14-exp, 64)
	if strings.Contains(s, ".") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	return s
}

func needsQuotes(s string) bool {
	if s == "" || s == "true" || s == "false" || !letter(s[0]) {
		return true
	}
	for i := 1; i < len(s); i++ {
		if c := s[i]; !letter(c) && c != '-' && c != '.' && (c < '0' || c > '9') {
			return true
		}
	}
	_, err := ovsdb.ParseUUID(s)
	return err == nil
}

func letter(c byte) bool { return c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }

// appendQuoted appends a string as JSON. Only what JSON demands is escaped.
func appendQuoted(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\b':
			b = append(b, `\b`...)
		case '\f':
			b = append(b, `\f`...)
		case '\n':
			b = append(b, `\n`...)
		case '\r':
			b = append(b, `\r`...)
		case '\t':
			b = append(b, `\t`...)
		default:
			if c < 32 {
				b = append(b, `\u00`...)
				b = append(b, hex[c>>4], hex[c&15])
			} else {
				b = append(b, c)
			}
		}
	}
	return append(b, '"')
}

// Format prints a value as the database commands take it.
func (d Datum) Format(t *ovsdb.ColumnType) string {
	if t.Max == 1 && len(d.Keys) == 1 {
		return d.join(FormatAtom, ", ")
	}
	if t.IsMap() {
		return "{" + d.join(FormatAtom, ", ") + "}"
	}
	return "[" + d.join(FormatAtom, ", ") + "]"
}

// Bare prints a value without quotes, brackets and commas.
func (d Datum) Bare() string { return d.join(BareAtom, " ") }

func (d Datum) join(atom func(Atom) string, separator string) string {
	var b strings.Builder
	for i, k := range d.Keys {
		if i > 0 {
			b.WriteString(separator)
		}
		b.WriteString(atom(k))
		if d.Values != nil {
			b.WriteByte('=')
			b.WriteString(atom(d.Values[i]))
		}
	}
	return b.String()
}

// AppendJSON appends a value in the notation of RFC 7047 section 5.1.
func (d Datum) AppendJSON(b []byte, t *ovsdb.ColumnType) []byte {
	if t.IsMap() {
		b = append(b, `["map",[`...)
		for i, k := range d.Keys {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendAtom(append(b, '['), k), ',')
			b = append(appendAtom(b, d.Values[i]), ']')
		}
		return append(b, "]]"...)
	}
	if len(d.Keys) == 1 {
		return appendAtom(b, d.Keys[0])
	}
	b = append(b, `["set",[`...)
	for i, k := range d.Keys {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendAtom(b, k)
	}
	return append(b, "]]"...)
}

func appendAtom(b []byte, a Atom) []byte {
	switch x := a.(type) {
	case string:
		return appendQuoted(b, x)
	case UUID:
		return append(append(append(b, `["uuid","`...), x.String()...), `"]`...)
	case float64:
		return strconv.AppendFloat(b, x, 'g', -1, 64) // all digits
	}
	return append(b, BareAtom(a)...)
}

// AppendString appends a JSON string.
func AppendString(b []byte, s string) []byte { return appendQuoted(b, s) }
