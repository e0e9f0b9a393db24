package diagram

import (
	"cmp"
	"slices"
)

// Kind is what a node stands for.
type Kind int

// Kinds of nodes.
const (
	Switch Kind = iota
	Router
	Provider // a network outside, behind localnet ports
	Gateway  // a chassis between zones
	Zone     // an availability zone of an interconnection
	Transit  // a switch that zones are linked by
)

// outer tells whether the picture begins with nodes of the kind.
func (k Kind) outer() bool { return k == Provider || k == Transit }

// Node is a box.
type Node struct {
	ID    string // required: unique in the graph
	Name  string // required
	Kind  Kind
	Notes []string // lines below the name
}

// Link connects two nodes.
type Link struct {
	From, To string // IDs
	Label    string // optional
}

// Graph is what is drawn.
type Graph struct {
	Nodes []Node
	Links []Link
}

// sorted is the graph in an order that depends on its contents alone, with links
// between nodes that are there, each pair of nodes once.
func (g *Graph) sorted() *Graph {
	out := &Graph{Nodes: slices.Clone(g.Nodes)}
	slices.SortFunc(out.Nodes, func(a, b Node) int {
		return cmp.Or(cmp.Compare(b.Kind, a.Kind), natural(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
	})
	position := map[string]int{}
	for i, n := range out.Nodes {
		position[n.ID] = i
	}
	seen := map[[2]string]int{}
	for _, l := range g.Links {
		from, ok := position[l.From]
		to, there := position[l.To]
		if !ok || !there || from == to {
			continue
		}
		if from > to {
			l.From, l.To = l.To, l.From
		}
		if i, twice := seen[[2]string{l.From, l.To}]; twice {
			if l.Label != "" && out.Links[i].Label != "" {
				out.Links[i].Label += ", " + l.Label
			}
			continue
		}
		seen[[2]string{l.From, l.To}] = len(out.Links)
		out.Links = append(out.Links, l)
	}
	slices.SortStableFunc(out.Links, func(a, b Link) int {
		return cmp.Or(position[a.From]-position[b.From], position[a.To]-position[b.To])
	})
	return out
}

// natural compares names with numbers in them by the numbers: sw2 < sw10.
func natural(a, b string) int {
	for a != "" && b != "" {
		na, nb := digits(a), digits(b)
		if na > 0 && nb > 0 {
			x, y := trimZeros(a[:na]), trimZeros(b[:nb])
			if c := cmp.Or(cmp.Compare(len(x), len(y)), cmp.Compare(x, y)); c != 0 {
				return c
			}
			a, b = a[na:], b[nb:]
			continue
		}
		if a[0] != b[0] {
			return cmp.Compare(a[0], b[0])
		}
		a, b = a[1:], b[1:]
	}
	return cmp.Compare(len(a), len(b))
}

func digits(s string) int {
	n := 0
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	return n
}

func trimZeros(s string) string {
	for len(s) > 1 && s[0] == '0' {
		s = s[1:]
	}
	return s
}

// tree is a node of the forest with what hangs below it.
type tree struct {
	node     *Node
	children []*tree
}

// forest arranges the nodes below those that they are reached by, from the
// outside: provider networks first, then, of what no provider network leads to,
// the node with the most links. cross are the links that it does not have.
func (g *Graph) forest() (roots []*tree, cross []Link) {
	near := map[string][]string{}
	for _, l := range g.Links {
		near[l.From] = append(near[l.From], l.To)
		near[l.To] = append(near[l.To], l.From)
	}
	position := map[string]int{}
	for i, n := range g.Nodes {
		position[n.ID] = i
	}
	for _, ids := range near {
		slices.SortFunc(ids, func(a, b string) int { return position[a] - position[b] })
	}
	trees := map[string]*tree{}
	used := map[[2]string]bool{}
	grow := func(queue []*tree) {
		for len(queue) > 0 {
			t := queue[0]
			queue = queue[1:]
			for _, id := range near[t.node.ID] {
				if trees[id] != nil {
					continue
				}
				child := &tree{node: &g.Nodes[position[id]]}
				trees[id] = child
				t.children = append(t.children, child)
				used[[2]string{t.node.ID, id}], used[[2]string{id, t.node.ID}] = true, true
				queue = append(queue, child)
			}
		}
	}
	plant := func(n *Node) *tree {
		t := &tree{node: n}
		trees[n.ID] = t
		roots = append(roots, t)
		return t
	}
	var outside []*tree
	for i := range g.Nodes {
		if g.Nodes[i].Kind.outer() {
			outside = append(outside, plant(&g.Nodes[i]))
		}
	}
	grow(outside)
	rest := make([]int, len(g.Nodes))
	for i := range rest {
		rest[i] = i
	}
	slices.SortStableFunc(rest, func(a, b int) int { return len(near[g.Nodes[b].ID]) - len(near[g.Nodes[a].ID]) })
	for _, i := range rest {
		if trees[g.Nodes[i].ID] == nil {
			grow([]*tree{plant(&g.Nodes[i])})
		}
	}
	for _, l := range g.Links {
		if !used[[2]string{l.From, l.To}] {
			cross = append(cross, l)
		}
	}
	return roots, cross
}
