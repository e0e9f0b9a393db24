package logical

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"unicode/utf8"
)

type tokenKind uint8

const (
	tokEnd    tokenKind = iota
	tokID               // ip4.src
	tokNumber           // any integer constant, with its mask
	tokString           // "lp1"
	tokAddrs            // $set
	tokPorts            // @group
	tokHole             // {name}
	tokPunct            // operators and brackets
)

type token struct {
	kind     tokenKind
	pos, end int
	text     string   // ID: the name; punctuation: itself
	c        Constant // number, string, sets, hole
}

// lexer turns a whole text into tokens, the last one being tokEnd.
type lexer struct {
	text   string
	pos    int
	holes  bool // {name} is a hole
	tokens []token
	err    *Error
}

// Longer ones first.
var punctuation = [...]string{
	"<->", "==", "!=", "<=", ">=", "&&", "||", "--", "..", "-",
	"(", ")", "[", "]", "{", "}", "<", ">", "!", ",", ";", "=", ":", "*",
}

func lex(text string, holes bool) *lexer {
	l := &lexer{text: text, holes: holes}
	if len(text) > MaxText {
		l.fail(0, 0, "text of %d bytes is longer than %d", len(text), MaxText)
	}
	l.tokens = make([]token, 0, len(text)/5+2)
	for l.err == nil && l.next() {
	}
	l.tokens = append(l.tokens, token{kind: tokEnd, pos: len(text), end: len(text)})
	return l
}

func (l *lexer) fail(pos, end int, format string, args ...any) {
	if l.err == nil {
		l.err = &Error{Pos: pos, End: end, Msg: fmt.Sprintf(format, args...), Text: l.text}
	}
}

func isSpace(c byte) bool {
	return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v'
}
func isDigit(c byte) bool { return '0' <= c && c <= '9' }
func isHex(c byte) bool   { return isDigit(c) || 'a' <= c|0x20 && c|0x20 <= 'f' }
func isID1(c byte) bool   { return 'a' <= c|0x20 && c|0x20 <= 'z' || c == '_' || c == '.' }
func isID(c byte) bool    { return isID1(c) || isDigit(c) }

// at is the byte at i, 0 behind the end.
func (l *lexer) at(i int) byte {
	if i < len(l.text) {
		return l.text[i]
	}
	return 0
}

// span is the end of the run of bytes from i that satisfy is.
func (l *lexer) span(i int, is func(byte) bool) int {
	for i < len(l.text) && is(l.text[i]) {
		i++
	}
	return i
}

// next appends one token; false at the end.
func (l *lexer) next() bool {
	if !l.skip() {
		return false
	}
	start := l.pos
	c := l.text[start]
	switch {
	case c == '"':
		l.str()
	case c == '$' || c == '@':
		kind, form := tokAddrs, FormAddrs
		if c == '@' {
			kind, form = tokPorts, FormPorts
		}
		if !isID1(l.at(start + 1)) {
			l.fail(start, start+1, "`%c' must be followed by the name of a set", c)
			return false
		}
		end := l.span(start+1, isID)
		name := l.text[start+1 : end]
		l.add(token{kind: kind, end: end, c: Constant{Form: form, Text: name}})
	case isDigit(c), c == ':' && l.at(start+1) == ':',
		isHex(c) && l.at(l.span(start, isHex)) == ':':
		l.number()
	case isID1(c) && !(c == '.' && l.at(start+1) == '.'):
		end := l.span(start, isID)
		// The two dots of a bit range end a name.
		if i := strings.Index(l.text[start:end], ".."); i > 0 {
			end = start + i
		}
		l.add(token{kind: tokID, end: end, text: l.text[start:end]})
	case c == '{' && l.holes && l.hole():
	default:
		for _, p := range punctuation {
			if strings.HasPrefix(l.text[start:], p) {
				l.add(token{kind: tokPunct, end: start + len(p), text: p})
				return true
			}
		}
		switch c {
		case '&', '|':
			l.fail(start, start+1, "`%c' is only valid as part of `%c%c'", c, c, c)
		case '-':
			l.fail(start, start+1, "`-' is only valid as part of `--'")
		case '/':
			l.fail(start, start+1, "`/' must follow a constant directly")
		default:
			_, n := utf8.DecodeRuneInString(l.text[start:])
			l.fail(start, start+n, "invalid character %q", l.text[start:start+n])
		}
	}
	return l.err == nil
}

