package ovsdb

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// snapshotText is all that a store holds, versions of rows included.
func snapshotText(sn *Snapshot) string {
	var b bytes.Buffer
	for _, db := range sn.dbs {
		if db.schema.Name == "_Server" {
			continue
		}
		fmt.Fprintf(&b, "%s %s\n", db.schema.Name, db.schema.Version)
		for _, t := range db.schema.tables {
			for r := range sn.Rows(t) {
				fmt.Fprintln(&b, r.rev, r)
			}
		}
	}
	return b.String()
}

func reopen(t *testing.T, e Engine, schema string, change ...func(*Database)) (*Store, error) {
	t.Helper()
	d, err := ParseSchema([]byte(schema))
	if err != nil {
		t.Fatal(err)
	}
	db := Database{Schema: d}
	for _, f := range change {
		f(&db)
	}
	return Open(t.Context(), e, []Database{db}, Options{Logger: quiet()})
}

// TestConvertSurvivesRestart: the log and the snapshot know the schema.
func TestConvertSurvivesRestart(t *testing.T) {
	less := editSchema(t, func(m map[string]any) { column(m, "Switch", "ports", ""); delete(m, "Needy") }, "1.5.0")
	for _, name := range []string{"log", "snapshot"} {
		t.Run(name, func(t *testing.T) {
			e := NewMemoryEngine()
			s, err := reopen(t, e, testSchemaJSON, anySchema)
			if err != nil {
				t.Fatal(err)
			}
			c := dial(t, serve(t, s, ServerOptions{}))
			c.result("set_db_change_aware", "[true]")
			c.result("transact", fillForConvert)
			for _, schema := range []string{laterSchema(t), testSchemaJSON, less, laterSchema(t)} {
				c.result("convert", `["Test",`+schema+`]`)
				c.result("transact", `["Test",{"op":"insert","table":"Flow","row":{"match":"after"}},{"op":"update","table":"Switch","where":[],"row":{"options":["map",[["x","y"]]]}}]`)
			}
			if name == "snapshot" {
				if err := s.Compact(t.Context()); err != nil {
					t.Fatal(err)
				}
				c.result("transact", `["Test",{"op":"insert","table":"Added","row":{"a":"late"}}]`)
			}
			want, wantID := snapshotText(s.Snapshot()), s.Snapshot().TxnID()
			c.conn.Close()
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			again, err := reopen(t, e, testSchemaJSON, anySchema)
			if err != nil {
				t.Fatal(err)
			}
			defer again.Close()
			if got := snapshotText(again.Snapshot()); got != want || again.Snapshot().TxnID() != wantID {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
			if err := again.Snapshot().dbs[0].check(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestUpgradeOnStart: a program with a later schema finds its rows converted; a
// stored schema that is later stays if it has what the program needs.
func TestUpgradeOnStart(t *testing.T) {
	old := editSchema(t, func(m map[string]any) {
		column(m, "Port", "weight", `{"type":"integer"}`)
		column(m, "Port", "gone", `{"type":"string"}`)
		column(m, "Switch", "main", "")
	}, "0.9.0")
	path := filepath.Join(t.TempDir(), "db")
	open := func(schema string, change ...func(*Database)) (*Store, error) {
		t.Helper()
		e, err := OpenBolt(path, BoltOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return reopen(t, e, schema, change...)
	}
	session := func(schema string, requests ...string) (answers []string, version string) {
		t.Helper()
		s, err := open(schema)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		sock := serve(t, s, ServerOptions{})
		c := dial(t, sock)
		c.result("set_db_change_aware", "[true]")
		for _, r := range requests {
			method := "transact"
			if strings.HasPrefix(r, `["Test",{"cksum"`) {
				method = "convert"
			}
			answers = append(answers, c.result(method, r))
		}
		c.conn.Close()
		version = s.Schema(s.dbs[0].Schema).Version
		return answers, version
	}
	file := func() (all string) {
		t.Helper()
		e, err := OpenBolt(path, BoltOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		if err := e.Load(t.Context(), func(_ uint64, data []byte) error {
			all += string(data)
			return nil
		}, func(en Entry) error {
			all += fmt.Sprintf("%d %s", en.Revision, en.Data)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		return all
	}
	session(old, `["Test",{"op":"insert","table":"Port","uuid-name":"p","row":{"name":"p","weight":4,"gone":"x"}},{"op":"insert","table":"Switch","row":{"name":"s","ports":["named-uuid","p"]}}]`)
	ports := `["Test",{"op":"select","table":"Port","where":[],"columns":["name","weight"]},{"op":"select","table":"Switch","where":[],"columns":["main"]}]`
	got, version := session(testSchemaJSON, ports)
	if got[0] != `[{"rows":[{"name":"p","weight":4}]},{"rows":[{"main":["set",[]]}]}]` && got[0] != `[{"rows":[{"name":"p","weight":4.0}]},{"rows":[{"main":["set",[]]}]}]` || version != "1.0.0" {
		t.Errorf("upgraded: %s, version %s", got, version)
	}
	// Once more is no conversion.
	session(testSchemaJSON, ports)
	if s, err := open(testSchemaJSON); err != nil {
		t.Fatal(err)
	} else if n := s.Snapshot().Revision(); n != 2 {
		t.Errorf("revision %d", n)
	} else if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	// A conversion that fails names what it fails of and leaves all as it was.
	enum := editSchema(t, func(m map[string]any) {
		column(m, "Port", "name", `{"type":{"key":{"type":"string","enum":["set",["q"]]}}}`)
	}, "1.1.0")
	before := file()
	_, err := open(enum)
	if err == nil || !strings.Contains(err.Error(), `p is not one of the allowed values ([q]) (column "name" of table "Port", row `) || !strings.Contains(err.Error(), `database "Test" cannot be converted from schema 1.0.0 to 1.1.0`) {
		t.Error(err)
	}
	if file() != before {
		t.Error("the file was written")
	}
	// A client converts to a later schema, which stays when the program is older.
	if _, version = session(testSchemaJSON, `["Test",`+laterSchema(t)+`]`, `["Test",{"op":"update","table":"Port","where":[],"row":{"alias":"kept"}}]`); version != "2.0.0" {
		t.Errorf("version %s", version)
	}
	got, version = session(testSchemaJSON, `["Test",{"op":"select","table":"Port","where":[],"columns":["alias"]}]`)
	if got[0] != `[{"rows":[{"alias":"kept"}]}]` || version != "2.0.0" {
		t.Errorf("kept: %s, version %s", got, version)
	}
	// One that has not what an older program needs is refused, and not touched.
	needs := editSchema(t, func(m map[string]any) { column(m, "Flow", "extra", `{"type":"string"}`) }, "1.9.0")
	before = file()
	if _, err := open(needs); !errors.Is(err, ErrSchema) || !strings.Contains(err.Error(), `newer than 1.9.0`) || !strings.Contains(err.Error(), `table "Flow": column "extra" is missing`) {
		t.Error(err)
	}
	if file() != before {
		t.Error("the file was written")
	}
}

// converterMain is the process that TestConvertKilled kills: it converts to and
// fro, and prints what was acknowledged.
func converterMain(dir string) {
	fail := func(err error) {
		if err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
	}
	d, err := ParseSchema([]byte(testSchemaJSON))
	fail(err)
	e, err := OpenBolt(filepath.Join(dir, "db"), BoltOptions{})
	fail(err)
	s, err := Open(context.Background(), e, []Database{{Schema: d, AnySchema: true}}, Options{CompactAt: 20_000, Logger: quiet()})
	fail(err)
	less := strings.Replace(strings.Replace(testSchemaJSON, `"weight":{"type":"real"},`, "", 1), `"1.0.0"`, `"1.0.1"`, 1)
	for i := 0; ; i++ {
		rev, err := s.Convert(context.Background(), d, []byte([]string{less, testSchemaJSON}[i%2]))
		fail(err)
		fail(s.WaitDurable(context.Background(), rev))
		fmt.Println("ack", rev, s.Schema(d).Version)
	}
}

// TestConvertKilled: after kill -9 during conversions the rows have the schema
// before or after one, all of them.
func TestConvertKilled(t *testing.T) {
	dir := t.TempDir()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	open := func() *Store {
		t.Helper()
		e, err := OpenBolt(filepath.Join(dir, "db"), BoltOptions{})
		if err != nil {
			t.Fatal(err)
		}
		s, err := reopen(t, e, testSchemaJSON, anySchema)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := open()
	fillSwitch(t, s, s.dbs[0].Schema, 500)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for round := range 4 {
		cmd := exec.Command(exe)
		cmd.Env = append(os.Environ(), "OVSDB_TEST_CONVERTER="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		var revision uint64
		var version string
		for n := 0; lines.Scan(); n++ {
			if _, err := fmt.Sscanf(lines.Text(), "ack %d %s", &revision, &version); err != nil {
				t.Fatal(lines.Text())
			}
			if n == 5+3*round {
				cmd.Process.Kill()
			}
		}
		cmd.Wait()
		s := open()
		sn := s.Snapshot()
		if sn.revision < revision || sn.revision == revision && sn.dbs[0].schema.Version != version {
			t.Errorf("revision %d, schema %s; acknowledged %d, %s", sn.revision, sn.dbs[0].schema.Version, revision, version)
		}
		port := sn.dbs[0].schema.Tables["Port"]
		_, weight := port.columns["weight"]
		if sn.Len(port) != 500 || weight != (sn.dbs[0].schema.Version == "1.0.0") {
			t.Errorf("%d ports, schema %s", sn.Len(port), sn.dbs[0].schema.Version)
		}
		for r := range sn.Rows(port) {
			if len(r.values) != len(port.Columns) {
				t.Fatalf("%v", r)
			}
		}
		if err := sn.dbs[0].check(); err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
