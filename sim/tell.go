package sim

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"govn/pkg/abi"
)

// Style is how a way is printed.
type Style struct {
	// Color uses ANSI colours.
	Color bool
	// Unicode draws with box characters, otherwise with ASCII.
	Unicode bool
	// Width is that of the terminal, in columns; 0: not limited.
	Width int
	// All prints every table, otherwise those that decide something.
	All bool
}

// Colours by what they are for.
type ink string

const (
	inkHost   ink = "\x1b[1m"       // workloads, chassis
	inkStage  ink = "\x1b[36m"      // logical tables
	inkObject ink = "\x1b[32m"      // rows
	inkWire   ink = "\x1b[33m"      // the underlay
	inkFaint  ink = "\x1b[2m"       // what can be skipped
	inkBad    ink = "\x1b[1;31m"    // what went wrong
	inkGood   ink = "\x1b[1;32m"    // what went right
	inkTitle  ink = "\x1b[1;97;44m" // headings
)

// Teller prints ways of packets.
type Teller struct {
	s   *Scenario
	w   io.Writer
	st  Style
	err error
}

// NewTeller makes a teller for a scenario.
func NewTeller(s *Scenario, w io.Writer, st Style) *Teller { return &Teller{s: s, w: w, st: st} }

func (t *Teller) paint(i ink, text string) string {
	if !t.st.Color || text == "" {
		return text
	}
	return string(i) + text + "\x1b[0m"
}

func (t *Teller) glyph(unicode, ascii string) string {
	if t.st.Unicode {
		return unicode
	}
	return ascii
}

func (t *Teller) line(parts ...string) {
	if t.err == nil {
		_, t.err = io.WriteString(t.w, strings.TrimRight(strings.Join(parts, ""), " ")+"\n")
	}
}

// pad fills up to a width in columns.
func pad(s string, width int) string {
	if n := width - utf8.RuneCountInString(s); n > 0 {
		return s + strings.Repeat(" ", n)
	}
	return s
}

// cut shortens text to what is left of the terminal behind indent.
func (t *Teller) cut(s string, indent int) string {
	if room := t.st.Width - indent; t.st.Width > 0 && room > 8 && utf8.RuneCountInString(s) > room {
		r := []rune(s)
		return string(r[:room-1]) + t.glyph("…", "~")
	}
	return s
}

// Title prints a heading.
func (t *Teller) Title(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if t.st.Color {
		t.line(t.paint(inkTitle, " "+text+" "))
		return
	}
	t.line("== ", text, " ==")
}

// Picture prints the chassis and what is on them.
//
//	hv1  tunnels from 203.0.113.1
//	  vm1  50:54:00:00:00:01  10.0.0.11
func (t *Teller) Picture() error {
	cfg := t.s.Config
	width := 0
	for i := range cfg.Workloads {
		width = max(width, len(cfg.Workloads[i].Name))
	}
	zone := ""
	for i := range cfg.Chassis {
		ch := &cfg.Chassis[i]
		if ch.Zone != zone {
			zone = ch.Zone
			t.line("  ", t.paint(inkFaint, "zone "), t.paint(inkHost, zone))
		}
		t.line("  ", t.paint(inkHost, ch.Name), t.paint(inkFaint, "  hypervisor, tunnel endpoint "), t.paint(inkWire, ch.EncapIP.String()))
		for j := range cfg.Workloads {
			w := &cfg.Workloads[j]
			if w.Chassis != ch.Name {
				continue
			}
			addrs := make([]string, len(w.IPs))
			for k, ip := range w.IPs {
				addrs[k] = ip.Addr().String()
			}
			t.line("  ", t.paint(inkFaint, t.glyph("└─ ", "`- ")), t.paint(inkHost, pad(w.Name, width)), "  ", w.MAC, "  ", strings.Join(addrs, " "))
		}
	}
	return t.err
}

// Ways prints the ways of packets, and those of their answers. Of packets that
// are sent again and again, the first one stands for all.
func (t *Teller) Ways(ctx context.Context, list []*Node) error {
	for i := 0; i < len(list); {
		t.line()
		t.node(ctx, list[i], "  ")
		again := i + 1
		for again < len(list) && list[again].Kind == list[i].Kind && bytes.Equal(list[again].Frame, list[i].Frame) &&
			len(list[i].Delivered()) == 0 && len(list[again].Delivered()) == 0 {
			again++
		}
		if n := again - i - 1; n > 0 {
			t.line("  ", t.paint(inkFaint, fmt.Sprintf("(sent %d more times, with the same end)", n)))
		}
		i = again
	}
	return t.err
}

