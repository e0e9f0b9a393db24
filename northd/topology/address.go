package topology

import (
	"fmt"
	"net/netip"
	"strings"
)

// MAC is an Ethernet address.
type MAC [6]byte

// String is the address in the notation 50:54:00:00:00:01.
func (m MAC) String() string {
	const hex = "0123456789abcdef"
	var b [17]byte
	for i, x := range m {
		b[3*i], b[3*i+1] = hex[x>>4], hex[x&15]
		if i < 5 {
			b[3*i+2] = ':'
		}
	}
	return string(b[:])
}

// Uint64 is the address in the low 48 bits, in network order.
func (m MAC) Uint64() uint64 {
	var v uint64
	for _, x := range m {
		v = v<<8 | uint64(x)
	}
	return v
}

// LinkLocal is the IPv6 link-local address that the EUI-64 of m gives
// (RFC 4291, appendix A).
func (m MAC) LinkLocal() netip.Addr {
	return netip.AddrFrom16([16]byte{0xfe, 0x80, 8: m[0] ^ 2, 9: m[1], 10: m[2], 11: 0xff, 12: 0xfe, 13: m[3], 14: m[4], 15: m[5]})
}

// ParseMAC reads an Ethernet address in the notation 50:54:00:00:00:01.
func ParseMAC(s string) (MAC, error) {
	var m MAC
	part := s
	for i := range m {
		digits, rest, more := strings.Cut(part, ":")
		if more != (i < 5) || len(digits) == 0 || len(digits) > 2 {
			return MAC{}, fmt.Errorf("%q is no Ethernet address", s)
		}
		for _, c := range []byte(digits) {
			n, ok := hexDigit(c)
			if !ok {
				return MAC{}, fmt.Errorf("%q is no Ethernet address", s)
			}
			m[i] = m[i]<<4 | n
		}
		part = rest
	}
	return m, nil
}

func hexDigit(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}

// AddressError says what is wrong in an element of an address column.
type AddressError struct {
	Text string // the element
	Pos  int    // byte offset of the word that does not parse
	Err  error  // what is wrong with the word
}

func (e *AddressError) Error() string {
	return fmt.Sprintf("%q, at position %d: %v", e.Text, e.Pos, e.Err)
}

// Unwrap is the reason.
func (e *AddressError) Unwrap() error { return e.Err }

// Addresses are an Ethernet address and the IP addresses that belong to it.
// Each IP address is kept with its prefix length as written; without one the
// length is that of the address.
type Addresses struct {
	MAC MAC
	V4  []netip.Prefix
	V6  []netip.Prefix
}

// ParseAddresses reads one element of Logical_Switch_Port:addresses or
// port_security that begins with an Ethernet address (ovn-nb(5)). Words are
// separated by spaces or commas.
func ParseAddresses(text string) (Addresses, error) {
	var a Addresses
	first := true
	for pos, word := range Words(text) {
		if first {
			first = false
			mac, err := ParseMAC(word)
			if err != nil {
				return Addresses{}, &AddressError{text, pos, err}
			}
			a.MAC = mac
			continue
		}
		p, err := ParsePrefix(word)
		if err != nil {
			return Addresses{}, &AddressError{text, pos, err}
		}
		if p.Addr().Is4() {
			a.V4 = append(a.V4, p)
		} else {
			a.V6 = append(a.V6, p)
		}
	}
	if first {
		return Addresses{}, &AddressError{text, 0, fmt.Errorf("an Ethernet address must come first")}
	}
	return a, nil
}

// ParsePrefix reads an IP address, which gets the prefix length of an address,
// or an address with a prefix length.
func ParsePrefix(word string) (netip.Prefix, error) {
	if strings.Contains(word, "/") {
		p, err := netip.ParsePrefix(word)
		if err != nil {
			return netip.Prefix{}, fmt.Errorf("%q is no IP address with a prefix length", word)
		}
		return p, nil
	}
	ip, err := netip.ParseAddr(word)
	if err != nil || ip.Zone() != "" {
		return netip.Prefix{}, fmt.Errorf("%q is no IP address", word)
	}
	return netip.PrefixFrom(ip, ip.BitLen()), nil
}

// Words yields the words of s with their byte offsets.
func Words(s string) func(yield func(int, string) bool) {
	return func(yield func(int, string) bool) {
		start := -1
		for i := 0; i <= len(s); i++ {
			if i == len(s) || s[i] == ' ' || s[i] == ',' || s[i] == '\t' {
				if start >= 0 && !yield(start, s[start:i]) {
					return
				}
				start = -1
			} else if start < 0 {
				start = i
			}
		}
	}
}

// SolicitedNode is the multicast address that neighbour solicitations for ip
// go to (RFC 4291, 2.7.1).
func SolicitedNode(ip netip.Addr) netip.Addr {
	a := ip.As16()
	return netip.AddrFrom16([16]byte{0xff, 2, 11: 1, 12: 0xff, 13: a[13], 14: a[14], 15: a[15]})
}

// Broadcast is the highest address of an IPv4 prefix.
func Broadcast(p netip.Prefix) netip.Addr {
	a := p.Addr().As4()
	for i := p.Bits(); i < 32; i++ {
		a[i/8] |= 1 << (7 - i%8)
	}
	return netip.AddrFrom4(a)
}
