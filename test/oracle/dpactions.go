package oracle

import (
	"fmt"
	"strconv"
	"strings"
)

// A small reader of datapath actions, as ofproto/trace prints them:
//
//	set(eth(dst=0a:00:00:00:00:01)),clone(tnl_push(tnl_port(6081),header(...
//	ipv4(src=203.0.113.2,dst=203.0.113.1,...)...geneve(crit,vni=0x1,
//	options({class=0x102,type=0x80,len=4,0x48000}))),out_port(2)),3),5

// action is a word with optional arguments: "5", "set(...)", "vni=0x1".
type action struct {
	name string   // before "(" or "="; the whole word otherwise
	val  string   // after "=", if it is a plain word
	args []action // in "(...)" or "{...}"
	list bool     // there were parentheses
}

// parseActions reads a comma-separated list of actions.
func parseActions(s string) ([]action, error) {
	p := &actionParser{s: s}
	list, err := p.list(0)
	if err != nil {
		return nil, err
	}
	if p.i != len(p.s) {
		return nil, p.errorf("text after the end")
	}
	return list, nil
}

const maxDepth = 32

type actionParser struct {
	s string
	i int
}

func (p *actionParser) errorf(msg string) error {
	return fmt.Errorf("datapath actions: %w: %s at byte %d of %q", ErrSyntax, msg, p.i, p.s)
}

func (p *actionParser) list(depth int) ([]action, error) {
	if depth > maxDepth {
		return nil, p.errorf("nested too deeply")
	}
	var list []action
	for p.i < len(p.s) {
		if c := p.s[p.i]; c == ')' || c == '}' {
			return list, nil
		}
		a, err := p.one(depth)
		if err != nil {
			return nil, err
		}
		list = append(list, a)
		if p.i < len(p.s) && p.s[p.i] == ',' {
			p.i++
		} else {
			break
		}
	}
	return list, nil
}

func (p *actionParser) one(depth int) (action, error) {
	start := p.i
	for p.i < len(p.s) && !strings.ContainsRune("(){},", rune(p.s[p.i])) {
		p.i++
	}
	word := strings.TrimSpace(p.s[start:p.i])
	a := action{name: word}
	if name, val, ok := strings.Cut(word, "="); ok {
		a.name, a.val = name, val
	}
	if p.i == len(p.s) || p.s[p.i] != '(' && p.s[p.i] != '{' {
		return a, nil
	}
	closing := byte(')')
	if p.s[p.i] == '{' {
		closing = '}'
	}
	p.i++
	args, err := p.list(depth + 1)
	if err != nil {
		return a, err
	}
	if p.i == len(p.s) || p.s[p.i] != closing {
		return a, p.errorf("not closed")
	}
	p.i++
	a.args, a.list = args, true
	return a, nil
}

// find is the first argument of that name, at any depth.
func (a *action) find(name string) *action {
	for i := range a.args {
		if b := &a.args[i]; b.name == name {
			return b
		} else if c := b.find(name); c != nil {
			return c
		}
	}
	return nil
}

// tunnel is a copy of the packet on its way to another chassis.
type tunnel struct {
	vni    uint64
	option uint64 // value of OVN's Geneve option
	src    string // tunnel endpoints
	dst    string
	p      Packet
}

// effects is what datapath actions do to a packet.
type effects struct {
	large   bool // the packet is larger than any limit
	ports   []portCopy
	tunnels []tunnel
	asked   int   // copies to a controller, in all branches
	punts   []int // those that are made, numbered from 0
	sized   bool  // there is a branch by size
}

type portCopy struct {
	number int // datapath port
	p      Packet
}

