package control

import (
	"fmt"
	"io"
)

// Effects of a problem.
const (
	LeftOut   = "left out"  // the compile does without the object
	Ambiguous = "ambiguous" // it is used, but what happens is not what was asked for
	// Ignored is a value that does not mean anything: nobody documents the key, or
	// it is not of the key's type. The object is used without it.
	Ignored = "ignored"
	// NotCompiled is what is right, and this version does without.
	NotCompiled = "not compiled"
)

// Problem is an object that cannot be used as it is.
type Problem struct {
	Object
	Column   string `json:"column,omitempty"`
	Value    string `json:"value,omitempty"`    // element of the column
	Position *int   `json:"position,omitempty"` // byte offset in the value, where it does not parse
	Reason   string `json:"reason"`
	Effect   string `json:"effect"` // LeftOut, Ambiguous, Ignored or NotCompiled
}

// String is the problem in one line.
func (p Problem) String() string {
	s := p.Object.String()
	if p.Name != "" && p.UUID != "" {
		s += " (" + p.UUID + ")"
	}
	if p.Column != "" {
		s += ", " + p.Column
	}
	if p.Position != nil {
		s += fmt.Sprintf(" %q, position %d", p.Value, *p.Position)
	} else if p.Value != "" {
		s += fmt.Sprintf(" %q", p.Value)
	}
	return s + ": " + p.Reason + " [" + p.Effect + "]"
}

// Problems are all problems of a zone.
type Problems struct {
	Revision uint64    `json:"revision"` // of the databases that they are of
	Strict   bool      `json:"strict"`   // what cannot be used is refused
	Problems []Problem `json:"problems"`
}

// Count is the number of problems with an effect.
func (p *Problems) Count(effect string) (n int) {
	for i := range p.Problems {
		if p.Problems[i].Effect == effect {
			n++
		}
	}
	return n
}

// WriteText writes a line for each problem.
func (p *Problems) WriteText(w io.Writer) error {
	e := errWriter{w: w}
	for _, x := range p.Problems {
		e.printf("%s\n", x)
	}
	if len(p.Problems) == 0 {
		e.printf("every object is used\n")
	}
	return e.err
}
