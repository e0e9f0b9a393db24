package agent

import (
	"encoding/hex"
	"fmt"
	"maps"
	"slices"

	"github.com/ovn-org/libovsdb/ovsdb"

	"govn/pkg/interconnect"
)

// maxPortKey is the highest key of a port on a transit switch.
const maxPortKey = 32767

// plan is what takes a row to what is wanted of it; none: nothing.
func (w *writer) plan(it item) ([]ovsdb.Operation, error) {
	switch it.kind {
	case kindZone:
		return w.planZone()
	case kindDatapath:
		return w.planDatapath(it.key)
	case kindGateway:
		return w.planGateway(it.key)
	case kindICPort:
		return w.planICPort(it.key)
	case kindICRoute:
		return w.planICRoute(it)
	case kindIdentity:
		return w.planIdentity()
	case kindSwitch:
		return w.planSwitch(it.key)
	case kindPort:
		return w.planPort(it.key)
	case kindKey:
		return w.planKey(it.key)
	case kindRoute:
		return w.planRoute(learnedKey{it.key, it.more})
	case kindChassis:
		return w.planChassis(it.key)
	}
	return w.planBinding(it.key)
}

// Operations.

func id(uuid string) []ovsdb.Condition {
	return []ovsdb.Condition{{Column: "_uuid", Function: ovsdb.ConditionEqual, Value: ovsdb.UUID{GoUUID: uuid}}}
}

func insert(table, name string, row ovsdb.Row) ovsdb.Operation {
	return ovsdb.Operation{Op: ovsdb.OperationInsert, Table: table, UUIDName: name, Row: row}
}

func update(table, uuid string, row ovsdb.Row) ovsdb.Operation {
	return ovsdb.Operation{Op: ovsdb.OperationUpdate, Table: table, Where: id(uuid), Row: row}
}

func remove(table, uuid string) ovsdb.Operation {
	return ovsdb.Operation{Op: ovsdb.OperationDelete, Table: table, Where: id(uuid)}
}

func mutate(table string, where []ovsdb.Condition, column string, mutator ovsdb.Mutator, value any) ovsdb.Operation {
	return ovsdb.Operation{Op: ovsdb.OperationMutate, Table: table, Where: where,
		Mutations: []ovsdb.Mutation{{Column: column, Mutator: mutator, Value: value}}}
}

// setKey sets one key of a map column.
func setKey(table, uuid, column, key, value string) []ovsdb.Operation {
	return []ovsdb.Operation{
		mutate(table, id(uuid), column, ovsdb.MutateOperationDelete, ovsdb.OvsSet{GoSet: []any{key}}),
		mutate(table, id(uuid), column, ovsdb.MutateOperationInsert, texts(map[string]string{key: value})),
	}
}

func texts(m map[string]string) ovsdb.OvsMap {
	out := ovsdb.OvsMap{GoMap: make(map[any]any, len(m))}
	for k, v := range m {
		out.GoMap[k] = v
	}
	return out
}

func refs(uuids ...string) ovsdb.OvsSet {
	out := ovsdb.OvsSet{GoSet: make([]any, 0, len(uuids))}
	for _, u := range uuids {
		out.GoSet = append(out.GoSet, ovsdb.UUID{GoUUID: u})
	}
	return out
}

