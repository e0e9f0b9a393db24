package oracle

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"govn/pkg/abi"
)

const actionsLine = "Datapath actions: "

// circle is what Open vSwitch and ovn-trace cannot judge. Open vSwitch drops a
// packet that passes too many ports in one translation; ovn-trace follows it until
// its TTL is used up, if its stack suffices.
const circle = "the packet goes in a circle"

const tooDeep = "Translation failed (Recursion too deep)"

// readTrace reads the output of ofproto/trace: the last line of datapath
// actions, and what goes to a controller in between. Where there are branches for
// packets by size, large says which is taken.
func readTrace(text string, p Packet, large bool) (*effects, []string, error) {
	i := strings.LastIndex(text, actionsLine)
	if i < 0 {
		return nil, nil, fmt.Errorf("ofproto/trace: %w: no datapath actions in %q", ErrSyntax, text)
	}
	if strings.Count(text, actionsLine) > 1 {
		return nil, nil, fmt.Errorf("ofproto/trace: %w: the packet recirculates", ErrSyntax)
	}
	if strings.Contains(text, "native tunnel routing failed") || strings.Contains(text, "neighbor cache miss") {
		return nil, nil, fmt.Errorf("ofproto/trace: %w: the underlay does not know the tunnel endpoint", ErrSyntax)
	}
	line, _, _ := strings.Cut(text[i+len(actionsLine):], "\n")
	list, err := parseActions(strings.TrimSpace(line))
	if err != nil {
		return nil, nil, err
	}
	e := effects{large: large}
	if err := e.execute(list, clone(p)); err != nil {
		return nil, nil, err
	}
	all := punts(text)
	made := slices.DeleteFunc(slices.Clone(all), func(p punt) bool { return p.paused })
	if len(made) != e.asked {
		return nil, nil, fmt.Errorf("ofproto/trace: %w: %d packets to a controller in the trace, %d in the datapath actions", ErrSyntax, len(made), e.asked)
	}
	var kinds []string
	for _, i := range e.punts {
		kinds = append(kinds, made[i].kind)
	}
	for _, p := range all {
		if p.paused {
			kinds = append(kinds, p.kind)
		}
	}
	return &e, slices.DeleteFunc(kinds, func(kind string) bool { return kind == "" }), nil
}

// controllerAction is how the trace prints the action that hands a packet to
// the controller.
var controllerAction = regexp.MustCompile(`\bcontroller\((?:[^)]*\b)?userdata=([0-9a-f.]+)[^)]*\)`)

// punt is a packet to the controller.
type punt struct {
	kind   string // "" where the controller only learns
	paused bool   // it waits for the answer: the datapath actions do not show it
}

// Kinds of packets to the controller. Those with no kind only learn: the packet
// itself goes on in the tables.
var (
	// stockPunts is by the first four bytes of userdata in stock OVN 23.03, the
	// codes of ovn's include/ovn/actions.h.
	stockPunts = map[string]string{
		"00.00.00.00": "arp",
		"00.00.00.01": "", // put_arp
		"00.00.00.03": "nd_na",
		"00.00.00.04": "", // put_nd
		"00.00.00.08": "put_nd_ra_opts",
		"00.00.00.09": "nd_ns",
		"00.00.00.0a": "icmp",
		"00.00.00.0b": "tcp_reset",
		"00.00.00.0c": "nd_na_router",
		"00.00.00.0e": "icmp", // icmp4_error
		"00.00.00.11": "",     // bind_vport
		"00.00.00.14": "icmp", // icmp6_error
		"00.00.00.19": "",     // put_fdb
	}
	// govnPunts is by the first two bytes, which are zero in none.
	govnPunts = map[string]string{
		opcode(abi.PuntPutFDB):     "",
		opcode(abi.PuntNDNA):       "nd_na",
		opcode(abi.PuntARP):        "arp",
		opcode(abi.PuntNDNS):       "nd_ns",
		opcode(abi.PuntPutARP):     "",
		opcode(abi.PuntPutND):      "",
		opcode(abi.PuntICMP4):      "icmp",
		opcode(abi.PuntICMP6):      "icmp",
		opcode(abi.PuntTCPReset):   "tcp_reset",
		opcode(abi.PuntSCTPAbort):  "sctp_abort",
		opcode(abi.PuntNDNARouter): "nd_na_router",
		opcode(abi.PuntNDRAOpts):   "put_nd_ra_opts",
		opcode(abi.PuntBindVPort):  "",
		opcode(abi.PuntBFD):        "",
	}
)

func opcode(n uint16) string { return fmt.Sprintf("%02x.%02x", n>>8, n&0xff) }

// punts lists the kinds of what goes to a controller, in order, "" where it only
// learns. One that is not known is its number, so that it differs from everything.
func punts(text string) []punt {
	var list []punt
	for _, m := range controllerAction.FindAllStringSubmatch(text, -1) {
		data := m[1]
		kind, ok := stockPunts[data[:min(len(data), 11)]]
		if !ok {
			kind, ok = govnPunts[data[:min(len(data), 5)]]
		}
		if !ok {
			kind = "punt " + data[:min(len(data), 11)]
		}
		list = append(list, punt{kind, strings.Contains(m[0], ",pause")})
	}
	return list
}
