package northbound

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"govn/pkg/logical"
)

// Fault is a fault in a text, with its place.
type faultAt = *logical.Error

// at is a fault from one byte of a text to another.
func at(text string, pos, end int, format string, args ...any) faultAt {
	return &logical.Error{Pos: pos, End: end, Msg: fmt.Sprintf(format, args...), Text: text}
}

// whole is a fault of all of a text.
func whole(text, format string, args ...any) faultAt {
	return at(text, 0, len(text), format, args...)
}

// within moves a fault of a part of a text, which begins at pos, to the text.
func within(text string, pos int, f faultAt) faultAt {
	if f == nil {
		return nil
	}
	return at(text, pos+f.Pos, pos+f.End, "%s", f.Msg)
}

// Type is what a value has to look like.
type Type struct {
	Name  string // for people: "true or false"
	check func(text string) faultAt
}

// Check says what is wrong with a value, and where; nil: nothing.
func (t Type) Check(text string) *logical.Error {
	if t.check == nil {
		return nil
	}
	return t.check(text)
}

// NewType returns a type whose values a function checks; nil: nothing is wrong.
func NewType(name string, check func(text string) *logical.Error) Type { return Type{name, check} }

// The types of values.
var (
	Text   = Type{Name: "text"}
	Bool   = oneOf("true", "false")
	Bit    = oneOf("0", "1")
	IP     = Type{"an IP address", func(s string) faultAt { return checkIP(s, 0) }}
	IPv4   = Type{"an IPv4 address", func(s string) faultAt { return checkIP(s, 4) }}
	IPv6   = Type{"an IPv6 address", func(s string) faultAt { return checkIP(s, 6) }}
	Prefix = Type{"an IP address with an optional prefix length", checkPrefix}
	MAC    = Type{"an Ethernet address", checkMAC}
	Match  = Type{"a match expression", checkMatch}
	// Endpoint is an address with or without a port, as virtual IPs are.
	Endpoint = Type{"an IP address with an optional port", func(s string) faultAt { _, _, f := checkEndpoint(s); return f }}
	// Addresses is an element of Logical_Switch_Port:addresses.
	Addresses = Type{"addresses", checkAddresses}
	// MACAndIPs is an Ethernet address with addresses or prefixes after it.
	MACAndIPs = Type{"an Ethernet address and IP addresses", checkMACAndIPs}
	// Target is a connection method, active or passive.
	Target = Type{"a connection method", checkTarget}
	// Ports are NAT:external_port_range.
	Ports = Type{"ports", checkPortRange}
	// Number is an integer of 64 bits.
	Number = integer(math.MinInt64, math.MaxInt64)
	Uint32 = integer(0, math.MaxUint32)
)

// integer is an integer in a range.
func integer(low, high int64) Type {
	name := fmt.Sprintf("an integer from %d to %d", low, high)
	if low == math.MinInt64 {
		name = "an integer"
	}
	return Type{name, func(s string) faultAt {
		n, err := strconv.ParseInt(s, 10, 64)
		switch {
		case err != nil && strings.Trim(s, "-0123456789") == "" && strings.Trim(s, "-") != "":
			return whole(s, "out of range: not %s", name)
		case err != nil:
			i := strings.IndexFunc(s, func(r rune) bool { return r < '0' || r > '9' })
			if i == 0 && len(s) > 1 && s[0] == '-' {
				i = 1
			}
			return at(s, max(i, 0), len(s), "not %s", name)
		case n < low || n > high:
			return whole(s, "out of range: not %s", name)
		}
		return nil
	}}
}

func oneOf(values ...string) Type {
	name := strings.Join(values[:len(values)-1], ", ") + " or " + values[len(values)-1]
	return Type{name, func(s string) faultAt {
		if slices.Contains(values, s) {
			return nil
		}
		return whole(s, "not %s", name)
	}}
}

// either is a value of one of two types. The fault is that of the last.
func either(a, b Type) Type {
	return Type{a.Name + ", or " + b.Name, func(s string) faultAt {
		if a.Check(s) == nil {
			return nil
		}
		return b.Check(s)
	}}
}

// listOf is one or more values, with any of the separators between them.
func listOf(t Type, separators string) Type {
	return Type{"a list of values that are each " + t.Name, func(s string) faultAt {
		n := 0
		for pos, word := range fields(s, separators) {
			if f := t.Check(word); f != nil {
				return within(s, pos, f)
			}
			n++
		}
		if n == 0 {
			return whole(s, "empty")
		}
		return nil
	}}
}

// braced is a value, or several in braces as DHCP options have them.
func braced(t Type) Type {
	list := listOf(t, ", ")
	return Type{t.Name + ", or several in braces", func(s string) faultAt {
		inner, ok := strings.CutPrefix(strings.TrimSpace(s), "{")
		if !ok {
			return t.Check(s)
		}
		inner, ok = strings.CutSuffix(inner, "}")
		if !ok {
			return at(s, len(s), len(s), "a brace is not closed")
		}
		return within(s, strings.Index(s, inner), list.Check(inner))
	}}
}

// fields yields the words of a text with their positions.
func fields(s, separators string) func(yield func(int, string) bool) {
	return func(yield func(int, string) bool) {
		for i := 0; i < len(s); {
			if strings.IndexByte(separators, s[i]) >= 0 {
				i++
				continue
			}
			n := strings.IndexAny(s[i:], separators)
			if n < 0 {
				n = len(s) - i
			}
			if !yield(i, s[i:i+n]) {
				return
			}
			i += n
		}
	}
}

