package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"govn/pkg/ovsdb"
)

func newDBCheckCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "check",
		Short: "Read all of the databases' file, and say whether it is whole",
		Long: `Read every page, entry and row of the file of the data directory and of its write-ahead log, verify checksums,
references, indexes and constraints, and print what there is. Nothing is written. If the file is
damaged, the exit status is 1 and the error names the place.`,
		Args: arguments(0, 0),
	}
	addDBFlags(c, false)
	c.RunE = func(c *cobra.Command, _ []string) error {
		src, err := dbSourceOf(c)
		if err != nil {
			return err
		}
		ctx, stop := interruptible(c)
		defer stop()
		store, err := src.open(ctx, ovsdb.BoltOptions{ReadOnly: true})
		if err != nil {
			return err
		}
		defer store.Close()
		if err := store.Check(); err != nil {
			return fmt.Errorf("%q: %w", src.file, err)
		}
		info, err := ovsdb.InspectBolt(src.file)
		if err != nil {
			return err
		}
		out := c.OutOrStdout()
		sn := store.Snapshot()
		fmt.Fprintf(out, "%s is whole\n", src.file)
		fmt.Fprintf(out, "store: %s, revision %d, transaction %s\n", store.ClusterID(), sn.Revision(), sn.TxnID())
		fmt.Fprintf(out, "file: %s, %s of it in use\n", size(info.Size), size(info.Used))
		fmt.Fprintf(out, "snapshot: revision %d, %d parts, %s\n", info.Snapshot, info.Parts, size(info.SnapshotBytes))
		fmt.Fprintf(out, "log: %d entries, %s\n", info.Entries, size(info.LogBytes))
		if info.WALSize > 0 {
			fmt.Fprintf(out, "write-ahead log: %d entries that the file does not have yet, %s\n", info.WALEntries, size(info.WALSize))
		}
		if info.Torn {
			fmt.Fprintln(out, "the machine stopped while a record of it was being written; nobody was told that it is there")
		}
		if info.Spoiled {
			fmt.Fprintln(out, "the machine stopped while a page was being written; the state before it holds")
		}
		w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
		fmt.Fprintln(w, "\nDATABASE\tVERSION\tROWS")
		for _, d := range src.dbs {
			if n := sn.Contents(d.Schema).Len(); n > 0 {
				fmt.Fprintf(w, "%s\t%s\t%d\n", d.Schema.Name, store.Schema(d.Schema).Version, n)
			}
		}
		return w.Flush()
	}
	return c
}

// size prints a number of bytes.
func size(n int64) string {
	switch {
	case n < 10_000:
		return fmt.Sprintf("%d B", n)
	case n < 10_000_000:
		return fmt.Sprintf("%d kB", n/1000)
	}
	return fmt.Sprintf("%d MB", n/1_000_000)
}

func newDBCompactCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "compact",
		Short: "Replace the log by a snapshot, and give space back",
		Long: `Replace the log of the file of the data directory by a snapshot, and write the file anew
without unused space. No server may have the file open; one that runs compacts by itself, and
when told so: ovs-appctl -t govn-northd ovsdb-server/compact. The file keeps its size then, and
the space is used again.`,
		Args: arguments(0, 0),
	}
	addDBFlags(c, false)
	c.RunE = func(c *cobra.Command, _ []string) error {
		src, err := dbSourceOf(c)
		if err != nil {
			return err
		}
		ctx, stop := interruptible(c)
		defer stop()
		before, err := os.Stat(src.file)
		if err != nil {
			return err
		}
		store, err := src.open(ctx, ovsdb.BoltOptions{MustExist: true})
		if err != nil {
			return err
		}
		if err := store.Compact(ctx); err != nil {
			store.Close()
			return err
		}
		if err := store.Close(); err != nil {
			return err
		}
		if err := ovsdb.ShrinkBolt(src.file); err != nil {
			return err
		}
		after, err := os.Stat(src.file)
		if err != nil {
			return err
		}
		fmt.Fprintf(c.OutOrStdout(), "%s: %s, was %s\n", src.file, size(after.Size()), size(before.Size()))
		return nil
	}
	return c
}

func newDBDumpCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "dump [DATABASE [TABLE [COLUMN...]]]",
		Short: "Print the rows of a database",
		Long: `Print the rows of a database, by default OVN_Northbound (of govn-ic.db OVN_IC_Northbound), as "ovsdb-client dump" does, or as
JSON: an object of tables, each an object of UUIDs with the columns that are not default. With
--db a server is asked, otherwise the file of the data directory is read.`,
		Example: `  govn db dump --db unix:/var/run/ovn/ovnsb_db.sock OVN_Southbound Chassis name hostname
  govn db dump --data-dir /var/lib/govn _GOVN`,
	}
	addDBFlags(c, true)
	format := c.Flags().StringP("format", "f", "text", "`FORMAT`: text or json")
	c.RunE = func(c *cobra.Command, args []string) error {
		if *format != "text" && *format != "json" {
			return fmt.Errorf("format %q: want text or json", *format)
		}
		src, err := dbSourceOf(c, args[:min(1, len(args))]...)
		if err != nil {
			return err
		}
		ctx, stop := interruptible(c)
		defer stop()
		contents, err := src.contents(ctx, src.database(args))
		if err != nil {
			return err
		}
		return dump(c.OutOrStdout(), contents, *format, args)
	}
	return c
}

// dump prints what the arguments name: a database, a table of it, columns of that.
func dump(out io.Writer, contents *ovsdb.Contents, format string, args []string) error {
	var table string
	var columns []*ovsdb.ColumnSchema
	if len(args) > 1 {
		table = args[1]
		t := contents.Schema.Tables[table]
		if t == nil {
			return fmt.Errorf("database %q has no table %q", contents.Schema.Name, table)
		}
		for _, name := range args[2:] {
			column := t.Find(name)
			if column == nil {
				return fmt.Errorf("table %q has no column %q", table, name)
			}
			columns = append(columns, column)
		}
	}
	all := make(map[string]map[string]json.RawMessage)
	first := true
	for t := range contents.Tables() {
		if table != "" && t.Name != table {
			continue
		}
		if format == "json" {
			rows := make(map[string]json.RawMessage)
			for r := range contents.Rows(t) {
				rows[r.UUID().String()] = contents.RowJSON(r, columns...)
			}
			all[t.Name] = rows
			continue
		}
		if !first {
			fmt.Fprintln(out)
		}
		first = false
		if err := contents.WriteText(out, t, columns...); err != nil {
			return err
		}
	}
	if format != "json" {
		return nil
	}
	e := json.NewEncoder(out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(all)
}