func (t *Teller) node(ctx context.Context, d *Node, margin string) {
	if t.err != nil {
		return
	}
	bar := margin + t.paint(inkFaint, t.glyph("│", "|")) + "  "
	head := func(name, what string) {
		t.line(margin, t.paint(inkHost, pad(name, 8)), " ", what)
	}
	switch d.Kind {
	case NodeStation:
		head(d.Where, "sends  "+Summary(d.Frame))
	case NodeDelivered:
		head(d.Where, t.paint(inkGood, "gets   ")+Summary(d.Frame))
		if len(d.Next) > 0 {
			t.line()
		}
	case NodeController:
		head(d.Where, "controller sends  "+Summary(d.Frame))
	case NodeSwitch:
		t.line(bar)
		head(d.Where, t.paint(inkFaint, d.Bridge+", in by "+d.Port))
		t.lookups(ctx, d, bar)
	case NodeWire:
		t.wire(d, margin)
	}
	if d.End != "" {
		t.line(bar)
		t.line(margin, t.paint(inkBad, t.glyph("✗", "x")+" "+d.End))
	} else if d.Kind == NodeSwitch && len(d.Next) == 1 && d.Next[0].Kind == NodeDelivered {
		t.line(bar)
	}
	for i, next := range d.Next {
		m := margin
		if len(d.Next) > 1 {
			m += "  "
			t.line(margin, t.paint(inkFaint, fmt.Sprintf("copy %d of %d", i+1, len(d.Next))))
		}
		t.node(ctx, next, m)
	}
}

// Width of the columns of a lookup.
const (
	stageWidth = 22
	matchWidth = 46
)

// lookups prints the tables that a packet went through on a chassis.
func (t *Teller) lookups(ctx context.Context, d *Node, bar string) {
	list, err := t.s.Explain(ctx, d.Where, d.Trace)
	if err != nil {
		t.err = err
		return
	}
	passed := 0
	flush := func() {
		if passed > 0 {
			tables := "tables let it pass"
			if passed == 1 {
				tables = "table lets it pass"
			}
			t.line(bar, t.paint(inkFaint, fmt.Sprintf("%s %d %s", t.glyph("·", "."), passed, tables)))
		}
		passed = 0
	}
	for i := range list {
		l := &list[i]
		last := i == len(list)-1 && len(d.Next) == 0
		if !t.st.All && !last && (l.Passes() || l.Logical == nil && !telling(l)) {
			if l.Logical != nil {
				passed++
			}
			continue
		}
		flush()
		t.lookup(l, bar)
	}
	flush()
}

// telling tells whether a table that is not logical says where a packet comes
// from or goes.
func telling(l *Lookup) bool {
	if l.Flow == nil {
		return false
	}
	switch l.Table {
	case abi.TablePhyToLog, abi.TableLogToPhy:
		return true
	case abi.TableRemoteOutput, abi.TableLocalOutput:
		return strings.HasPrefix(l.Purpose, "port") && l.Table == abi.TableRemoteOutput || strings.HasPrefix(l.Purpose, "group")
	}
	return l.Stage != nil
}

// physical names what a flow of the chassis itself is for.
func (l *Lookup) physical() string {
	kind, rest, _ := strings.Cut(l.Purpose, " ")
	id, note, named := strings.Cut(rest, " ")
	switch {
	case kind == "port" && named:
		return "port " + note
	case kind == "tunnel":
		return "tunnel of " + strings.ReplaceAll(id, "@", ", ")
	}
	return l.Purpose
}

// physical says what the tables of the chassis are for.
var physical = map[uint8]string{
	abi.TablePhyToLog: "classify", abi.TableRemoteOutput: "to other chassis", abi.TableLocalOutput: "to ports here",
	abi.TableCheckLoopback: "never back", abi.TableSaveInport: "loopback", abi.TableLogToPhy: "to interface",
}

