package ovsdb

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// OpenEngine opens an engine by its name: "bbolt:FILE", whose directory is made
// where it is missing, or "memory".
func OpenEngine(name string) (Engine, error) {
	kind, rest, _ := strings.Cut(name, ":")
	switch {
	case name == "memory":
		return NewMemoryEngine(), nil
	case kind == "bbolt" && rest != "":
		if err := os.MkdirAll(filepath.Dir(rest), 0o750); err != nil {
			return nil, err
		}
		return OpenBolt(rest, BoltOptions{})
	}
	return nil, fmt.Errorf("store %q: want bbolt:FILE or memory", name)
}
