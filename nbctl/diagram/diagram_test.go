package diagram

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// tenants is a provider switch with routers, each with as many switches.
func tenants(counts ...int) *Graph {
	g := &Graph{Nodes: []Node{{ID: "p", Name: "physnet1", Kind: Provider}, {ID: "public", Name: "public"}}, Links: []Link{{"p", "public", ""}}}
	for r, n := range counts {
		id := fmt.Sprintf("r%d", r)
		g.Nodes = append(g.Nodes, Node{ID: id, Name: id, Kind: Router, Notes: []string{"gateway gw1, gw2"}})
		g.Links = append(g.Links, Link{"public", id, "172.16.0.1/16"})
		for i := range n {
			sw := fmt.Sprintf("sw%d-%d", r, i)
			g.Nodes = append(g.Nodes, Node{ID: sw, Name: sw, Notes: []string{fmt.Sprintf("10.%d.%d.1/24", r, i), "7 ports"}})
			g.Links = append(g.Links, Link{sw, id, "10.0.0.1/24"})
		}
	}
	return g
}

func boxOf(boxes []*box, id string) *box {
	return boxes[slices.IndexFunc(boxes, func(b *box) bool { return b.node.ID == id })]
}

// Boxes do not lie on each other, each stands below the one that it hangs on, and
// the picture has the proportions of a screen, also of 200 switches.
func TestLayout(t *testing.T) {
	for _, counts := range [][]int{{3}, {1}, {60, 40, 30, 25, 20, 12, 8, 4}, {200}, slices.Repeat([]int{1}, 100)} {
		g := tenants(counts...)
		boxes, cross, w, h := place(g.sorted())
		if len(boxes) != len(g.Nodes) || len(cross) != 0 {
			t.Fatalf("%v: %d boxes of %d nodes, %d links across", counts, len(boxes), len(g.Nodes), len(cross))
		}
		for i, a := range boxes {
			if a.x < 0 || a.y < 0 || a.x+a.w > w || a.y+a.h > h {
				t.Errorf("%v: %s is outside of the picture", counts, a.node.Name)
			}
			if a.parent != nil && a.y < a.parent.y+a.parent.h {
				t.Errorf("%v: %s is not below %s", counts, a.node.Name, a.parent.node.Name)
			}
			for _, b := range boxes[:i] {
				if a.x < b.x+b.w && b.x < a.x+a.w && a.y < b.y+b.h && b.y < a.y+a.h {
					t.Errorf("%v: %s lies on %s", counts, a.node.Name, b.node.Name)
				}
			}
		}
		if len(boxes) > 100 && (w/h < 0.7 || w/h > 3.5) {
			t.Errorf("%v: %.0f x %.0f", counts, w, h)
		}
	}
	boxes, _, _, _ := place(tenants(60).sorted())
	if a, b := boxOf(boxes, "sw0-2"), boxOf(boxes, "sw0-10"); a.y > b.y {
		t.Error("sw10 stands before sw2")
	}
}

// A random graph is drawn whole, and the same whatever order it comes in.
func TestEveryNodeIsDrawn(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		g := &Graph{}
		n := 1 + r.IntN(60)
		for i := range n {
			g.Nodes = append(g.Nodes, Node{ID: fmt.Sprint(i), Name: fmt.Sprintf("node-%d-x", i), Kind: Kind(r.IntN(len(look)))})
		}
		for range r.IntN(2 * n) {
			g.Links = append(g.Links, Link{From: fmt.Sprint(r.IntN(n)), To: fmt.Sprint(r.IntN(n + 1))}) // some lead nowhere
		}
		other := &Graph{Nodes: slices.Clone(g.Nodes), Links: g.Links}
		r.Shuffle(n, func(i, j int) { other.Nodes[i], other.Nodes[j] = other.Nodes[j], other.Nodes[i] })
		for format, draw := range map[string]func(*Graph) string{"svg": (*Graph).SVG, "dot": (*Graph).Dot, "mermaid": (*Graph).Mermaid} {
			out := draw(g)
			for _, node := range g.Nodes {
				if !strings.Contains(out, node.Name) {
					t.Fatalf("%s: %s is missing", format, node.Name)
				}
			}
			if draw(other) != out {
				t.Fatalf("%s: another order of the nodes makes another picture", format)
			}
		}
	}
}