// united are operations with one in the place of those that give a row references
// in one column, or take them: a router that learns 256 routes changes once.
func united(ops []ovsdb.Operation) []ovsdb.Operation {
	type column struct {
		table, uuid, name string
		mutator           ovsdb.Mutator
	}
	type element struct {
		column
		ref any
	}
	sets, has := make(map[column][]any), make(map[element]bool)
	var order []column
	rest := ops[:0]
	for _, op := range ops {
		if op.Op != ovsdb.OperationMutate || len(op.Where) != 1 || len(op.Mutations) != 1 {
			rest = append(rest, op)
			continue
		}
		m := op.Mutations[0]
		row, one := op.Where[0].Value.(ovsdb.UUID)
		set, ok := m.Value.(ovsdb.OvsSet)
		if !one || !ok || slices.ContainsFunc(set.GoSet, func(e any) bool { _, ref := e.(ovsdb.UUID); return !ref }) {
			rest = append(rest, op)
			continue
		}
		key := column{op.Table, row.GoUUID, m.Column, m.Mutator}
		if _, there := sets[key]; !there {
			order = append(order, key)
		}
		for _, ref := range set.GoSet {
			if !has[element{key, ref}] {
				has[element{key, ref}] = true
				sets[key] = append(sets[key], ref)
			}
		}
	}
	for _, key := range order { // after the rows that they refer to
		rest = append(rest, mutate(key.table, id(key.uuid), key.name, key.mutator, ovsdb.OvsSet{GoSet: sets[key]}))
	}
	return rest
}

// name is a new name for a row that is inserted.
func (w *writer) name() string {
	w.names++
	return fmt.Sprintf("row%d", w.names)
}

// Rows of OVN_IC_Southbound.

// planZone has a row for the zone, called as the zone is: a zone that is renamed
// keeps its row, and with it all that it told others.
func (w *writer) planZone() ([]ovsdb.Operation, error) {
	name := w.in.name()
	if name == "" {
		return nil, fmt.Errorf("NB_Global has no name: the zone is not told to others")
	}
	az, ok := w.in.az.rows[w.in.own]
	switch {
	case !ok:
		return []ovsdb.Operation{insert("Availability_Zone", "", ovsdb.Row{"name": name})}, nil
	case az.Name != name:
		return []ovsdb.Operation{update("Availability_Zone", az.UUID, ovsdb.Row{"name": name})}, nil
	}
	return nil, nil
}

// planIdentity keeps in the zone's database what it is for ever, and which row it
// has, so that a zone that was renamed while nobody looked finds it.
func (w *writer) planIdentity() (ops []ovsdb.Operation, err error) {
	if w.in.global == nil {
		return nil, errWaits
	}
	have := w.in.externalID(keyZoneID)
	if _, err := parseZoneID(have); have != "" && err != nil {
		return nil, err
	}
	if have == "" {
		ops = append(ops, mutate("NB_Global", id(w.in.global.UUID), "external_ids", ovsdb.MutateOperationInsert, texts(map[string]string{keyZoneID: w.id})))
	}
	if _, known := w.in.az.rows[w.in.own]; known && w.db[kindZone] != nil && w.in.externalID(keyZoneRow) != w.in.own {
		ops = append(ops, setKey("NB_Global", w.in.global.UUID, "external_ids", keyZoneRow, w.in.own)...)
	}
	return ops, nil
}

// parseZoneID reads the identity of a zone: 16 bytes in hexadecimal.
func parseZoneID(text string) (id [16]byte, err error) {
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != len(id) {
		return id, fmt.Errorf("NB_Global:external_ids:%s is %q, not 32 hexadecimal digits", keyZoneID, text)
	}
	return [16]byte(b), nil
}

// again marks all rows that name the zone.
func (w *writer) again() {
	for name := range w.p.gateways.All() {
		w.mark(kindGateway, name, "")
	}
	for name := range w.p.icPorts.All() {
		w.mark(kindICPort, name, "")
	}
	for k := range w.p.icRoutes.All() {
		it := k.item()
		w.mark(it.kind, it.key, it.more)
	}
	w.mark(kindIdentity, "", "")
}

// zone is the row of the zone.
func (w *writer) zone() (string, error) {
	if _, ok := w.in.az.rows[w.in.own]; !ok {
		return "", errWaits
	}
	return w.in.own, nil
}

