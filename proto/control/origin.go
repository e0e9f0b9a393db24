package control

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// Makers of a flow: who is named in the upper 4 bits of its cookie.
const (
	Northd  = "northd"  // a unit of northd: a logical flow in a datapath
	Fixed   = "fixed"   // the chassis, always the same
	Port    = "port"    // the chassis, for one of its ports or a port elsewhere
	Tunnel  = "tunnel"  // the chassis, for what comes in by a tunnel
	Group   = "group"   // the chassis, for a multicast group
	Learned = "learned" // the chassis, for a learned address
)

// makers by owner in the cookie.
var makers = [16]string{1: Northd, 2: Fixed, 3: Port, 4: Tunnel, 5: Group, 6: Learned, 7: "Open vSwitch itself"}

// Maker is who made the flow with a cookie; "" is nobody of govn.
func Maker(cookie uint64) string { return makers[cookie>>60] }

// Flow is an OpenFlow flow; match and actions are in the syntax of ovs-ofctl.
type Flow struct {
	Cookie   string `json:"cookie"`
	Table    uint8  `json:"table"`
	Priority uint16 `json:"priority"`
	Match    string `json:"match"`
	Actions  string `json:"actions"`
	Guard    string `json:"guard,omitempty"`    // it is there only where this holds
	Shadowed string `json:"shadowed,omitempty"` // not installed: another flow of the same table, priority and match is
	Counters *Count `json:"counters,omitempty"` // what Open vSwitch counts; nil: it was not asked, or does not have the flow
}

// Count is what Open vSwitch counts for a flow.
type Count struct {
	Packets  uint64        `json:"packets"`
	Bytes    uint64        `json:"bytes"`
	Duration time.Duration `json:"duration"` // nanoseconds, since it was added
	Idle     time.Duration `json:"idle"`     // nanoseconds, since it was last hit
}

// String is the flow as ovs-ofctl dump-flows prints it.
func (f *Flow) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "cookie=%s, ", f.Cookie)
	if c := f.Counters; c != nil {
		fmt.Fprintf(&b, "duration=%.3fs, table=%d, n_packets=%d, n_bytes=%d, ", c.Duration.Seconds(), f.Table, c.Packets, c.Bytes)
	} else {
		fmt.Fprintf(&b, "table=%d, ", f.Table)
	}
	fmt.Fprintf(&b, "priority=%d", f.Priority)
	if f.Match != "" {
		b.WriteString("," + f.Match)
	}
	b.WriteString(" actions=" + f.Actions)
	return b.String()
}

// LogicalFlow is a logical flow (ovn-sb(5), Logical_Flow).
type LogicalFlow struct {
	Priority uint16 `json:"priority"`
	Match    string `json:"match"`
	Actions  string `json:"actions"`
}

// Stage is a table of the logical pipeline.
type Stage struct {
	ID       uint32 `json:"id"` // what flows carry; never changes its meaning
	Name     string `json:"name,omitempty"`
	Pipeline string `json:"pipeline,omitempty"` // ingress or egress
	Table    uint8  `json:"table"`              // in the pipeline
}

// Datapath is a logical switch or router.
type Datapath struct {
	Key  uint32 `json:"key"` // tunnel key
	Name string `json:"name,omitempty"`
}

// Origin is one reason for OpenFlow flows to be there, and those flows.
type Origin struct {
	Maker    string       `json:"maker"`
	Datapath *Datapath    `json:"datapath,omitempty"`
	Stage    *Stage       `json:"stage,omitempty"`
	Logical  *LogicalFlow `json:"logical,omitempty"` // nil where northd was not asked, or there is none
	Purpose  string       `json:"purpose,omitempty"` // in words, where there is no logical flow
	Objects  []Object     `json:"objects,omitempty"` // northbound rows behind it
	Scope    string       `json:"scope,omitempty"`   // which chassis have it
	Flows    []Flow       `json:"flows"`
	Groups   []OFGroup    `json:"groups,omitempty"` // that the flows use
}

// write writes the origin as a block of lines; indent comes before each.
func (o *Origin) write(e *errWriter, indent string) {
	e.printf("%s%s\n", indent, o.Headline())
	if o.Logical != nil && o.Purpose != "" {
		e.printf("%s  %s\n", indent, o.Purpose)
	}
	if len(o.Objects) > 0 {
		e.printf("%s  from %s\n", indent, objectText(o.Objects))
	}
	if o.Scope != "" {
		e.printf("%s  on %s\n", indent, o.Scope)
	}
	for i := range o.Flows {
		f := &o.Flows[i]
		e.printf("%s    %s\n", indent, f)
		if f.Guard != "" {
			e.printf("%s      only where %s\n", indent, f.Guard)
		}
		if f.Shadowed != "" {
			e.printf("%s      not installed: %s\n", indent, f.Shadowed)
		}
	}
	for i := range o.Groups {
		o.Groups[i].write(e, indent+"    ")
	}
}

