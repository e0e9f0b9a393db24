package topology

import "fmt"

// optionProxy lists, in options of a port of type router, the addresses that the
// port answers ARP requests and neighbour solicitations for besides its own: IP
// addresses and prefixes, after an Ethernet address to answer with, if it is not
// to be the router port's (ovn-nb(5), arp_proxy).
const optionProxy = "arp_proxy"

// ParseProxy reads options:arp_proxy. Without an Ethernet address MAC is zero.
func ParseProxy(text string) (a Addresses, err error) {
	first := true
	for pos, word := range Words(text) {
		if first {
			first = false
			if a.MAC, err = ParseMAC(word); err == nil {
				continue
			}
			a.MAC = MAC{}
		}
		p, err := ParsePrefix(word)
		if err != nil {
			return Addresses{}, &AddressError{text, pos, err}
		}
		if p = p.Masked(); p.Addr().Is4() {
			a.V4 = append(a.V4, p)
		} else {
			a.V6 = append(a.V6, p)
		}
	}
	if len(a.V4)+len(a.V6) == 0 {
		return Addresses{}, &AddressError{text, 0, fmt.Errorf("an IP address is missing")}
	}
	return a, nil
}

// Plain reports whether addresses are IPv4 addresses alone, without an Ethernet
// address, prefixes or IPv6.
func (a *Addresses) Plain() bool {
	for _, p := range a.V4 {
		if p.Bits() != 32 {
			return false
		}
	}
	return a.MAC == (MAC{}) && len(a.V6) == 0
}
