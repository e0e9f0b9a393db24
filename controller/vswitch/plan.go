package vswitch

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/ovn-org/libovsdb/ovsdb"
)

// plan is the transaction that takes the table to the wish in what is to do, and
// what it does in words. now is unix milliseconds. An empty plan means that they
// agree, or, where later is set, that only ovn-nb-cfg differs, which is written
// by itself only when idle is set.
//
// It crosses out what agrees and changes nothing else: rules in one place,
// tested without a database.
func plan(t *table, w *Wish, now int64, idle bool) (ops []ovsdb.Operation, what []string, later bool) {
	p := &planner{t: t, w: w, now: now}
	if t.root == nil || w == nil || w.Bridge == "" {
		return nil, nil, false
	}
	br := t.bridgeNamed(w.Bridge)
	if br == nil {
		t.todo.all = true
		p.createBridge()
		return p.ops, p.what, false
	}
	t.todo.expand(t, w, br)
	p.keepBridge(br)
	if w.Ports && t.todo.ports {
		before := len(p.ops)
		p.tunnels(br)
		p.patches(br)
		t.todo.ports = len(p.ops) > before
	}
	if w.Settled {
		p.zones(br)
	}
	p.interfaces(br)
	later = p.nbCfg(br, idle)
	return p.ops, p.what, later
}

type planner struct {
	t    *table
	w    *Wish
	now  int64
	ops  []ovsdb.Operation
	what []string
	next int // of named uuids
}

func (p *planner) say(format string, args ...any) {
	p.what = append(p.what, fmt.Sprintf(format, args...))
}

// createBridge makes the integration bridge: secure, so that nothing is
// forwarded that no flow says.
func (p *planner) createBridge() {
	name := p.w.Bridge
	iface := p.insert("Interface", ovsdb.Row{"name": name, "type": "internal"})
	port := p.insert("Port", ovsdb.Row{"name": name, "interfaces": iface})
	row := ovsdb.Row{
		"name": name, "ports": port, "fail_mode": "secure",
		"other_config": stringMap(map[string]string{"disable-in-band": "true"}),
	}
	if dt := p.datapathType(); dt != "" {
		row["datapath_type"] = dt
	}
	br := p.insert("Bridge", row)
	p.mutate("Open_vSwitch", p.t.root.UUID, "bridges", ovsdb.MutateOperationInsert, uuidSet(br))
	p.say("create bridge %q", name)
}

// datapathType of the integration bridge: as told, else as the other bridges
// have it where they agree.
func (p *planner) datapathType() string {
	if p.w.DatapathType != "" {
		return p.w.DatapathType
	}
	found := ""
	for _, b := range p.t.bridges {
		if b.Name == p.w.Bridge {
			continue
		}
		if found != "" && found != b.DatapathType {
			return ""
		}
		found = b.DatapathType
	}
	return found
}

func (p *planner) keepBridge(br *bridgeRow) {
	if !p.t.todo.bridge {
		return
	}
	before := len(p.ops)
	row := ovsdb.Row{}
	if br.FailMode != "secure" {
		row["fail_mode"] = "secure"
	}
	if p.w.DatapathType != "" && br.DatapathType != p.w.DatapathType {
		row["datapath_type"] = p.w.DatapathType
	}
	if len(row) > 0 {
		p.ops = append(p.ops, ovsdb.Operation{Op: ovsdb.OperationUpdate, Table: "Bridge", Where: byUUID(br.UUID), Row: row})
		p.say("set %v of bridge %q", row, br.Name)
	}
	p.setKeys("Bridge", br.UUID, "other_config", br.OtherConfig, map[string]string{"disable-in-band": "true"}, nil)
	p.t.todo.bridge = len(p.ops) > before
}

// nbCfg writes ovn-nb-cfg together with something else, or when idle is set. It
// tells whether it is left for later.
func (p *planner) nbCfg(br *bridgeRow, idle bool) bool {
	if !p.t.todo.nbCfg {
		return false
	}
	want := strconv.FormatInt(p.w.NbCfg, 10)
	switch {
	case p.w.NbCfg == 0 || br.ExternalIDs[KeyNbCfg] == want:
		p.t.todo.nbCfg = false
		return false
	case len(p.ops) == 0 && !idle:
		return true
	}
	p.setKeys("Bridge", br.UUID, "external_ids", br.ExternalIDs, map[string]string{KeyNbCfg: want}, nil)
	return false
}

