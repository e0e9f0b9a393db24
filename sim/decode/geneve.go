package decode

import (
	"encoding/hex"
	"fmt"
	"strings"

	"govn/pkg/geneve"
)

// option is a Geneve option, for JSON.
type option struct {
	Class     uint16 `json:"class"`
	ClassName string `json:"class_name"`
	Type      uint8  `json:"type"`
	Critical  bool   `json:"critical"`
	Data      string `json:"data"`
}

// Port is a port or multicast group in OVN's option.
type Port struct {
	Key  uint16 `json:"key"`
	Name string `json:"name,omitempty"`
}

func (p Port) String() string {
	if p.Name == "" {
		return fmt.Sprint(p.Key)
	}
	return fmt.Sprintf("%q (%d)", p.Name, p.Key)
}

// geneveHeader decodes a Geneve header (RFC 8926) with OVN's option and gives
// its keys their names.
func geneveHeader(w *walker, b []byte) (handler, []byte) {
	const name = "geneve"
	if w.depth >= maxDepth {
		w.broken(name, b, 0, "more than %d Geneve headers in each other", maxDepth)
		return nil, nil
	}
	h, rest, problems := geneve.Inspect(b)
	if len(b) >= geneve.HeaderLen {
		w.addGeneve(b, h)
	}
	for i := range problems {
		p := &problems[i]
		say := w.broken
		switch {
		case p.Err == geneve.ErrTruncated:
			say = w.short
		case p.Err == geneve.ErrCriticalBit:
			say = w.note // RFC 8926 does not make a receiver drop it
		}
		say(name, b, p.Offset, "%s", strings.TrimPrefix(fmt.Sprintf("%v: %s", p.Err, p.Detail), "geneve: "))
	}
	if rest == nil {
		return nil, nil
	}
	w.depth++
	next, _ := etherType(h.Protocol)
	return next, rest
}

// addGeneve adds the layer of a header.
func (w *walker) addGeneve(b []byte, h geneve.Header) {
	m := lookup(w.d.Names, w.src, w.dst, h.VNI)
	if w.partial {
		m.note = ""
	}
	var flags string
	if h.Control {
		flags += "O"
	}
	if h.Critical {
		flags += "C"
	}
	if flags == "" {
		flags = "none"
	}
	_, protocol := etherType(h.Protocol)
	text := h.VNI.String()
	fields := []Field{{"version", b[0] >> 6}, {"vni", uint32(h.VNI)}, {"control", h.Control}, {"critical", h.Critical},
		{"protocol", fmt.Sprintf("0x%04x", h.Protocol)}}
	if m.zone != nil {
		if m.zone.Name != "" {
			fields = append(fields, Field{"zone", m.zone.Name})
		}
		fields = append(fields, Field{"from_chassis", m.from}, Field{"to_chassis", m.to})
	}
	if m.datapath != nil {
		text += fmt.Sprintf(" = %s %q", m.datapath.Kind, m.datapath.Name)
		fields = append(fields, Field{"datapath", m.datapath.Name})
	}
	if m.zone != nil {
		text += fmt.Sprintf(", %s to %s", m.from, m.to)
		if m.zone.Name != "" {
			text += " in zone " + m.zone.Name
		}
	}
	text += fmt.Sprintf("  flags [%s] proto %s 0x%04x", flags, protocol, h.Protocol)
	var options []option
	for o := range h.All() {
		word := ""
		if o.Critical() {
			word = " critical"
		}
		data := hex.EncodeToString(o.Data)
		options = append(options, option{o.Class, geneve.ClassName(o.Class), o.Type, o.Critical(), data})
		text += fmt.Sprintf("\noption class 0x%04x %s type 0x%02x%s: %s", o.Class, geneve.ClassName(o.Class), o.Type, word, data)
	}
	if ports, ok := h.Ports(); ok {
		in, out := Port{Key: ports.Ingress}, Port{Key: ports.Egress}
		where := "outport"
		if ports.Egress >= 1<<15 {
			where = "multicast group"
		}
		if m.datapath != nil {
			in.Name, out.Name = m.datapath.Ports[in.Key], m.datapath.Ports[out.Key]
			if where != "outport" {
				out.Name = m.datapath.Groups[out.Key]
			}
		}
		text += fmt.Sprintf("\ninport %v, %s %v", in, where, out)
		fields = append(fields, Field{"inport", in}, Field{strings.ReplaceAll(where, " ", "_"), out})
	}
	verdict := h.Verdict(nil)
	if b[0]>>6 == 0 && verdict != geneve.Accept {
		text += fmt.Sprintf("\nRFC 8926 for an endpoint that knows OVN's option only: %v", verdict)
	}
	fields = append(fields, Field{"options", options}, Field{"verdict", verdict.String()})
	w.add("geneve", b, text, fields...)
	if m.note != "" {
		w.note("geneve", b, 4, "%s", m.note)
	}
}
