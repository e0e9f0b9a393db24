package ovsdb

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"testing"
)

// failOnPanic is a logger that fails the test for what is logged as an error, as
// a panic of a request is.
func failOnPanic(t *testing.T) *slog.Logger { return slog.New(failHandler{t}) }

type failHandler struct{ t *testing.T }

func (h failHandler) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelError }
func (h failHandler) Handle(_ context.Context, r slog.Record) error {
	text := r.Message
	r.Attrs(func(a slog.Attr) bool { text += " " + a.String(); return true })
	h.t.Error(text)
	return nil
}
func (h failHandler) WithAttrs([]slog.Attr) slog.Handler { return h }
func (h failHandler) WithGroup(string) slog.Handler      { return h }

// FuzzConvert converts a database to any schema: it fails and changes nothing, or
// the result is consistent and the log gives it back, to a program of either
// schema.
func FuzzConvert(f *testing.F) {
	f.Add(testSchemaJSON)
	f.Add(laterSchema(f))
	for _, edit := range []func(map[string]any){
		func(m map[string]any) { column(m, "Switch", "ports", ""); delete(m, "Needy") },
		func(m map[string]any) { column(m, "Port", "weight", `{"type":"string"}`) },
		func(m map[string]any) { column(m, "Port", "tag", `{"type":{"key":"real","min":0,"max":"unlimited"}}`) },
		func(m map[string]any) { delete(m["Switch"].(map[string]any), "isRoot") },
		func(m map[string]any) {
			column(m, "Switch", "main", `{"type":{"key":{"type":"uuid","refTable":"Port"},"min":0}}`)
		},
	} {
		f.Add(editSchema(f, edit, "1.0.1"))
	}
	schema := testSchema(f)
	first, err := parseJSON(fillForConvert, defaultJSONLimits)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, any := range []bool{true, false} {
			engine := NewMemoryEngine()
			s, err := Open(context.Background(), engine, []Database{{Schema: schema, AnySchema: any}}, Options{Logger: quiet()})
			if err != nil {
				t.Fatal(err)
			}
			if o := (&transaction{store: s, db: s.database(schema), ops: first.list[1:]}).run(0); o.blocked || strings.Contains(string(o.result), "error") {
				t.Fatalf("%s", o.result)
			}
			before := s.Snapshot()
			if _, err := s.Convert(context.Background(), schema, []byte(text)); err != nil && s.Snapshot() != before {
				t.Fatalf("%v, and something has changed", err)
			}
			sn := s.Snapshot()
			if err := sn.dbs[0].check(); err != nil {
				t.Fatal(err)
			}
			if !any { // the program's tables are there
				for _, table := range schema.tables {
					for r := range sn.Rows(table) {
						for _, c := range table.Columns {
							r.Get(c)
						}
					}
				}
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			again, err := Open(context.Background(), engine, []Database{{Schema: schema, AnySchema: any}}, Options{Logger: quiet()})
			if err != nil {
				if !any || !strings.Contains(err.Error(), "cannot be converted") {
					t.Fatal(err)
				}
				continue // back to the program's, which is later
			}
			if got := again.Snapshot(); got.dbs[0].schema.Version == sn.dbs[0].schema.Version && got.revision == sn.revision {
				for i, table := range sn.dbs[0].schema.tables {
					if !slices.EqualFunc(rowsOf(sn, table), rowsOf(got, got.dbs[0].schema.tables[i]), sameStored) {
						t.Fatalf("table %s is another after a restart", table.Name)
					}
				}
			}
			if err := again.Close(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func rowsOf(sn *Snapshot, t *TableSchema) []*Row { return slices.Collect(sn.Rows(t)) }

// sameStored compares rows of two stores, but for ephemeral columns.
func sameStored(a, b *Row) bool {
	for i, c := range a.table.Columns {
		if !c.Ephemeral && !ValuesEqual(a.values[i], b.values[i]) {
			return false
		}
	}
	return a.uuid == b.uuid && a.rev == b.rev
}

// FuzzSnapshot puts any bytes, with a right checksum, in the place of one part of
// a snapshot: it is refused, or what it says is there.
func FuzzSnapshot(f *testing.F) {
	schema := testSchema(f)
	e := &memoryEngine{}
	s, err := Open(context.Background(), e, []Database{{Schema: schema}}, Options{Logger: quiet()})
	if err != nil {
		f.Fatal(err)
	}
	fillSwitch(f, s, schema, 3)
	if err := s.Compact(context.Background()); err != nil {
		f.Fatal(err)
	}
	if err := s.Close(); err != nil {
		f.Fatal(err)
	}
	for i, p := range e.parts {
		f.Add(uint8(i), p[:len(p)-4])
	}
	f.Fuzz(func(t *testing.T, at uint8, body []byte) {
		damaged := &memoryEngine{revision: e.revision, parts: slices.Clone(e.parts)}
		damaged.parts[int(at)%len(damaged.parts)] = seal(slices.Clone(body))
		s, err := Open(context.Background(), damaged, []Database{{Schema: schema}}, Options{Logger: quiet()})
		if err == nil {
			for _, table := range s.dbs[0].now.Load().tables {
				for r := range s.Snapshot().Rows(table) {
					_ = r.String()
				}
			}
			s.Close()
		}
	})
}