// planDatapath gives a transit switch a key that no other has. Another zone may do
// so at the same time: one of the two transactions is refused.
func (w *writer) planDatapath(ts string) ([]ovsdb.Operation, error) {
	_, wanted := w.p.datapaths.Get(ts)
	dp, there := w.in.icDP.peek(ts)
	if there {
		w.keys.Saw(dp.TunnelKey)
	}
	switch {
	case wanted == there:
		return nil, nil
	case there:
		return []ovsdb.Operation{remove("Datapath_Binding", dp.UUID)}, nil
	}
	used := maps.Clone(w.planned[""])
	if used == nil {
		used = make(map[int]bool)
	}
	for _, dp := range w.in.icDP.rows {
		used[dp.TunnelKey] = true
	}
	w.keys = w.keys.With(used)
	key, ok := w.keys.Next()
	if !ok {
		return nil, fmt.Errorf("all %d keys of transit switches are in use", interconnect.MaxTransitKey-interconnect.MinTransitKey+1)
	}
	w.reserve("", key)
	none := 0
	return []ovsdb.Operation{
		{Op: ovsdb.OperationWait, Table: "Datapath_Binding", Timeout: &none, Until: string(ovsdb.WaitConditionNotEqual), Columns: []string{"transit_switch"},
			Where: []ovsdb.Condition{{Column: "transit_switch", Function: ovsdb.ConditionEqual, Value: ts}}, Rows: []ovsdb.Row{{"transit_switch": ts}}},
		insert("Datapath_Binding", "", ovsdb.Row{"transit_switch": ts, "tunnel_key": key}),
	}, nil
}

func (w *writer) planGateway(name string) ([]ovsdb.Operation, error) {
	want, wanted := w.p.gateways.Get(name)
	gw, there := w.in.gateway.peek(name)
	if !wanted && (!there || gw.AvailabilityZone != w.in.own) {
		return nil, nil
	}
	az, err := w.zone()
	if err != nil {
		return nil, err
	}
	switch {
	case !wanted:
		return []ovsdb.Operation{remove("Gateway", gw.UUID)}, nil
	case there && gw.AvailabilityZone != az:
		return nil, fmt.Errorf("zone %q has a gateway %q: %w", w.zoneName(gw.AvailabilityZone), name, ErrTaken)
	}
	var now *wantChassis
	if there {
		now = &wantChassis{gw.Hostname, encapsOf(gw.Encaps, func(u string) (*icEncap, bool) { e, ok := w.in.icEncap.rows[u]; return e, ok })}
	}
	ops, row := w.chassisDiff(now, want, "gateway_name", name)
	switch {
	case !there:
		row["name"], row["availability_zone"] = name, ovsdb.UUID{GoUUID: az}
		return append(ops, insert("Gateway", "", row)), nil
	case len(row) > 0:
		return append(ops, update("Gateway", gw.UUID, row)), nil
	}
	return nil, nil
}

// chassisDiff is what takes the row of a chassis or gateway (nil: none) to what is
// wanted: operations that go before, and columns. column is where its
// encapsulations name it.
func (w *writer) chassisDiff(now *wantChassis, want wantChassis, column, name string) (ops []ovsdb.Operation, row ovsdb.Row) {
	row = ovsdb.Row{}
	if now == nil || !slices.Equal(now.encaps, want.encaps) {
		ops, row["encaps"] = w.encaps(want.encaps, column, name)
	}
	if now == nil || now.hostname != want.hostname {
		row["hostname"] = want.hostname
	}
	return ops, row
}

// encaps inserts encapsulations of a chassis, and is the set that refers to them.
func (w *writer) encaps(list []wantEncap, column, chassis string) (ops []ovsdb.Operation, set ovsdb.OvsSet) {
	names := make([]string, 0, len(list))
	for _, e := range list {
		row := ovsdb.Row{"type": e.kind, "ip": e.ip, column: chassis}
		if e.csum != "" {
			row["options"] = texts(map[string]string{"csum": e.csum})
		}
		names = append(names, w.name())
		ops = append(ops, insert("Encap", names[len(names)-1], row))
	}
	return ops, refs(names...)
}

func (w *writer) zoneName(uuid string) string {
	if az, ok := w.in.az.rows[uuid]; ok {
		return az.Name
	}
	return uuid
}