// checkIP finds what is wrong with an address; family is 4, 6, or 0 for either.
func checkIP(s string, family int) faultAt {
	a, err := netip.ParseAddr(s)
	switch {
	case err != nil:
		return badIP(s)
	case a.Zone() != "":
		return at(s, strings.IndexByte(s, '%'), len(s), "an address here has no zone")
	case family == 4 && !a.Is4():
		return whole(s, "not an IPv4 address")
	case family == 6 && a.Is4():
		return whole(s, "not an IPv6 address")
	}
	return nil
}

// badIP points at the part of an address that is wrong.
func badIP(s string) faultAt {
	if s == "" {
		return at(s, 0, 0, "an IP address is missing")
	}
	if strings.Contains(s, ":") {
		i := strings.IndexFunc(s, func(r rune) bool { return r != ':' && r != '.' && !isHex(r) })
		if i >= 0 {
			return at(s, i, i+1, "no hexadecimal digit of an IPv6 address")
		}
		for pos, word := range fields(s, ":") {
			if len(word) > 4 && !strings.Contains(word, ".") {
				return at(s, pos, pos+len(word), "more than four digits")
			}
		}
		return whole(s, "not an IPv6 address")
	}
	n, last := 0, 0
	for pos, word := range fields(s, ".") {
		v, err := strconv.ParseUint(word, 10, 32)
		switch {
		case err != nil && n == 0:
			return whole(s, "not an IP address")
		case err != nil || v > 255:
			return at(s, pos, pos+len(word), "not a number from 0 to 255")
		case len(word) > 1 && word[0] == '0':
			return at(s, pos, pos+len(word), "a leading zero")
		case n == 4:
			return at(s, pos, len(s), "more than four numbers")
		}
		n, last = n+1, pos+len(word)
	}
	return at(s, last, len(s), "not an IP address: four numbers with a point between them")
}

func isHex(r rune) bool {
	return r >= '0' && r <= '9' || r >= 'a' && r <= 'f' || r >= 'A' && r <= 'F'
}

func checkPrefix(s string) faultAt {
	address, length, masked := strings.Cut(s, "/")
	if f := checkIP(address, 0); f != nil {
		return within(s, 0, f)
	}
	if !masked {
		return nil
	}
	bits := 32
	if strings.Contains(address, ":") {
		bits = 128
	}
	n, err := strconv.Atoi(length)
	if err == nil && n >= 0 && n <= bits && length[0] != '+' {
		return nil
	}
	if mask, merr := netip.ParseAddr(length); merr == nil && mask.BitLen() == bits {
		if contiguous(mask) {
			return nil
		}
		return at(s, len(address)+1, len(s), "no netmask: its ones are not together")
	}
	return at(s, len(address)+1, len(s), "not a prefix length from 0 to %d", bits)
}

// contiguous says that a mask is ones and then zeros.
func contiguous(mask netip.Addr) bool {
	zeros := false
	for _, b := range mask.AsSlice() {
		for bit := 7; bit >= 0; bit-- {
			one := b>>bit&1 == 1
			if one && zeros {
				return false
			}
			zeros = zeros || !one
		}
	}
	return true
}

func checkMAC(s string) faultAt {
	n, end := 0, 0
	for pos, word := range fields(s, ":") {
		if n == 6 {
			return at(s, end, len(s), "more than six bytes")
		}
		if _, err := strconv.ParseUint(word, 16, 8); err != nil || len(word) > 2 {
			return at(s, pos, pos+len(word), "not two hexadecimal digits")
		}
		n, end = n+1, pos+len(word)
	}
	if n < 6 || strings.Count(s, ":") != 5 {
		return at(s, min(end, len(s)), len(s), "not an Ethernet address: six bytes with colons between them")
	}
	return nil
}

func checkMatch(s string) faultAt {
	_, err := logical.ParseMatch(s, logical.Default())
	if err == nil {
		return nil
	}
	if f, ok := err.(*logical.Error); ok {
		return f
	}
	return whole(s, "%v", err)
}

// checkEndpoint finds what is wrong with ADDRESS, ADDRESS:PORT or
// [ADDRESS]:PORT. port tells whether there is one, family what the address is.
func checkEndpoint(s string) (family int, port bool, f faultAt) {
	address, rest, start := s, "", 0
	if inner, ok := strings.CutPrefix(s, "["); ok {
		start = 1
		var closed bool
		if address, rest, closed = strings.Cut(inner, "]"); !closed {
			return 0, false, at(s, len(s), len(s), "a bracket is not closed")
		}
		if rest != "" && rest[0] != ':' {
			i := len(s) - len(rest)
			return 0, false, at(s, i, len(s), "a colon and a port were expected")
		}
	} else if strings.Count(s, ":") == 1 {
		i := strings.IndexByte(s, ':')
		address, rest = s[:i], s[i:]
	}
	if f := checkIP(address, 0); f != nil {
		return 0, false, within(s, start, f)
	}
	family = 4
	if strings.Contains(address, ":") {
		family = 6
	}
	if rest == "" {
		return family, false, nil
	}
	if n, err := strconv.ParseUint(rest[1:], 10, 16); err != nil || n == 0 {
		i := len(s) - len(rest) + 1
		return family, true, at(s, i, len(s), "not a port from 1 to 65535")
	}
	return family, true, nil
}

// Family is an address of a family.
func Family(v4 bool) Type {
	if v4 {
		return IPv4
	}
	return IPv6
}

// Backend is what may be behind a virtual IP.
func Backend(vip string) Type {
	return Type{"an endpoint like " + vip, func(s string) faultAt { return checkBackends(vip, s) }}
}