// Headline says in one line what the flows are:
//
//	sw0 ls_in_l2_lkup (ingress 25), priority=50, match=(eth.dst == 50:54:00:00:00:01), action=(outport = "vm1"; output;)
//	chassis: port "vm1" of datapath 1
func (o *Origin) Headline() string {
	if o.Maker != Northd {
		return "chassis: " + o.Purpose
	}
	var b strings.Builder
	if d := o.Datapath; d != nil {
		if d.Name != "" {
			b.WriteString(d.Name + " ")
		} else {
			fmt.Fprintf(&b, "datapath %d ", d.Key)
		}
	}
	switch s := o.Stage; {
	case s == nil:
		b.WriteString("unknown stage")
	case s.Name == "":
		fmt.Fprintf(&b, "stage %d", s.ID)
	default:
		fmt.Fprintf(&b, "%s (%s %d)", s.Name, s.Pipeline, s.Table)
	}
	switch {
	case o.Logical != nil:
		fmt.Fprintf(&b, ", priority=%d, match=(%s), action=(%s)", o.Logical.Priority, o.Logical.Match, o.Logical.Actions)
	case o.Purpose != "":
		b.WriteString(", " + o.Purpose)
	}
	return b.String()
}

// Origins are an answer of flows or explain.
type Origins struct {
	Revision uint64   `json:"revision,omitempty"` // that it is of
	Chassis  string   `json:"chassis,omitempty"`  // that answers; empty: northd
	Origins  []Origin `json:"origins"`
}

// WriteText writes a block for each origin.
func (o *Origins) WriteText(w io.Writer) error {
	e := errWriter{w: w}
	if len(o.Origins) == 0 {
		e.printf("nothing here has it\n")
	}
	for i := range o.Origins {
		if i > 0 {
			e.printf("\n")
		}
		o.Origins[i].write(&e, "")
	}
	return e.err
}

// Query is what explain is asked about: a cookie, and what narrows it down.
type Query struct {
	Cookie   uint64
	Datapath uint32 // tunnel key in metadata; 0: any
}

// ErrQuery is matched when a text holds no cookie.
var ErrQuery = errors.New("no cookie")

// ParseQuery finds the cookie in a text: the cookie alone ("0x1f3a..."), a flow as
// ovs-ofctl prints it, or a line of ofproto/trace. The metadata in its match,
// where it is there, is the datapath.
func ParseQuery(s string) (Query, error) {
	var q Query
	text, ok := after(s, "cookie=", "cookie ", "cookie:")
	if !ok {
		text = strings.TrimSpace(s)
		if strings.ContainsAny(text, " ,=") {
			return Query{}, fmt.Errorf("%w in %q", ErrQuery, s)
		}
	}
	word := token(text)
	n, err := strconv.ParseUint(strings.TrimPrefix(word, "0x"), 16, 64)
	if err != nil || word == "" || word == "0x" {
		return Query{}, fmt.Errorf("%w in %q: %q is no hexadecimal number", ErrQuery, s, word)
	}
	q.Cookie = n
	if text, ok := after(s, "metadata="); ok {
		if n, err := strconv.ParseUint(token(text), 0, 32); err == nil {
			q.Datapath = uint32(n)
		}
	}
	return q, nil
}

// ParseQueries reads several, each a text for [ParseQuery].
func ParseQueries(texts []string) ([]Query, error) {
	out := make([]Query, len(texts))
	for i, s := range texts {
		q, err := ParseQuery(s)
		if err != nil {
			return nil, err
		}
		out[i] = q
	}
	return out, nil
}

// after is what follows the first of the marks in s that is there.
func after(s string, marks ...string) (string, bool) {
	for _, m := range marks {
		if _, rest, ok := strings.Cut(s, m); ok {
			return rest, true
		}
	}
	return "", false
}

// token is the leading part of s made of letters and digits.
func token(s string) string {
	for i, c := range s {
		if !(c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z') {
			return s[:i]
		}
	}
	return s
}

// String is the query as an argument of the command explain.
func (q Query) String() string {
	s := fmt.Sprintf("cookie=%#x", q.Cookie)
	if q.Datapath != 0 {
		s += fmt.Sprintf(",metadata=%#x", q.Datapath)
	}
	return s
}

// Matches reports whether a flow with the cookie, in a datapath (0: any), is
// asked about.
func (q Query) Matches(cookie uint64, datapath uint32) bool {
	return q.Cookie == cookie && (q.Datapath == 0 || datapath == 0 || q.Datapath == datapath)
}
