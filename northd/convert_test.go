package northd_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"govn/pkg/ovsdb"
)

// withMore is a schema with a table more, and a column more in each table, whose
// name comes before all others.
func withMore(t *testing.T, d *ovsdb.DatabaseSchema) []byte {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal(d.JSON(), &v); err != nil {
		t.Fatal(err)
	}
	tables := v["tables"].(map[string]any)
	for _, table := range tables {
		table.(map[string]any)["columns"].(map[string]any)["a_column"] = map[string]any{"type": "string"}
	}
	tables["A_Table"] = map[string]any{"isRoot": true, "columns": map[string]any{"a": map[string]any{"type": "integer"}}}
	v["version"] = "99.0.0"
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestConvertUnderNorthd: databases that get more columns and tables compile on as
// before, and as from scratch; what northd reads cannot be taken away.
func TestConvertUnderNorthd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	z := newZone(t, path)
	add := func(name string) {
		t.Helper()
		z.nb(t, func(tx *ovsdb.Txn) error {
			p := tx.Insert(z.columns.LSP.Table, ovsdb.UUID{}, map[string]ovsdb.Value{
				"name": "port-" + name, "addresses": []string{fmt.Sprintf("02:00:00:00:00:%02x 10.0.0.%d", len(name), len(name))},
			})
			tx.Insert(z.columns.LS.Table, ovsdb.UUID{}, map[string]ovsdb.Value{"name": name, "ports": ovsdb.NewSet(p)})
			return nil
		})
	}
	add("s")
	bodies, batches := len(z.fabric.bodies), z.fabric.batches
	for _, d := range []*ovsdb.DatabaseSchema{z.schemas.NB, z.schemas.SB} {
		if _, err := z.store.Convert(z.ctx, d, withMore(t, d)); err != nil {
			t.Fatal(err)
		}
		z.step(t)
	}
	if len(z.fabric.bodies) != bodies || z.fabric.batches != batches {
		t.Errorf("%d bodies became %d, with %d batches", bodies, len(z.fabric.bodies), z.fabric.batches-batches)
	}
	add("ss")
	if n := z.store.Snapshot().Len(z.columns.Datapath.Table); n != 2 {
		t.Errorf("%d datapaths", n)
	}
	if diff := difference(z.dump(), z.full(t, path)); diff != "" {
		t.Error(diff)
	}
	less := strings.Replace(string(withMore(t, z.schemas.NB)), `"addresses"`, `"adresses"`, 1)
	if _, err := z.store.Convert(z.ctx, z.schemas.NB, []byte(less)); !errors.Is(err, ovsdb.ErrSchema) || !strings.Contains(err.Error(), `column "addresses" is missing`) {
		t.Error(err)
	}
	// Back: what was added is gone, and nothing else.
	for _, d := range []*ovsdb.DatabaseSchema{z.schemas.NB, z.schemas.SB} {
		if _, err := z.store.Convert(z.ctx, d, d.JSON()); err != nil {
			t.Fatal(err)
		}
	}
	add("sss")
	if diff := difference(z.dump(), z.full(t, path)); diff != "" {
		t.Error(diff)
	}
}
