package compile

import (
	"fmt"

	"govn/northd/topology"
	"govn/northd/translate"
)

// portKeys resolves the names that the flows of a port may have: its own, and
// those of the ports that it depends on.
func portKeys(port *topology.Port) translate.PortKeys {
	return func(name string) (uint32, error) {
		if key, ok := port.PortKey(name); ok {
			return key, nil
		}
		return 0, fmt.Errorf("no port %q", name)
	}
}

// hostParent is the port whose interface the port is behind, "" if it has one of
// its own.
func hostParent(port *topology.Port) string {
	if v := port.Virtual; v != nil && v.Parent != nil {
		return v.Parent.Name
	}
	return port.Parent
}
