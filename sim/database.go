package sim

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	"govn/pkg/ovsdb"
	"govn/schema"
)

// confSchema is the schema of Open_vSwitch, parsed once for all chassis.
var confSchema = sync.OnceValues(func() (*ovsdb.DatabaseSchema, error) {
	s, err := ovsdb.ParseSchema(schema.OpenVSwitch().JSON())
	if err != nil {
		return nil, fmt.Errorf("schema of Open_vSwitch: %w", err)
	}
	return s, nil
})

// daemon is who writes what ovs-vswitchd writes, so that the reactor knows its
// own commits.
const daemon = ovsdb.OwnerNorthd

// confDB is the Open_vSwitch database of a chassis, in memory.
type confDB struct {
	store  *ovsdb.Store
	schema *ovsdb.DatabaseSchema
	root   *ovsdb.TableSchema
	bridge *ovsdb.TableSchema
	port   *ovsdb.TableSchema
	iface  *ovsdb.TableSchema
	rootID ovsdb.UUID
}

// openConf makes the database with its one row.
func openConf(ctx context.Context, externalIDs map[string]string, log *slog.Logger) (*confDB, error) {
	s, err := confSchema()
	if err != nil {
		return nil, err
	}
	d := &confDB{schema: s, root: s.Table("Open_vSwitch"), bridge: s.Table("Bridge"), port: s.Table("Port"), iface: s.Table("Interface")}
	if d.store, err = ovsdb.Open(ctx, ovsdb.NewMemoryEngine(), []ovsdb.Database{{Schema: s}}, ovsdb.Options{Logger: log, History: 16}); err != nil {
		return nil, fmt.Errorf("Open_vSwitch database: %w", err)
	}
	err = d.update(ctx, daemon, func(tx *ovsdb.Txn) {
		d.rootID = tx.Insert(d.root, ovsdb.UUID{}, map[string]ovsdb.Value{
			"external_ids":   externalIDs,
			"datapath_types": []string{"dummy", "netdev", "system"},
			"iface_types":    []string{"dummy", "geneve", "internal", "patch", "system", "tap"},
			"ovs_version":    "3.1.0", // whose behaviour it has
			"system_type":    "govn-sim",
		})
	})
	if err != nil {
		return nil, err
	}
	return d, nil
}

func (d *confDB) update(ctx context.Context, who ovsdb.Owner, fn func(*ovsdb.Txn)) error {
	_, err := d.store.Update(ctx, d.schema, who, func(tx *ovsdb.Txn) error {
		fn(tx)
		return tx.Err()
	})
	if err != nil {
		return fmt.Errorf("Open_vSwitch database: %w", err)
	}
	return nil
}

// byName finds a row by the name column, which is unique in all three tables.
func (d *confDB) byName(tx *ovsdb.Txn, t *ovsdb.TableSchema, name string) *ovsdb.Row {
	return tx.Lookup(t, 0, name)
}

// addPort adds an interface with a port of its own to a bridge.
func (d *confDB) addPort(ctx context.Context, bridge, name string, columns map[string]ovsdb.Value, vlan int) error {
	missing := false
	err := d.update(ctx, ovsdb.OwnerClient, func(tx *ovsdb.Txn) {
		br := d.byName(tx, d.bridge, bridge)
		if br == nil {
			missing = true
			return
		}
		row := map[string]ovsdb.Value{"name": name}
		for k, v := range columns {
			row[k] = v
		}
		i := tx.Insert(d.iface, ovsdb.UUID{}, row)
		port := map[string]ovsdb.Value{"name": name, "interfaces": ovsdb.NewSet(i)}
		if vlan != 0 {
			port["tag"] = ovsdb.NewSet(int64(vlan))
		}
		p := tx.Insert(d.port, ovsdb.UUID{}, port)
		tx.AddToSet(d.bridge, br.UUID(), "ports", p)
		d.touch(tx)
	})
	if err == nil && missing {
		return fmt.Errorf("%w: bridge %q", ErrNotFound, bridge)
	}
	return err
}

// delPort removes a port from whatever bridge has it.
func (d *confDB) delPort(ctx context.Context, name string) error {
	missing := false
	err := d.update(ctx, ovsdb.OwnerClient, func(tx *ovsdb.Txn) {
		p := d.byName(tx, d.port, name)
		if p == nil {
			missing = true
			return
		}
		for br := range tx.Referrers(d.bridge.Column("ports"), p.UUID()) {
			tx.DelFromSet(d.bridge, br, "ports", p.UUID())
		}
		d.touch(tx)
	})
	if err == nil && missing {
		return fmt.Errorf("%w: port %q", ErrNotFound, name)
	}
	return err
}

// addBridge adds a bridge with its local port. An integration bridge forwards
// nothing by itself.
func (d *confDB) addBridge(ctx context.Context, name string) error {
	return d.update(ctx, ovsdb.OwnerClient, func(tx *ovsdb.Txn) {
		i := tx.Insert(d.iface, ovsdb.UUID{}, map[string]ovsdb.Value{"name": name, "type": "internal"})
		p := tx.Insert(d.port, ovsdb.UUID{}, map[string]ovsdb.Value{"name": name, "interfaces": ovsdb.NewSet(i)})
		row := map[string]ovsdb.Value{"name": name, "ports": ovsdb.NewSet(p)}
		if name == "br-int" {
			row["fail_mode"] = ovsdb.NewSet("secure")
		}
		br := tx.Insert(d.bridge, ovsdb.UUID{}, row)
		tx.AddToSet(d.root, d.rootID, "bridges", br)
		d.touch(tx)
	})
}

// touch raises next_cfg, as ovs-vsctl does with every change.
func (d *confDB) touch(tx *ovsdb.Txn) {
	tx.SetColumn(d.root, d.rootID, "next_cfg", tx.Row(d.root, d.rootID).Int(d.root.Column("next_cfg"))+1)
}

func (d *confDB) close() error { return d.store.Close() }
