package diagram

import (
	"fmt"
	"strings"
)

// look is how a kind of node is drawn.
var look = map[Kind]struct{ class, word string }{
	Switch:   {"switch", "switch"},
	Router:   {"router", "router"},
	Provider: {"provider", "provider network"},
	Gateway:  {"gateway", "gateway"},
	Zone:     {"zone", "zone"},
	Transit:  {"transit", "transit switch"},
}

const style = `  text { font: 12px "DejaVu Sans", Helvetica, Arial, sans-serif; fill: #1b2733; text-anchor: middle }
  text.name { font-weight: bold }
  text.note { fill: #51606e }
  rect { stroke-width: 1.4 }
  .switch { fill: #e8f1fb; stroke: #3f78b5 }
  .router { fill: #fdf0dc; stroke: #c07f1f }
  .provider { fill: #e9f5e6; stroke: #4b8f3a }
  .gateway { fill: #fdf0dc; stroke: #c07f1f }
  .zone { fill: #e9f5e6; stroke: #4b8f3a }
  .transit { fill: #e8f1fb; stroke: #3f78b5 }
  .link { fill: none; stroke: #7c8a97; stroke-width: 1.2 }
  .cross { fill: none; stroke: #a5548c; stroke-width: 1.2; stroke-dasharray: 5 3 }
`

var xmlEscapes = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&#39;")

// markup is text for a document: without characters that XML does not have.
func markup(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0xfffe || r == 0xffff {
			return '·'
		}
		return r
	}, strings.ToValidUTF8(s, "·"))
	return xmlEscapes.Replace(s)
}

// SVG draws the graph as a picture.
func (g *Graph) SVG() string {
	boxes, cross, w, h := place(g.sorted())
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%.0f" height="%.0f" viewBox="0 0 %.0f %.0f">`+"\n", w, h, w, h)
	fmt.Fprintf(&b, "<style>\n%s</style>\n<rect width=\"100%%\" height=\"100%%\" fill=\"#ffffff\"/>\n", style)
	at := map[string]*box{}
	for _, x := range boxes {
		at[x.node.ID] = x
		if p := x.parent; p != nil {
			middle := x.x + x.w/2
			start := p.x + p.w/2
			// Down from the parent, over to the trunk, down to the bus, along it,
			// down to the box.
			fmt.Fprintf(&b, `<path class="link" d="M%.1f %.1fV%.1fH%.1fV%.1fH%.1fV%.1f"/>`+"\n",
				start, p.y+p.h, p.y+p.h+gapY/2, x.trunk, x.bus, middle, x.y)
		}
	}
	for _, l := range cross {
		from, to := at[l.From], at[l.To]
		x1, y1, x2, y2 := from.x+from.w/2, from.y+from.h/2, to.x+to.w/2, to.y+to.h/2
		bend := min(max((y1+y2)/2+0.15*(x2-x1), margin/4), h-margin/4)
		fmt.Fprintf(&b, `<path class="cross" d="M%.1f %.1fQ%.1f %.1f %.1f %.1f"><title>%s</title></path>`+"\n",
			x1, y1, (x1+x2)/2, bend, x2, y2, markup(from.node.Name+" – "+to.node.Name))
	}
	for _, x := range boxes {
		drawBox(&b, x)
	}
	b.WriteString("</svg>\n")
	return b.String()
}

func drawBox(b *strings.Builder, x *box) {
	n, kind := x.node, look[x.node.Kind]
	radius := 3.0
	switch n.Kind {
	case Router, Zone:
		radius = 14
	case Provider:
		radius = x.h / 2
	}
	fmt.Fprintf(b, `<g><title>%s</title>`+"\n", markup(kind.word+" "+n.Name+"\n"+strings.Join(n.Notes, "\n")))
	fmt.Fprintf(b, `<rect class="%s" x="%.1f" y="%.1f" width="%.1f" height="%.1f" rx="%.1f"/>`+"\n", kind.class, x.x, x.y, x.w, x.h, radius)
	y := x.y + padding/2 + lineHeight*0.78
	fmt.Fprintf(b, `<text class="name" x="%.1f" y="%.1f">%s</text>`+"\n", x.x+x.w/2, y, markup(shorten(n.Name)))
	for _, note := range n.Notes {
		y += lineHeight
		fmt.Fprintf(b, `<text class="note" x="%.1f" y="%.1f">%s</text>`+"\n", x.x+x.w/2, y, markup(shorten(note)))
	}
	b.WriteString("</g>\n")
}
