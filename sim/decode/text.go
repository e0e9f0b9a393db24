package decode

import (
	"fmt"
	"io"
	"strings"
)

// timeLayout is how the text shows the time of a packet; it is UTC.
const timeLayout = "2006-01-02 15:04:05.000000"

// Text writes a packet as a block of lines, a layer each, indented by the
// number of Geneve headers around it:
//
//	1  2026-11-21 14:50:00.123456  156 bytes
//	  eth     0a:58:cb:00:71:01 > 0a:58:cb:00:71:02
//	  ipv4    203.0.113.1 > 203.0.113.2  udp ttl 64 len 142
//	  udp     38191 > 6081 len 122
//	  geneve  vni 0x1 (switch "sw0") ...
//	    eth   ...
func (p *Packet) Text(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", p.head())
	for i := range p.Layers {
		l := &p.Layers[i]
		indent := strings.Repeat("  ", l.Depth+1)
		first, rest, more := strings.Cut(l.Text, "\n")
		fmt.Fprintf(&b, "%s\n", strings.TrimRight(fmt.Sprintf("%s%-7s %s", indent, l.Name, first), " "))
		for more {
			first, rest, more = strings.Cut(rest, "\n")
			fmt.Fprintf(&b, "%s        %s\n", indent, first)
		}
	}
	for i := range p.Problems {
		fmt.Fprintf(&b, "  ! %s\n", &p.Problems[i])
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// Line writes a packet as one line: what is in it, from the outside to the
// inside.
func (p *Packet) Line(w io.Writer) error {
	var parts []string
	for i := range p.Layers {
		l := &p.Layers[i]
		switch l.Name {
		case "eth", "udp":
			if i+1 < len(p.Layers) { // what follows says more
				continue
			}
		}
		first, _, _ := strings.Cut(l.Text, "\n")
		parts = append(parts, l.Name+" "+first)
	}
	for i := range p.Problems {
		parts = append(parts, "! "+p.Problems[i].String())
	}
	_, err := fmt.Fprintf(w, "%s  %s\n", p.head(), strings.Join(parts, " | "))
	return err
}

func (p *Packet) head() string {
	s := fmt.Sprintf("%d  %s  %d bytes", p.Number, p.Time.UTC().Format(timeLayout), p.Length)
	if p.Captured < p.Length {
		s += fmt.Sprintf(", %d captured", p.Captured)
	}
	return s
}