func (w *writer) planICPort(name string) ([]ovsdb.Operation, error) {
	want, wanted := w.p.icPorts.Get(name)
	pb, there := w.in.icPB.peek(name)
	if !wanted && (!there || pb.AvailabilityZone != w.in.own) {
		return nil, nil
	}
	az, err := w.zone()
	if err != nil {
		return nil, err
	}
	switch {
	case there && pb.AvailabilityZone != az:
		return nil, fmt.Errorf("zone %q has a port %q on transit switch %q: %w", w.zoneName(pb.AvailabilityZone), name, pb.TransitSwitch, ErrTaken)
	case !wanted:
		return []ovsdb.Operation{remove("Port_Binding", pb.UUID)}, nil
	case there && pb.TransitSwitch == want.ts:
		row := ovsdb.Row{}
		if pb.Gateway != want.gateway {
			row["gateway"] = want.gateway
		}
		if pb.Address != want.address {
			row["address"] = want.address
		}
		if pb.ExternalIDs[keyRouterID] != want.router {
			row["external_ids"] = texts(map[string]string{keyRouterID: want.router})
		}
		if len(row) == 0 {
			return nil, nil
		}
		return []ovsdb.Operation{update("Port_Binding", pb.UUID, row)}, nil
	}
	var ops []ovsdb.Operation
	if there {
		ops = append(ops, remove("Port_Binding", pb.UUID))
	}
	key := 1
	for w.in.keys[want.ts][key] > 0 || w.planned[want.ts][key] {
		key++
	}
	if key > maxPortKey {
		return nil, fmt.Errorf("transit switch %q has no key left for port %q", want.ts, name)
	}
	w.reserve(want.ts, key)
	return append(ops, insert("Port_Binding", "", ovsdb.Row{
		"logical_port": name, "transit_switch": want.ts, "availability_zone": ovsdb.UUID{GoUUID: az}, "tunnel_key": key,
		"gateway": want.gateway, "address": want.address, "external_ids": texts(map[string]string{keyRouterID: want.router}),
	})), nil
}

// reserve keeps a key for this transaction: a port's on a transit switch, or ("")
// that of a transit switch.
func (w *writer) reserve(ts string, key int) {
	if w.planned[ts] == nil {
		w.planned[ts] = make(map[int]bool)
	}
	w.planned[ts][key] = true
}

func (w *writer) planICRoute(it item) ([]ovsdb.Operation, error) {
	key := it.route()
	want, wanted := w.p.icRoutes.Get(key)
	r, there := w.in.icRoute.peek(key.in(w.in.own))
	if !wanted && !there {
		return nil, nil
	}
	az, err := w.zone()
	switch {
	case err != nil:
		return nil, err
	case !wanted:
		return []ovsdb.Operation{remove("Route", r.UUID)}, nil
	case !there:
		return []ovsdb.Operation{insert("Route", "", ovsdb.Row{
			"transit_switch": key.ts, "availability_zone": ovsdb.UUID{GoUUID: az}, "route_table": key.table,
			"ip_prefix": key.prefix, "nexthop": key.nexthop, "origin": want.origin,
			"external_ids": texts(want.ids()),
		})}, nil
	case r.Origin != want.origin || r.ExternalIDs[keyNBID] != want.nbID || r.ExternalIDs[keyTag] != want.tag:
		return []ovsdb.Operation{update("Route", r.UUID, ovsdb.Row{"origin": want.origin, "external_ids": texts(want.ids())})}, nil
	}
	return nil, nil
}

// Rows of OVN_Northbound.