func (l *lexer) add(t token) {
	t.pos = l.pos
	l.tokens = append(l.tokens, t)
	l.pos = t.end
}

// skip passes blanks and comments; false at the end of the text.
func (l *lexer) skip() bool {
	for l.pos < len(l.text) {
		rest := l.text[l.pos:]
		switch {
		case isSpace(rest[0]):
			l.pos++
		case strings.HasPrefix(rest, "//"):
			if i := strings.IndexByte(rest, '\n'); i >= 0 {
				l.pos += i
			} else {
				l.pos = len(l.text)
			}
		case strings.HasPrefix(rest, "/*"):
			i := strings.Index(rest[2:], "*/")
			if i < 0 {
				l.fail(l.pos, l.pos+2, "`/*' without matching `*/'")
				return false
			}
			l.pos += i + 4
		default:
			return true
		}
	}
	return false
}

// hole reads {name}, if that is what follows.
func (l *lexer) hole() bool {
	start := l.pos + 1
	if !isID1(l.at(start)) {
		return false
	}
	end := l.span(start, isID)
	if l.at(end) != '}' {
		return false
	}
	l.add(token{kind: tokHole, end: end + 1, c: Constant{Form: FormHole, Text: l.text[start:end]}})
	return true
}

func (l *lexer) str() {
	start := l.pos
	i := start + 1
	for i < len(l.text) && l.text[i] != '"' {
		if l.text[i] == '\\' {
			i++
		}
		i++
	}
	if i >= len(l.text) {
		l.fail(start, len(l.text), "unterminated string")
		return
	}
	raw := l.text[start+1 : i]
	s := raw
	if strings.IndexByte(raw, '\\') >= 0 || !utf8.ValidString(raw) || strings.ContainsFunc(raw, func(r rune) bool { return r < 0x20 }) {
		if err := json.Unmarshal([]byte(l.text[start:i+1]), &s); err != nil {
			l.fail(start, i+1, "invalid string: %v", err)
			return
		}
	}
	if strings.IndexByte(s, 0) >= 0 {
		l.fail(start, i+1, "invalid string: it contains a null character")
		return
	}
	l.add(token{kind: tokString, end: i + 1, c: Constant{Form: FormString, Text: s}})
}

// number reads an integer constant and the mask behind it.
func (l *lexer) number() {
	start := l.pos
	form, value, end := l.integer(start)
	if l.err != nil {
		return
	}
	c := Constant{Form: form, Value: value}
	if l.at(end) == '/' && l.at(end+1) != '/' && l.at(end+1) != '*' {
		mstart := end + 1
		if !isHex(l.at(mstart)) && l.at(mstart) != ':' {
			l.fail(mstart, mstart, "expecting a mask behind `/'")
			return
		}
		var mform Form
		mform, c.Mask, end = l.integer(mstart)
		if l.err != nil {
			return
		}
		width := 0
		switch form {
		case FormIPv4:
			width = 32
		case FormIPv6:
			width = 128
		}
		switch {
		case form == mform, form <= FormHex && mform <= FormHex:
		case width > 0 && mform == FormDecimal && c.Mask.Cmp(U64(uint64(width))) <= 0:
			c.Mask = prefixMask(int(c.Mask.Lo), width)
		case width > 0 && mform == FormDecimal:
			l.fail(mstart, end, "a prefix length is at most %d here", width)
			return
		default:
			l.fail(start, end, "value and mask are written in different forms")
			return
		}
		c.Masked = true
		if mform == FormHex {
			c.Form = FormHex
		}
		c.Value = c.Value.And(c.Mask) // 10.0.0.1/8 is 10.0.0.0/8
	}
	if isID(l.at(end)) && !(l.at(end) == '.' && l.at(end+1) == '.') {
		l.fail(start, l.span(end, isID), "invalid numeric constant %q", l.text[start:l.span(end, isID)])
		return
	}
	l.add(token{kind: tokNumber, end: end, c: c})
}

