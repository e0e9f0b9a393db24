package decode

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"govn/pkg/geneve"
)

// Limits on what one packet may make of itself.
const (
	maxDepth  = 16  // Geneve headers
	maxLayers = 128 // headers of any kind
)

// Decoder decodes frames. Its methods may be called from several goroutines if
// its Names may.
type Decoder struct {
	// Ports are the UDP ports that Geneve is expected on. Optional: 6081.
	Ports []uint16
	// Names explains keys. Optional: keys stay numbers.
	Names Names
}

// handler decodes the header at the front of b and returns what follows it; a
// nil handler ends the packet.
type handler func(w *walker, b []byte) (next handler, rest []byte)

// walker goes through one frame. Slices of the frame tell their offset by their
// capacity.
type walker struct {
	d        *Decoder
	p        *Packet
	frame    []byte
	depth    int
	src, dst netip.Addr // of the IP header gone through last
	proto    uint8      // and its upper protocol, for checksums
	partial  bool       // a fragment, or the copy in an ICMP error: lengths and checksums are of more than is there
}

// Decode decodes a frame.
func (d *Decoder) Decode(f Frame) (p *Packet) {
	p = &Packet{Number: f.Number, Time: f.Time, Length: f.Length, Captured: len(f.Data)}
	w := &walker{d: d, p: p, frame: f.Data[:len(f.Data):len(f.Data)]}
	defer func() {
		if r := recover(); r != nil {
			// A decoder of some protocol gave up. The frame is not worth the program.
			at := 0
			if n := len(p.Layers); n > 0 {
				at = p.Layers[n-1].Offset
			}
			p.Problems = append(p.Problems, Problem{Layer: "decoder", Offset: at, Broken: true,
				Reason: fmt.Sprintf("cannot be decoded: %v", r)})
		}
	}()
	next, rest := link(w, f.Link, w.frame)
	for next != nil {
		if len(p.Layers) >= maxLayers {
			w.broken("decoder", rest, 0, "more than %d headers", maxLayers)
			break
		}
		next, rest = next(w, rest)
	}
	return p
}

// at is the offset of a slice of the frame.
func (w *walker) at(b []byte) int { return cap(w.frame) - cap(b) }

// add appends a layer.
func (w *walker) add(name string, b []byte, text string, fields ...Field) {
	w.p.Layers = append(w.p.Layers, Layer{Name: name, Depth: w.depth, Offset: w.at(b), Text: text, Fields: fields})
}

// broken says that the packet goes wrong at an offset in b; note, that something
// is remarkable there.
func (w *walker) broken(name string, b []byte, at int, format string, args ...any) {
	w.p.Problems = append(w.p.Problems, Problem{Layer: name, Offset: w.at(b) + at, Reason: fmt.Sprintf(format, args...), Broken: true})
}

func (w *walker) note(name string, b []byte, at int, format string, args ...any) {
	w.p.Problems = append(w.p.Problems, Problem{Layer: name, Offset: w.at(b) + at, Reason: fmt.Sprintf(format, args...)})
}

// cut tells whether b ends where the capture cut the frame.
func (w *walker) cut(b []byte) bool {
	return w.p.Captured < w.p.Length && w.at(b)+len(b) == len(w.frame)
}

// room tells whether b has the n bytes of a header, and says so if not.
func (w *walker) room(name string, b []byte, n int) bool {
	if len(b) >= n {
		return true
	}
	w.short(name, b, len(b), "%d of %d bytes of the header", len(b), n)
	return false
}

// short says that bytes are missing: a broken packet, unless the capture is why.
func (w *walker) short(name string, b []byte, at int, format string, args ...any) {
	switch {
	case w.partial:
	case w.cut(b):
		w.note(name, b, at, "the capture ends here: "+format, args...)
	default:
		w.broken(name, b, at, format, args...)
	}
}

// failed reports the error of a decoder of gopacket.
func (w *walker) failed(name string, b []byte, err error) (handler, []byte) {
	w.short(name, b, 0, "%s", strings.TrimSpace(err.Error()))
	return nil, nil
}

// payload is what nothing here decodes.
func payload(name string) handler {
	return func(w *walker, b []byte) (handler, []byte) {
		if len(b) > 0 {
			w.add(name, b, fmt.Sprintf("%d bytes", len(b)), Field{"bytes", len(b)})
		}
		return nil, nil
	}
}

// link begins with the header that the link type of the capture tells.
func link(w *walker, t layers.LinkType, b []byte) (handler, []byte) {
	switch t {
	case layers.LinkTypeEthernet:
		return ethernet, b
	case layers.LinkTypeRaw, 12, 14: // raw IP has had several numbers
		return rawIP, b
	case layers.LinkTypeIPv4:
		return ipv4, b
	case layers.LinkTypeIPv6:
		return ipv6, b
	case layers.LinkTypeLinuxSLL:
		return sll, b
	case layers.LinkTypeLinuxSLL2:
		return sll2, b
	case layers.LinkTypeNull, layers.LinkTypeLoop:
		return loopback, b
	}
	w.note("link", b, 0, "link type %d is not known here", t)
	return payload("data"), b
}

// feedback takes what gopacket says about truncation; errors tell it, too.
type feedback struct{}

func (feedback) SetTruncated() {}

var _ gopacket.DecodeFeedback = feedback{}

func hexN(n int, v any) string { return fmt.Sprintf("0x%0*x", n, v) }

func (d *Decoder) isGeneve(port uint16) bool {
	if len(d.Ports) == 0 {
		return port == geneve.Port
	}
	for _, p := range d.Ports {
		if p == port {
			return true
		}
	}
	return false
}