func (t *Teller) lookup(l *Lookup, bar string) {
	if l.Flow == nil {
		t.line(bar, t.paint(inkStage, pad(fmt.Sprintf("table %d", l.Table), stageWidth)), t.paint(inkFaint, "no flow is for it"))
		return
	}
	name, match, actions, why := physical[l.Table], "", "", l.physical()
	switch {
	case l.Logical != nil:
		name, match, actions, why = l.Stage.Name, l.Logical.Match, l.Logical.Actions, l.ObjectNames()
	case l.Stage != nil:
		// A table that an action looks into: "priority=95 of check_in_port_sec(): ...".
		name, match, why = fmt.Sprintf("  table %d", l.Table), l.Purpose, l.ObjectNames()
		if _, rest, ok := strings.Cut(match, " of "); ok {
			match = rest
		}
	case name == "":
		name = fmt.Sprintf("table %d", l.Table)
	}
	indent := utf8.RuneCountInString(stripInk(bar)) + stageWidth
	match = t.cut(match, indent)
	ink := inkStage
	if l.Logical == nil {
		ink = inkFaint
	}
	t.line(bar, t.paint(ink, pad(name, stageWidth)), pad(match, matchWidth), "  ", t.paint(inkObject, why))
	if actions != "" {
		t.line(bar, strings.Repeat(" ", stageWidth), t.paint(inkFaint, t.glyph("↳ ", "-> ")+t.cut(actions, indent+3)))
	}
	for _, n := range l.Notes {
		t.line(bar, strings.Repeat(" ", stageWidth), t.paint(inkFaint, "("+n+")"))
	}
}

// stripInk removes colours, to count columns.
func stripInk(s string) string {
	for {
		i := strings.IndexByte(s, '\x1b')
		if i < 0 {
			return s
		}
		j := strings.IndexByte(s[i:], 'm')
		if j < 0 {
			return s[:i]
		}
		s = s[:i] + s[i+j+1:]
	}
}

// wire prints the outer headers.
func (t *Teller) wire(d *Node, margin string) {
	bar := margin + t.paint(inkWire, t.glyph("║", "#")) + "  "
	o := d.Outer
	if o == nil {
		on := "without a tag"
		if vid, tagged := vlanOf(d.Frame); tagged {
			on = fmt.Sprintf("VLAN %d", vid)
		}
		t.line(bar)
		t.line(bar, t.paint(inkWire, "physical network"), "  ", on, ", to ", t.paint(inkHost, d.To))
		return
	}
	t.line(bar)
	t.line(bar, t.paint(inkWire, "underlay"), fmt.Sprintf("  %v:%d %s %v:%d", o.Src, o.SrcPort, t.glyph("→", "->"), o.Dst, o.DstPort))
	vni, z := uint32(o.Geneve.VNI), t.s.ZoneOf(d.Where)
	t.line(bar, t.paint(inkWire, "Geneve  "), "  ", t.paint(inkHost, o.Geneve.VNI.String()), " = ", t.paint(inkObject, fmt.Sprintf("%q", z.DatapathName(vni))))
	for opt := range o.Geneve.All() {
		text := fmt.Sprintf("option class %#04x type %#02x data ", opt.Class, opt.Type)
		names := ""
		if o.HasPorts && opt.Class == 0x0102 && opt.Type == 0x80 {
			names = fmt.Sprintf(" = from %q (%d) to %q (%d)", z.PortName(vni, uint32(o.Ports.Ingress)), o.Ports.Ingress,
				z.PortName(vni, uint32(o.Ports.Egress)), o.Ports.Egress)
		}
		t.line(bar, t.paint(inkWire, "        "), "  ", text, t.paint(inkHost, fmt.Sprintf("%x", opt.Data)), t.paint(inkObject, names))
	}
}

// Verdict prints in one line how a ping ended.
func (t *Teller) Verdict(r *PingResult, to string) {
	if r.Answered {
		t.line("  ", t.paint(inkGood, t.glyph("✓", "ok")), fmt.Sprintf(" %s reached %s and back: ttl %d, %.3f ms of simulated time",
			r.From, to, r.TTL, float64(r.RTT.Microseconds())/1000))
		return
	}
	t.line("  ", t.paint(inkBad, t.glyph("✗", "x")), fmt.Sprintf(" %s got no answer from %s: %s", r.From, to, r.Why))
}

// Err is the first error of writing.
func (t *Teller) Err() error { return t.err }

// Blank prints an empty line.
func (t *Teller) Blank() { t.line() }

// Next says what else can be tried.
func (t *Teller) Next(commands ...[2]string) {
	width := 0
	for _, c := range commands {
		width = max(width, utf8.RuneCountInString(c[0]))
	}
	for _, c := range commands {
		t.line("  ", t.paint(inkFaint, pad(c[0], width)), "  ", c[1])
	}
}
