package lab

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"go.yaml.in/yaml/v3"
)

// ErrConfig is wrapped by every error about the contents of a lab file.
var ErrConfig = errors.New("bad lab file")

// FieldError is one mistake in a lab file.
type FieldError struct {
	File  string
	Line  int    // from 1
	Field string // such as "chassis[0].encap-ip"; "" for the file as a whole
	Msg   string
}

func (e *FieldError) Error() string {
	if e.Field == "" {
		return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Msg)
	}
	return fmt.Sprintf("%s:%d: %s: %s", e.File, e.Line, e.Field, e.Msg)
}

// Unwrap makes errors.Is(err, ErrConfig) hold.
func (e *FieldError) Unwrap() error { return ErrConfig }

// Load reads and checks a lab file. The error joins a [FieldError] per mistake.
func Load(path string) (*Config, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("lab file: %w", err)
	}
	return Parse(path, data)
}

// Parse is Load for a text that is in memory; file is for messages only.
func Parse(file string, data []byte) (*Config, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return nil, yamlError(file, err)
	}
	d := &decoder{file: file}
	if len(doc.Content) == 0 {
		d.errorf(&yaml.Node{Line: 1}, "", "the file is empty")
		return nil, d.err()
	}
	c := &Config{
		File:       file,
		Control:    ControlGovn,
		Underlay:   Network{Subnet: netip.MustParsePrefix("203.0.113.0/24"), MTU: 1600},
		Management: Network{Subnet: netip.MustParsePrefix("198.51.100.0/24"), MTU: 1500},
	}
	root := doc.Content[0]
	d.config(root, c)
	if len(d.errs) == 0 {
		d.complete(root, c)
	}
	if err := d.err(); err != nil {
		return nil, err
	}
	return c, nil
}

