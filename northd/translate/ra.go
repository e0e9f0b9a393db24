package translate

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"govn/pkg/abi"
	"govn/pkg/logical"
	"govn/pkg/openflow"
)

// options compiles an action whose arguments have names.
func (c *compiler) options(a *logical.Options) error {
	switch a.Func {
	case logical.PutNDRAOpts:
		return c.routerAdvertisement(a)
	case logical.FwdGroup:
		return c.forward(a)
	}
	return fmt.Errorf("the action %q cannot be compiled", a.Func)
}

// routerAdvertisement is put_nd_ra_opts: the controller gets the advertisement
// ready made and puts it in the place of the solicitation.
func (c *compiler) routerAdvertisement(a *logical.Options) error {
	dst, err := subfield(a.Result)
	if err != nil {
		return err
	}
	register := -1
	for i := range abi.LogicalRegs {
		if dst.Field == openflow.FieldReg(i) {
			register = i
		}
	}
	if register < 0 {
		return fmt.Errorf("the result of %q has to be a bit of reg0 to reg9", a.Func)
	}
	body, err := RouterAdvertisement(a)
	if err != nil {
		return err
	}
	to := punt(abi.PuntNDRAOpts, abi.ResultBit(register, dst.Offset), body)
	to.Pause = true
	c.add(to)
	return nil
}

// Values of a router advertisement.
const (
	raHopLimit   = 255
	raManaged    = 0x80       // addresses by DHCPv6
	raOther      = 0x40       // other configuration by DHCPv6
	raLifetime   = 0xffff     // seconds that the router is a default router; RFC 8319 raised the limit to this
	raForever    = 0xffffffff // seconds
	raOnLink     = 0x80
	raAutonomous = 0x40 // hosts may make addresses of the prefix
	raMinMTU     = 1280 // of IPv6: less is no MTU (ovn-nb(5))

	optSourceLL  = 1
	optPrefix    = 3
	optMTU       = 5
	optRouteInfo = 24 // RFC 4191
	optRDNSS     = 25 // RFC 8106
	optDNSSL     = 31 // RFC 8106
)

// preferences are the values of the Prf field (RFC 4191, 2.1).
var preferences = map[string]byte{"": 0, "MEDIUM": 0, "HIGH": 1 << 3, "LOW": 3 << 3}

// RouterAdvertisement is the ICMPv6 message (RFC 4861, 4.2) with the options of
// put_nd_ra_opts, its checksum left zero:
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+---------------+---------------+-------------------------------+
//	|   type 134    |    code 0     |           checksum            |
//	+---------------+-+-+-+---+-----+-------------------------------+
//	|   hop limit   |M|O|0|Prf| 0   |        router lifetime        |
//	+---------------+-+-+-+---+-----+-------------------------------+
//	|                        reachable time                         |
//	+---------------------------------------------------------------+
//	|                         retrans timer                         |
//	+---------------------------------------------------------------+
//	|   options ...
func RouterAdvertisement(a *logical.Options) ([]byte, error) {
	ra := advert{b: make([]byte, 16)}
	ra.b[0], ra.b[4] = 134, raHopLimit
	binary.BigEndian.PutUint16(ra.b[6:], raLifetime)
	var flags byte = raOnLink | raAutonomous
	for _, o := range a.Options { // what the others depend on
		if o.Name == "addr_mode" {
			switch mode := text(o); mode {
			case "slaac":
			case "dhcpv6_stateful":
				ra.b[5], flags = ra.b[5]|raManaged|raOther, raOnLink
			case "dhcpv6_stateless":
				ra.b[5] |= raOther
			default:
				return nil, fmt.Errorf("addr_mode %q is none of slaac, dhcpv6_stateful, dhcpv6_stateless", mode)
			}
		}
	}
	for _, o := range a.Options {
		if len(o.Values) == 0 {
			return nil, fmt.Errorf("%s has no value", o.Name)
		}
		if err := ra.option(o, flags); err != nil {
			return nil, fmt.Errorf("%s: %w", o.Name, err)
		}
	}
	return ra.b, nil
}