// integer reads one integer at start, without a mask.
func (l *lexer) integer(start int) (f Form, v U128, end int) {
	end = l.span(start, isDigit)
	if l.at(end) == '.' && isDigit(l.at(end+1)) { // an IPv4 address; a port may follow behind a colon
		for end < len(l.text) && (isDigit(l.text[end]) || l.text[end] == '.' && l.at(end+1) != '.') {
			end++
		}
		word := l.text[start:end]
		a, err := netip.ParseAddr(word)
		if err != nil || !a.Is4() {
			l.fail(start, end, "invalid IPv4 address %q", word)
			return
		}
		return FormIPv4, addrBits(a), end
	}
	for end < len(l.text) && (isDigit(l.text[end]) || 'a' <= l.text[end]|0x20 && l.text[end]|0x20 <= 'z' ||
		l.text[end] == ':' || l.text[end] == '.' && l.at(end+1) != '.') {
		end++
	}
	word := l.text[start:end]
	switch {
	case strings.IndexByte(word, ':') >= 0:
		if mac, ok := parseMAC(word); ok {
			return FormMAC, U64(mac), end
		}
		a, err := netip.ParseAddr(word)
		if err != nil {
			l.fail(start, end, "invalid Ethernet or IPv6 address %q", word)
			return
		}
		return FormIPv6, FromBytes(a.As16()), end
	case strings.HasPrefix(word, "0x"), strings.HasPrefix(word, "0X"):
		digits := strings.TrimLeft(word[2:], "0")
		if len(word) == 2 {
			l.fail(start, end, "hex digits expected behind %q", word)
			return
		}
		if len(digits) > 32 {
			l.fail(start, end, "hexadecimal constant %q is larger than 128 bits", word)
			return
		}
		for i := range len(digits) {
			d := strings.IndexByte(hexDigits, digits[i]|0x20)
			if isDigit(digits[i]) {
				d = int(digits[i] - '0')
			}
			if d < 0 {
				l.fail(start, end, "invalid hexadecimal constant %q", word)
				return
			}
			v = v.Shl(4).Or(U64(uint64(d)))
		}
		return FormHex, v, end
	}
	n, err := strconv.ParseUint(word, 10, 64)
	switch {
	case err != nil && len(word) > 0 && l.span(start, isDigit) == end:
		l.fail(start, end, "decimal constant %q is larger than 64 bits", word)
	case err != nil:
		l.fail(start, end, "invalid numeric constant %q", word)
	case len(word) > 1 && word[0] == '0':
		l.fail(start, end, "decimal constant %q has leading zeros", word)
	}
	return FormDecimal, U64(n), end
}

// parseMAC reads six pairs of hex digits with colons between them.
func parseMAC(s string) (mac uint64, ok bool) {
	if len(s) != 17 {
		return 0, false
	}
	for i := range len(s) {
		if i%3 == 2 {
			if s[i] != ':' {
				return 0, false
			}
			continue
		}
		if !isHex(s[i]) {
			return 0, false
		}
		d := uint64(s[i] & 0xf)
		if s[i] > '9' {
			d += 9
		}
		mac = mac<<4 | d
	}
	return mac, true
}

// addrBits is an address as a number of 32 or 128 bits.
func addrBits(a netip.Addr) U128 {
	if a.Is4() {
		b := a.As4()
		return U64(uint64(b[0])<<24 | uint64(b[1])<<16 | uint64(b[2])<<8 | uint64(b[3]))
	}
	return FromBytes(a.As16())
}
