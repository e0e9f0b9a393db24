package diagram

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// outline is the forest as text formats draw it: boxes below one box that lead no
// further become one group when they are many, because the programs that draw
// would put them into one endless row.
type outline struct {
	alone  []*Node     // boxes of their own
	groups []nodeGroup // in place of many boxes
	links  []outlined
}

type nodeGroup struct {
	nodes []*Node
	wide  int // columns
}

// outlined is a link from the outside to the inside; of a group, group is its
// number and To is "".
type outlined struct {
	Link
	group int
	cross bool // not part of the forest
}

// How many boxes that lead no further stand side by side, in a small graph and
// in a large one.
const (
	groupMost      = 8
	groupMostLarge = 3
)

// labelled is how many nodes a graph may have for labels on its links.
const labelled = 40

func (g *Graph) outline() *outline {
	labels := map[[2]string]string{}
	for _, l := range g.Links {
		labels[[2]string{l.From, l.To}], labels[[2]string{l.To, l.From}] = l.Label, l.Label
	}
	roots, cross := g.forest()
	crossing := map[string]bool{}
	for _, l := range cross {
		crossing[l.From], crossing[l.To] = true, true
	}
	o := &outline{}
	// group makes a group of those that may be in one, and returns the rest.
	group := func(list []*tree) (rest []*tree, made bool) {
		var ends []*Node
		for _, t := range list {
			if len(t.children) == 0 && !crossing[t.node.ID] {
				ends = append(ends, t.node)
			} else {
				rest = append(rest, t)
			}
		}
		if len(ends) <= groupMostLarge || len(ends) <= groupMost && len(g.Nodes) <= labelled {
			return list, false
		}
		o.groups = append(o.groups, nodeGroup{ends, int(math.Ceil(math.Sqrt(float64(len(ends)) * 0.6)))})
		return rest, true
	}
	var visit func(t *tree)
	visit = func(t *tree) {
		o.alone = append(o.alone, t.node)
		rest, made := group(t.children)
		if made {
			o.links = append(o.links, outlined{Link: Link{From: t.node.ID}, group: len(o.groups) - 1})
		}
		for _, c := range rest {
			o.links = append(o.links, outlined{Link: Link{t.node.ID, c.node.ID, labels[[2]string{t.node.ID, c.node.ID}]}})
			visit(c)
		}
	}
	rest, _ := group(roots)
	for _, t := range rest {
		visit(t)
	}
	for _, l := range cross {
		o.links = append(o.links, outlined{Link: l, cross: true})
	}
	return o
}

// numbers are the nodes' numbers, by ID.
func (g *Graph) numbers() map[string]int {
	out := map[string]int{}
	for i, n := range g.Nodes {
		out[n.ID] = i
	}
	return out
}

var dotEscapes = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

var dotLooks = map[Kind]string{
	Switch:   `fillcolor="#e8f1fb", color="#3f78b5"`,
	Router:   `style="filled,rounded", fillcolor="#fdf0dc", color="#c07f1f"`,
	Provider: `shape=ellipse, fillcolor="#e9f5e6", color="#4b8f3a"`,
	Gateway:  `fillcolor="#fdf0dc", color="#c07f1f"`,
	Zone:     `style="filled,rounded", fillcolor="#e9f5e6", color="#4b8f3a"`,
	Transit:  `fillcolor="#e8f1fb", color="#3f78b5"`,
}