// text is the value of an option as it was written.
func text(o logical.Option) string {
	if len(o.Values) == 0 {
		return ""
	}
	if c := &o.Values[0]; !c.Numeric() {
		return c.Text
	}
	return o.Values[0].String()
}

// advert is an advertisement that grows.
type advert struct{ b []byte }

// add appends an option, filled up to a multiple of eight bytes.
func (ra *advert) add(kind byte, body []byte) {
	n := (2 + len(body) + 7) / 8
	at := len(ra.b)
	ra.b = append(ra.b, make([]byte, 8*n)...)
	ra.b[at], ra.b[at+1] = kind, byte(n)
	copy(ra.b[at+2:], body)
}

func (ra *advert) option(o logical.Option, flags byte) error {
	switch value := text(o); o.Name {
	case "addr_mode":
	case "slla":
		mac := o.Values[0].Value.Bytes()
		ra.add(optSourceLL, mac[10:])
	case "mtu":
		n, err := strconv.ParseUint(value, 10, 32)
		if err != nil {
			return fmt.Errorf("%q is no number of bytes", value)
		}
		if n >= raMinMTU {
			ra.add(optMTU, binary.BigEndian.AppendUint32(make([]byte, 2), uint32(n)))
		}
	case "prefix":
		p, err := netip.ParsePrefix(value)
		if err != nil || !p.Addr().Is6() {
			return fmt.Errorf("%q is no IPv6 prefix", value)
		}
		body := []byte{byte(p.Bits()), flags}
		body = binary.BigEndian.AppendUint32(body, raForever)
		body = binary.BigEndian.AppendUint32(body, raForever)
		ra.add(optPrefix, append(append(body, 0, 0, 0, 0), p.Masked().Addr().AsSlice()...))
	case "router_preference":
		prf, ok := preferences[value]
		if !ok {
			return fmt.Errorf("%q is none of HIGH, MEDIUM, LOW", value)
		}
		ra.b[5] |= prf
	case "rdnss":
		ip, err := netip.ParseAddr(value)
		if err != nil || !ip.Is6() {
			return fmt.Errorf("%q is no IPv6 address", value)
		}
		ra.add(optRDNSS, append(binary.BigEndian.AppendUint32(make([]byte, 2), raForever), ip.AsSlice()...))
	case "dnssl":
		return ra.domains(value)
	case "route_info":
		return ra.routes(value)
	default:
		return fmt.Errorf("no such option")
	}
	return nil
}

// domains adds a list of domains (RFC 8106, 5.2), each as labels (RFC 1035, 3.1).
func (ra *advert) domains(list string) error {
	body := binary.BigEndian.AppendUint32(make([]byte, 2), raForever)
	for _, domain := range strings.Split(list, ",") {
		domain = strings.TrimSuffix(strings.TrimSpace(domain), ".")
		if len(domain) == 0 || len(domain) > 253 {
			return fmt.Errorf("%q is no domain", domain)
		}
		for _, label := range strings.Split(domain, ".") {
			if len(label) == 0 || len(label) > 63 {
				return fmt.Errorf("%q is no domain", domain)
			}
			body = append(append(body, byte(len(label))), label...)
		}
		body = append(body, 0)
	}
	if 2+len(body) > 8*255 {
		return fmt.Errorf("the list is too long")
	}
	ra.add(optDNSSL, body)
	return nil
}

// routes adds route information (RFC 4191, 2.3): "HIGH-aef1::/48,LOW-aef2::/96".
func (ra *advert) routes(list string) error {
	for _, route := range strings.Split(list, ",") {
		word, prefix, _ := strings.Cut(strings.TrimSpace(route), "-")
		prf, ok := preferences[word]
		if !ok || word == "" {
			return fmt.Errorf("%q does not begin with HIGH-, MEDIUM- or LOW-", route)
		}
		p, err := netip.ParsePrefix(prefix)
		if err != nil || !p.Addr().Is6() {
			return fmt.Errorf("%q is no IPv6 prefix", prefix)
		}
		body := binary.BigEndian.AppendUint32([]byte{byte(p.Bits()), prf}, raForever)
		ra.add(optRouteInfo, append(body, p.Masked().Addr().AsSlice()[:(p.Bits()+63)/64*8]...))
	}
	return nil
}
