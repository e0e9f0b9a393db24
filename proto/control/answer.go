package control

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Formats of an answer.
const (
	Text = "text"
	JSON = "json"
	YAML = "yaml"
)

// ErrFormat is matched when a format is none of [Text], [JSON] and [YAML].
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
	if format != Text && format != JSON && format != YAML {
		return fmt.Errorf("%w %q: want %s, %s or %s", ErrFormat, format, Text, JSON, YAML)
	}
	return nil
}

// Write writes an answer in a format. JSON is indented and ends with a newline.
func Write(w io.Writer, format string, a Answer) error {
	if err := CheckFormat(format); err != nil {
		return err
	}
	switch format {
	case Text:
		return a.WriteText(w)
	case YAML:
		return writeYAML(w, a)
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(a)
}

// writeYAML writes what the JSON form says, in the same order.
func writeYAML(w io.Writer, a Answer) error {
	b, err := json.Marshal(a)
	if err != nil {
		return err
	}
	var n yaml.Node // JSON is YAML
	if err := yaml.Unmarshal(b, &n); err != nil {
		return err
	}
	blocks(&n)
	e := yaml.NewEncoder(w)
	e.SetIndent(2)
	if err := e.Encode(&n); err != nil {
		return err
	}
	return e.Close()
}

// blocks makes a node read as people write it: without braces and quotes.
func blocks(n *yaml.Node) {
	if n.Kind != yaml.ScalarNode {
		n.Style = 0
	} else if n.Tag == "!!str" {
		n.Style &^= yaml.DoubleQuotedStyle // put back where it is needed
	}
	for _, c := range n.Content {
		blocks(c)
	}
}

// String is an answer in a format, as a string.
func String(format string, a Answer) (string, error) {
	var b strings.Builder
	err := Write(&b, format, a)
	return b.String(), err
}
