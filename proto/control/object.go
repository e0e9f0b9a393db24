package control

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

// Object is a row of the northbound database.
type Object struct {
	Table string `json:"table"`
	Name  string `json:"name"`
	UUID  string `json:"uuid"`
}

// String is the object as people name it.
func (o Object) String() string {
	if o.Name == "" {
		return o.Table + " " + o.UUID
	}
	return fmt.Sprintf("%s %q", o.Table, o.Name)
}

// objectText is objects with their UUIDs, for lists.
func objectText(list []Object) string {
	words := make([]string, len(list))
	for i, o := range list {
		words[i] = o.String()
		if o.Name != "" && o.UUID != "" {
			words[i] += " (" + o.UUID + ")"
		}
	}
	return strings.Join(words, ", ")
}

// Selector names objects on a command line: a short word of the kind and a
// name, or a table and a UUID.
type Selector struct {
	Table string // as the northbound schema spells it
	Key   string // name, UUID, or a part of a UUID that begins it, of at least 4 digits
}

// kinds are the short words.
var kinds = map[string]string{
	"port":        "Logical_Switch_Port",
	"switch":      "Logical_Switch",
	"router":      "Logical_Router",
	"router-port": "Logical_Router_Port",
	"acl":         "ACL",
	"port-group":  "Port_Group",
	"lb":          "Load_Balancer",
	"nat":         "NAT",
	"dhcp":        "DHCP_Options",
	"qos":         "QoS",
	"fwd-group":   "Forwarding_Group",
	"route":       "Logical_Router_Static_Route",
	"policy":      "Logical_Router_Policy",
}

// ErrSelector is matched when a text names no object.
var ErrSelector = errors.New("names no object")

// ParseSelector reads KIND:NAME (port:vm1, switch:sw0, acl:NAME) or
// TABLE:NAME and TABLE:UUID (Logical_Switch_Port:2f1e...).
func ParseSelector(s string) (Selector, error) {
	kind, key, ok := strings.Cut(s, ":")
	if !ok || key == "" || kind == "" {
		return Selector{}, fmt.Errorf("%q %w: want KIND:NAME or TABLE:UUID, such as port:vm1", s, ErrSelector)
	}
	if table, ok := kinds[kind]; ok {
		return Selector{table, key}, nil
	}
	if kind[0] < 'A' || kind[0] > 'Z' {
		return Selector{}, fmt.Errorf("%q %w: %q is neither a table nor one of %s", s, ErrSelector, kind, strings.Join(sortedKinds(), ", "))
	}
	return Selector{kind, key}, nil
}

// String is the selector with its table in full.
func (s Selector) String() string { return s.Table + ":" + s.Key }

// Matches reports whether the selector names the object.
func (s Selector) Matches(o Object) bool {
	if !strings.EqualFold(s.Table, o.Table) {
		return false
	}
	return s.Key == o.Name || s.Key == o.UUID || len(s.Key) >= minUUIDPart && strings.HasPrefix(o.UUID, s.Key)
}

// minUUIDPart is how much of a UUID has to be given, as for ovn-nbctl.
const minUUIDPart = 4

// errWriter keeps the first error, so that text can be written line by line.
type errWriter struct {
	w   io.Writer
	err error
}

func (e *errWriter) printf(format string, args ...any) {
	if e.err == nil {
		_, e.err = fmt.Fprintf(e.w, format, args...)
	}
}
