package northbound

import (
	"net/netip"
	"strconv"
	"strings"
)

// checkMACAndIPs reads an Ethernet address and IP addresses after it.
func checkMACAndIPs(s string) faultAt {
	n := 0
	for pos, word := range fields(s, " ") {
		f := checkMAC(word)
		if n > 0 {
			f = checkPrefix(word)
		}
		if f != nil {
			return within(s, pos, f)
		}
		n++
	}
	if n == 0 {
		return at(s, 0, len(s), "an Ethernet address is missing")
	}
	return nil
}

// checkAddresses reads an element of Logical_Switch_Port:addresses.
func checkAddresses(s string) faultAt {
	switch s {
	case "unknown", "router", "dynamic", "":
		return nil
	}
	n := 0
	for pos, word := range fields(s, " ") {
		var f faultAt
		switch {
		case word == "dynamic" && n < 2:
		case n == 0 || n == 1 && strings.HasPrefix(s, "dynamic") && strings.Count(word, ":") == 5:
			if f = checkMAC(word); f != nil && checkPrefix(word) == nil {
				f = whole(word, "an Ethernet address has to stand before an IP address, in one argument")
			}
		case n == 2 && strings.Contains(word, "is_chassis_resident"):
			return nil // of nat_addresses, which the column may hold after a copy
		default:
			f = checkPrefix(word)
		}
		if f != nil {
			return within(s, pos, f)
		}
		n++
	}
	return nil
}

// checkProxy reads options:arp_proxy: addresses, an Ethernet address before them
// where it is not that of the router port.
func checkProxy(s string) faultAt {
	n, found := 0, 0
	for pos, word := range fields(s, " ") {
		if n == 0 && checkMAC(word) == nil {
			n++
			continue
		}
		if f := checkPrefix(word); f != nil {
			return within(s, pos, f)
		}
		n, found = n+1, found+1
	}
	if found == 0 {
		return at(s, len(s), len(s), "an IP address is missing")
	}
	return nil
}

// checkSNATIPs reads at most one address of each family.
func checkSNATIPs(s string) faultAt {
	seen := map[bool]bool{}
	for pos, word := range fields(s, " ") {
		if f := checkIP(word, 0); f != nil {
			return within(s, pos, f)
		}
		if v6 := strings.Contains(word, ":"); seen[v6] {
			return at(s, pos, pos+len(word), "a second address of the same family")
		} else {
			seen[v6] = true
		}
	}
	return nil
}

func checkMACPrefix(s string) faultAt {
	n := 0
	for pos, word := range fields(s, ":") {
		if n == 3 && strings.Trim(s[pos:], "0:") != "" {
			return at(s, pos, len(s), "the prefix has three bytes")
		}
		if _, err := strconv.ParseUint(word, 16, 8); err != nil || len(word) > 2 {
			return at(s, pos, pos+len(word), "not two hexadecimal digits")
		}
		n++
	}
	if n < 3 {
		return whole(s, "three bytes with colons between them were expected")
	}
	return nil
}

// checkIPv6Prefix reads other_config:ipv6_prefix: 64 bits, with or without length.
func checkIPv6Prefix(s string) faultAt {
	address, _, _ := strings.Cut(s, "/")
	if f := checkIP(address, 6); f != nil {
		return within(s, 0, f)
	}
	return checkPrefix(s)
}

// checkRanges reads other_config:exclude_ips.
func checkRanges(s string) faultAt {
	for pos, word := range fields(s, " ,") {
		first, last, isRange := strings.Cut(word, "..")
		if f := checkIP(first, 4); f != nil {
			return within(s, pos, f)
		}
		if !isRange {
			continue
		}
		if f := checkIP(last, 4); f != nil {
			return within(s, pos+len(first)+2, f)
		}
		if netip.MustParseAddr(last).Less(netip.MustParseAddr(first)) { // both were read above
			return at(s, pos, pos+len(word), "the range ends before it begins")
		}
	}
	return nil
}

