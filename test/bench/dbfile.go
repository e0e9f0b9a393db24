package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"govn/pkg/ovsdb"
)

// database is the contents of a standalone OVSDB file: table, UUID, column to
// value as RFC 7047 section 5.1 writes it.
type database map[string]map[string]row

// readDB reads a standalone file, plain or gzipped.
func readDB(path string) (database, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	contents, err := ovsdb.ReadFile(f)
	if err != nil {
		return nil, fmt.Errorf("%q: %w", path, err)
	}
	db := database{}
	for t := range contents.Tables() {
		for r := range contents.Rows(t) {
			var columns row
			if err := json.Unmarshal(contents.RowJSON(r), &columns); err != nil {
				return nil, fmt.Errorf("%q: row %s: %w", path, r.UUID(), err)
			}
			if db[t.Name] == nil {
				db[t.Name] = map[string]row{}
			}
			db[t.Name][r.UUID().String()] = columns
		}
	}
	return db, nil
}

// load inserts the rows, those that refer to each other in one transaction.
// Tables and columns that the server does not know are left out, and so is the
// row of NB_Global, which is there already.
func (db database) load(ctx context.Context, c *client) error {
	raw, _, err := c.call(ctx, "get_schema", "OVN_Northbound")
	if err != nil {
		return err
	}
	var schema struct {
		Tables map[string]struct{ Columns map[string]any }
	}
	if err := json.Unmarshal(raw, &schema); err != nil {
		return fmt.Errorf("get_schema: %w", err)
	}
	where, parent := map[string]string{}, map[string]string{}
	var root func(string) string
	root = func(u string) string {
		if parent[u] != u {
			parent[u] = root(parent[u])
		}
		return parent[u]
	}
	for table, rows := range db {
		if _, known := schema.Tables[table]; !known || table == "NB_Global" {
			continue
		}
		for uuid := range rows {
			where[uuid], parent[uuid] = table, uuid
		}
	}
	groups := map[string][]any{}
	names := slices.Sorted(maps.Keys(where))
	rows := map[string]row{}
	for _, uuid := range names {
		r := row{}
		for column, v := range db[where[uuid]][uuid] {
			if _, known := schema.Tables[where[uuid]].Columns[column]; known {
				r[column] = rename(v, func(u string) bool {
					if _, ok := where[u]; ok {
						parent[root(u)] = root(uuid)
						return true
					}
					return false
				})
			}
		}
		rows[uuid] = r
	}
	for _, uuid := range names {
		groups[root(uuid)] = append(groups[root(uuid)], insert(where[uuid], nameOf(uuid), rows[uuid]))
	}
	for _, u := range slices.Sorted(maps.Keys(groups)) {
		if _, _, err := c.transact(ctx, groups[u]...); err != nil {
			return err
		}
	}
	return nil
}

func nameOf(uuid string) string { return "r" + strings.ReplaceAll(uuid, "-", "_") }

// rename makes references to rows that are inserted too symbolic.
func rename(v any, inserted func(uuid string) bool) any {
	a, ok := v.([]any)
	if !ok {
		return v
	}
	if u, ok := a[len(a)-1].(string); ok && len(a) == 2 && a[0] == "uuid" && inserted(u) {
		return named(nameOf(u))
	}
	out := make([]any, len(a))
	for i := range a {
		out[i] = rename(a[i], inserted)
	}
	return out
}

// network is what the northbound database is filled with.
type network struct {
	title string
	fill  func(context.Context, *client) error
	ports []string // some of its ports, for the chassis to have from the start
	sw    string   // that ports are added to
	first int      // number of the first of them, for its addresses
}

// fileNetwork is the network of a database file. Its ports are those of VIFs, a
// few of each switch, in order of their names.
func fileNetwork(path string, want int) (*network, error) {
	db, err := readDB(path)
	if err != nil {
		return nil, err
	}
	n := &network{
		fill:  db.load,
		first: 1 << 22, // apart from the addresses that are there
		title: fmt.Sprintf("%d switches, %d routers, %d ports", len(db["Logical_Switch"]), len(db["Logical_Router"]), len(db["Logical_Switch_Port"])),
	}
	for _, r := range db["Logical_Switch"] {
		if name, ok := r["name"].(string); ok && (n.sw == "" || name < n.sw) {
			n.sw = name
		}
	}
	for _, r := range db["Logical_Switch_Port"] {
		if name, ok := r["name"].(string); ok && (r["type"] == nil || r["type"] == "") {
			n.ports = append(n.ports, name)
		}
	}
	if n.sw == "" || len(n.ports) < want {
		return nil, fmt.Errorf("%q: no switch, or fewer than %d ports", path, want)
	}
	slices.Sort(n.ports)
	step := len(n.ports) / want
	for i := range want {
		n.ports[i] = n.ports[i*step]
	}
	n.ports = n.ports[:want]
	return n, nil
}

// madeNetwork is one of equal switches.
func madeNetwork(switches, ports, want int) *network {
	n := &network{
		title: fmt.Sprintf("%d x %d ports", switches, ports), sw: fmt.Sprintf("sw%d", 7%switches), first: switches * ports,
		fill: func(ctx context.Context, c *client) error { return fill(ctx, c, switches, ports) },
	}
	for i := range min(want, switches*ports) {
		n.ports = append(n.ports, fmt.Sprintf("p%d-%d", i%switches, i/switches))
	}
	return n
}
