package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"govn/nbctl/idl"
	"govn/pkg/certs"
	"govn/pkg/ovsdb"
	"govn/schema"
)

func newDBCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "db",
		Short: "Work with database files",
	}
	c.AddCommand(
		newDBBackupCommand(),
		newDBRestoreCommand(),
		newDBImportCommand(),
		newDBCheckCommand(),
		newDBCompactCommand(),
		newDBDumpCommand(),
		newDBServeCommand(),
	)
	return group(c)
}

// dbSource is where a command finds the databases.
type dbSource struct {
	remote string
	keys   *certs.Loader // of remote
	file   string
	dbs    []ovsdb.Database
}

// addDBFlags adds the flags that say where the databases are.
func addDBFlags(c *cobra.Command, remote bool) {
	fs := c.Flags()
	fs.SortFlags = false
	fs.String("data-dir", "/var/lib/govn", "`DIR` of the databases")
	fs.String("store", "", "bbolt:FILE (default bbolt:DIR/govn.db in the data directory, or DIR/govn-ic.db for an interconnection)")
	fs.String("schema", "", "`LIST` of databases that the file may have beside those that \"govn schema\" knows: files of schemas")
	if remote {
		fs.String("db", "", "ask the server at `REMOTE` instead: unix:PATH, tcp:HOST:PORT, ssl:HOST:PORT")
		addKeyFlags(c)
	}
}

// Files in a data directory: of northd, and of an interconnection's server.
const (
	northdFile = "govn.db"
	icFile     = "govn-ic.db"
)

// ofInterconnection tells whether an interconnection's server keeps a database.
func ofInterconnection(database string) bool {
	return strings.HasPrefix(database, "OVN_IC_") || database == schema.PrivateIC().Name
}

// fileIn is the file in a data directory that is meant: that of the databases if
// they are named, otherwise the one that is there, and northd's if both are.
func fileIn(dir string, databases ...string) string {
	if len(databases) > 0 {
		if slices.ContainsFunc(databases, ofInterconnection) {
			return filepath.Join(dir, icFile)
		}
		return filepath.Join(dir, northdFile)
	}
	if _, err := os.Stat(filepath.Join(dir, northdFile)); errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(filepath.Join(dir, icFile)); err == nil {
			return filepath.Join(dir, icFile)
		}
	}
	return filepath.Join(dir, northdFile)
}

// dbSourceOf reads the flags. The command is about databases, if they are named.
func dbSourceOf(c *cobra.Command, databases ...string) (*dbSource, error) {
	s, err := load(c)
	if err != nil {
		return nil, err
	}
	src := &dbSource{}
	if c.Flags().Lookup("db") != nil {
		if src.remote = s.str("db"); src.remote != "" {
			keys, err := keyFlags(s)
			src.keys = certs.NewLoader(keys, silent)
			return src, err
		}
	}
	store := s.str("store")
	if store == "" {
		store = "bbolt:" + fileIn(s.str("data-dir"), databases...)
	}
	file, ok := strings.CutPrefix(store, "bbolt:")
	if !ok || file == "" {
		return nil, fmt.Errorf("store %q: want bbolt:FILE", store)
	}
	src.file = file
	names, err := s.list("schema")
	if err != nil {
		return nil, err
	}
	known := make(map[string]bool)
	for _, name := range append(names, slices.Sorted(maps.Keys(schema.All()))...) {
		parsed, err := readSchema(name)
		if err != nil {
			return nil, err
		}
		if !known[parsed.Name] {
			known[parsed.Name] = true
			src.dbs = append(src.dbs, ovsdb.Database{Schema: parsed, AnySchema: true})
		}
	}
	return src, nil
}

// open opens the file.
func (s *dbSource) open(ctx context.Context, o ovsdb.BoltOptions) (*ovsdb.Store, error) {
	o.LockTimeout = time.Second
	engine, err := ovsdb.OpenBolt(s.file, o)
	if errors.Is(err, ovsdb.ErrInUse) {
		return nil, fmt.Errorf("%w; stop it, or ask it with --db or ovs-appctl where the command can", err)
	}
	if err != nil {
		return nil, err
	}
	store, err := ovsdb.Open(ctx, engine, s.dbs, ovsdb.Options{Logger: silent, CompactAt: 1 << 40, AsStored: true})
	if err != nil {
		return nil, fmt.Errorf("%q: %w", s.file, err)
	}
	return store, nil
}

// dial connects to a database of the server.
func (s *dbSource) dial(ctx context.Context, name string) (*idl.Conn, error) {
	return idl.Dial(ctx, idl.Options{Remotes: s.remote, Database: name, Keys: s.keys})
}

// schemaOf returns the schema of a database by its name.
func (s *dbSource) schemaOf(name string) (*ovsdb.DatabaseSchema, error) {
	var names []string
	for _, d := range s.dbs {
		if d.Schema.Name == name {
			return d.Schema, nil
		}
		names = append(names, d.Schema.Name)
	}
	return nil, fmt.Errorf("database %q is none of %s", name, strings.Join(names, ", "))
}

// contents reads a database from the file or the server.
func (s *dbSource) contents(ctx context.Context, name string) (_ *ovsdb.Contents, err error) {
	if s.remote != "" {
		conn, err := s.dial(ctx, name)
		if err != nil {
			return nil, err
		}
		defer conn.Close()
		return readServer(ctx, conn)
	}
	d, err := s.schemaOf(name)
	if err != nil {
		return nil, err
	}
	store, err := s.open(ctx, ovsdb.BoltOptions{ReadOnly: true})
	if err != nil {
		return nil, err
	}
	return store.Snapshot().Contents(d), store.Close()
}

// readServer reads a database in one transaction.
func readServer(ctx context.Context, conn *idl.Conn) (*ovsdb.Contents, error) {
	result, err := conn.Call(ctx, "transact", ovsdb.SelectAll(conn.Schema))
	if err != nil {
		return nil, err
	}
	return ovsdb.ParseSelected(conn.Schema, result)
}

// readBackup reads a file in the format of ovsdb-server.
func readBackup(path string) (*ovsdb.Contents, error) {
	f := os.Stdin
	if path != "-" {
		var err error
		if f, err = os.Open(path); err != nil {
			return nil, err
		}
		defer f.Close()
	}
	c, err := ovsdb.ReadFile(f)
	if err != nil {
		return nil, fmt.Errorf("%q: %w", path, err)
	}
	return c, nil
}

// converted is a backup by another schema. What that has no place for is an error,
// unless it is to be left out, which is said then.
func converted(c *cobra.Command, path string, backup *ovsdb.Contents, to *ovsdb.DatabaseSchema, force bool) (*ovsdb.Contents, error) {
	out, lost, err := backup.Convert(to)
	if err != nil {
		return nil, fmt.Errorf("%q: %w", path, err)
	}
	if len(lost) > 0 {
		what := fmt.Sprintf("%q: version %s of %s has no place for %s", path, to.Version, to.Name, strings.Join(lost, ", "))
		if !force {
			return nil, fmt.Errorf("%s (--force leaves it out)", what)
		}
		fmt.Fprintf(c.ErrOrStderr(), "%s: %s: left out\n", c.CommandPath(), what)
	}
	return out, nil
}