func (w *writer) planSwitch(ts string) ([]ovsdb.Operation, error) {
	want, wanted := w.p.switches.Get(ts)
	ls, there := w.in.ls.peek(ts)
	key := fmt.Sprint(want.key)
	switch {
	case !wanted && there:
		if _, exists := w.p.datapaths.Get(ts); exists {
			return nil, errWaits // for its key
		}
		return []ovsdb.Operation{remove("Logical_Switch", ls.UUID)}, nil
	case !wanted:
		return nil, nil
	case !there:
		none := 0
		return []ovsdb.Operation{
			// Not if an earlier transaction, without an answer in time, did it.
			{Op: ovsdb.OperationWait, Table: "Logical_Switch", Timeout: &none, Until: string(ovsdb.WaitConditionNotEqual), Columns: []string{"name"},
				Where: []ovsdb.Condition{{Column: "other_config", Function: ovsdb.ConditionIncludes, Value: texts(map[string]string{keyTransit: ts})}}, Rows: []ovsdb.Row{{"name": ts}}},
			insert("Logical_Switch", "", ovsdb.Row{"name": ts, "other_config": texts(map[string]string{keyTransit: ts, keyTunnelKey: key})}),
		}, nil
	case ls.OtherConfig[keyTunnelKey] != key:
		return setKey("Logical_Switch", ls.UUID, "other_config", keyTunnelKey, key), nil
	}
	return nil, nil
}

// planPort has a port for one of another zone. One that nobody wants goes, where
// it is on a transit switch.
func (w *writer) planPort(name string) ([]ovsdb.Operation, error) {
	want, wanted := w.p.ports.Get(name)
	lsp, there := w.in.lsp.peek(name)
	ls, ready := w.in.ls.peek(want.ts)
	switch {
	case !wanted && (!there || lsp.Type != "remote" || w.transitOf(name) == ""):
		return nil, nil
	case !wanted:
		return []ovsdb.Operation{w.withdraw(lsp.UUID)}, nil
	case there && lsp.Type != "remote":
		return nil, fmt.Errorf("the zone has a port %q of type %q itself: %w", name, lsp.Type, ErrTaken)
	case !ready:
		return nil, errWaits
	case !there:
		row := w.name()
		return []ovsdb.Operation{
			insert("Logical_Switch_Port", row, ovsdb.Row{"name": name, "type": "remote",
				"addresses": ovsdb.OvsSet{GoSet: []any{want.address}}, "options": texts(map[string]string{keyTunnelKey: fmt.Sprint(want.key)})}),
			mutate("Logical_Switch", id(ls.UUID), "ports", ovsdb.MutateOperationInsert, refs(row)),
		}, nil
	}
	var ops []ovsdb.Operation
	if at := w.transitOf(name); at != "" && at != want.ts {
		ops = append(ops, mutate("Logical_Switch", id(ls.UUID), "ports", ovsdb.MutateOperationInsert, refs(lsp.UUID)))
		if old, ok := w.in.ls.peek(at); ok {
			ops = append(ops, mutate("Logical_Switch", id(old.UUID), "ports", ovsdb.MutateOperationDelete, refs(lsp.UUID)))
		}
	}
	if !slices.Equal(lsp.Addresses, []string{want.address}) {
		ops = append(ops, update("Logical_Switch_Port", lsp.UUID, ovsdb.Row{"addresses": ovsdb.OvsSet{GoSet: []any{want.address}}}))
	}
	if key := fmt.Sprint(want.key); lsp.Options[keyTunnelKey] != key {
		ops = append(ops, setKey("Logical_Switch_Port", lsp.UUID, "options", keyTunnelKey, key)...)
	}
	return ops, nil
}

// withdraw takes a port out of its switch, with which it is gone.
func (w *writer) withdraw(uuid string) ovsdb.Operation {
	return mutate("Logical_Switch", []ovsdb.Condition{{Column: "ports", Function: ovsdb.ConditionIncludes, Value: refs(uuid)}},
		"ports", ovsdb.MutateOperationDelete, refs(uuid))
}

// transitOf is the transit switch that a port is on, as northd has bound it.
func (w *writer) transitOf(port string) string {
	pb, ok := w.in.pb.peek(port)
	if !ok {
		return ""
	}
	if dp, ok := w.in.dp.rows[pb.Datapath]; ok {
		return dp.ExternalIDs[keyTransit]
	}
	return ""
}

