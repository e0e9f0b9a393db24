package logical

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Limits that keep any text and any expression affordable.
const (
	// MaxText is the longest text that is parsed, in bytes.
	MaxText = 1 << 20
	// MaxDepth is how deeply parentheses and nested actions may go.
	MaxDepth = 100
	// MaxConjunctions is the longest normal form.
	MaxConjunctions = 1 << 16

	// maxMerges bounds the work of one normalisation.
	maxMerges = 1 << 20
)

var (
	// ErrTooComplex is returned when an expression has more than
	// MaxConjunctions conjunctions or takes too long to find out.
	ErrTooComplex = errors.New("expression is too complex")
	// ErrUnknownSet is returned when an address set or port group does not
	// exist.
	ErrUnknownSet = errors.New("unknown set")
	// ErrArgument is returned by Bind when the arguments do not fit the
	// template.
	ErrArgument = errors.New("argument does not fit the template")
)

// Error is a fault in a text.
type Error struct {
	Pos, End int    // byte offsets of the part that is wrong; End may equal Pos
	Msg      string // what is wrong, lower case, without the position
	Text     string // the whole text
}

// Error is "offset 12: no symbol \"ip4.dest\"".
func (e *Error) Error() string { return fmt.Sprintf("offset %d: %s", e.Pos, e.Msg) }

// Caret draws the position below the line of the text that has it:
//
//	ip4.dest == 10.0.0.1
//	^^^^^^^^ no symbol "ip4.dest"
//
// A long line is cut on both sides.
func (e *Error) Caret() string {
	const before, after = 60, 40
	pos := min(max(e.Pos, 0), len(e.Text))
	end := min(max(e.End, pos), len(e.Text))
	start := strings.LastIndexByte(e.Text[:pos], '\n') + 1
	stop := len(e.Text)
	if i := strings.IndexByte(e.Text[pos:], '\n'); i >= 0 {
		stop = pos + i
	}
	start = max(start, pos-before)
	stop = min(stop, max(end, pos)+after)
	end = min(end, stop)
	line := strings.ToValidUTF8(strings.ReplaceAll(e.Text[start:stop], "\t", " "), "?")
	return fmt.Sprintf("%s\n%s%s %s", line,
		strings.Repeat(" ", utf8.RuneCountInString(e.Text[start:pos])),
		strings.Repeat("^", max(1, utf8.RuneCountInString(e.Text[pos:end]))), e.Msg)
}
