package control

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Formats of an answer.
const (
	Text = "text"
	JSON = "json"
)

// ErrFormat is matched when a format is neither [Text] nor [JSON].
var ErrFormat = errors.New("unknown format")

// Answer is what a command answers.
type Answer interface {
	// WriteText writes the form for people: whole lines.
	WriteText(w io.Writer) error
}

// FormatArg is the argument of a command that chooses a format.
func FormatArg(format string) string { return "--format=" + format }

// TakeFormat takes the format from the head of a command's arguments.
func TakeFormat(args []string) (format string, rest []string, err error) {
	if len(args) == 0 {
		return Text, nil, nil
	}
	format, ok := strings.CutPrefix(args[0], "--format=")
	if !ok {
		return Text, args, nil
	}
	return format, args[1:], CheckFormat(format)
}

// CheckFormat refuses what is no format.
func CheckFormat(format string) error {
	if format != Text && format != JSON {
		return fmt.Errorf("%w %q: want %s or %s", ErrFormat, format, Text, JSON)
	}
	return nil
}

// Write writes an answer in a format. JSON is indented and ends with a newline.
func Write(w io.Writer, format string, a Answer) error {
	if err := CheckFormat(format); err != nil {
		return err
	}
	if format == Text {
		return a.WriteText(w)
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(a)
}

// String is an answer in a format, as a string.
func String(format string, a Answer) (string, error) {
	var b strings.Builder
	err := Write(&b, format, a)
	return b.String(), err
}
