package ovsdb

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha1"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"govn/pkg/eventually"
)

// nbScript makes a database with sets, maps, references and deletions.
var nbScript = []string{
	"init",
	"ls-add sw0 -- lsp-add sw0 vm1 -- lsp-set-addresses vm1 '02:00:00:00:00:01 10.0.0.1' '02:00:00:00:00:02 10.0.0.2'",
	"lsp-add sw0 vm2 -- lsp-add sw0 vm3 -- lsp-add sw0 vm4 -- set Logical_Switch sw0 other_config:a=1 other_config:b=2 other_config:c=3",
	"set Logical_Switch sw0 other_config:a=7 -- remove Logical_Switch sw0 other_config b -- lsp-del vm3 -- lsp-add sw0 vm5",
	"lr-add lr0 -- lrp-add lr0 lrp0 02:00:00:00:01:01 10.0.0.254/24 -- lr-nat-add lr0 snat 172.16.0.1 10.0.0.0/24",
	"acl-add sw0 to-lport 1000 'ip4 && \"quoted\\tü\"' allow -- ls-add sw1 -- ls-add sw2",
	"ls-del sw1 -- set Logical_Switch_Port vm2 tag=7 up=true enabled=false",
	"clear Logical_Switch_Port vm2 tag",
	"remove Logical_Switch_Port vm1 addresses '\"02:00:00:00:00:01 10.0.0.1\"' -- lsp-set-enabled vm2 enabled",
}

func runNB(t testing.TB, sock string, lines ...string) {
	t.Helper()
	for _, line := range lines {
		command(t, "sh", "-c", "ovn-nbctl --no-leader-only --db=unix:"+sock+" "+line)
	}
}

