package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"govn/pkg/ovsdb"
)

// silent is for stores that are open for a moment.
var silent = slog.New(slog.DiscardHandler)

// database is the one that the first argument names, the northbound one of the
// file without.
func (s *dbSource) database(args []string) string {
	switch {
	case len(args) > 0:
		return args[0]
	case filepath.Base(s.file) == icFile:
		return "OVN_IC_Northbound"
	}
	return "OVN_Northbound"
}

func newDBBackupCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "backup [DATABASE]",
		Short: "Write a database to a file that OVSDB's tools read",
		Long: `Write one database, by default OVN_Northbound (of govn-ic.db OVN_IC_Northbound), as a standalone OVSDB file (ovsdb(5)) to
standard output. ovsdb-tool and ovsdb-server read it, "ovsdb-client restore" and
"govn db restore" restore it.

With --db the server is asked, and goes on serving meanwhile: the backup is one state
of the database. Without, the file of the data directory is read, which no server may have
open.

OVN_Northbound is the configuration. _GOVN has the keys and numbers that northd gave
out; without it, they are given out anew, and each chassis replaces its flows once. northd
serves it beside OVN_Northbound, for reading only. OVN_Southbound need not be kept.
Ephemeral columns are in no backup.`,
		Example: `  govn db backup --db unix:/var/run/ovn/ovnnb_db.sock -o nb.backup
  govn db backup --db unix:/var/run/ovn/ovnnb_db.sock -o keys.backup _GOVN
  govn db import --data-dir /var/lib/govn nb.backup keys.backup  # on an empty machine`,
		Args: arguments(0, 1),
	}
	addDBFlags(c, true)
	output := c.Flags().StringP("output", "o", "-", "write to `FILE`, whole or not at all")
	c.RunE = func(c *cobra.Command, args []string) error {
		src, err := dbSourceOf(c, args...)
		if err != nil {
			return err
		}
		ctx, stop := interruptible(c)
		defer stop()
		contents, err := src.contents(ctx, src.database(args))
		if err != nil {
			return err
		}
		write := func(w io.Writer) error {
			return contents.WriteFile(w, `produced by "govn db backup"`, time.Now())
		}
		if *output == "-" {
			out := bufio.NewWriter(c.OutOrStdout())
			return errors.Join(write(out), out.Flush())
		}
		return writeWhole(*output, write)
	}
	return c
}

// writeWhole writes a file under another name, syncs it, and gives it its name.
func writeWhole(path string, write func(io.Writer) error) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	out := bufio.NewWriter(f)
	if err := errors.Join(write(out), out.Flush(), f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

func newDBRestoreCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "restore BACKUP",
		Short: "Make a database what a backup says",
		Long: `Make a database what BACKUP says, a standalone OVSDB file, plain or gzipped, "-" for standard
input. It happens in one transaction, or not at all. Rows keep the UUIDs of the backup; what is
the same already is not touched.

With --db a server is told to do it while it runs; it refuses columns that it writes
itself. Without, the file of the data directory is changed, which no server may have open.`,
		Example: `  govn db restore --db unix:/var/run/ovn/ovnnb_db.sock nb.backup
  govn db restore --data-dir /var/lib/govn nb.backup`,
		Args: arguments(1, 1),
	}
	addDBFlags(c, true)
	force := c.Flags().Bool("force", false, "leave out tables and columns that the schema does not have")
	c.RunE = func(c *cobra.Command, args []string) error {
		backup, err := readBackup(args[0])
		if err != nil {
			return err
		}
		src, err := dbSourceOf(c, backup.Schema.Name)
		if err != nil {
			return err
		}
		ctx, stop := interruptible(c)
		defer stop()
		if src.remote != "" {
			return restoreServer(ctx, c, src, args[0], backup, *force)
		}
		d, err := src.schemaOf(backup.Schema.Name)
		if err != nil {
			return fmt.Errorf("%q: %w", args[0], err)
		}
		store, err := src.open(ctx, ovsdb.BoltOptions{MustExist: true})
		if err != nil {
			return err
		}
		contents, err := converted(c, args[0], backup, store.Schema(d), *force)
		if err == nil {
			err = replace(ctx, store, d, contents)
		}
		return errors.Join(err, store.Close())
	}
	return c
}

// replace stores contents in one transaction.
func replace(ctx context.Context, store *ovsdb.Store, d *ovsdb.DatabaseSchema, contents *ovsdb.Contents) error {
	rev, err := store.Update(ctx, d, ovsdb.OwnerNorthd, func(tx *ovsdb.Txn) error {
		tx.Replace(contents)
		return nil
	})
	if err == nil {
		err = store.WaitDurable(ctx, rev)
	}
	return err
}

