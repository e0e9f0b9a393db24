package openflow

import (
	"fmt"
	"strings"
	"time"
)

// DefaultPriority is the priority of flows that name none; ovs-ofctl does not
// print it.
const DefaultPriority = 32768

// Flow is one flow as it is installed. Its bytes are not changed once it is
// made, so flows can be copied and shared.
type Flow struct {
	Table    uint8
	Priority uint16
	Cookie   uint64
	Match    []byte // OXM TLVs in canonical order
	Actions  []byte // of one apply-actions instruction; empty: drop
}

// FlowKey identifies a flow in a switch: two flows of one key cannot both be
// there.
type FlowKey struct {
	Table    uint8
	Priority uint16
	Match    string // the bytes of Flow.Match
}

// Key is the flow's key.
func (f *Flow) Key() FlowKey {
	return FlowKey{Table: f.Table, Priority: f.Priority, Match: string(f.Match)}
}

// Equal tells whether all of two flows is equal.
func (f *Flow) Equal(g *Flow) bool {
	return f.Table == g.Table && f.Priority == g.Priority && f.Cookie == g.Cookie &&
		string(f.Match) == string(g.Match) && string(f.Actions) == string(g.Actions)
}

// String prints the flow as ovs-ofctl dump-flows does, without the counters:
//
//	cookie=0x1, table=8, priority=50,metadata=0x1 actions=resubmit(,9)
func (f Flow) String() string {
	return fmt.Sprintf("cookie=%#x, table=%d, %s actions=%s", f.Cookie, f.Table, f.rule(), f.formatActions())
}

// rule prints priority and match.
func (f *Flow) rule() string {
	match := MatchText(f.Match)
	priority := fmt.Sprintf("priority=%d", f.Priority)
	switch {
	case f.Priority == DefaultPriority:
		return match
	case match == "":
		return priority
	}
	return priority + "," + match
}

func (f *Flow) formatActions() string { return ActionsText(f.Actions) }

// MatchText prints an encoded match as ovs-ofctl does, and what is none in
// hexadecimal digits.
func MatchText(match []byte) string {
	m, err := ParseMatch(match)
	if err != nil {
		return fmt.Sprintf("oxm=%x", match)
	}
	return m.String()
}

// ActionsText prints encoded actions as ovs-ofctl does, and what is none in
// hexadecimal digits.
func ActionsText(actions []byte) string {
	list, err := DecodeActions(actions)
	if err != nil {
		return fmt.Sprintf("raw:%x", actions)
	}
	return FormatActions(list)
}

// FlowStats is a flow with what the switch counts for it.
type FlowStats struct {
	Flow
	Duration     time.Duration // since it was added
	Idle         time.Duration // since it was last hit
	Packets      uint64
	Bytes        uint64
	IdleTimeout  uint16 // seconds, 0: none
	HardTimeout  uint16 // seconds, 0: none
	Importance   uint16
	Flags        uint16 // OFPFF_*
	Instructions []byte // other than apply-actions, as they are
}

// String prints the flow with its counters.
func (f FlowStats) String() string {
	var s strings.Builder
	fmt.Fprintf(&s, "cookie=%#x, duration=%.3fs, table=%d, n_packets=%d, n_bytes=%d, ",
		f.Cookie, f.Duration.Seconds(), f.Table, f.Packets, f.Bytes)
	if f.IdleTimeout != 0 {
		fmt.Fprintf(&s, "idle_timeout=%d, ", f.IdleTimeout)
	}
	if f.HardTimeout != 0 {
		fmt.Fprintf(&s, "hard_timeout=%d, ", f.HardTimeout)
	}
	actions := f.formatActions()
	if len(f.Instructions) > 0 {
		if len(f.Actions) == 0 {
			actions = ""
		} else {
			actions += ","
		}
		actions += fmt.Sprintf("instructions:%x", f.Instructions)
	}
	fmt.Fprintf(&s, "%s actions=%s", f.rule(), actions)
	return s.String()
}