// Dot is the graph in the language of graphviz: dot -Tsvg draws it.
func (g *Graph) Dot() string {
	g = g.sorted()
	number, o := g.numbers(), g.outline()
	var b strings.Builder
	b.WriteString("graph topology {\n  graph [rankdir=TB, nodesep=0.25, ranksep=0.45]\n  node [fontname=\"Helvetica\", fontsize=11, style=filled, shape=box]\n  edge [fontname=\"Helvetica\", fontsize=9, color=\"#7c8a97\"]\n")
	for _, n := range o.alone {
		label := dotEscapes.Replace(strings.Join(append([]string{n.Name}, n.Notes...), "\n"))
		fmt.Fprintf(&b, "  n%d [label=\"%s\", %s]\n", number[n.ID], label, dotLooks[n.Kind])
	}
	for i, group := range o.groups {
		fmt.Fprintf(&b, "  g%d [shape=plain, style=\"\", label=<<table border=\"0\" cellborder=\"1\" cellspacing=\"6\" cellpadding=\"4\" color=\"#3f78b5\">\n", i)
		for row := range slices.Chunk(group.nodes, group.wide) {
			b.WriteString("    <tr>")
			for _, n := range row {
				lines := []string{"<b>" + markup(n.Name) + "</b>"}
				for _, note := range n.Notes {
					lines = append(lines, markup(note))
				}
				fmt.Fprintf(&b, `<td bgcolor="%s">%s</td>`, fills[n.Kind], strings.Join(lines, "<br/>"))
			}
			b.WriteString("</tr>\n")
		}
		b.WriteString("  </table>>]\n")
	}
	for _, l := range o.links {
		if l.To == "" {
			fmt.Fprintf(&b, "  n%d -- g%d\n", number[l.From], l.group)
			continue
		}
		fmt.Fprintf(&b, "  n%d -- n%d", number[l.From], number[l.To])
		var attributes []string
		if l.Label != "" && len(g.Nodes) <= labelled {
			attributes = append(attributes, `label="`+dotEscapes.Replace(l.Label)+`"`)
		}
		if l.cross {
			attributes = append(attributes, `constraint=false, style=dashed, color="#a5548c"`)
		}
		if len(attributes) > 0 {
			fmt.Fprintf(&b, " [%s]", strings.Join(attributes, ", "))
		}
		b.WriteByte('\n')
	}
	b.WriteString("}\n")
	return b.String()
}

// fills are the colours of boxes.
var fills = map[Kind]string{Switch: "#e8f1fb", Router: "#fdf0dc", Provider: "#e9f5e6", Gateway: "#fdf0dc", Zone: "#e9f5e6", Transit: "#e8f1fb"}

var mermaidEscapes = strings.NewReplacer(`"`, "#quot;", "#", "#35;", "\n", " ", "<", "#lt;", ">", "#gt;", "&", "#amp;")

// Mermaid is the graph as Mermaid draws it, in Markdown pages among others.
func (g *Graph) Mermaid() string {
	g = g.sorted()
	number, o := g.numbers(), g.outline()
	var b strings.Builder
	b.WriteString("flowchart TB\n")
	box := func(indent string, n *Node) {
		shape := map[Kind][2]string{Switch: {"[", "]"}, Router: {"(", ")"}, Provider: {"([", "])"}, Gateway: {"[", "]"}, Zone: {"(", ")"}, Transit: {"[", "]"}}[n.Kind]
		lines := []string{"<b>" + mermaidEscapes.Replace(n.Name) + "</b>"}
		for _, note := range n.Notes {
			lines = append(lines, mermaidEscapes.Replace(note))
		}
		fmt.Fprintf(&b, "%sn%d%s\"%s\"%s:::%s\n", indent, number[n.ID], shape[0], strings.Join(lines, "<br/>"), shape[1], look[n.Kind].class)
	}
	for _, n := range o.alone {
		box("  ", n)
	}
	for i, group := range o.groups {
		fmt.Fprintf(&b, "  subgraph g%d[\" \"]\n", i)
		for _, n := range group.nodes {
			box("    ", n)
		}
		for j := group.wide; j < len(group.nodes); j++ { // one below the other
			fmt.Fprintf(&b, "    n%d ~~~ n%d\n", number[group.nodes[j-group.wide].ID], number[group.nodes[j].ID])
		}
		b.WriteString("  end\n")
	}
	for _, l := range o.links {
		switch {
		case l.To == "":
			fmt.Fprintf(&b, "  n%d --- g%d\n", number[l.From], l.group)
		case l.cross:
			fmt.Fprintf(&b, "  n%d -.- n%d\n", number[l.From], number[l.To])
		default:
			fmt.Fprintf(&b, "  n%d --- n%d\n", number[l.From], number[l.To])
		}
	}
	b.WriteString("  classDef switch fill:#e8f1fb,stroke:#3f78b5\n  classDef router fill:#fdf0dc,stroke:#c07f1f\n  classDef provider fill:#e9f5e6,stroke:#4b8f3a\n")
	b.WriteString("  classDef gateway fill:#fdf0dc,stroke:#c07f1f\n  classDef zone fill:#e9f5e6,stroke:#4b8f3a\n  classDef transit fill:#e8f1fb,stroke:#3f78b5\n")
	return b.String()
}