// ownPorts are the ports of a bridge that carry the key, by its value; the
// second and later ones of a value come under the empty one.
func (p *planner) ownPorts(br *bridgeRow, key string) (byValue map[string]*portRow, surplus []*portRow) {
	byValue = map[string]*portRow{}
	for _, uuid := range slices.Sorted(slices.Values(br.Ports)) {
		port := p.t.ports[uuid]
		if port == nil || port.ExternalIDs[key] == "" {
			continue
		}
		if v := port.ExternalIDs[key]; byValue[v] == nil {
			byValue[v] = port
		} else {
			surplus = append(surplus, port)
		}
	}
	return byValue, surplus
}

func (p *planner) tunnels(br *bridgeRow) {
	have, surplus := p.ownPorts(br, KeyChassisID)
	for _, port := range surplus {
		p.removePort(br, port)
	}
	for _, id := range slices.Sorted(maps.Keys(have)) {
		if _, ok := p.w.Tunnels.Get(id); !ok {
			p.removePort(br, have[id])
		}
	}
	taken := map[string]bool{}
	for _, i := range p.t.ifaces {
		taken[i.Name] = true
	}
	for _, port := range p.t.ports {
		taken[port.Name] = true
	}
	for id, t := range p.w.Tunnels.All() {
		options := map[string]string{"remote_ip": t.IP, "key": "flow", "csum": strconv.FormatBool(t.Csum)}
		if port := have[id]; port != nil {
			p.keepTunnel(port, options, t.BFD.keys())
			continue
		}
		name := tunnelName(t.Chassis, taken)
		taken[name] = true
		iface := p.insert("Interface", ovsdb.Row{"name": name, "type": "geneve", "options": stringMap(options), "bfd": stringMap(t.BFD.keys())})
		port := p.insert("Port", ovsdb.Row{
			"name": name, "interfaces": iface, "external_ids": stringMap(map[string]string{KeyChassisID: id}),
		})
		p.mutate("Bridge", br.UUID, "ports", ovsdb.MutateOperationInsert, uuidSet(port))
		p.say("create tunnel %q to %s", name, id)
	}
}

func (p *planner) keepTunnel(port *portRow, options, bfd map[string]string) {
	for _, uuid := range port.Interfaces {
		i := p.t.ifaces[uuid]
		if i == nil {
			continue
		}
		var gone []string
		for key := range i.BFD {
			if _, ok := bfd[key]; !ok && slices.Contains(bfdKeys, key) {
				gone = append(gone, key)
			}
		}
		p.setKeys("Interface", uuid, "bfd", i.BFD, bfd, gone)
		if maps.Equal(i.Options, options) && i.Type == "geneve" {
			continue
		}
		p.ops = append(p.ops, ovsdb.Operation{
			Op: ovsdb.OperationUpdate, Table: "Interface", Where: byUUID(uuid),
			Row: ovsdb.Row{"type": "geneve", "options": stringMap(options)},
		})
		p.say("set options of tunnel %q", port.Name)
	}
}

// tunnelName is ovn-<first 6 characters of the chassis>-<n>, n the lowest that
// makes it free.
func tunnelName(chassis string, taken map[string]bool) string {
	short := chassis
	if len(short) > 6 {
		short = short[:6]
	}
	for n := 0; ; n++ {
		if name := fmt.Sprintf("ovn-%s-%x", short, n); !taken[name] {
			return name
		}
	}
}

func (p *planner) removePort(br *bridgeRow, port *portRow) {
	p.mutate("Bridge", br.UUID, "ports", ovsdb.MutateOperationDelete, uuidSet(ovsdb.UUID{GoUUID: port.UUID}))
	p.say("remove port %q of %q", port.Name, br.Name)
}

func (p *planner) zones(br *bridgeRow) {
	put := map[string]string{}
	var gone []string
	for name := range p.t.todo.zones {
		zone, wanted := p.w.Zones.Get(name)
		have, there := br.ExternalIDs[PrefixZone+name]
		switch {
		case wanted && have != strconv.Itoa(zone):
			put[PrefixZone+name] = strconv.Itoa(zone)
		case !wanted && there:
			gone = append(gone, PrefixZone+name)
		default:
			delete(p.t.todo.zones, name)
		}
	}
	p.setKeys("Bridge", br.UUID, "external_ids", br.ExternalIDs, put, gone)
}

