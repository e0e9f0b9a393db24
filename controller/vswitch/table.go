package vswitch

import (
	"maps"
	"slices"
)

// Rows as the database has them; what is read of each table.
type (
	rootRow struct {
		UUID        string
		Bridges     []string
		ExternalIDs map[string]string
	}
	bridgeRow struct {
		UUID, Name, FailMode, DatapathType string
		Ports                              []string
		ExternalIDs, OtherConfig           map[string]string
	}
	portRow struct {
		UUID, Name  string
		Interfaces  []string
		Tag         int
		ExternalIDs map[string]string
	}
	ifaceRow struct {
		UUID, Name, Type, Error string
		OFPort                  int
		ExternalIDs, Options    map[string]string
	}
)

// table is a replica of the rows of Open_vSwitch, with the way back from an
// interface to its port and bridge, and the differences not taken yet.
type table struct {
	root    *rootRow
	bridges map[string]*bridgeRow // by uuid
	ports   map[string]*portRow
	ifaces  map[string]*ifaceRow
	bridge  map[string]string // port uuid to bridge uuid
	port    map[string]string // interface uuid to port uuid

	full        bool
	rootDirty   bool
	bridgeDirty bool
	dirty       map[string]bool       // interface uuids
	told        map[string]*Interface // by name: what Take returned last
	toldBridge  *Bridge
	toldConfig  *Config
	toldProblem []string
}

func newTable() *table {
	return &table{
		bridges: map[string]*bridgeRow{}, ports: map[string]*portRow{}, ifaces: map[string]*ifaceRow{},
		bridge: map[string]string{}, port: map[string]string{},
		full: true, rootDirty: true, bridgeDirty: true,
		dirty: map[string]bool{}, told: map[string]*Interface{},
	}
}

// setRoot, setBridge, setPort and setIface take the row as it is now; nil: gone.
func (t *table) setRoot(r *rootRow) { t.root, t.rootDirty, t.bridgeDirty = r, true, true }

func (t *table) setBridge(uuid string, r *bridgeRow) {
	old := t.bridges[uuid]
	if old != nil {
		for _, p := range old.Ports {
			if t.bridge[p] == uuid {
				delete(t.bridge, p)
			}
		}
	}
	touched := map[string]bool{}
	if old != nil {
		for _, p := range old.Ports {
			touched[p] = !touched[p]
		}
	}
	if r == nil {
		delete(t.bridges, uuid)
	} else {
		t.bridges[uuid] = r
		for _, p := range r.Ports {
			t.bridge[p] = uuid
			touched[p] = !touched[p]
		}
	}
	renamed := old == nil || r == nil || old.Name != r.Name
	for p, changed := range touched {
		if changed || renamed {
			t.touchPort(p)
		}
	}
	t.bridgeDirty = true
}

func (t *table) setPort(uuid string, r *portRow) {
	t.touchPort(uuid)
	if old := t.ports[uuid]; old != nil {
		for _, i := range old.Interfaces {
			if t.port[i] == uuid {
				delete(t.port, i)
			}
		}
	}
	if r == nil {
		delete(t.ports, uuid)
		return
	}
	t.ports[uuid] = r
	for _, i := range r.Interfaces {
		t.port[i] = uuid
	}
	t.touchPort(uuid)
}

func (t *table) setIface(uuid string, r *ifaceRow) {
	if r == nil {
		delete(t.ifaces, uuid)
	} else {
		t.ifaces[uuid] = r
	}
	t.dirty[uuid] = true
}

func (t *table) touchPort(uuid string) {
	if p := t.ports[uuid]; p != nil {
		for _, i := range p.Interfaces {
			t.dirty[i] = true
		}
	}
}

// bridgeNamed finds a bridge by name.
func (t *table) bridgeNamed(name string) *bridgeRow {
	for _, b := range t.bridges {
		if b.Name == name {
			return b
		}
	}
	return nil
}

// integration is the integration bridge; nil: there is none.
func (t *table) integration() *bridgeRow {
	name := DefaultBridge
	if t.root != nil && t.root.ExternalIDs["ovn-bridge"] != "" {
		name = t.root.ExternalIDs["ovn-bridge"]
	}
	return t.bridgeNamed(name)
}

// onBridge renders an interface where it is on that bridge.
func (t *table) onBridge(uuid string, br *bridgeRow) *Interface {
	r := t.ifaces[uuid]
	p := t.ports[t.port[uuid]]
	if r == nil || p == nil || br == nil || t.bridge[p.UUID] != br.UUID {
		return nil
	}
	return &Interface{
		Name: r.Name, UUID: uuid, PortUUID: p.UUID, Type: r.Type, OFPort: r.OFPort, Error: r.Error,
		ExternalIDs: r.ExternalIDs, Options: r.Options, PortName: p.Name, PortIDs: p.ExternalIDs,
	}
}

// take returns the differences since the last take.
func (t *table) take() Delta {
	d := Delta{Full: t.full, Interfaces: map[string]*Interface{}}
	if t.rootDirty {
		var ids map[string]string
		if t.root != nil {
			ids = t.root.ExternalIDs
		}
		cfg, problems := ParseConfig(ids)
		if t.full || !cfg.Equal(t.toldConfig) || !slices.Equal(problems, t.toldProblem) {
			d.Config, d.Problems = cfg, problems
			t.toldConfig, t.toldProblem = cfg, problems
		}
	}
	br := t.integration()
	if t.bridgeDirty || t.full {
		now := renderBridge(br)
		switch {
		case now == nil && (t.toldBridge != nil || t.full):
			d.BridgeGone = true
		case now != nil && (t.full || !now.equal(t.toldBridge)):
			d.Bridge = now
		}
		if (now == nil) != (t.toldBridge == nil) || (now != nil && now.UUID != t.toldBridge.UUID) {
			for uuid := range t.ifaces { // another bridge: every interface may come or go
				t.dirty[uuid] = true
			}
			for _, i := range t.told {
				t.dirty[i.UUID] = true
			}
		}
		t.toldBridge = now
	}
	for _, name := range slices.Sorted(maps.Keys(t.told)) { // first those gone: a name may be taken anew
		i := t.told[name]
		if !t.dirty[i.UUID] {
			continue
		}
		if now := t.onBridge(i.UUID, br); now == nil || now.Name != name {
			delete(t.told, name)
			d.Interfaces[name] = nil
		}
	}
	for uuid := range t.dirty {
		now := t.onBridge(uuid, br)
		if now == nil {
			continue
		}
		old := t.told[now.Name]
		if old != nil && old.Equal(now) && !t.full {
			continue
		}
		t.told[now.Name] = now
		d.Interfaces[now.Name] = now
	}
	t.full, t.rootDirty, t.bridgeDirty = false, false, false
	clear(t.dirty)
	return d
}

func renderBridge(b *bridgeRow) *Bridge {
	if b == nil {
		return nil
	}
	return &Bridge{
		Name: b.Name, UUID: b.UUID, FailMode: b.FailMode, DatapathType: b.DatapathType,
		ExternalIDs: b.ExternalIDs, OtherConfig: b.OtherConfig,
	}
}

func (b *Bridge) equal(c *Bridge) bool {
	return b != nil && c != nil && b.Name == c.Name && b.UUID == c.UUID && b.FailMode == c.FailMode &&
		b.DatapathType == c.DatapathType && maps.Equal(b.ExternalIDs, c.ExternalIDs) && maps.Equal(b.OtherConfig, c.OtherConfig)
}
