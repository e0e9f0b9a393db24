package ipam

import (
	"fmt"
	"net/netip"
	"strings"

	"govn/northd/topology"
)

// The keys of Logical_Switch:other_config that the stage reads.
const (
	keySubnet     = "subnet"
	keyExclude    = "exclude_ips"
	keyIPv6Prefix = "ipv6_prefix"
	keyMACOnly    = "mac_only"
)

var configKeys = [...]string{keySubnet, keyExclude, keyIPv6Prefix, keyMACOnly}

// span is a range of IPv4 addresses, both ends included.
type span struct{ low, high uint32 }

func (s span) has(x uint32) bool { return x >= s.low && x <= s.high }

// config is what a switch says about addresses.
type config struct {
	v4       bool
	subnet   netip.Prefix
	usable   span // what may be given out; low > high: nothing
	excluded []span
	prefix   netip.Addr // of IPv6 addresses; not valid: none
	macOnly  bool
}

// active reports whether ports of the switch get addresses at all.
func (c *config) active() bool { return c.v4 || c.prefix.IsValid() || c.macOnly }

// mistake is a key of other_config that cannot be used, and why.
type mistake struct {
	key string
	err error
}

// parseConfig reads other_config. A key that cannot be used counts as not
// there; of exclude_ips what comes before the mistake counts.
func parseConfig(values [len(configKeys)]string) (c config, problems []mistake) {
	bad := func(key string, err error) { problems = append(problems, mistake{key, err}) }
	subnet, exclude, prefix, macOnly := values[0], values[1], values[2], values[3]
	if subnet != "" {
		p, err := parseSubnet(subnet)
		if err != nil {
			bad(keySubnet, err)
		} else {
			c.v4, c.subnet = true, p
			first := number(p.Addr())
			last := first | uint32(1<<(32-p.Bits())-1)
			c.usable = span{first + 2, last - 1} // the first address of hosts is the router's
			if p.Bits() >= 31 {
				c.usable = span{1, 0}
			}
		}
	}
	if c.v4 {
		var err error
		if c.excluded, err = parseExclude(exclude, c.subnet); err != nil {
			bad(keyExclude, err)
		}
	}
	if prefix != "" {
		ip, err := parsePrefix6(prefix)
		if err != nil {
			bad(keyIPv6Prefix, err)
		}
		c.prefix = ip
	}
	c.macOnly = subnet == "" && prefix == "" && strings.EqualFold(macOnly, "true")
	return c, problems
}

// parseSubnet reads 10.0.0.0/24 or 10.0.0.0/255.255.255.0.
func parseSubnet(s string) (netip.Prefix, error) {
	text, mask, _ := strings.Cut(s, "/")
	ip, err := netip.ParseAddr(text)
	if err != nil || !ip.Is4() {
		return netip.Prefix{}, fmt.Errorf("%q is no IPv4 subnet", s)
	}
	if m, err := netip.ParseAddr(mask); err == nil && m.Is4() {
		ones := 0
		for v := number(m); v&(1<<31) != 0; v <<= 1 {
			ones++
		}
		if uint64(number(m)) != (1<<32-1)&^(1<<(32-ones)-1) {
			return netip.Prefix{}, fmt.Errorf("%q: the mask is not one of a prefix", s)
		}
		return shorter(s, netip.PrefixFrom(ip, ones))
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%q is no IPv4 subnet", s)
	}
	return shorter(s, p)
}

func shorter(s string, p netip.Prefix) (netip.Prefix, error) {
	if p.Bits() == 32 {
		return netip.Prefix{}, fmt.Errorf("%q is a single address", s)
	}
	return p.Masked(), nil
}

// parseExclude reads addresses and ranges: 10.0.0.4 10.0.0.10..10.0.0.20.
func parseExclude(s string, subnet netip.Prefix) (list []span, err error) {
	fields := strings.Fields(strings.ReplaceAll(s, "..", " .. "))
	for i := 0; i < len(fields); i++ {
		low, err := netip.ParseAddr(fields[i])
		if err != nil || !low.Is4() {
			return list, fmt.Errorf("%q is no IPv4 address", fields[i])
		}
		r := span{number(low), number(low)}
		text := fields[i]
		if i+1 < len(fields) && fields[i+1] == ".." {
			if i+2 == len(fields) {
				return list, fmt.Errorf("the range from %s has no end", low)
			}
			high, err := netip.ParseAddr(fields[i+2])
			if err != nil || !high.Is4() {
				return list, fmt.Errorf("%q is no IPv4 address", fields[i+2])
			}
			r.high = number(high)
			text += ".." + fields[i+2]
			i += 2
		}
		all := span{number(subnet.Addr()), number(subnet.Addr()) | uint32(1<<(32-subnet.Bits())-1)}
		r.low, r.high = max(r.low, all.low), min(r.high, all.high)
		if r.low > r.high {
			err = fmt.Errorf("%s is not in the subnet %s", text, subnet)
			rest, more := parseExclude(strings.Join(fields[i+1:], " "), subnet)
			if more != nil {
				err = fmt.Errorf("%w; %w", err, more)
			}
			return append(list, rest...), err
		}
		list = append(list, r)
	}
	return list, nil
}

// parsePrefix6 reads aef0:: or aef0::/64.
func parsePrefix6(s string) (netip.Addr, error) {
	if strings.Contains(s, "/") {
		p, err := netip.ParsePrefix(s)
		if err != nil || !p.Addr().Is6() {
			return netip.Addr{}, fmt.Errorf("%q is no IPv6 prefix", s)
		}
		if p.Bits() != 64 {
			return netip.Addr{}, fmt.Errorf("%q: the prefix must have 64 bits", s)
		}
		return p.Masked().Addr(), nil
	}
	ip, err := netip.ParseAddr(s)
	if err != nil || !ip.Is6() || ip.Zone() != "" {
		return netip.Addr{}, fmt.Errorf("%q is no IPv6 prefix", s)
	}
	return ip, nil
}

// parseMACPrefix reads NB_Global:options:mac_prefix, three bytes: 0a:00:00.
func parseMACPrefix(s string) (topology.MAC, error) {
	m, err := topology.ParseMAC(s + ":0:0:0")
	switch {
	case err != nil:
		return topology.MAC{}, fmt.Errorf("mac_prefix: %q is not three bytes such as 0a:00:00", s)
	case m == topology.MAC{}:
		return topology.MAC{}, fmt.Errorf("mac_prefix: %q is the prefix of no address", s)
	case m[0]&1 != 0:
		return topology.MAC{}, fmt.Errorf("mac_prefix: %q is a prefix of multicast addresses", s)
	}
	return m, nil
}

// accepts reports whether a port may wish for an IPv6 address: its bits include
// those of the prefix, as ovn-northd asks for.
func (c *config) accepts(ip netip.Addr) bool {
	a, p := ip.As16(), c.prefix.As16()
	for i := range a {
		if a[i]&p[i] != p[i] {
			return false
		}
	}
	return true
}

// number is an IPv4 address as a number.
func number(ip netip.Addr) uint32 {
	a := ip.As4()
	return uint32(a[0])<<24 | uint32(a[1])<<16 | uint32(a[2])<<8 | uint32(a[3])
}

func addr(x uint32) netip.Addr {
	return netip.AddrFrom4([4]byte{byte(x >> 24), byte(x >> 16), byte(x >> 8), byte(x)})
}
