package ndra

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// ErrOption is wrapped by the errors of Add.
var ErrOption = errors.New("router advertisement")

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

// preferenceBits are those of the Prf field.
const preferenceBits = 3 << 3

// preferences are the values of the Prf field (RFC 4191, 2.1).
var preferences = map[string]byte{"": 0, "MEDIUM": 0, "HIGH": 1 << 3, "LOW": 3 << 3}

// Message is an advertisement that options are added to:
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
type Message struct {
	b        []byte
	prefixes byte // flags of prefixes
}

// New makes an advertisement without options. How hosts get their addresses is
// mode; an empty one is slaac.
func New(mode string) (*Message, error) {
	m := &Message{b: make([]byte, 16), prefixes: raOnLink | raAutonomous}
	m.b[0], m.b[4] = 134, raHopLimit
	binary.BigEndian.PutUint16(m.b[6:], raLifetime)
	switch mode {
	case "", "slaac":
	case "dhcpv6_stateful":
		m.b[5], m.prefixes = raManaged|raOther, raOnLink
	case "dhcpv6_stateless":
		m.b[5] = raOther
	default:
		return nil, fmt.Errorf("%w: address mode %q is none of slaac, dhcpv6_stateful, dhcpv6_stateless", ErrOption, mode)
	}
	return m, nil
}

// Bytes is the message.
func (m *Message) Bytes() []byte { return m.b }

// Add adds an option.
func (m *Message) Add(name, value string) error {
	was := len(m.b)
	if err := m.option(name, value); err != nil {
		m.b = m.b[:was]
		return fmt.Errorf("%w: %s: %w", ErrOption, name, err)
	}
	return nil
}

// add appends an option, filled up to a multiple of eight bytes.
func (m *Message) add(kind byte, body []byte) {
	n := (2 + len(body) + 7) / 8
	at := len(m.b)
	m.b = append(m.b, make([]byte, 8*n)...)
	m.b[at], m.b[at+1] = kind, byte(n)
	copy(m.b[at+2:], body)
}

func (m *Message) option(name, value string) error {
	switch name {
	case "slla":
		mac, err := net.ParseMAC(value)
		if err != nil || len(mac) != 6 {
			return fmt.Errorf("%q is no Ethernet address", value)
		}
		m.add(optSourceLL, mac)
	case "mtu":
		n, err := strconv.ParseUint(value, 10, 32)
		if err != nil {
			return fmt.Errorf("%q is no number of bytes", value)
		}
		if n >= raMinMTU {
			m.add(optMTU, binary.BigEndian.AppendUint32(make([]byte, 2), uint32(n)))
		}
	case "prefix":
		p, err := netip.ParsePrefix(value)
		if err != nil || !p.Addr().Is6() {
			return fmt.Errorf("%q is no IPv6 prefix", value)
		}
		body := []byte{byte(p.Bits()), m.prefixes}
		body = binary.BigEndian.AppendUint32(body, raForever)
		body = binary.BigEndian.AppendUint32(body, raForever)
		m.add(optPrefix, append(append(body, 0, 0, 0, 0), p.Masked().Addr().AsSlice()...))
	case "router_preference":
		prf, ok := preferences[value]
		if !ok {
			return fmt.Errorf("%q is none of HIGH, MEDIUM, LOW", value)
		}
		m.b[5] = m.b[5]&^preferenceBits | prf
	case "rdnss":
		ip, err := netip.ParseAddr(value)
		if err != nil || !ip.Is6() {
			return fmt.Errorf("%q is no IPv6 address", value)
		}
		m.add(optRDNSS, append(binary.BigEndian.AppendUint32(make([]byte, 2), raForever), ip.AsSlice()...))
	case "dnssl":
		return m.domains(value)
	case "route_info":
		return m.routes(value)
	default:
		return errors.New("no such option")
	}
	return nil
}

// domains adds a list of domains (RFC 8106, 5.2), each as labels (RFC 1035, 3.1).
func (m *Message) domains(list string) error {
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
		return errors.New("the list is too long")
	}
	m.add(optDNSSL, body)
	return nil
}

// routes adds route information (RFC 4191, 2.3): "HIGH-aef1::/48,LOW-aef2::/96".
func (m *Message) routes(list string) error {
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
		m.add(optRouteInfo, append(body, p.Masked().Addr().AsSlice()[:(p.Bits()+63)/64*8]...))
	}
	return nil
}