// interfaces keeps the keys of interfaces.
func (p *planner) interfaces(br *bridgeRow) {
	for _, name := range slices.Sorted(maps.Keys(p.t.todo.ifaces)) {
		before := len(p.ops)
		p.iface(br, name)
		if len(p.ops) == before {
			delete(p.t.todo.ifaces, name)
		}
	}
}

func (p *planner) iface(br *bridgeRow, name string) {
	uuid := p.t.named[name]
	i := p.t.ifaces[uuid]
	if i == nil || p.t.bridge[p.t.port[uuid]] != br.UUID {
		return
	}
	keys, _ := p.w.Interfaces.Get(name)
	put := map[string]string{}
	var gone []string
	if keys.Since != 0 {
		put[KeySince] = strconv.FormatInt(keys.Since, 10)
	}
	if keys.Activated != "" {
		put[KeyActivated] = keys.Activated
	} else if p.w.Settled {
		gone = append(gone, KeyActivated)
	}
	if p.w.Settled {
		_, has := i.ExternalIDs[KeyInstalled]
		switch {
		case keys.Installed && i.ExternalIDs[KeyInstalled] != "true":
			put[KeyInstalled], put[KeyInstalledTS] = "true", strconv.FormatInt(p.now, 10)
		case !keys.Installed && has:
			gone = append(gone, KeyInstalled, KeyInstalledTS)
		}
	}
	p.setKeys("Interface", uuid, "external_ids", i.ExternalIDs, put, gone)
}

// setKeys changes single keys of a map column: those of put that differ, and
// those of del that are there.
func (p *planner) setKeys(table, uuid, column string, have, put map[string]string, del []string) {
	add := map[string]string{}
	for k, v := range put {
		if old, ok := have[k]; !ok || old != v {
			add[k] = v
			if ok {
				del = append(del, k)
			}
		}
	}
	var keys []any
	for _, k := range slices.Sorted(slices.Values(del)) {
		if _, ok := have[k]; ok {
			keys = append(keys, k)
		}
	}
	if len(keys) == 0 && len(add) == 0 {
		return
	}
	op := ovsdb.Operation{Op: ovsdb.OperationMutate, Table: table, Where: byUUID(uuid)}
	if len(keys) > 0 {
		op.Mutations = append(op.Mutations, ovsdb.Mutation{Column: column, Mutator: ovsdb.MutateOperationDelete, Value: ovsdb.OvsSet{GoSet: keys}})
	}
	if len(add) > 0 {
		op.Mutations = append(op.Mutations, ovsdb.Mutation{Column: column, Mutator: ovsdb.MutateOperationInsert, Value: stringMap(add)})
	}
	p.ops = append(p.ops, op)
	p.say("%s %s: put %v, delete %v", table, column, add, keys)
}

func (p *planner) insert(table string, row ovsdb.Row) ovsdb.UUID {
	p.next++
	name := fmt.Sprintf("row%d", p.next)
	p.ops = append(p.ops, ovsdb.Operation{Op: ovsdb.OperationInsert, Table: table, Row: row, UUIDName: name})
	return ovsdb.UUID{GoUUID: name}
}

func (p *planner) mutate(table, uuid, column string, op ovsdb.Mutator, value any) {
	p.ops = append(p.ops, ovsdb.Operation{
		Op: ovsdb.OperationMutate, Table: table, Where: byUUID(uuid),
		Mutations: []ovsdb.Mutation{{Column: column, Mutator: op, Value: value}},
	})
}

func byUUID(uuid string) []ovsdb.Condition {
	return []ovsdb.Condition{{Column: "_uuid", Function: ovsdb.ConditionEqual, Value: ovsdb.UUID{GoUUID: uuid}}}
}

func uuidSet(u ovsdb.UUID) ovsdb.OvsSet { return ovsdb.OvsSet{GoSet: []any{u}} }

func stringMap(m map[string]string) ovsdb.OvsMap {
	out := make(map[any]any, len(m))
	for k, v := range m {
		out[k] = v
	}
	return ovsdb.OvsMap{GoMap: out}
}
