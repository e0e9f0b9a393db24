package ovsdb

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf16"
	"unicode/utf8"
)

type jsonKind uint8

const (
	jsonNull jsonKind = iota
	jsonBool
	jsonNumber
	jsonString
	jsonArray
	jsonObject
)

// jsonValue is one parsed JSON value. Strings are substrings of the message, so
// what outlives the message must be cloned.
type jsonValue struct {
	kind jsonKind
	// text is a string's contents or a number's literal; "true" or "false".
	text string
	// list holds the elements of an array; of an object, keys and values alternate.
	list []jsonValue
}

// jsonLimits bound what a peer can make us hold.
type jsonLimits struct {
	depth  int // nesting
	values int // values in one message
}

var defaultJSONLimits = jsonLimits{depth: 100, values: 8 << 20}

type jsonParser struct {
	s      string
	pos    int
	limits jsonLimits
	// open are the elements so far of the arrays and objects that are open,
	// innermost last. When one closes, they move to slab, which many lists share:
	// growing each list by itself would copy it again and again.
	open []jsonValue
	slab []jsonValue
}

// close returns the elements from a mark on as a list.
func (p *jsonParser) close(mark int) []jsonValue {
	n := len(p.open) - mark
	if n == 0 {
		return nil
	}
	if n >= 4096 && mark < n/8 { // rather copy the few others than a long list
		list := p.open[mark:len(p.open):len(p.open)]
		p.open = slices.Clone(p.open[:mark])
		return list
	}
	if cap(p.slab)-len(p.slab) < n {
		// About one value in eight bytes of what is left.
		p.slab = make([]jsonValue, 0, max(n, min((len(p.s)-p.pos)/8+len(p.open)+n, 4096)))
	}
	from := len(p.slab)
	p.slab = append(p.slab, p.open[mark:]...)
	p.open = p.open[:mark]
	return p.slab[from:len(p.slab):len(p.slab)]
}

// openValues are for jsonParser.open.
var openValues sync.Pool

// parseJSON parses exactly one value with optional white space around it. Of
// several members with one name in an object the last one counts.
func parseJSON(s string, limits jsonLimits) (jsonValue, error) { return parseJSONIn(s, limits, nil) }

// parseJSONIn is parseJSON with memory for the elements, of which the value takes more
// where that is too small. The value is gone when the memory is used again.
func parseJSONIn(s string, limits jsonLimits, slab []jsonValue) (jsonValue, error) {
	open, _ := openValues.Get().(*[]jsonValue)
	if open == nil {
		open = new([]jsonValue)
	}
	p := jsonParser{s: s, limits: limits, open: *open, slab: slab[:0]}
	v, err := p.value(0)
	defer func() {
		if cap(p.open) <= 512 {
			clear(p.open[:cap(p.open)]) // they hold the message
			*open = p.open[:0]
			openValues.Put(open)
		}
	}()
	if err == nil {
		if p.space(); p.pos != len(s) {
			err = errors.New("trailing garbage")
		}
	}
	if err != nil {
		return jsonValue{}, fmt.Errorf("JSON: %w at byte %d", err, p.pos)
	}
	return v, nil
}

func (p *jsonParser) space() {
	for p.pos < len(p.s) {
		switch p.s[p.pos] {
		case ' ', '\t', '\n', '\r':
			p.pos++
		default:
			return
		}
	}
}

func (p *jsonParser) value(depth int) (v jsonValue, err error) {
	if p.limits.values--; p.limits.values < 0 {
		return v, errors.New("too many values")
	}
	p.space()
	if p.pos >= len(p.s) {
		return v, errors.New("unexpected end of input")
	}
	switch c := p.s[p.pos]; {
	case c == '"':
		v.kind = jsonString
		v.text, err = p.str()
		return v, err
	case c == '[', c == '{':
		if depth >= p.limits.depth {
			return v, fmt.Errorf("input exceeds maximum nesting depth %d", p.limits.depth)
		}
		if c == '[' {
			return p.array(depth + 1)
		}
		return p.object(depth + 1)
	case c == '-', '0' <= c && c <= '9':
		return p.number()
	}
	for _, w := range [...]struct {
		text string
		kind jsonKind
	}{{"true", jsonBool}, {"false", jsonBool}, {"null", jsonNull}} {
		if strings.HasPrefix(p.s[p.pos:], w.text) {
			p.pos += len(w.text)
			return jsonValue{kind: w.kind, text: w.text}, nil
		}
	}
	return v, errors.New("invalid character or keyword")
}

func (p *jsonParser) next(c byte) bool {
	p.space()
	if p.pos < len(p.s) && p.s[p.pos] == c {
		p.pos++
		return true
	}
	return false
}

func (p *jsonParser) array(depth int) (jsonValue, error) {
	v := jsonValue{kind: jsonArray}
	p.pos++
	if p.next(']') {
		return v, nil
	}
	mark := len(p.open)
	for {
		e, err := p.value(depth)
		if err != nil {
			return v, err
		}
		p.open = append(p.open, e)
		if p.next(']') {
			v.list = p.close(mark)
			return v, nil
		}
		if !p.next(',') {
			return v, errors.New("syntax error parsing array")
		}
	}
}