// A name can hold anything.
func TestEscapes(t *testing.T) {
	g := &Graph{Nodes: []Node{{ID: "1", Name: `a"b<c>&d\` + "\n\x01\xff", Notes: []string{"<script>"}}, {ID: "2", Name: "]]>", Kind: Router}}, Links: []Link{{From: "1", To: "2", Label: `"`}}}
	wellFormed(t, g.SVG())
	if out := g.Dot(); strings.Contains(out, `b<c"`) || !strings.Contains(out, `a\"b<c>&d\\\n`) {
		t.Errorf("dot:\n%s", out)
	}
	if out := g.Mermaid(); strings.Contains(out, "<script>") || !strings.Contains(out, "a#quot;b#lt;c#gt;#amp;d") {
		t.Errorf("mermaid:\n%s", out)
	}
}

func wellFormed(t *testing.T, text string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(text))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
	}
}

// An empty zone is a picture too.
func TestEmpty(t *testing.T) {
	g := &Graph{}
	wellFormed(t, g.SVG())
	if g.Dot() == "" || g.Mermaid() == "" {
		t.Error("nothing")
	}
}

// Many switches of one router are one group in text formats, of few columns.
func TestGroups(t *testing.T) {
	g := tenants(50, 2)
	dot := g.Dot()
	if n := strings.Count(dot, "<tr>"); n < 8 || n > 12 {
		t.Errorf("50 switches in %d rows", n)
	}
	if strings.Count(dot, " -- ") != 6 {
		t.Errorf("%d links, want provider, 2 routers, a group and 2 switches:\n%s", strings.Count(dot, " -- "), dot)
	}
	if m := g.Mermaid(); strings.Count(m, "subgraph") != 1 || !strings.Contains(m, "--- g0") {
		t.Errorf("mermaid:\n%s", m)
	}
}

// Links that the forest does not have are drawn dashed.
func TestCrossLinks(t *testing.T) {
	g := &Graph{Nodes: []Node{{ID: "a", Name: "a", Kind: Provider}, {ID: "b", Name: "b"}, {ID: "c", Name: "c"}, {ID: "d", Name: "d", Kind: Router}},
		Links: []Link{{From: "a", To: "b"}, {From: "a", To: "c"}, {From: "b", To: "d"}, {From: "c", To: "d"}}}
	if n := strings.Count(g.SVG(), `class="cross"`); n != 1 {
		t.Errorf("%d links across", n)
	}
	if !strings.Contains(g.Dot(), "style=dashed") || !strings.Contains(g.Mermaid(), "-.-") {
		t.Error("no dashed link")
	}
}

func BenchmarkSVG200(b *testing.B) {
	g := tenants(60, 40, 30, 25, 20, 12, 8, 4)
	for b.Loop() {
		g.SVG()
	}
}

// Render knows the formats that are drawn, and no other.
func TestRender(t *testing.T) {
	g := &Graph{Nodes: []Node{{ID: "a", Name: "a"}}}
	for _, f := range []struct{ format, want string }{{"dot", g.Dot()}, {"mermaid", g.Mermaid()}, {"svg", g.SVG()}, {"json", ""}} {
		if got, ok := g.Render(f.format); got != f.want || ok != (f.want != "") {
			t.Errorf("%s: %q, %v", f.format, got, ok)
		}
	}
	if one, none := Count(1, "port"), Count(0, "port"); one != "1 port" || none != "0 ports" {
		t.Errorf("%q, %q", one, none)
	}
}