var yamlLine = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`) })

func yamlError(file string, err error) error {
	fe := &FieldError{File: file, Line: 1, Msg: err.Error()}
	if m := yamlLine().FindStringSubmatch(err.Error()); m != nil {
		if n, convErr := strconv.Atoi(m[1]); convErr == nil {
			fe.Line = n
		}
		fe.Msg = m[2]
	}
	return fe
}

// decoder turns YAML nodes into a Config and collects every mistake with its
// place.
type decoder struct {
	file  string
	errs  []error
	lines map[string]*yaml.Node // field path to node, for checks across fields

	chassisAt, workloadAt []string // fields of the chassis and workloads, which may be in zones
}

func (d *decoder) errorf(n *yaml.Node, field, format string, args ...any) {
	d.errs = append(d.errs, &FieldError{File: d.file, Line: max(n.Line, 1), Field: field, Msg: fmt.Sprintf(format, args...)})
}

func (d *decoder) err() error {
	slices.SortStableFunc(d.errs, func(a, b error) int {
		return cmp.Compare(a.(*FieldError).Line, b.(*FieldError).Line)
	})
	return errors.Join(d.errs...)
}

func (d *decoder) note(n *yaml.Node, field string) {
	if d.lines == nil {
		d.lines = map[string]*yaml.Node{}
	}
	d.lines[field] = n
}

// at is the node of a field, or of the nearest field around it.
func (d *decoder) at(root *yaml.Node, field string) *yaml.Node {
	for {
		if n := d.lines[field]; n != nil {
			return n
		}
		i := strings.LastIndexAny(field, ".[")
		if i < 0 {
			return root
		}
		field = field[:i]
	}
}

type fieldFunc func(n *yaml.Node, field string)

// mapping decodes a mapping with a function per key; other keys, keys given
// twice and missing required ones (marked by "!" in want) are mistakes.
func (d *decoder) mapping(n *yaml.Node, field string, required []string, want map[string]fieldFunc) {
	n = alias(n)
	d.note(n, field)
	if n.Kind != yaml.MappingNode {
		d.errorf(n, field, "must be a mapping, is %s", kindName(n))
		return
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		path := join(field, key.Value)
		fn, ok := want[key.Value]
		if !ok {
			d.errorf(key, path, "no such field; there are %s", strings.Join(slices.Sorted(maps.Keys(want)), ", "))
			continue
		}
		if first, twice := seen[key.Value]; twice {
			d.errorf(key, path, "given twice, first in line %d", first)
			continue
		}
		seen[key.Value] = key.Line
		d.note(value, path)
		fn(value, path)
	}
	for _, r := range required {
		if _, ok := seen[r]; !ok {
			d.errorf(n, join(field, r), "is missing")
		}
	}
}

func join(field, key string) string {
	if field == "" {
		return key
	}
	return field + "." + key
}

func alias(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode && n.Alias != nil && n.Alias.Kind != yaml.AliasNode {
		return n.Alias
	}
	return n
}

func kindName(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	case yaml.ScalarNode:
		if n.Tag == "!!null" {
			return "empty"
		}
		return fmt.Sprintf("%q", n.Value)
	}
	return "something else"
}

func (d *decoder) list(n *yaml.Node, field string, item fieldFunc) {
	n = alias(n)
	if n.Kind != yaml.SequenceNode {
		d.errorf(n, field, "must be a list, is %s", kindName(n))
		return
	}
	for i, e := range n.Content {
		path := fmt.Sprintf("%s[%d]", field, i)
		d.note(e, path)
		item(e, path)
	}
}

func (d *decoder) scalar(n *yaml.Node, field string) (string, bool) {
	n = alias(n)
	if n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
		d.errorf(n, field, "must be a value, is %s", kindName(n))
		return "", false
	}
	return n.Value, true
}

func (d *decoder) text(dst *string) fieldFunc {
	return func(n *yaml.Node, field string) {
		if s, ok := d.scalar(n, field); ok {
			*dst = s
		}
	}
}

func (d *decoder) texts(dst *[]string) fieldFunc {
	return func(n *yaml.Node, field string) {
		d.list(n, field, func(n *yaml.Node, field string) {
			if s, ok := d.scalar(n, field); ok {
				*dst = append(*dst, s)
			}
		})
	}
}

func (d *decoder) textMap(dst *map[string]string) fieldFunc {
	return func(n *yaml.Node, field string) {
		n = alias(n)
		if n.Kind != yaml.MappingNode {
			d.errorf(n, field, "must be a mapping, is %s", kindName(n))
			return
		}
		*dst = map[string]string{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i].Value
			if s, ok := d.scalar(n.Content[i+1], join(field, key)); ok {
				(*dst)[key] = s
			}
		}
	}
}

func (d *decoder) flag(dst *bool) fieldFunc {
	return func(n *yaml.Node, field string) {
		if err := alias(n).Decode(dst); err != nil || alias(n).Tag != "!!bool" {
			d.errorf(n, field, "must be true or false, is %s", kindName(alias(n)))
		}
	}
}

func (d *decoder) number(dst *int, low, high int) fieldFunc {
	return func(n *yaml.Node, field string) {
		s, ok := d.scalar(n, field)
		if !ok {
			return
		}
		v, err := strconv.Atoi(s)
		if err != nil || v < low || v > high {
			d.errorf(n, field, "%q is not a number from %d to %d", s, low, high)
			return
		}
		*dst = v
	}
}

func (d *decoder) mac(dst *string) fieldFunc {
	return func(n *yaml.Node, field string) {
		s, ok := d.scalar(n, field)
		if !ok {
			return
		}
		hw, err := net.ParseMAC(s)
		if err != nil || len(hw) != 6 {
			d.errorf(n, field, "%q is not a MAC address", s)
			return
		}
		*dst = hw.String()
	}
}

func (d *decoder) addr(dst *netip.Addr) fieldFunc {
	return func(n *yaml.Node, field string) {
		s, ok := d.scalar(n, field)
		if !ok {
			return
		}
		a, err := netip.ParseAddr(s)
		if err != nil {
			d.errorf(n, field, "%q is not an IP address", s)
			return
		}
		*dst = a
	}
}

func (d *decoder) prefix(n *yaml.Node, field string) (netip.Prefix, bool) {
	s, ok := d.scalar(n, field)
	if !ok {
		return netip.Prefix{}, false
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		d.errorf(n, field, "%q is not an address with a prefix length, such as 10.0.0.11/24", s)
		return netip.Prefix{}, false
	}
	return p, true
}

// oneOrMany takes a value or a list of values.
func (d *decoder) oneOrMany(item fieldFunc) fieldFunc {
	return func(n *yaml.Node, field string) {
		if alias(n).Kind == yaml.SequenceNode {
			d.list(n, field, item)
			return
		}
		item(n, field)
	}
}

var nameRE = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,31}$`) })

// name takes a name that may become part of a namespace's name and a path.
func (d *decoder) name(dst *string) fieldFunc {
	return func(n *yaml.Node, field string) {
		s, ok := d.scalar(n, field)
		if !ok {
			return
		}
		if !nameRE().MatchString(s) {
			d.errorf(n, field, "%q is not a name: 1 to 32 of a-z, 0-9, - and _", s)
			return
		}
		*dst = s
	}
}