func (p *jsonParser) object(depth int) (jsonValue, error) {
	v := jsonValue{kind: jsonObject}
	p.pos++
	if p.next('}') {
		return v, nil
	}
	mark := len(p.open)
	var seen map[string]int // only in large objects: where a member's value is
	for {
		if p.space(); p.pos >= len(p.s) || p.s[p.pos] != '"' {
			return v, errors.New("syntax error parsing object expecting string")
		}
		key, err := p.str()
		if err != nil {
			return v, err
		}
		if !p.next(':') {
			return v, errors.New("syntax error parsing object expecting ':'")
		}
		e, err := p.value(depth)
		if err != nil {
			return v, err
		}
		at := -1
		if seen != nil {
			if i, ok := seen[key]; ok {
				at = i
			}
		} else {
			for i := mark; i < len(p.open); i += 2 {
				if p.open[i].text == key {
					at = i + 1
				}
			}
		}
		if at >= 0 {
			p.open[at] = e
		} else {
			p.open = append(p.open, jsonValue{kind: jsonString, text: key}, e)
			switch {
			case seen != nil:
				seen[key] = len(p.open) - 1
			case len(p.open)-mark == 64:
				seen = make(map[string]int)
				for i := mark; i < len(p.open); i += 2 {
					seen[p.open[i].text] = i + 1
				}
			}
		}
		if p.next('}') {
			v.list = p.close(mark)
			return v, nil
		}
		if !p.next(',') {
			return v, errors.New("syntax error parsing object expecting '}' or ','")
		}
	}
}

func (p *jsonParser) digits() bool {
	start := p.pos
	for p.pos < len(p.s) && '0' <= p.s[p.pos] && p.s[p.pos] <= '9' {
		p.pos++
	}
	return p.pos > start
}

func (p *jsonParser) number() (jsonValue, error) {
	start := p.pos
	if p.s[p.pos] == '-' {
		p.pos++
	}
	first := p.pos
	if !p.digits() {
		return jsonValue{}, errors.New("'-' must be followed by digit")
	}
	if p.s[first] == '0' && p.pos-first > 1 {
		return jsonValue{}, errors.New("leading zeros not allowed")
	}
	if p.pos < len(p.s) && p.s[p.pos] == '.' {
		p.pos++
		if !p.digits() {
			return jsonValue{}, errors.New("decimal point must be followed by digit")
		}
	}
	if p.pos < len(p.s) && (p.s[p.pos] == 'e' || p.s[p.pos] == 'E') {
		p.pos++
		if p.pos < len(p.s) && (p.s[p.pos] == '+' || p.s[p.pos] == '-') {
			p.pos++
		}
		if !p.digits() {
			return jsonValue{}, errors.New("exponent must contain at least one digit")
		}
	}
	return jsonValue{kind: jsonNumber, text: p.s[start:p.pos]}, nil
}

func (p *jsonParser) str() (string, error) {
	p.pos++
	start := p.pos
	for p.pos < len(p.s) {
		switch c := p.s[p.pos]; {
		case c == '"':
			s := p.s[start:p.pos]
			p.pos++
			if !utf8.ValidString(s) {
				return "", errors.New("not valid UTF-8")
			}
			return s, nil
		case c == '\\':
			return p.escaped(start)
		case c < 0x20:
			return "", fmt.Errorf("U+%04X must be escaped in quoted string", c)
		}
		p.pos++
	}
	return "", errors.New("unexpected end of input in quoted string")
}

// escaped reads a string that has an escape at pos.
func (p *jsonParser) escaped(start int) (string, error) {
	b := append(make([]byte, 0, 2*(p.pos-start)+32), p.s[start:p.pos]...)
	for p.pos < len(p.s) {
		c := p.s[p.pos]
		p.pos++
		switch {
		case c == '"':
			if !utf8.Valid(b) {
				return "", errors.New("not valid UTF-8")
			}
			return string(b), nil
		case c < 0x20:
			return "", fmt.Errorf("U+%04X must be escaped in quoted string", c)
		case c != '\\':
			b = append(b, c)
			continue
		}
		if p.pos >= len(p.s) {
			break
		}
		c = p.s[p.pos]
		p.pos++
		if i := strings.IndexByte(`"\/bfnrt`, c); i >= 0 {
			b = append(b, "\"\\/\b\f\n\r\t"[i])
			continue
		}
		if c != 'u' {
			return "", fmt.Errorf("bad escape \\%c", c)
		}
		r, ok := p.hex4()
		if !ok {
			return "", errors.New("malformed \\u escape")
		}
		if utf16.IsSurrogate(r) {
			if !strings.HasPrefix(p.s[p.pos:], `\u`) {
				return "", errors.New("malformed escaped surrogate pair")
			}
			p.pos += 2
			low, ok := p.hex4()
			if r = utf16.DecodeRune(r, low); !ok || r == utf8.RuneError {
				return "", errors.New("malformed escaped surrogate pair")
			}
		}
		if r == 0 {
			return "", errors.New("null bytes not supported in quoted strings")
		}
		b = utf8.AppendRune(b, r)
	}
	return "", errors.New("unexpected end of input in quoted string")
}