// selected reads a database through a server.
func selected(t testing.TB, sock string, d *DatabaseSchema) *Contents {
	t.Helper()
	c, err := ParseSelected(d, []byte(dial(t, sock).result("transact", string(SelectAll(d)))))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func readFile(t testing.TB, path string) *Contents {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	c, err := ReadFile(f)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return c
}

// sameContents compares rows of two schemas that have the same tables.
func sameContents(t testing.TB, what string, got, want *Contents) {
	t.Helper()
	converted, lost, err := got.Convert(want.Schema)
	if err != nil || len(lost) > 0 {
		t.Fatalf("%s: lost %v, %v", what, lost, err)
	}
	if !converted.Equal(want) {
		t.Errorf("%s: %d rows differ from %d rows", what, got.Len(), want.Len())
	}
}

// TestReadStockFile: what ovsdb-server has written, transaction by transaction,
// is what it serves.
func TestReadStockFile(t *testing.T) {
	sock := stockServer(t, "/usr/share/ovn/ovn-nb.ovsschema")
	runNB(t, sock, nbScript...)
	file := filepath.Join(filepath.Dir(sock), "0.db")
	b, err := os.ReadFile(file)
	if err != nil || !bytes.Contains(b, []byte("_is_diff")) {
		t.Fatal("the file has no differences", err)
	}
	d := ovnSchema(t, "ovn-nb")
	want := selected(t, sock, d)
	sameContents(t, "its log", readFile(t, file), want)

	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	w.Write(b)
	w.Close()
	c, err := ReadFile(&z)
	if err != nil {
		t.Fatal(err)
	}
	sameContents(t, "gzipped", c, want)

	clustered := filepath.Join(filepath.Dir(sock), "clustered")
	command(t, "ovsdb-tool", "create-cluster", clustered, file, "tcp:127.0.0.1:6644")
	f, err := os.Open(clustered)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := ReadFile(f); !errors.Is(err, ErrClustered) {
		t.Errorf("a clustered file: %v", err)
	}
	standalone := filepath.Join(filepath.Dir(sock), "standalone")
	command(t, "ovsdb-tool", "cluster-to-standalone", standalone, clustered)
	sameContents(t, "converted from a cluster", readFile(t, standalone), want)
}

// TestStockReadsBackup: ovsdb-tool and ovsdb-server take what we write.
func TestStockReadsBackup(t *testing.T) {
	s := ovnStore(t)
	runNB(t, serve(t, s, ServerOptions{}), nbScript...)
	d := s.dbs[0].Schema
	c := s.Snapshot().Contents(d)
	dir := t.TempDir()
	file := filepath.Join(dir, "backup")
	var b, again bytes.Buffer
	date := time.UnixMilli(1_700_000_000_123)
	for _, w := range []*bytes.Buffer{&b, &again} {
		if err := c.WriteFile(w, "made by a test", date); err != nil {
			t.Fatal(err)
		}
	}
	if b.String() != again.String() {
		t.Error("two backups of the same contents differ")
	}
	if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	sameContents(t, "read again", readFile(t, file), c)
	for args, want := range map[string]string{
		"db-name": "OVN_Northbound", "db-version": d.Version, "db-cksum": d.Cksum, "db-is-standalone": "",
		"show-log": "made by a test",
	} {
		if out := command(t, "ovsdb-tool", args, file); !strings.Contains(out, want) {
			t.Errorf("ovsdb-tool %s: %s", args, out)
		}
	}
	sock := filepath.Join(dir, "sock")
	cmd := exec.Command("ovsdb-server", "--remote=punix:"+sock, "--unixctl="+filepath.Join(dir, "ctl"), "--log-file="+filepath.Join(dir, "log"), "-vconsole:off", file)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { cmd.Process.Kill(); cmd.Wait() }()
	eventually.That(t, "ovsdb-server serves the backup", func() bool { return accepts(sock) })
	sameContents(t, "served by ovsdb-server", selected(t, sock, d), c)
}

// accepts tells whether somebody listens on a unix socket: its file is there
// before.
func accepts(sock string) bool {
	c, err := net.Dial("unix", sock)
	if err != nil {
		return false
	}
	return c.Close() == nil
}

// TestStockBackupAndRestore: ovsdb-client backup and restore work on our server.
func TestStockBackupAndRestore(t *testing.T) {
	from := ovnStore(t)
	sock := serve(t, from, ServerOptions{})
	runNB(t, sock, nbScript...)
	dir := t.TempDir()
	file := filepath.Join(dir, "backup")
	command(t, "sh", "-c", "ovsdb-client backup unix:"+sock+" OVN_Northbound > "+file)
	d := from.dbs[0].Schema
	sameContents(t, "its backup", readFile(t, file), from.Snapshot().Contents(d))

	to := ovnStore(t)
	target := serve(t, to, ServerOptions{})
	runNB(t, target, "ls-add old -- lsp-add old oldport")
	command(t, "sh", "-c", "ovsdb-client restore unix:"+target+" OVN_Northbound < "+file)
	dump := func(sock string) string {
		return anonymous(command(t, "ovsdb-client", "dump", "unix:"+sock, "OVN_Northbound"))
	}
	if got, want := dump(target), dump(sock); got != want {
		t.Errorf("restored\n%s\nnot\n%s", got, want)
	}
	// And ours, which keeps the UUIDs.
	var ours bytes.Buffer
	if err := from.Snapshot().Contents(d).WriteFile(&ours, "", time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, ours.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	runNB(t, target, "ls-add other -- lsp-del vm2")
	command(t, "sh", "-c", "ovsdb-client restore unix:"+target+" OVN_Northbound < "+file)
	if got, want := dump(target), dump(sock); got != want {
		t.Errorf("ours restored\n%s\nnot\n%s", got, want)
	}
}

// TestRestore: a server's database becomes that of a backup, UUIDs included, in
// one transaction; not if it has changed since it was read.
func TestRestore(t *testing.T) {
	for _, kind := range []string{"ours", "stock"} {
		t.Run(kind, func(t *testing.T) {
			var sock string
			if kind == "ours" {
				sock = serve(t, ovnStore(t), ServerOptions{})
			} else {
				sock = stockServer(t, "/usr/share/ovn/ovn-nb.ovsschema")
			}
			d := ovnSchema(t, "ovn-nb")
			runNB(t, sock, nbScript...)
			want := selected(t, sock, d)
			runNB(t, sock, "ls-del sw2 -- lsp-del vm4 -- ls-add sw9 -- lsp-add sw9 vm9 -- set Logical_Switch sw0 other_config:x=y -- lsp-set-addresses vm1 unknown")
			old := selected(t, sock, d)
			runNB(t, sock, "ls-add late")
			c := dial(t, sock)
			if out := c.result("transact", string(want.Restore(old))); !strings.Contains(out, "timed out") {
				t.Errorf("restored over a row that was not read: %.300s", out)
			}
			if out := c.result("transact", string(want.Restore(selected(t, sock, d)))); strings.Contains(out, `"error"`) {
				t.Errorf("not restored: %s", out)
			}
			if !selected(t, sock, d).Equal(want) {
				t.Error("the database is not that of the backup")
			}
		})
	}
}

// TestReplace: offline, a transaction of the store does the same.
func TestReplace(t *testing.T) {
	s := ovnStore(t)
	sock := serve(t, s, ServerOptions{})
	d := s.dbs[0].Schema
	runNB(t, sock, nbScript...)
	want := s.Snapshot().Contents(d)
	runNB(t, sock, "ls-del sw2 -- lsp-del vm4 -- ls-add sw9 -- lsp-add sw9 vm9 -- set Logical_Switch sw0 other_config:x=y")
	sub := s.Snapshot().Revision()
	update(t, s, d, func(tx *Txn) { tx.Replace(want) })
	if !s.Snapshot().Contents(d).Equal(want) || s.Snapshot().Revision() != sub+1 {
		t.Error("the database is not that of the backup")
	}
	if rev := update(t, s, d, func(tx *Txn) { tx.Replace(want) }); rev != sub+1 {
		t.Error("a transaction that changes nothing has a revision")
	}
	if _, err := s.Update(context.Background(), d, OwnerNorthd, func(tx *Txn) error {
		tx.Replace(NewContents(s.dbs[1].Schema))
		return nil
	}); err == nil {
		t.Error("contents of another database are taken")
	}
}

// TestConvertContents: tables and columns without a place are named.
func TestConvertContents(t *testing.T) {
	from, err := ParseSchema([]byte(`{"name":"D","version":"1.0.0","tables":{
		"T":{"columns":{"name":{"type":"string"},"one":{"type":"string"},"opt":{"type":{"key":"integer","min":0,"max":1}},"gone":{"type":"string"}}},
		"Old":{"columns":{"x":{"type":"string"}}},"Empty":{"columns":{"x":{"type":"string"}}}}}`))
	if err != nil {
		t.Fatal(err)
	}
	to, err := ParseSchema([]byte(`{"name":"D","version":"2.0.0","tables":{
		"T":{"columns":{"name":{"type":"string"},"one":{"type":{"key":"string","min":0,"max":"unlimited"}},"opt":{"type":"integer"},"new":{"type":"boolean"}}}}}`))
	if err != nil {
		t.Fatal(err)
	}
	c := NewContents(from)
	add := func(table string, values map[string]Value) {
		t := from.Table(table)
		r := NewVirtualRow(t, NewUUID(), values)
		c.rows[t.id][r.uuid] = r
	}
	add("T", map[string]Value{"name": "a", "one": "b", "opt": NewSet(int64(7)), "gone": "x"})
	add("Old", map[string]Value{"x": "y"})
	out, lost, err := c.Convert(to)
	if err != nil || fmt.Sprint(lost) != "[Old T.gone]" {
		t.Fatalf("lost %v, %v", lost, err)
	}
	for r := range out.Rows(to.Table("T")) {
		if got := string(out.RowJSON(r)); got != `{"name":"a","one":"b","opt":7}` {
			t.Error(got)
		}
	}
	add("T", map[string]Value{"opt": NewSet()})
	if _, _, err := c.Convert(to); err != nil {
		t.Error("a default that does not fit:", err)
	}
}

// fileOf makes a file of records.
func fileOf(records ...string) string {
	var b strings.Builder
	for _, r := range records {
		fmt.Fprintf(&b, "OVSDB JSON %d %x\n%s\n", len(r)+1, sha1.Sum([]byte(r+"\n")), r)
	}
	return b.String()
}

const fileSchema = `{"name":"D","version":"1.0.0","tables":{"T":{"columns":{"s":{"type":{"key":"string","min":0,"max":"unlimited"}},"m":{"type":{"key":"string","value":"string","min":0,"max":"unlimited"}},"o":{"type":{"key":"integer","min":0,"max":1}}}}}}`

const fileRow = "00000000-0000-4000-8000-000000000001"

// TestFileDamage: a file that was cut off or has other bytes is refused, with
// record and offset, or has all its contents.
func TestFileDamage(t *testing.T) {
	file := fileOf(fileSchema,
		`{"_date":1,"T":{"`+fileRow+`":{"s":["set",["a","b"]],"o":5}}}`,
		`{"_date":2,"_is_diff":true,"T":{"`+fileRow+`":{"s":["set",["b","c"]],"m":["map",[["k","v"]]],"o":["set",[]]}}}`)
	want, err := ReadFile(strings.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	for r := range want.Rows(want.Schema.Table("T")) {
		if got := string(want.RowJSON(r)); got != `{"m":["map",[["k","v"]]],"s":["set",["a","c"]]}` {
			t.Error(got)
		}
	}
	records := map[int]bool{}
	for at := 0; at < len(file); at = strings.Index(file[at+1:], "\nOVSDB") + at + 2 {
		records[at] = true
		if !strings.Contains(file[at+1:], "\nOVSDB") {
			break
		}
	}
	for at := range len(file) {
		c, err := ReadFile(strings.NewReader(file[:at]))
		switch {
		case err == nil && !records[at]: // whole records are a whole, older file
			t.Errorf("cut off at %d: %d rows", at, c.Len())
		case err != nil && (!errors.Is(err, ErrCorrupt) || at > 0 && !strings.Contains(err.Error(), "record ")):
			t.Errorf("cut off at %d: %v", at, err)
		}
	}
	rng := rand.New(rand.NewPCG(3, 4))
	for range 2000 {
		b := []byte(file)
		at, bit := rng.IntN(len(b)), rng.IntN(8)
		b[at] ^= 1 << bit
		c, err := ReadFile(bytes.NewReader(b))
		if err == nil && (c.Len() != 1 || !bytes.Equal(c.Schema.JSON(), want.Schema.JSON())) || err != nil && !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrClustered) {
			t.Errorf("bit %d of byte %d: %v", bit, at, err)
		}
	}
	for name, text := range map[string]string{
		"nothing":         "",
		"text":            "hello\n",
		"a directory":     "OVSDB JSON 1000000000000 " + strings.Repeat("0", 40) + "\n",
		"no length":       "OVSDB JSON -1 " + strings.Repeat("0", 40) + "\n",
		"no schema":       fileOf(`{"_date":1}`),
		"unknown table":   fileOf(fileSchema, `{"U":{}}`),
		"unknown column":  fileOf(fileSchema, `{"T":{"`+fileRow+`":{"x":1}}}`),
		"no UUID":         fileOf(fileSchema, `{"T":{"x":{}}}`),
		"a deleted row":   fileOf(fileSchema, `{"T":{"`+fileRow+`":null}}`),
		"a wrong type":    fileOf(fileSchema, `{"T":{"`+fileRow+`":{"o":"x"}}}`),
		"a row as number": fileOf(fileSchema, `{"T":{"`+fileRow+`":3}}`),
		"half a gzip":     "\x1f\x8b\x08",
	} {
		if _, err := ReadFile(strings.NewReader(text)); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzReadFile(f *testing.F) {
	f.Add(fileSchema, `{"T":{"`+fileRow+`":{"s":["set",["a","b"]],"o":5}}}`, `{"_is_diff":true,"T":{"`+fileRow+`":{"s":"a","m":["map",[["k","v"]]]}}}`)
	f.Add(fileSchema, `{"T":{"`+fileRow+`":{}}}`, `{"T":{"`+fileRow+`":null}}`)
	f.Fuzz(func(t *testing.T, schema, first, second string) {
		c, err := ReadFile(strings.NewReader(fileOf(schema, first, second)))
		if err != nil {
			return
		}
		var b bytes.Buffer
		if err := c.WriteFile(&b, first, time.UnixMilli(1)); err != nil {
			t.Fatal(err)
		}
		again, err := ReadFile(&b)
		if err != nil {
			t.Fatal("what was written is not read: ", err)
		}
		if converted, lost, err := again.Convert(c.Schema); err != nil || len(lost) > 0 || !converted.Equal(c) {
			t.Fatal("other contents: ", lost, err)
		}
	})
}

// TestWriteText: a table is printed as ovsdb-client dump prints it.
func TestWriteText(t *testing.T) {
	s := ovnStore(t)
	sock := serve(t, s, ServerOptions{})
	runNB(t, sock, nbScript...)
	runNB(t, sock, "set Logical_Switch sw0 other_config:x='\"a b\"' external_ids:true=false -- ls-add 10 -- lsp-add sw0 'pé'")
	d := s.dbs[0].Schema
	c := s.Snapshot().Contents(d)
	sorted := func(s string) string { return anonymous(s) }
	for _, table := range d.tables {
		var b strings.Builder
		if err := c.WriteText(&b, table); err != nil {
			t.Fatal(err)
		}
		if want := command(t, "ovsdb-client", "dump", "unix:"+sock, d.Name, table.Name); sorted(b.String()) != sorted(want) {
			t.Errorf("got\n%s\nwant\n%s", b.String(), want)
		}
	}
}

// TestUnlisted: a store does not open a log that has rows of a database which
// is not asked for, because it would lose them.
func TestUnlisted(t *testing.T) {
	d := testSchema(t)
	path := filepath.Join(t.TempDir(), "db")
	nb := ovnSchema(t, "ovn-nb")
	open := func(dbs ...Database) (*Store, error) {
		e, err := OpenBolt(path, BoltOptions{NoSync: true})
		if err != nil {
			t.Fatal(err)
		}
		return Open(context.Background(), e, dbs, Options{Logger: quiet()})
	}
	s, err := open(Database{Schema: d}, Database{Schema: nb})
	if err != nil {
		t.Fatal(err)
	}
	update(t, s, d, func(tx *Txn) { tx.Insert(d.Table("Switch"), UUID{}, nil) })
	for range 2 { // in the log, and in the snapshot
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := open(Database{Schema: nb}); !errors.Is(err, ErrUnlisted) || errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), `"Test"`) {
			t.Errorf("without it: %v", err)
		}
		if s, err = open(Database{Schema: d}); err != nil {
			t.Fatal(err)
		}
		if err := s.Compact(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestReadOnly: an engine that is open for reading writes nothing.
func TestReadOnly(t *testing.T) {
	d := testSchema(t)
	file, want := damageFile(t, d)
	path := filepath.Join(t.TempDir(), "db")
	if err := os.WriteFile(path, file, 0o400); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		e, err := OpenBolt(path, BoltOptions{ReadOnly: true})
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close() // two readers at a time
		s, err := Open(context.Background(), e, []Database{{Schema: d}}, Options{Logger: quiet()})
		if err != nil || dumpOf(s.Snapshot(), d) != want {
			t.Fatal("other contents", err)
		}
		if err := s.Compact(context.Background()); err == nil {
			t.Error("compacted")
		}
		rev, err := s.Update(context.Background(), d, OwnerNorthd, func(tx *Txn) error {
			tx.Insert(d.Table("Flow"), UUID{}, nil)
			return nil
		})
		if err == nil {
			err = s.WaitDurable(context.Background(), rev)
		}
		if err == nil {
			t.Error("a transaction was stored")
		}
		if b, err := os.ReadFile(path); err != nil || string(b) != string(file) {
			t.Error("the file was changed", err)
		}
		defer s.Close()
	}
}

// TestAsStored: a tool reads a database with the schema that it was stored with,
// and writes nothing for that.
func TestAsStored(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	open := func(schema string, ro bool, o Options) (*Store, *DatabaseSchema, error) {
		t.Helper()
		d, err := ParseSchema([]byte(schema))
		if err != nil {
			t.Fatal(err)
		}
		e, err := OpenBolt(path, BoltOptions{ReadOnly: ro})
		if err != nil {
			t.Fatal(err)
		}
		o.Logger = quiet()
		s, err := Open(context.Background(), e, []Database{{Schema: d, AnySchema: true}}, o)
		return s, d, err
	}
	s, d, err := open(testSchemaJSON, false, Options{})
	if err != nil {
		t.Fatal(err)
	}
	update(t, s, d, func(tx *Txn) { tx.Insert(d.Table("Switch"), UUID{}, map[string]Value{"name": "a"}) })
	if err := errors.Join(s.Compact(context.Background()), s.Close()); err != nil {
		t.Fatal(err)
	}
	later := laterSchema(t)
	if _, _, err := open(later, true, Options{}); err == nil {
		t.Error("a conversion was stored in a file that is open for reading only")
	}
	s, d, err = open(later, true, Options{AsStored: true})
	if err != nil {
		t.Fatal(err)
	}
	if c := s.Snapshot().Contents(d); c.Schema.Version != "1.0.0" || s.Schema(d) != c.Schema || c.Len() != 1 {
		t.Errorf("version %s, %d rows", c.Schema.Version, c.Len())
	}
	if err := errors.Join(s.Check(), s.Close()); err != nil {
		t.Error(err)
	}
	s, d, err = open(later, false, Options{AsStored: true})
	if err != nil {
		t.Fatal(err)
	}
	c := s.Snapshot().Contents(d)
	extra := NewVirtualRow(c.Schema.Table("Switch"), NewUUID(), map[string]Value{"name": "b"})
	c.rows[extra.table.id][extra.uuid] = extra
	update(t, s, d, func(tx *Txn) { tx.Replace(c) })
	if got := s.Snapshot().Contents(d); got.Len() != 2 || !got.Equal(c) {
		t.Errorf("%d rows after the restore", got.Len())
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
