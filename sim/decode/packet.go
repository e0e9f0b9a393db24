package decode

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
)

// Packet is a decoded frame.
type Packet struct {
	Number   int       `json:"number"`
	Time     time.Time `json:"time"`
	Length   int       `json:"length"`   // on the wire, bytes
	Captured int       `json:"captured"` // in the capture, bytes
	Layers   []Layer   `json:"layers"`   // from the outside to the inside
	Problems []Problem `json:"problems,omitempty"`
}

// Broken tells whether something in the packet cannot be decoded.
func (p *Packet) Broken() bool {
	for i := range p.Problems {
		if p.Problems[i].Broken {
			return true
		}
	}
	return false
}

// Layer is one header.
type Layer struct {
	Name   string  // of the protocol, in lower case: "eth", "ipv4", "geneve"
	Depth  int     // how many Geneve headers are around it
	Offset int     // of its first byte
	Text   string  // what it says, for people; lines after the first are details
	Fields []Field // what it says, for programs
}

// Field is a value in a header.
type Field struct {
	Name  string
	Value any
}

// Get returns the value of a field, nil if there is none.
func (l *Layer) Get(name string) any {
	for _, f := range l.Fields {
		if f.Name == name {
			return f.Value
		}
	}
	return nil
}

// MarshalJSON writes a layer as one object with its fields in their order.
func (l Layer) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, `{"layer":%q,"depth":%d,"offset":%d`, l.Name, l.Depth, l.Offset)
	for _, f := range l.Fields {
		v, err := json.Marshal(f.Value)
		if err != nil {
			return nil, fmt.Errorf("field %q of layer %q: %w", f.Name, l.Name, err)
		}
		fmt.Fprintf(&b, ",%q:%s", f.Name, v)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// Problem is something wrong with a packet.
type Problem struct {
	Layer  string `json:"layer"`  // the protocol that found it
	Offset int    `json:"offset"` // of the byte where it goes wrong
	Reason string `json:"reason"`
	Broken bool   `json:"broken"` // false: a remark; the packet could be decoded
}

func (p *Problem) String() string {
	what := "note"
	if p.Broken {
		what = "broken"
	}
	return fmt.Sprintf("%s at byte %d (%s): %s", what, p.Offset, p.Layer, p.Reason)
}