func (p *jsonParser) hex4() (rune, bool) {
	if len(p.s)-p.pos < 4 {
		return 0, false
	}
	n, err := strconv.ParseUint(p.s[p.pos:p.pos+4], 16, 32)
	p.pos += 4
	return rune(n), err == nil
}

// member returns the value under name in an object.
func (v *jsonValue) member(name string) (*jsonValue, bool) {
	m, _ := v.memberAt(name)
	return m, m != nil
}

// memberAt returns also the position of the name in list.
func (v *jsonValue) memberAt(name string) (*jsonValue, int) {
	if v.kind == jsonObject {
		for i := 0; i < len(v.list); i += 2 {
			if v.list[i].text == name {
				return &v.list[i+1], i
			}
		}
	}
	return nil, -1
}

// pairTagged returns the second element of ["tag", value].
func (v *jsonValue) pairTagged(tag string) (*jsonValue, bool) {
	if v.kind == jsonArray && len(v.list) == 2 && v.list[0].kind == jsonString && v.list[0].text == tag {
		return &v.list[1], true
	}
	return nil, false
}

// integer returns a number that is integral and fits, also when it is written
// as 1.0 or 1e3; integers beyond 2^53 are exact.
func (v *jsonValue) integer() (int64, bool) {
	if v.kind != jsonNumber {
		return 0, false
	}
	if n, err := strconv.ParseInt(v.text, 10, 64); err == nil {
		return n, true
	}
	if !strings.ContainsAny(v.text, ".eE") {
		return 0, false
	}
	f, err := strconv.ParseFloat(v.text, 64)
	if err != nil || f != math.Trunc(f) || f < -(1<<63) || f >= 1<<63 {
		return 0, false
	}
	return int64(f), true
}

func (v *jsonValue) real() (float64, bool) {
	if v.kind != jsonNumber {
		return 0, false
	}
	f, err := strconv.ParseFloat(v.text, 64)
	if err != nil {
		return 0, false
	}
	return f + 0, true // -0 + 0 is 0: one zero only
}

// append prints the value compactly, members in the order they came.
func (v *jsonValue) append(b []byte) []byte {
	switch v.kind {
	case jsonNull:
		return append(b, "null"...)
	case jsonBool, jsonNumber:
		return append(b, v.text...)
	case jsonString:
		return appendString(b, v.text)
	case jsonArray:
		b = append(b, '[')
		for i := range v.list {
			if i > 0 {
				b = append(b, ',')
			}
			b = v.list[i].append(b)
		}
		return append(b, ']')
	}
	b = append(b, '{')
	for i := 0; i < len(v.list); i += 2 {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendString(b, v.list[i].text), ':')
		b = v.list[i+1].append(b)
	}
	return append(b, '}')
}

func (v *jsonValue) String() string { return string(v.append(nil)) }

// canonical is the value as text, with members in order: what is equal prints
// equal. ovsdb-server gives objects back in another order than they came in.
func (v *jsonValue) canonical() string { return v.sorted().String() }

func (v *jsonValue) sorted() *jsonValue {
	if v.kind == jsonNumber {
		if n, ok := v.integer(); ok {
			return &jsonValue{kind: jsonNumber, text: strconv.FormatInt(n, 10)}
		}
		if f, ok := v.real(); ok {
			return &jsonValue{kind: jsonNumber, text: string(appendReal(nil, f))}
		}
	}
	if v.kind != jsonObject && v.kind != jsonArray {
		return v
	}
	c := *v
	c.list = make([]jsonValue, len(v.list))
	for i := range v.list {
		c.list[i] = *v.list[i].sorted()
	}
	if v.kind == jsonObject {
		members := make([][2]jsonValue, 0, len(c.list)/2)
		for i := 0; i+1 < len(c.list); i += 2 {
			members = append(members, [2]jsonValue{c.list[i], c.list[i+1]})
		}
		slices.SortStableFunc(members, func(a, b [2]jsonValue) int { return strings.Compare(a[0].text, b[0].text) })
		for i, m := range members {
			c.list[2*i], c.list[2*i+1] = m[0], m[1]
		}
	}
	return &c
}

// short is the value as a diagnostic, members in order, cut off when it is long.
func (v *jsonValue) short() string {
	if s := v.canonical(); len(s) <= 200 {
		return s
	} else {
		return strings.ToValidUTF8(s[:200], "") + "..."
	}
}

const hexDigits = "0123456789abcdef"

// appendString appends s as a JSON string.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	start := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= 0x20 && c != '"' && c != '\\' {
			continue
		}
		b = append(b, s[start:i]...)
		start = i + 1
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, '\\', 'n')
		case '\r':
			b = append(b, '\\', 'r')
		case '\t':
			b = append(b, '\\', 't')
		default:
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return append(append(b, s[start:]...), '"')
}
