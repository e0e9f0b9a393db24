// Package diagram draws the topology of a zone: provider networks, switches and
// routers, and what connects them; and that of an interconnection: transit
// switches, zones and their gateways. As text for other programs (Dot for graphviz,
// Mermaid for pages of Markdown), or as a picture by itself (SVG), without any
// program.
//
// # Layout
//
// The picture is a forest, drawn from the outside to the inside: provider
// networks or transit switches at the top, what is reached through them below, each box below the
// one that it is reached by. The boxes below one box that lead no further (a
// router with hundreds of switches) are a grid, others stand side by side in
// rows; so the picture grows in both directions and stays readable. Connections
// that the forest does not have are dashed lines.
//
//	     ( provider )
//	           |
//	      [ switch ]
//	           |
//	      < router >
//	   +-------+-------+        a bus above each row of the grid
//	[ sw1 ] [ sw2 ] [ sw3 ]
//	   +-------+-------+
//	[ sw4 ] [ sw5 ] [ sw6 ]
//
// # Contract
//
//   - The same graph gives the same bytes.
//   - Ports of machines are counted, not drawn.
//   - Names are escaped for each format: a name can hold anything.
package diagram
