package logical

import (
	"fmt"
	"net/netip"
	"strconv"
)

// Form is how a constant is written.
type Form uint8

const (
	FormDecimal Form = iota // 10, up to 64 bits
	FormHex                 // 0xa, up to 128 bits
	FormIPv4                // 10.0.0.1, 10.0.0.0/8, 10.0.0.0/255.0.0.0
	FormIPv6                // fd00::1, fd00::/64
	FormMAC                 // 00:00:00:00:00:01, 01:00:00:00:00:00/01:00:00:00:00:00
	FormString              // "lp1"
	FormAddrs               // $set
	FormPorts               // @group
	FormName                // a bare word, an argument of some actions
	FormHole                // {name}, in templates
)

// Constant is what fields are compared with and set to. The zero value is 0.
type Constant struct {
	Form   Form
	Masked bool
	Value  U128
	Mask   U128   // if Masked; Value has no bits outside of it
	Text   string // of a string its contents, of a set, a name or a hole its name

	hole int // of a hole: its index
}

// Numeric reports whether c is an integer in any of its forms.
func (c *Constant) Numeric() bool { return c.Form <= FormMAC }

// Reference reports whether c names an address set or a port group.
func (c *Constant) Reference() bool { return c.Form == FormAddrs || c.Form == FormPorts }

// Width is the number of bits that the constant needs.
func (c *Constant) Width() int {
	if c.Masked {
		return c.Mask.Len()
	}
	return c.Value.Len()
}

// String is the constant as text.
func (c *Constant) String() string { return string(c.appendText(nil)) }

func (c *Constant) appendText(b []byte) []byte {
	switch c.Form {
	case FormString:
		return appendQuoted(b, c.Text)
	case FormAddrs:
		return append(append(b, '$'), c.Text...)
	case FormPorts:
		return append(append(b, '@'), c.Text...)
	case FormName:
		return append(b, c.Text...)
	case FormHole:
		return append(append(append(b, '{'), c.Text...), '}')
	}
	b = appendNumber(b, c.Form, c.Value)
	if !c.Masked {
		return b
	}
	b = append(b, '/')
	width := 0
	switch c.Form {
	case FormIPv4:
		width = 32
	case FormIPv6:
		width = 128
	}
	if width > 0 {
		if n, ok := prefixLen(c.Mask, width); ok {
			return strconv.AppendInt(b, int64(n), 10)
		}
	}
	return appendNumber(b, c.Form, c.Mask)
}

// prefixLen is the length of a mask that is a prefix of width bits.
func prefixLen(mask U128, width int) (n int, ok bool) {
	host := Ones(width).Xor(mask)
	n = width - host.Len()
	return n, mask == Ones(width).Xor(Ones(width-n))
}

// prefixMask is the mask of a prefix of n of width bits.
func prefixMask(n, width int) U128 { return Ones(width).Xor(Ones(width - n)) }

func appendNumber(b []byte, f Form, v U128) []byte {
	switch f {
	case FormDecimal:
		if v.Hi == 0 {
			return strconv.AppendUint(b, v.Lo, 10)
		}
	case FormIPv4:
		if v.Len() <= 32 {
			return netip.AddrFrom4([4]byte{byte(v.Lo >> 24), byte(v.Lo >> 16), byte(v.Lo >> 8), byte(v.Lo)}).AppendTo(b)
		}
	case FormIPv6:
		return netip.AddrFrom16(v.Bytes()).AppendTo(b)
	case FormMAC:
		if v.Len() <= 48 {
			return appendMAC(b, v.Lo)
		}
	}
	b = append(b, "0x"...)
	if v.Hi == 0 {
		return strconv.AppendUint(b, v.Lo, 16)
	}
	b = strconv.AppendUint(b, v.Hi, 16)
	for shift := 60; shift >= 0; shift -= 4 {
		b = append(b, hexDigits[v.Lo>>shift&0xf])
	}
	return b
}

const hexDigits = "0123456789abcdef"

func appendMAC(b []byte, mac uint64) []byte {
	for shift := 40; shift >= 0; shift -= 8 {
		b = append(b, hexDigits[mac>>(shift+4)&0xf], hexDigits[mac>>shift&0xf])
		if shift > 0 {
			b = append(b, ':')
		}
	}
	return b
}

// appendQuoted appends s as a JSON string.
func appendQuoted(b []byte, s string) []byte {
	b = append(b, '"')
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < 0x20 || c == 0x7f:
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&0xf])
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}

// ParseConstant reads one element of a set: an address, a prefix or a number.
// The error is an [*Error].
func ParseConstant(text string) (Constant, error) {
	l := lex(text, false)
	if len(l.tokens) == 2 && l.tokens[0].kind == tokNumber && l.err == nil {
		return l.tokens[0].c, nil
	}
	if l.err != nil {
		return Constant{}, l.err
	}
	return Constant{}, &Error{Pos: 0, End: len(text), Text: text,
		Msg: fmt.Sprintf("%q is not an address or a number", text)}
}