// checkRouteInfo reads ipv6_ra_configs:route_info.
func checkRouteInfo(s string) faultAt {
	for pos, word := range fields(s, ", ") {
		preference, prefix, ok := strings.Cut(word, "-")
		if preference != "HIGH" && preference != "MEDIUM" && preference != "LOW" {
			return at(s, pos, pos+len(preference), "not HIGH, MEDIUM or LOW")
		}
		if !ok {
			return at(s, pos+len(word), pos+len(word), "a prefix is missing")
		}
		if f := checkPrefix(prefix); f != nil {
			return within(s, pos+len(preference)+1, f)
		}
		if !strings.Contains(prefix, ":") {
			return at(s, pos+len(preference)+1, pos+len(word), "not an IPv6 prefix")
		}
	}
	return nil
}

// checkAging reads options:mac_binding_age_threshold: seconds, or since OVN 23.09
// rules "PREFIX:SECONDS" with semicolons between them and a default.
func checkAging(s string) faultAt {
	for pos, word := range fields(s, ";") {
		i := strings.LastIndexByte(word, ':')
		if i >= 0 {
			if f := checkPrefix(strings.Trim(word[:i], "[]")); f != nil {
				return within(s, pos, f)
			}
		}
		if f := Uint32.Check(word[i+1:]); f != nil {
			return within(s, pos+i+1, f)
		}
	}
	if s == "" {
		return whole(s, "empty")
	}
	return nil
}

// checkNextHop reads Logical_Router_Static_Route:nexthop.
func checkNextHop(s string) faultAt {
	if s == "" || s == "discard" {
		return nil
	}
	return checkIP(s, 0)
}

// checkPortRange reads NAT:external_port_range.
func checkPortRange(s string) faultAt {
	if s == "" {
		return nil
	}
	low, high, isRange := strings.Cut(s, "-")
	a, err := strconv.ParseUint(low, 10, 16)
	if err != nil || a == 0 {
		return at(s, 0, len(low), "not a port from 1 to 65535")
	}
	if !isRange {
		return nil
	}
	b, err := strconv.ParseUint(high, 10, 16)
	if err != nil || b == 0 {
		return at(s, len(low)+1, len(s), "not a port from 1 to 65535")
	}
	if b < a {
		return at(s, len(low)+1, len(s), "the range ends before it begins")
	}
	return nil
}

// checkBackends reads the value of a virtual IP: endpoints like it.
func checkBackends(vip, s string) faultAt {
	family, port, f := checkEndpoint(vip)
	if f != nil {
		return nil // said of the virtual IP
	}
	for pos, word := range fields(s, ",") {
		have, havePort, f := checkEndpoint(word)
		switch {
		case f != nil:
			return within(s, pos, f)
		case have != family:
			return at(s, pos, pos+len(word), "not of the family of the virtual IP %s", vip)
		case port && !havePort:
			return at(s, pos+len(word), pos+len(word), "a port is missing")
		case !port && havePort:
			return at(s, pos, pos+len(word), "a port, and the virtual IP %s has none", vip)
		}
	}
	return nil
}

// checkMapping reads a value of Load_Balancer:ip_port_mappings, PORT:SOURCE.
func checkMapping(s string) faultAt {
	i := strings.IndexByte(s, ':')
	if i <= 0 || i == len(s)-1 {
		return whole(s, "the name of a port, a colon and an IP address were expected")
	}
	return within(s, i+1, checkIP(strings.Trim(s[i+1:], "[]"), 0))
}

// checkTarget reads Connection:target.
func checkTarget(s string) faultAt {
	kind, rest, _ := strings.Cut(s, ":")
	switch kind {
	case "tcp", "ssl", "unix", "ptcp", "pssl", "punix":
		if rest == "" {
			return at(s, len(s), len(s), "nothing follows %q", kind)
		}
		return nil
	}
	return at(s, 0, len(kind), "not tcp, ssl, unix, ptcp, pssl or punix")
}
