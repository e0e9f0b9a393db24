package nbctl

import (
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"strings"

	"govn/nbctl/ctl"
	"govn/nbctl/idl"
	"govn/pkg/northbound"
)

// macPattern is six numbers of one or two hexadecimal digits. What follows it
// is not looked at by lsp-set-addresses, northd does that.
var macPattern = regexp.MustCompile(`^[0-9a-fA-F]{1,2}(:[0-9a-fA-F]{1,2}){5}`)

// dynamicPattern is "dynamic" with an address of its own choice.
var dynamicPattern = regexp.MustCompile(`^dynamic [0-9a-fA-F:.]+`)

// ethernet reads an Ethernet address and prints it with two digits a byte.
func ethernet(s string) (string, bool) {
	if macPattern.FindString(s) != s || s == "" {
		return "", false
	}
	parts := strings.Split(strings.ToLower(s), ":")
	for i, p := range parts {
		if len(p) == 1 {
			parts[i] = "0" + p
		}
	}
	return strings.Join(parts, ":"), true
}

// parsePrefix reads ADDRESS/LENGTH or ADDRESS/NETMASK; an address alone is a
// prefix of all its bits.
func parsePrefix(s string) (netip.Prefix, error) {
	address, length, masked := strings.Cut(s, "/")
	a, err := netip.ParseAddr(address)
	if err != nil || a.Zone() != "" {
		return netip.Prefix{}, fmt.Errorf("%q is not an IP address", address)
	}
	bits := a.BitLen()
	if masked {
		if bits, err = maskLength(a, length); err != nil {
			return netip.Prefix{}, err
		}
	}
	if bits < 0 || bits > a.BitLen() {
		return netip.Prefix{}, fmt.Errorf("/%d: bad prefix length", bits)
	}
	return netip.PrefixFrom(a, bits), nil
}

// maskLength reads what follows the slash: a number of bits, or a netmask.
func maskLength(a netip.Addr, s string) (int, error) {
	if n, err := strconv.Atoi(s); err == nil && !strings.ContainsAny(s, "+-") {
		return n, nil
	}
	m, err := netip.ParseAddr(s)
	if err != nil || m.BitLen() != a.BitLen() {
		return 0, fmt.Errorf("%q is not a netmask", s)
	}
	n := 0
	for _, b := range m.AsSlice() {
		for bit := 7; bit >= 0; bit-- {
			if b>>bit&1 == 0 {
				// The rest has to be zero: as many leading ones as the prefix says.
				if netip.PrefixFrom(m, n).Masked().Addr() != m {
					return 0, fmt.Errorf("%q is not a CIDR netmask", s)
				}
				return n, nil
			}
			n++
		}
	}
	return n, nil
}

// normalPrefix prints a prefix with its host bits cleared, a host without its
// length.
func normalPrefix(p netip.Prefix) string {
	p = p.Masked()
	if p.Bits() == p.Addr().BitLen() {
		return p.Addr().String()
	}
	return p.String()
}

// portAddresses returns the IP addresses of an element of a port's addresses,
// "MAC [IP]...". ok is false when it is something else.
func portAddresses(s string) (ips []netip.Addr, ok bool) {
	words := strings.Fields(s)
	if len(words) == 0 {
		return nil, false
	}
	if _, ok := ethernet(words[0]); !ok {
		return nil, false
	}
	for _, w := range words[1:] {
		p, err := parsePrefix(w)
		if err != nil {
			break
		}
		ips = append(ips, p.Addr())
	}
	return ips, true
}

func lspSetAddresses(c *ctl.Context) error {
	lsp, err := lookupPort(c, c.Args[1], true)
	if err != nil {
		return err
	}
	ls, err := switchOf(c, lsp)
	if err != nil {
		return err
	}
	for _, a := range c.Args[2:] {
		switch {
		case a == "unknown", a == "dynamic", a == "router", macPattern.MatchString(a), dynamicPattern.MatchString(a):
		default:
			return ctl.Refuse(fmt.Errorf("%s: Invalid address format. See ovn-nb(5). Hint: An Ethernet address must be listed before an IP address, together as a single argument.", a), a, northbound.Addresses)
		}
		if err := duplicateAddress(ls, lsp, a); err != nil {
			return err
		}
	}
	lsp.Set("addresses", idl.Strings(c.Args[2:]...))
	return nil
}

// duplicateAddress looks for an IP address of a on other ports of the switch.
func duplicateAddress(ls, lsp *idl.Row, a string) error {
	ips, ok := portAddresses(a)
	if !ok || len(ips) == 0 {
		return nil
	}
	mine := map[netip.Addr]bool{}
	for _, ip := range ips {
		mine[ip] = true
	}
	for _, other := range ls.Refs("ports") {
		if other == lsp {
			continue
		}
		for _, theirs := range other.Strs("addresses") {
			if dynamic, ok := other.OptStr("dynamic_addresses"); ok && isDynamic(theirs) {
				theirs = dynamic
			}
			ips, _ := portAddresses(theirs)
			for _, ip := range ips {
				if mine[ip] {
					return fmt.Errorf("Error on switch %s: duplicate IPv%s address '%s' found on logical switch port '%s'",
						ls.Str("name"), choose(ip.Is4(), "4", "6"), ip, other.Str("name"))
				}
			}
		}
	}
	return nil
}

// isDynamic tells whether northd chooses the address or a part of it.
func isDynamic(s string) bool {
	words := strings.Fields(s)
	if len(words) == 0 {
		return false
	}
	if words[0] == "dynamic" {
		return true
	}
	_, ok := ethernet(words[0])
	return ok && len(words) > 1 && words[1] == "dynamic"
}
