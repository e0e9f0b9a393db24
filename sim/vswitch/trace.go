package vswitch

import (
	"fmt"
	"strings"

	"govn/pkg/openflow"
	"govn/sim/vswitch/classifier"
)

// Trace is what happened to a packet.
type Trace struct {
	Bridge string
	Steps  []Step
}

// Step is one thing that happened: a lookup, with the actions of the flow as
// Sub; an action, with what it led to as Sub; the entry of another bridge, with
// all of it as Sub; a remark.
type Step struct {
	Lookup bool           // a table was looked up
	Table  uint8          // of Lookup
	Flow   *openflow.Flow // of Lookup: the flow that matched, nil: none
	Action string         // as ovs-ofctl prints it; "" for others
	Bridge string         // the packet entered another bridge
	Note   string         // a remark: "no port 5", "the meter drops the packet"
	Sub    []Step
}

// String prints the trace in the manner of ofproto/trace:
//
//	bridge("br-int")
//	----------------
//	 0. in_port=1, priority 100, cookie 0x1
//	    resubmit(,8)
//	 8. metadata=0x1, priority 50, cookie 0x2
//	    output:2
func (t *Trace) String() string {
	var s strings.Builder
	title := fmt.Sprintf("bridge(%q)", t.Bridge)
	fmt.Fprintf(&s, "%s\n%s\n", title, strings.Repeat("-", len(title)))
	printSteps(&s, t.Steps, 0)
	return s.String()
}

func printSteps(s *strings.Builder, steps []Step, indent int) {
	pad := strings.Repeat(" ", indent)
	for _, st := range steps {
		switch {
		case st.Lookup:
			fmt.Fprintf(s, "%s%2d. %s\n", pad, st.Table, ruleText(st.Flow))
			printSteps(s, st.Sub, indent+4)
		case st.Bridge != "":
			fmt.Fprintf(s, "\n%sbridge(%q)\n", pad, st.Bridge)
			printSteps(s, st.Sub, indent)
		case st.Action != "":
			fmt.Fprintf(s, "%s%s\n", pad, st.Action)
			printSteps(s, st.Sub, indent)
		default:
			fmt.Fprintf(s, "%s -> %s\n", pad, st.Note)
		}
	}
}

func ruleText(f *openflow.Flow) string {
	if f == nil {
		return "No match."
	}
	text := ""
	if m, err := openflow.ParseMatch(f.Match); err == nil && !m.Empty() {
		text = m.String() + ", "
	}
	text += fmt.Sprintf("priority %d", f.Priority)
	if f.Cookie != 0 {
		text += fmt.Sprintf(", cookie %#x", f.Cookie)
	}
	return text
}

// node is a step while it is being recorded. All methods do nothing on nil, so
// that a packet without a trace costs nothing.
type node struct {
	step Step
	sub  []*node
}

func (n *node) add(s Step) *node {
	if n == nil {
		return nil
	}
	c := &node{step: s}
	n.sub = append(n.sub, c)
	return c
}

func (n *node) note(text string) {
	if n != nil {
		n.add(Step{Note: text})
	}
}

func (n *node) bridge(name string) *node { return n.add(Step{Bridge: name}) }

func (n *node) action(a openflow.Action) *node {
	if n == nil {
		return nil
	}
	return n.add(Step{Action: a.String()})
}

func (n *node) lookup(table uint8, r *classifier.Rule[*flow]) *node {
	if n == nil {
		return nil
	}
	s := Step{Lookup: true, Table: table}
	if r != nil {
		f := r.Value.Flow
		s.Flow = &f
	}
	return n.add(s)
}

func (n *node) steps() []Step {
	var list []Step
	for _, c := range n.sub {
		s := c.step
		s.Sub = c.steps()
		list = append(list, s)
	}
	return list
}
