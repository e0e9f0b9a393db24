package views

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"

	"govn/northd/pipeline"
	"govn/northd/topology"
	"govn/pkg/ovsdb"
	"govn/proto/control"
)

// lintRouters finds what routers and their ports ask for and cannot have, and
// networks that several ports of a router are on.
func (s *Source) lintRouters(noKey func(table string, row *ovsdb.Row)) []control.Problem {
	var out []control.Problem
	c := s.Columns
	for lr := range s.Snapshot.Rows(c.LR.Table) {
		if !s.hasKey(topology.KindDatapath, "", lr.UUID()) {
			noKey(c.LR.Table.Name, lr)
			continue // its ports have none either
		}
		var networks []routerNetwork
		for a := range lr.Set(c.LR.Ports).All() {
			p := s.Snapshot.Row(c.LRP.Table, a.(ovsdb.UUID))
			if p == nil {
				continue
			}
			if !s.hasKey(topology.KindPort, lr.UUID().String(), p.UUID()) {
				noKey(c.LRP.Table.Name, p)
			}
			out = append(out, s.lintRouterPort(lr, p)...)
			for text := range p.Set(c.LRP.Networks).All() {
				if n, err := topology.ParsePrefix(text.(string)); err == nil {
					networks = append(networks, routerNetwork{n.Masked(), text.(string), p})
				}
			}
		}
		out = append(out, overlaps(networks)...)
	}
	return out
}

// routerNetwork is a network of a router port.
type routerNetwork struct {
	prefix netip.Prefix
	text   string // as written
	port   *ovsdb.Row
}

// overlaps names the networks of a router that lie in another port's.
func overlaps(list []routerNetwork) []control.Problem {
	slices.SortFunc(list, func(a, b routerNetwork) int {
		return cmp.Or(a.prefix.Addr().Compare(b.prefix.Addr()), cmp.Compare(a.prefix.Bits(), b.prefix.Bits()), cmp.Compare(nameOf(a.port), nameOf(b.port)))
	})
	var out []control.Problem
	var around []routerNetwork // those that the current one lies in, widest first
	for _, n := range list {
		for len(around) > 0 && !around[len(around)-1].prefix.Contains(n.prefix.Addr()) {
			around = around[:len(around)-1]
		}
		for _, wide := range slices.Backward(around) {
			if wide.port != n.port && !n.prefix.Addr().IsLinkLocalUnicast() {
				reason := fmt.Sprintf("%v is a part of it and on port %q: packets for addresses there go out by that port", n.prefix, nameOf(n.port))
				if n.prefix == wide.prefix {
					reason = fmt.Sprintf("port %q is on the same network: packets for addresses there go out by one of the two ports only", nameOf(n.port))
				}
				p := ambiguous(wide.port, "networks", reason)
				p.Value = wide.text
				out = append(out, p)
				break
			}
		}
		around = append(around, n)
	}
	return out
}

// ambiguous is a problem of an object that is used.
func ambiguous(row *ovsdb.Row, column, reason string) control.Problem {
	return control.Problem{Object: control.Object{Table: row.Table().Name, Name: nameOf(row), UUID: row.UUID().String()},
		Column: column, Reason: reason, Effect: control.Ambiguous}
}

// lintRouterPort checks the peer and the MTU of a router port.
func (s *Source) lintRouterPort(lr, p *ovsdb.Row) []control.Problem {
	var out []control.Problem
	c := &s.Columns.LRP
	if mtu, there := p.Map(c.Options).Get("gateway_mtu"); there {
		if _, err := strconv.ParseUint(mtu.(string), 10, 32); err != nil {
			out = append(out, ambiguous(p, "options", fmt.Sprintf("gateway_mtu: %q is no number of bytes", mtu)))
		}
	}
	if text, there := p.Map(c.Options).Get("gateway_mtu_bypass"); there {
		if _, err := pipeline.MTUBypass(map[string]string{"gateway_mtu_bypass": text.(string)}); err != nil {
			out = append(out, ambiguous(p, "options", fmt.Sprintf("gateway_mtu_bypass: %v", err)))
		}
	}
	v, there := p.Opt(c.Peer)
	if !there {
		return out
	}
	name := v.(string)
	other := s.Snapshot.Lookup(c.Table, 0, name)
	reason := ""
	switch {
	case other == nil && s.Snapshot.Lookup(s.Columns.LSP.Table, 0, name) != nil:
		reason = fmt.Sprintf("%q is a port of a switch: that has to name this one in options:router-port instead", name)
	case other == nil:
		reason = fmt.Sprintf("there is no router port %q", name)
	case lr.Set(s.Columns.LR.Ports).Has(other.UUID()):
		reason = fmt.Sprintf("%q is a port of the same router", name)
	default:
		if back, there := other.Opt(c.Peer); !there || back.(string) != nameOf(p) {
			reason = fmt.Sprintf("the peer of router port %q is not this one", name)
		}
	}
	if reason != "" {
		out = append(out, ambiguous(p, "peer", reason))
	}
	return out
}

// lintPatches finds the ports of a switch that lead to no other datapath although
// their type says so.
func (s *Source) lintPatches(ls *ovsdb.Row) []control.Problem {
	var out []control.Problem
	c := s.Columns
	for a := range ls.Set(c.LS.Ports).All() {
		p := s.Snapshot.Row(c.LSP.Table, a.(ovsdb.UUID))
		if p == nil {
			continue
		}
		option := func(key string) string {
			v, _ := p.Map(c.LSP.Options).Get(key)
			name, _ := v.(string)
			return name
		}
		switch p.Str(c.LSP.Type) {
		case topology.TypeRouter:
			if text := option("arp_proxy"); text != "" {
				if _, err := topology.ParseProxy(text); err != nil {
					out = append(out, ambiguous(p, "options", "arp_proxy: "+err.Error()))
				}
			}
			if name := option("router-port"); name == "" {
				out = append(out, ambiguous(p, "options", "a port of type router leads nowhere without router-port"))
			} else if s.Snapshot.Lookup(c.LRP.Table, 0, name) == nil {
				out = append(out, ambiguous(p, "options", fmt.Sprintf("there is no router port %q", name)))
			}
		case topology.TypeSwitch:
			name := option("peer")
			other := s.Snapshot.Lookup(c.LSP.Table, 0, name)
			switch {
			case name == "":
				out = append(out, ambiguous(p, "options", "a port of type switch leads nowhere without peer"))
			case other == nil:
				out = append(out, ambiguous(p, "options", fmt.Sprintf("there is no port %q", name)))
			case ls.Set(c.LS.Ports).Has(other.UUID()):
				out = append(out, ambiguous(p, "options", fmt.Sprintf("%q is a port of the same switch", name)))
			default:
				if back, _ := other.Map(c.LSP.Options).Get("peer"); other.Str(c.LSP.Type) != topology.TypeSwitch || back != nameOf(p) {
					out = append(out, ambiguous(p, "options", fmt.Sprintf("port %q is not of type switch with this one as peer", name)))
				}
			}
		}
	}
	return out
}