// execute carries out actions on a packet, which it changes.
func (e *effects) execute(list []action, p Packet) error {
	for i := range list {
		a := &list[i]
		switch {
		case a.name == "drop", a.name == "":
		case a.name == "userspace":
			// What a controller gets is read from the trace, not from here.
			e.punts = append(e.punts, e.asked)
			e.asked++
		case a.name == "check_pkt_len":
			if err := e.branch(a, p); err != nil {
				return err
			}
		case a.name == "pop_vlan":
			delete(p, "vlan.tci")
		case !a.list && a.val == "":
			n, err := strconv.Atoi(a.name)
			if err != nil {
				return fmt.Errorf("datapath actions: %w: %q", ErrSyntax, a.name)
			}
			e.ports = append(e.ports, portCopy{n, clone(p)})
		case a.name == "clone":
			if err := e.execute(a.args, clone(p)); err != nil {
				return err
			}
		case a.name == "tnl_push":
			t, err := tunnelOf(a)
			if err != nil {
				return err
			}
			t.p = clone(p)
			e.tunnels = append(e.tunnels, t)
			// What follows in the list is the way through the underlay's
			// bridge; its ports are none of br-int.
		case a.name == "push_vlan":
			vid := a.find("vid")
			if vid == nil {
				return fmt.Errorf("datapath actions: %w: push_vlan without a VLAN", ErrSyntax)
			}
			n, err := strconv.ParseUint(vid.val, 0, 12)
			if err != nil {
				return fmt.Errorf("datapath actions: %w: VLAN %q", ErrSyntax, vid.val)
			}
			p["vlan.tci"] = tci(int(n))
		case a.name == "set":
			if err := set(a.args, p); err != nil {
				return err
			}
		default:
			return fmt.Errorf("datapath actions: %w: action %q", ErrSyntax, a.name)
		}
	}
	return nil
}

// branch carries out one branch of check_pkt_len(size=N,gt(...),le(...)), on a copy
// of the packet.
func (e *effects) branch(a *action, p Packet) error {
	e.sized = true
	for i := range a.args {
		b := &a.args[i]
		switch {
		case b.name == "gt" && e.large, b.name == "le" && !e.large:
			if err := e.execute(b.args, clone(p)); err != nil {
				return err
			}
		case b.name == "gt", b.name == "le":
			other := effects{large: e.large}
			if err := other.execute(b.args, clone(p)); err != nil {
				return err
			}
			e.asked += other.asked
		}
	}
	return nil
}

// tci is the form in which packets hold the tag of a VLAN.
func tci(vid int) string { return fmt.Sprintf("%#04x", 0x1000|vid) }

// set rewrites fields: set(eth(src=...,dst=...)), set(ipv4(ttl=63)).
func set(groups []action, p Packet) error {
	for _, g := range groups {
		if g.name == "skb_mark" {
			continue // pkt.mark is no part of the packet
		}
		for _, kv := range g.args {
			name := ""
			for _, f := range fields {
				if f.dpGroup == g.name && f.dpKey == kv.name && f.dpKey != "" {
					name = f.name
				}
			}
			if name == "" {
				return fmt.Errorf("datapath actions: %w: set(%s(%s))", ErrSyntax, g.name, kv.name)
			}
			p[name] = canonical(kv.val)
		}
	}
	return nil
}

func tunnelOf(a *action) (tunnel, error) {
	bad := func(what string) (tunnel, error) {
		return tunnel{}, fmt.Errorf("datapath actions: %w: tnl_push without %s", ErrSyntax, what)
	}
	var t tunnel
	ip := a.find("ipv4")
	if ip == nil {
		ip = a.find("ipv6")
	}
	if ip == nil {
		return bad("an IP header")
	}
	if s := ip.find("src"); s != nil {
		t.src = s.val
	}
	d := ip.find("dst")
	if d == nil {
		return bad("a destination")
	}
	t.dst = d.val
	g := a.find("geneve")
	if g == nil {
		return bad("Geneve")
	}
	vni := g.find("vni")
	if vni == nil {
		return bad("a VNI")
	}
	var err error
	if t.vni, err = strconv.ParseUint(vni.val, 0, 24); err != nil {
		return bad("a VNI that is a number")
	}
	opts := g.find("options")
	if opts == nil {
		return bad("options")
	}
	for i := range opts.args {
		o := &opts.args[i] // {class=0x102,type=0x80,len=4,0x20001}
		class, typ := o.find("class"), o.find("type")
		if class == nil || typ == nil || class.val != "0x102" || typ.val != "0x80" || len(o.args) != 4 {
			continue
		}
		if t.option, err = strconv.ParseUint(o.args[3].name, 0, 32); err == nil {
			return t, nil
		}
	}
	return bad("OVN's option")
}
