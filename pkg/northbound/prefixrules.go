package northbound

import (
	"net/netip"
	"strconv"
	"strings"
)

// PrefixRule is an element of a list of prefixes that filters routes: "PREFIX",
// as OVN has it, matches the prefix and all that lie within it; "PREFIX ge A le B"
// (either may be missing) matches those that lie within it and have a length from
// A to B.
type PrefixRule struct {
	Prefix   netip.Prefix
	Min, Max int // length in bits
}

// Matches tells whether a prefix is one of the rule's.
func (r PrefixRule) Matches(p netip.Prefix) bool {
	return r.Min <= p.Bits() && p.Bits() <= r.Max && r.Prefix.Bits() <= p.Bits() && r.Prefix.Contains(p.Addr())
}

// PrefixRules reads a list with commas between its elements. Those that cannot be
// read are left out, as OVN does.
func PrefixRules(list string) (rules []PrefixRule) {
	for _, word := range fields(list, ",") {
		if r, f := readPrefixRule(word); f == nil {
			rules = append(rules, r)
		}
	}
	return rules
}

// checkPrefixRule reads one element.
func checkPrefixRule(s string) faultAt {
	_, f := readPrefixRule(s)
	return f
}

func readPrefixRule(s string) (r PrefixRule, f faultAt) {
	n, limit := 0, ""
	for pos, word := range fields(s, " ") {
		switch {
		case n == 0:
			if f := checkPrefix(word); f != nil {
				return r, within(s, pos, f)
			}
			r.Prefix = prefixOf(word)
			r.Min, r.Max = r.Prefix.Bits(), r.Prefix.Addr().BitLen()
		case limit == "":
			if word != "ge" && word != "le" {
				return r, at(s, pos, pos+len(word), "not ge or le")
			}
			limit = word
		default:
			bits, err := strconv.Atoi(word)
			if err != nil || bits < r.Prefix.Bits() || bits > r.Prefix.Addr().BitLen() {
				return r, at(s, pos, pos+len(word), "not a length from %d to %d", r.Prefix.Bits(), r.Prefix.Addr().BitLen())
			}
			if limit == "ge" {
				r.Min = bits
			} else {
				r.Max = bits
			}
			limit = ""
		}
		n++
	}
	switch {
	case n == 0:
		return r, at(s, 0, len(s), "a prefix is missing")
	case limit != "":
		return r, at(s, len(s), len(s), "a length is missing")
	case r.Min > r.Max:
		return r, whole(s, "no length is %d or more and %d or less", r.Min, r.Max)
	}
	return r, nil
}

// prefixOf is a prefix that checkPrefix has nothing against: without a length that
// of a host, with a netmask in place of the length too.
func prefixOf(s string) netip.Prefix {
	address, length, masked := strings.Cut(s, "/")
	a, err := netip.ParseAddr(address)
	if err != nil {
		return netip.Prefix{}
	}
	if !masked {
		return netip.PrefixFrom(a, a.BitLen())
	}
	if bits, err := strconv.Atoi(length); err == nil {
		return netip.PrefixFrom(a, bits)
	}
	mask, err := netip.ParseAddr(length)
	if err != nil {
		return netip.Prefix{}
	}
	bits := 0
	for _, b := range mask.AsSlice() {
		for ; b&0x80 != 0; b <<= 1 {
			bits++
		}
	}
	return netip.PrefixFrom(a, bits)
}