// restoreTries is how often a restore begins anew because of other writers.
const restoreTries = 5

func restoreServer(ctx context.Context, c *cobra.Command, src *dbSource, path string, backup *ovsdb.Contents, force bool) error {
	conn, err := src.dial(ctx, backup.Schema.Name)
	if err != nil {
		return err
	}
	defer conn.Close()
	contents, err := converted(c, path, backup, conn.Schema, force)
	if err != nil {
		return err
	}
	for range restoreTries {
		now, err := readServer(ctx, conn)
		if err != nil {
			return err
		}
		result, err := conn.Call(ctx, "transact", contents.Restore(now))
		if err != nil {
			return err
		}
		var outcomes []*struct{ Error, Details string }
		if err := json.Unmarshal(result, &outcomes); err != nil {
			return fmt.Errorf("answer to transact: %w", err)
		}
		failed := ""
		for _, o := range outcomes {
			if o != nil && o.Error != "" {
				failed = strings.TrimSuffix(o.Error+": "+o.Details, ": ")
				break
			}
		}
		switch {
		case failed == "":
			return nil
		case !strings.HasPrefix(failed, ovsdb.ErrTimedOut):
			return fmt.Errorf("%s refuses it: %s", src.remote, failed)
		}
	}
	return fmt.Errorf("%s: others insert or delete rows all the time", src.remote)
}

func newDBImportCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "import FILE...",
		Short: "Fill a data directory with databases of ovsdb-server",
		Long: `Fill the data directory with the databases in files of ovsdb-server, plain or gzipped: that of
an OVN that is to be replaced, or backups. The directory is made if it is not there. A
database that has rows already is refused; "govn db restore" replaces one.

OVN_Northbound is all that is needed: northd makes OVN_Southbound anew. Databases of an
interconnection, both of them, are for "govn ic server" and go to govn-ic.db. The file of a clustered
database must be converted first: ovsdb-tool cluster-to-standalone OUT IN.`,
		Example: `  govn db import --data-dir /var/lib/govn /var/lib/ovn/ovnnb_db.db
  govn db import --data-dir /var/lib/govn /var/lib/ovn/ovn_ic_nb_db.db /var/lib/ovn/ovn_ic_sb_db.db`,
		Args: arguments(1, -1),
	}
	addDBFlags(c, false)
	force := c.Flags().Bool("force", false, "leave out tables and columns that the schema does not have")
	c.RunE = func(c *cobra.Command, args []string) error {
		ctx, stop := interruptible(c)
		defer stop()
		var all []imported
		var names []string
		for _, path := range args { // all is read before anything is written
			backup, err := readBackup(path)
			if err != nil {
				return err
			}
			all = append(all, imported{path: path, backup: backup})
			names = append(names, backup.Schema.Name)
		}
		for _, name := range names {
			if ofInterconnection(name) != ofInterconnection(names[0]) {
				return fmt.Errorf("%s and %s are kept by different servers: import them one after the other", names[0], name)
			}
		}
		src, err := dbSourceOf(c, names...)
		if err != nil {
			return err
		}
		for i := range all {
			in := &all[i]
			if in.schema, err = src.schemaOf(in.backup.Schema.Name); err != nil {
				return fmt.Errorf("%q: %w", in.path, err)
			}
			if _, err := converted(c, in.path, in.backup, in.schema, *force); err != nil {
				return err
			}
		}
		if err := os.MkdirAll(filepath.Dir(src.file), 0o750); err != nil {
			return err
		}
		store, err := src.open(ctx, ovsdb.BoltOptions{})
		if err != nil {
			return err
		}
		return errors.Join(importAll(ctx, c, store, all), store.Close())
	}
	return c
}

// imported is a file and the database that it is of.
type imported struct {
	path   string
	schema *ovsdb.DatabaseSchema
	backup *ovsdb.Contents
}

func importAll(ctx context.Context, c *cobra.Command, store *ovsdb.Store, all []imported) error {
	for _, in := range all {
		if n := store.Snapshot().Contents(in.schema).Len(); n > 0 {
			return fmt.Errorf("database %q has %d rows already; \"govn db restore\" replaces them", in.schema.Name, n)
		}
	}
	for _, in := range all {
		contents, _, err := in.backup.Convert(store.Schema(in.schema)) // what is lost has been said
		if err != nil {
			return fmt.Errorf("%q: %w", in.path, err)
		}
		if err := replace(ctx, store, in.schema, contents); err != nil {
			return err
		}
		fmt.Fprintf(c.OutOrStdout(), "%s: %d rows\n", in.schema.Name, contents.Len())
	}
	return store.Compact(ctx)
}
