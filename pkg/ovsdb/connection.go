package ovsdb

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"govn/pkg/certs"
)

// columnRef is "db:DATABASE,TABLE,COLUMN", which stands for what is in a column
// (ovsdb-server(1)): remotes, or the name of a file.
type columnRef struct{ db, table, column string }

// parseColumnRef reads one; ok is false where there is no "db:".
func parseColumnRef(s string) (ref columnRef, ok bool, err error) {
	rest, ok := strings.CutPrefix(s, "db:")
	if !ok {
		return ref, false, nil
	}
	parts := strings.Split(rest, ",")
	if len(parts) != 3 || slices.Contains(parts, "") {
		return ref, true, fmt.Errorf("%w %q: db:DATABASE,TABLE,COLUMN is expected", ErrAddress, s)
	}
	return columnRef{parts[0], parts[1], parts[2]}, true, nil
}

// find looks the column up; an error says what is not there.
func (ref columnRef) find(sn *Snapshot) (*ColumnSchema, error) {
	for _, d := range sn.dbs {
		if d.schema.Name != ref.db {
			continue
		}
		t := d.schema.Tables[ref.table]
		if t == nil {
			return nil, fmt.Errorf("database %q has no table %q", ref.db, ref.table)
		}
		c := t.lookup(ref.column)
		if c == nil || c.Index < 0 {
			return nil, fmt.Errorf("table %q of database %q has no column %q", ref.table, ref.db, ref.column)
		}
		return c, nil
	}
	return nil, fmt.Errorf("there is no database %q", ref.db)
}

// atoms yields the elements of a column that is a scalar or a set.
func atoms(r *Row, c *ColumnSchema) []Atom {
	switch v := r.Get(c).(type) {
	case Set:
		return slices.Collect(v.All())
	case Map:
		return nil
	default:
		return []Atom{v}
	}
}

// firstString is the first string in a column that is not empty, as a file name
// is taken from the database (ovsdb-server(1), --private-key).
func (ref columnRef) firstString(sn *Snapshot) (string, error) {
	c, err := ref.find(sn)
	if err != nil {
		return "", err
	}
	for r := range sn.Rows(c.Table) {
		for _, a := range atoms(r, c) {
			if s, ok := a.(string); ok && s != "" {
				return s, nil
			}
		}
	}
	return "", nil
}

// connectionRow is a remote that the database asks for.
type connectionRow struct {
	target  string
	options remoteOptions
	row     *Row // of the Connection table; nil where the column has plain strings
}

// connections reads the remotes of a column: strings, or references to rows with
// a target. Rows come in the order of targets, then of UUIDs.
func (ref columnRef) connections(sn *Snapshot, defaults func(Address) remoteOptions) ([]connectionRow, error) {
	c, err := ref.find(sn)
	if err != nil {
		return nil, err
	}
	target := c.Type.Key.Target
	if c.Type.IsMap() || c.Type.Key.Type != TypeString && target == nil {
		return nil, fmt.Errorf("column %s has neither strings nor references", c)
	}
	var rows []connectionRow
	for r := range sn.Rows(c.Table) {
		for _, a := range atoms(r, c) {
			if s, ok := a.(string); ok {
				addr, _ := ParseAddress(s) // opening it says what is wrong
				rows = append(rows, connectionRow{target: s, options: defaults(addr)})
			}
			if u, ok := a.(UUID); ok {
				if row := sn.Row(target, u); row != nil && optional[string](row, "target") != "" {
					rows = append(rows, readConnection(row, defaults))
				}
			}
		}
	}
	slices.SortStableFunc(rows, func(a, b connectionRow) int { return cmp.Compare(a.target, b.target) })
	return rows, nil
}

// readConnection reads a row of a Connection table, whose columns but for target
// may be missing.
func readConnection(row *Row, defaults func(Address) remoteOptions) connectionRow {
	c := connectionRow{target: optional[string](row, "target"), row: row}
	addr, _ := ParseAddress(c.target)
	c.options = defaults(addr)
	if ms, ok := lookup[int64](row, "max_backoff"); ok {
		c.options.maxBackoff = max(leastBackoff, milliseconds(ms))
	}
	if ms, ok := lookup[int64](row, "inactivity_probe"); ok {
		if c.options.probe = milliseconds(ms); c.options.probe > 0 {
			c.options.probe = max(leastProbe, c.options.probe)
		}
	}
	c.options.readOnly = optional[bool](row, "read_only")
	c.options.role = optional[string](row, "role")
	c.options.dscp = defaultDSCP
	if col := row.table.lookup("other_config"); col != nil && col.Type.IsMap() {
		if n, err := strconv.Atoi(row.Map(col).Str("dscp")); err == nil && n >= 0 && n <= 63 {
			c.options.dscp = n
		}
	}
	return c
}

// defaultDSCP is that of Connection rows: class selector 6, network control.
const defaultDSCP = 48

func milliseconds(ms int64) time.Duration {
	return time.Duration(min(max(ms, 0), int64(24*time.Hour/time.Millisecond))) * time.Millisecond
}

// lookup is the value of a column, if there is such a column and it has one.
func lookup[T Atom](row *Row, name string) (v T, ok bool) {
	c := row.table.lookup(name)
	if c == nil || c.Type.IsMap() {
		return v, false
	}
	for _, a := range atoms(row, c) {
		if v, ok = a.(T); ok {
			return v, true
		}
	}
	return v, false
}

// optional is lookup with the zero value for what is not there.
func optional[T Atom](row *Row, name string) T {
	v, _ := lookup[T](row, name)
	return v
}

// keyFiles resolves names of files that are in the database.
func keyFiles(sn *Snapshot, f certs.Files) (certs.Files, error) {
	var failed error
	for _, name := range []*string{&f.PrivateKey, &f.Certificate, &f.CACert, &f.PeerCACert, &f.Protocols, &f.Ciphers} {
		ref, ok, err := parseColumnRef(*name)
		if ok && err == nil {
			if *name, err = ref.firstString(sn); ref.column == "ca_cert" && *name != "" {
				f.BootstrapCA = f.BootstrapCA || bootstraps(sn, ref)
			}
		}
		if err != nil {
			failed = err
		}
	}
	return f, failed
}

// bootstraps tells whether the SSL row has bootstrap_ca_cert.
func bootstraps(sn *Snapshot, ref columnRef) bool {
	c, err := ref.find(sn)
	if err != nil {
		return false
	}
	for r := range sn.Rows(c.Table) {
		if optional[string](r, ref.column) != "" {
			return optional[bool](r, "bootstrap_ca_cert")
		}
	}
	return false
}

// KeysFrom are the names that ovn-ctl gives ovsdb-server where no files are given
// by flags: the SSL table of a database.
func KeysFrom(db string) certs.Files {
	column := func(name string) string { return "db:" + db + ",SSL," + name }
	return certs.Files{
		PrivateKey: column("private_key"), Certificate: column("certificate"), CACert: column("ca_cert"),
		Protocols: column("ssl_protocols"), Ciphers: column("ssl_ciphers"),
	}
}
