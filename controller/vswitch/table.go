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
		IfaceTypes  []string
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
		BFD, BFDStatus          map[string]string
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
	named   map[string]string // interface name to uuid
	todo    todo

	full        bool
	rootDirty   bool
	bridgeDirty bool
	dirty       map[string]bool       // interface uuids
	told        map[string]*Interface // by name: what Take returned last
	toldName    map[string]string     // interface uuid to the name it was told by
	toldBridge  *Bridge
	toldConfig  *Config
	toldProblem []string
}

func newTable() *table {
	return &table{
		bridges: map[string]*bridgeRow{}, ports: map[string]*portRow{}, ifaces: map[string]*ifaceRow{},
		bridge: map[string]string{}, port: map[string]string{}, named: map[string]string{}, todo: newTodo(),
		full: true, rootDirty: true, bridgeDirty: true,
		dirty: map[string]bool{}, told: map[string]*Interface{}, toldName: map[string]string{},
	}
}

// setRoot, setBridge, setPort and setIface take the row as it is now; nil: gone.
func (t *table) setRoot(r *rootRow) {
	t.root, t.rootDirty, t.bridgeDirty = r, true, true
	t.todo.bridge, t.todo.ports = true, true
}

func (t *table) setBridge(uuid string, r *bridgeRow) {
	old := t.bridges[uuid]
	t.bridgeDirty = true
	if old != nil && r != nil && old.Name == r.Name {
		t.todo.bridgeChanged(old, r)
		if slices.Equal(old.Ports, r.Ports) {
			t.bridges[uuid] = r
			return
		}
	} else {
		t.todo.all = true
	}
	touched := map[string]bool{}
	if old != nil {
		for _, p := range old.Ports {
			if t.bridge[p] == uuid {
				delete(t.bridge, p)
			}
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
	if old := t.ifaces[uuid]; old != nil && t.named[old.Name] == uuid {
		delete(t.named, old.Name)
	}
	if r == nil {
		delete(t.ifaces, uuid)
	} else {
		t.ifaces[uuid] = r
		t.named[r.Name] = uuid
	}
	t.touchIface(uuid)
	if t.ports[t.port[uuid]].own() {
		t.todo.ports = true
	}
}

func (t *table) touchPort(uuid string) {
	p := t.ports[uuid]
	if p == nil {
		return
	}
	if p.own() {
		t.todo.ports = true
	}
	for _, i := range p.Interfaces {
		t.touchIface(i)
	}
}

func (t *table) touchIface(uuid string) {
	t.dirty[uuid] = true
	if i := t.ifaces[uuid]; i != nil {
		t.todo.ifaces[i.Name] = true
	}
}

// own tells whether a port is one that the controller makes.
func (p *portRow) own() bool {
	return p != nil && (p.ExternalIDs[KeyChassisID] != "" || p.patch())
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
		ExternalIDs: r.ExternalIDs, Options: r.Options, BFDStatus: r.BFDStatus, PortName: p.Name, PortIDs: p.ExternalIDs,
	}
}

// take returns the differences since the last take.
func (t *table) take() Delta {
	d := Delta{Full: t.full, Interfaces: map[string]*Interface{}}
	if t.rootDirty {
		var root rootRow
		if t.root != nil {
			root = *t.root
		}
		cfg, problems := ParseConfig(root.ExternalIDs, root.IfaceTypes)
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
	for uuid := range t.dirty { // first those gone: a name may be taken anew
		name, told := t.toldName[uuid]
		if !told {
			continue
		}
		if now := t.onBridge(uuid, br); now == nil || now.Name != name {
			delete(t.toldName, uuid)
			if t.told[name].UUID == uuid {
				delete(t.told, name)
				d.Interfaces[name] = nil
			}
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
		t.told[now.Name], t.toldName[uuid] = now, now.Name
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
