package diagram

import "fmt"

// Render draws the graph as "dot", "mermaid" or "svg"; ok is false for any other
// format.
func (g *Graph) Render(format string) (text string, ok bool) {
	switch format {
	case "dot":
		return g.Dot(), true
	case "mermaid":
		return g.Mermaid(), true
	case "svg":
		return g.SVG(), true
	}
	return "", false
}

// Count is a note such as "1 port" or "3 ports".
func Count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
