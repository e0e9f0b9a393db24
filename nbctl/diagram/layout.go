package diagram

import (
	"math"
	"unicode/utf8"
)

// Sizes in pixels.
const (
	charWidth  = 7.0 // of 12 px text, at most
	lineHeight = 15.0
	padding    = 10.0
	minWidth   = 96.0
	maxName    = 28 // characters; the rest is in the tooltip
	gapX, gapY = 22.0, 34.0
	margin     = 24.0
	oneRow     = 6   // boxes that lead no further stand in one row
	aspect     = 1.7 // width by height that blocks are packed to
)

// box is a node with its place.
type box struct {
	node       *Node
	x, y, w, h float64
	parent     *box
	bus        float64 // y of the line from the parent that it hangs on
	trunk      float64 // x of the line down from the parent to the bus
}

// block is a rectangle of boxes, with places relative to its corner.
type block struct {
	boxes []*box
	top   *box
	w, h  float64
}

// move shifts a block.
func (b *block) move(dx, dy float64) {
	for _, x := range b.boxes {
		x.x, x.y, x.bus, x.trunk = x.x+dx, x.y+dy, x.bus+dy, x.trunk+dx
	}
}

// shorten cuts a text for display.
func shorten(s string) string {
	if utf8.RuneCountInString(s) <= maxName {
		return s
	}
	r := []rune(s)
	return string(r[:maxName-1]) + "…"
}

// size is that of a node's box.
func size(n *Node) (w, h float64) {
	longest := utf8.RuneCountInString(shorten(n.Name)) + 1 // the name is bold
	for _, s := range n.Notes {
		longest = max(longest, utf8.RuneCountInString(shorten(s)))
	}
	return max(minWidth, float64(longest)*charWidth+2*padding), lineHeight*float64(1+len(n.Notes)) + padding
}

// layout places a tree.
func layout(t *tree) *block {
	w, h := size(t.node)
	top := &box{node: t.node, w: w, h: h}
	out := &block{boxes: []*box{top}, top: top, w: w, h: h}
	if len(t.children) == 0 {
		return out
	}
	var leaves, inner []*block
	for _, c := range t.children {
		if b := layout(c); len(c.children) == 0 {
			leaves = append(leaves, b)
		} else {
			inner = append(inner, b)
		}
	}
	rows := append(shelves(leaves, true), shelves(inner, false)...)
	width := w
	for _, r := range rows {
		width = max(width, r.w)
	}
	// The trunk goes down at the left where there are several rows: nothing is in
	// its way there.
	left := 0.0
	if len(rows) > 1 {
		left = gapX
	}
	y := h + gapY
	for _, r := range rows {
		x := left + (width-r.w)/2
		if len(rows) > 1 {
			x = left
		}
		for i, b := range r.blocks {
			b.move(x+r.at[i], y)
			b.top.parent, b.top.bus = top, y-gapY/2
			out.boxes = append(out.boxes, b.boxes...)
		}
		y += r.h + gapY
	}
	out.w, out.h = left+width, y-gapY
	top.x = left + (width-w)/2
	if len(rows) == 1 { // above the middle of what hangs below, however wide that is
		first, last := rows[0].blocks[0].top, rows[0].blocks[len(rows[0].blocks)-1].top
		top.x = min(max((first.x+first.w/2+last.x+last.w/2-w)/2, 0), out.w-w)
	}
	trunk := top.x + top.w/2
	if len(rows) > 1 {
		trunk = left / 3
	}
	for _, r := range rows {
		for _, b := range r.blocks {
			b.top.trunk = trunk
		}
	}
	return out
}

// row is a row of blocks.
type row struct {
	blocks []*block
	at     []float64 // x
	w, h   float64
}

// shelves puts blocks into rows so that the whole has the proportions of a
// screen. In a grid the blocks of one column stand below each other.
func shelves(blocks []*block, grid bool) (rows []row) {
	if len(blocks) == 0 {
		return nil
	}
	area, widest := 0.0, 0.0
	for _, b := range blocks {
		area += (b.w + gapX) * (b.h + gapY)
		widest = max(widest, b.w)
	}
	width := max(math.Sqrt(area*aspect), widest)
	if grid && len(blocks) <= oneRow {
		width = math.Inf(1)
	}
	r := row{}
	x := 0.0
	for _, b := range blocks {
		w := b.w
		if grid {
			w = widest
		}
		if len(r.blocks) > 0 && x+w > width+1 {
			rows, r, x = append(rows, r), row{}, 0
		}
		at := x
		if grid {
			at += (w - b.w) / 2
		}
		r.blocks, r.at = append(r.blocks, b), append(r.at, at)
		x += w + gapX
		r.w, r.h = x-gapX, max(r.h, b.h)
	}
	return append(rows, r)
}

// place arranges a graph: the boxes, the links that are not part of the forest,
// and the size of the whole.
func place(g *Graph) (boxes []*box, cross []Link, w, h float64) {
	roots, cross := g.forest()
	var blocks []*block
	for _, t := range roots {
		blocks = append(blocks, layout(t))
	}
	y := margin
	for _, r := range shelves(blocks, false) {
		for i, b := range r.blocks {
			b.move(margin+r.at[i], y)
			boxes = append(boxes, b.boxes...)
		}
		w = max(w, r.w)
		y += r.h + gapY
	}
	return boxes, cross, w + 2*margin, max(y-gapY, 0) + margin
}
