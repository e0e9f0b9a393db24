package pipeline

import (
	"errors"
	"net/netip"
	"slices"
	"strings"

	"govn/northd/topology"
	"govn/pkg/logical"
	"govn/pkg/ndra"
)

// routerAdvertise answers router solicitations (ovn-northd(8), "Ingress Table 10:
// IPv6 ND RA option processing", "11: IPv6 ND RA responder"), where
// ipv6_ra_configs of the router port says how hosts get their addresses and the
// port has an IPv6 network.
var routerAdvertise = Feature{
	Name: "router-advertise",
	RouterPort: func(f *Flows, p *topology.RouterPort) {
		list, _ := AdvertisementOptions(p)
		if !slices.ContainsFunc(list, func(o logical.Option) bool { return o.Name == "prefix" }) {
			return
		}
		port := logical.Port("port", p.Name)
		set := &logical.Options{Func: logical.PutNDRAOpts, Result: raResult, Options: list}
		f.AddActions(LRInNDRAOptions, 50, solicitsRouter, []logical.Action{set, &logical.Next{Table: -1}}, port)
		f.Add(LRInNDRAResponse, 50, advertisesRouter, sendAdvertisement, port, logical.MAC("mac", p.MAC), logical.IP("ip", p.MAC.LinkLocal()))
	},
}

// Keys of ipv6_ra_configs, in the order of the options that they become.
var raKeys = []struct{ key, option string }{
	{"mtu", "mtu"}, {"router_preference", "router_preference"}, {"rdnss", "rdnss"}, {"dnssl", "dnssl"}, {"route_info", "route_info"},
}

// AdvertisementOptions are the options of put_nd_ra_opts of a router port; none
// if it advertises nothing. What ipv6_ra_configs says that cannot be used is left
// out, and err says what that is.
func AdvertisementOptions(p *topology.RouterPort) (list []logical.Option, err error) {
	mode := p.RAConfigs["address_mode"]
	if mode == "" {
		return nil, nil
	}
	scratch, err := ndra.New(mode)
	if err != nil {
		return nil, err
	}
	quoted := func(s string) logical.Constant { return logical.Constant{Form: logical.FormString, Text: s} }
	add := func(name string, c logical.Constant) {
		list = append(list, logical.Option{Name: name, Values: []logical.Constant{c}})
	}
	add("addr_mode", quoted(mode))
	add("slla", constant(p.MAC.String()))
	for _, k := range raKeys {
		value := strings.TrimSpace(p.RAConfigs[k.key])
		if value == "" || k.key == "router_preference" && value == "MEDIUM" {
			continue // that is the default
		}
		before := len(scratch.Bytes())
		if e := scratch.Add(k.option, value); e != nil {
			err = errors.Join(err, e)
			continue
		}
		switch k.key {
		case "mtu":
			if len(scratch.Bytes()) > before { // less than 1280 is none
				add(k.option, constant(value))
			}
		case "rdnss":
			add(k.option, constant(value))
		default:
			add(k.option, quoted(value))
		}
	}
	for _, n := range p.V6 {
		if !n.Addr().IsLinkLocalUnicast() {
			add("prefix", constant(netip.PrefixFrom(n.Masked().Addr(), n.Bits()).String()))
		}
	}
	return list, err
}

// constant is a number or an address that was checked before.
func constant(text string) logical.Constant {
	c, err := logical.ParseConstant(text)
	if err != nil {
		return logical.Constant{Form: logical.FormString, Text: text}
	}
	return c
}

var (
	raResult          = symbols.MustField("reg0[5]")
	solicitsRouter    = match("inport == {port} && ip6.dst == ff02::2 && nd_rs")
	advertisesRouter  = match("inport == {port} && ip6.dst == ff02::2 && nd_ra && reg0[5]")
	sendAdvertisement = actions("eth.dst = eth.src; eth.src = {mac}; ip6.dst = ip6.src; ip6.src = {ip}; " +
		"outport = inport; flags.loopback = 1; output;")
)