func (w *writer) planKey(uuid string) ([]ovsdb.Operation, error) {
	key, wanted := w.p.keys.Get(uuid)
	lsp, there := w.in.lsp.rows[uuid]
	if !wanted || !there || lsp.Options[keyTunnelKey] == fmt.Sprint(key) {
		return nil, nil
	}
	return setKey("Logical_Switch_Port", uuid, "options", keyTunnelKey, fmt.Sprint(key)), nil
}

func (w *writer) planRoute(key learnedKey) ([]ovsdb.Operation, error) {
	want, wanted := w.p.routes.Get(key)
	var have []*nbRoute
	for _, u := range w.in.route.byKey[key.route] {
		if slices.Contains(w.in.routeAt.all(u), key.router) {
			have = append(have, w.in.route.rows[u])
		}
	}
	var ops []ovsdb.Operation
	for i, r := range have {
		if i > 0 || !wanted {
			ops = append(ops, mutate("Logical_Router", id(key.router), "static_routes", ovsdb.MutateOperationDelete, refs(r.UUID)))
		}
	}
	row := ovsdb.Row{"ip_prefix": want.prefix, "nexthop": want.nexthop, "route_table": want.table}
	switch {
	case !wanted:
	case len(have) == 0:
		name := w.name()
		row["external_ids"] = texts(map[string]string{keyLearned: key.route})
		row["options"] = texts(map[string]string{keyOrigin: want.origin})
		ops = append(ops, insert("Logical_Router_Static_Route", name, row),
			mutate("Logical_Router", id(key.router), "static_routes", ovsdb.MutateOperationInsert, refs(name)))
	case have[0].IPPrefix != want.prefix || have[0].Nexthop != want.nexthop || have[0].RouteTable != want.table:
		ops = append(ops, update("Logical_Router_Static_Route", have[0].UUID, row))
	}
	return ops, nil
}

// Rows of OVN_Southbound.

func (w *writer) planChassis(name string) ([]ovsdb.Operation, error) {
	want, wanted := w.p.chassis.Get(name)
	ch, there := w.in.chassis.peek(name)
	switch {
	case !wanted && (!there || ch.OtherConfig[keyRemote] != "true"):
		return nil, nil
	case !wanted:
		return []ovsdb.Operation{remove("Chassis", ch.UUID)}, nil
	case there && ch.OtherConfig[keyRemote] != "true":
		return nil, fmt.Errorf("the zone has a chassis %q itself: %w", name, ErrTaken)
	}
	var now *wantChassis
	if there {
		now = &wantChassis{ch.Hostname, encapsOf(ch.Encaps, func(u string) (*sbEncap, bool) { e, ok := w.in.encap.rows[u]; return e, ok })}
	}
	ops, row := w.chassisDiff(now, want, "chassis_name", name)
	switch {
	case !there:
		row["name"], row["other_config"] = name, texts(map[string]string{keyRemote: "true"})
		return append(ops, insert("Chassis", "", row)), nil
	case len(row) > 0:
		return append(ops, update("Chassis", ch.UUID, row)), nil
	}
	return nil, nil
}

func (w *writer) planBinding(port string) ([]ovsdb.Operation, error) {
	gateway, wanted := w.p.bindings.Get(port)
	pb, there := w.in.pb.peek(port)
	if !wanted || !there || pb.Type != "remote" {
		return nil, nil
	}
	now := ""
	if pb.Chassis != nil {
		now = *pb.Chassis
	}
	ch, known := w.in.chassis.peek(gateway)
	switch {
	case gateway != "" && !known:
		return nil, errWaits // kindChassis brings it
	case !known && now != "":
		return []ovsdb.Operation{update("Port_Binding", pb.UUID, ovsdb.Row{"chassis": refs()})}, nil
	case known && now != ch.UUID:
		return []ovsdb.Operation{update("Port_Binding", pb.UUID, ovsdb.Row{"chassis": refs(ch.UUID)})}, nil
	}
	return nil, nil
}
