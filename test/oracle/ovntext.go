package oracle

import (
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// ovn-trace prints a trace as "summary" and as "minimal". The summary has the
// tree, with every copy of the packet in a block of its own, but actions as they
// are written:
//
//	ingress(dp="sw0", inport="a") {
//	    clone { outport = "sw0-r0"; output; };      an action
//	    clone {                                     what it does
//	        egress(dp="sw0", ...) { ... };
//	    };
//	    eth.dst = eth.src;
//	    /* output to "a", type "" */;
//	};
//
// The minimal trace has values, but not where a copy ends. It is the list, in the
// same order, of what changes the packet and what becomes of it:
//
//	clone;
//	eth.dst = 0a:00:00:00:00:01;
//	output("a");
//	icmp4 {                                         a packet that a controller makes
//	    ...
//	};
//
// So the summary is walked, and each of its lines takes what belongs to it from
// the minimal trace. Everything must be taken in the end.

const (
	summaryMark = "# Summary trace.\n"
	minimalMark = "# Minimal trace.\n"
)

// scope is a block of the summary: one copy of the packet.
type scope struct {
	p       Packet
	minimal bool     // the minimal trace has it, too
	punt    *Output  // the packet that a controller makes, of such a block
	into    *Verdict // where outputs go
}

type textReader struct {
	in    Packet
	todo  []string // lines of the minimal trace
	stack []scope
}

// parseText reads the output of ovn-trace --summary --minimal.
func parseText(text string, in Packet) (Verdict, error) {
	_, rest, ok1 := strings.Cut(text, summaryMark)
	summary, minimal, ok2 := strings.Cut(rest, minimalMark)
	if !ok1 || !ok2 {
		return nil, fmt.Errorf("ovn-trace: %w: no summary or no minimal trace in %q", ErrSyntax, text)
	}
	var v Verdict
	r := textReader{in: in, stack: []scope{{p: clone(in), into: &v}}}
	for line := range strings.Lines(minimal) {
		if line = strings.TrimSpace(line); line != "" && line != "clone;" {
			r.todo = append(r.todo, line)
		}
	}
	for line := range strings.Lines(summary) {
		if err := r.line(strings.TrimSpace(line)); err != nil {
			return nil, fmt.Errorf("ovn-trace: %w in %q", err, text)
		}
	}
	if len(r.stack) != 1 {
		return nil, fmt.Errorf("ovn-trace: %w: unbalanced braces in %q", ErrSyntax, text)
	}
	if len(r.todo) > 0 {
		return nil, fmt.Errorf("ovn-trace: %w: the summary does not have %q, in %q", ErrSyntax, r.todo[0], text)
	}
	return v.sorted(), nil
}

// take takes the next line of the minimal trace if it is want.
func (r *textReader) take(want string) bool {
	if len(r.todo) == 0 || r.todo[0] != want {
		return false
	}
	r.todo = r.todo[1:]
	return true
}

var outputLine = regexp.MustCompile(`^/\* output to (".*"), type ".*" \*/;$`)

func (r *textReader) line(line string) error {
	top := &r.stack[len(r.stack)-1]
	switch m := outputLine.FindStringSubmatch(line); {
	case line == "":
	case m != nil:
		if !r.take("output(" + m[1] + ");") {
			return nil // to a port inside, such as a patch port
		}
		port, err := strconv.Unquote(m[1])
		if err != nil {
			return fmt.Errorf("%w: %q", ErrSyntax, line)
		}
		*top.into = append(*top.into, Output{Port: port, Rewrites: rewrites(r.in, top.p)})
	case strings.HasPrefix(line, "/*"):
	case line == "};" || line == "}":
		return r.close()
	case strings.HasSuffix(line, " {"):
		r.open(strings.TrimSuffix(line, " {"))
	case strings.HasSuffix(line, "};"):
		// An action with a block of actions, whose effects are in the next line.
	default:
		return r.action(line)
	}
	return nil
}

func (r *textReader) open(kind string) {
	top := &r.stack[len(r.stack)-1]
	s := scope{p: clone(top.p), into: top.into}
	if r.take(kind + " {") {
		s.minimal = true
		if kind != "clone" && !strings.HasPrefix(kind, "select:") {
			s.punt, s.into = &Output{Punt: puntKind(kind)}, &Verdict{}
		}
	}
	r.stack = append(r.stack, s)
}

// puntKind is the kind of packet that a controller makes. Open vSwitch is told only
// that it is ICMP, not which: that is that of the packet.
func puntKind(action string) string {
	switch action {
	case "icmp4", "icmp6", "icmp4_error", "icmp6_error":
		return "icmp"
	}
	return action
}

func (r *textReader) close() error {
	if len(r.stack) == 1 {
		return fmt.Errorf("%w: unbalanced braces", ErrSyntax)
	}
	s := r.stack[len(r.stack)-1]
	r.stack = r.stack[:len(r.stack)-1]
	if s.minimal && !r.take("};") {
		return fmt.Errorf("%w: the minimal trace does not end a block", ErrSyntax)
	}
	if s.punt != nil {
		s.punt.Inner = *s.into
		top := &r.stack[len(r.stack)-1]
		*top.into = append(*top.into, *s.punt)
	}
	return nil
}

// moves are the fields that actions set without an assignment.
var moves = map[string]string{"get_arp(": "eth.dst", "get_nd(": "eth.dst", "get_fdb(": ""}

// action is a line of the summary that may change the packet.
func (r *textReader) action(line string) error {
	top := &r.stack[len(r.stack)-1]
	if line == "ip.ttl--;" && r.take(line) {
		ttl, err := strconv.Atoi(top.p["ip.ttl"])
		if err != nil {
			return fmt.Errorf("%w: TTL %q", ErrSyntax, top.p["ip.ttl"])
		}
		top.p["ip.ttl"] = strconv.Itoa(ttl - 1)
		return nil
	}
	var names []string
	lhs, _, assigns := strings.Cut(line, " = ")
	if a, b, ok := strings.Cut(line, " <-> "); ok {
		names = []string{a, strings.TrimSuffix(b, ";")}
	} else if assigns {
		names = []string{lhs}
	} else {
		for prefix, name := range moves {
			if strings.HasPrefix(line, prefix) && name != "" {
				names = []string{name}
			}
		}
	}
	for _, name := range names {
		if len(r.todo) == 0 {
			return nil
		}
		got, value, ok := strings.Cut(strings.TrimSuffix(r.todo[0], ";"), " = ")
		if !ok || got != name {
			return nil // a register
		}
		r.todo = r.todo[1:]
		if slices.ContainsFunc(fields, func(f field) bool { return f.name == name }) {
			top.p[name] = unhex(name, value)
		}
	}
	return nil
}

// unhex is a value in the form that packets hold. What comes from a register is in
// hexadecimal, addresses too.
func unhex(name, value string) string {
	digits, ok := strings.CutPrefix(value, "0x")
	if !ok {
		return canonical(value)
	}
	var size int // bytes
	switch name {
	case "eth.src", "eth.dst", "arp.sha", "arp.tha", "nd.sll", "nd.tll":
		size = 6
	case "ip4.src", "ip4.dst", "arp.spa", "arp.tpa":
		size = 4
	case "ip6.src", "ip6.dst", "nd.target":
		size = 16
	}
	b, err := hex.DecodeString(strings.Repeat("0", max(0, 2*size-len(digits))) + digits)
	if err != nil || size == 0 || len(b) != size {
		return canonical(value)
	}
	if a, ok := netip.AddrFromSlice(b); ok {
		return a.String()
	}
	return net.HardwareAddr(b).String()
}

var selectAction = regexp.MustCompile(`\bselect\(([0-9=, ]+)\)`)

// choices is how many ways a select action of a trace can go: 1 if there is none.
func choices(text string) int {
	n := 1
	for _, m := range selectAction.FindAllStringSubmatch(text, -1) {
		n = max(n, strings.Count(m[1], ",")+1)
	}
	return n
}
