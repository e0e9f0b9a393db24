package topology

import (
	"errors"
	"fmt"
	"net/netip"
)

// ErrNotDynamic is returned by ParseDynamic for an element that has the keyword
// dynamic, but none of the forms of ovn-nb(5).
var ErrNotDynamic = errors.New(`want "dynamic", "dynamic IPV4", "dynamic IPV6", "dynamic IPV4 IPV6" or "MAC dynamic"`)

// Dynamic is an element of Logical_Switch_Port:addresses that asks for
// addresses from northd (ovn-nb(5), "dynamic"). What is not asked for is zero.
type Dynamic struct {
	MAC    MAC
	HasMAC bool
	V4, V6 netip.Addr
}

// ParseDynamic reads an element of Logical_Switch_Port:addresses. Elements
// without the keyword are not its business: it reports asks = false.
func ParseDynamic(text string) (d Dynamic, asks bool, err error) {
	var list [4]struct {
		pos  int
		word string
	}
	n, keyword := 0, -1
	for pos, word := range Words(text) {
		if word == "dynamic" && keyword < 0 {
			keyword = n
		}
		if n < len(list) {
			list[n].pos, list[n].word = pos, word
		}
		n++
	}
	wrong := func(i int, err error) (Dynamic, bool, error) {
		return Dynamic{}, true, &AddressError{text, list[min(i, len(list)-1)].pos, err}
	}
	switch {
	case keyword < 0:
		return Dynamic{}, false, nil
	case keyword == 1 && n == 2:
		if d.MAC, err = ParseMAC(list[0].word); err != nil {
			return wrong(0, err)
		}
		d.HasMAC = true
		return d, true, nil
	case keyword > 0:
		return wrong(keyword, ErrNotDynamic)
	}
	for i := 1; i < n; i++ {
		if i == len(list) {
			return wrong(i, ErrNotDynamic)
		}
		ip, err := netip.ParseAddr(list[i].word)
		switch {
		case err != nil || ip.Zone() != "":
			return wrong(i, fmt.Errorf("%q is no IP address", list[i].word))
		case ip.Is4() && i == 1:
			d.V4 = ip
		case ip.Is6() && !d.V6.IsValid():
			d.V6 = ip
		default:
			return wrong(i, ErrNotDynamic)
		}
	}
	return d, true, nil
}

// EUI64 is the address that a MAC has in an IPv6 prefix of 64 bits (RFC 4291,
// appendix A). The other half of the prefix does not count.
func (m MAC) EUI64(prefix netip.Addr) netip.Addr {
	a, ll := prefix.As16(), m.LinkLocal().As16()
	copy(a[8:], ll[8:])
	return netip.AddrFrom16(a)
}

// StaticPart is what of an element of Logical_Switch_Port:addresses can be
// used, also when something later in it cannot: ok says that it begins with an
// Ethernet address. It is for finding out what is in use.
func StaticPart(text string) (a Addresses, ok bool) {
	for _, word := range Words(text) {
		if !ok {
			mac, err := ParseMAC(word)
			if err != nil {
				return Addresses{}, false
			}
			a.MAC, ok = mac, true
			continue
		}
		p, err := ParsePrefix(word)
		if err != nil {
			break
		}
		if p.Addr().Is4() {
			a.V4 = append(a.V4, p)
		} else {
			a.V6 = append(a.V6, p)
		}
	}
	return a, ok
}
