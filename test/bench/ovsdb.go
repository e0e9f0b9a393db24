package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"govn/schema"
)

type ovsdbOptions struct {
	n         int
	db        string
	ports     int
	only      string
	govn, out string
	dir       string
	repeat    int
}

// measureOVSDB compares the store with ovsdb-server.
func measureOVSDB(ctx context.Context, args []string) (err error) {
	var o ovsdbOptions
	fs := flag.NewFlagSet("ovsdb", flag.ContinueOnError)
	fs.IntVar(&o.n, "n", 4000, "transactions of each workload")
	fs.IntVar(&o.repeat, "repeat", 3, "runs of each workload, of which the one with the median time counts")
	fs.StringVar(&o.db, "db", "", "northbound database `FILE` for memory and start")
	fs.IntVar(&o.ports, "ports", 100_000, "ports of one switch, for memory and start")
	fs.StringVar(&o.only, "only", "", "only workloads whose name contains `TEXT`")
	fs.StringVar(&o.govn, "govn", "", "govn binary (default: built from this tree)")
	fs.StringVar(&o.out, "out", "", "file to which the tables are appended (default: standard output only)")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if o.dir, err = workDir(ctx, "ovsdb", &o.govn); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(o.dir)) }()
	schemaFile := filepath.Join(o.dir, "schema")
	if err := os.WriteFile(schemaFile, schema.Northbound().JSON(), 0o600); err != nil {
		return err
	}
	var table bytes.Buffer
	fmt.Fprintf(&table, "\n## The store beside ovsdb-server\n\n%s, %d CPUs, both servers in one run; load average before: %s.\n\n",
		time.Now().Format(time.DateOnly), runtime.NumCPU(), loadAverage())
	if err := o.works(ctx, schemaFile, &table); err != nil {
		return err
	}
	if err := o.memories(ctx, schemaFile, &table); err != nil {
		return err
	}
	return appendTable(o.out, table.Bytes())
}

// works runs the workloads, each on ovsdb-server and on govn in turn.
func (o *ovsdbOptions) works(ctx context.Context, schemaFile string, table *bytes.Buffer) error {
	table.WriteString("| workload | durable | ovsdb-server p50 ms | p99 ms | per s | CPU ms | govn p50 ms | p99 ms | per s | CPU ms | p50 | p99 | CPU |\n")
	table.WriteString("|---|---|---|---|---|---|---|---|---|---|---|---|---|\n")
	var compiled bytes.Buffer
	for _, w := range ovsdbWorks(o) {
		if !strings.Contains(w.name, o.only) {
			continue
		}
		for _, durable := range w.durable {
			if w.stock.name == "" {
				w.stock = stockKind
			}
			stock, govn, err := o.pair(ctx, w, schemaFile, durable)
			if err != nil {
				return fmt.Errorf("%s: %w", w.name, err)
			}
			label := "yes"
			switch {
			case len(w.durable) == 1 && !durable:
				label = "-"
			case !durable:
				label = "no"
			}
			line := fmt.Sprintf("| %s | %s | %s | %s | %s | %s | %s |\n", w.name, label, stock, govn,
				ratio(ms(govn.percentile(50)), ms(stock.percentile(50))), ratio(ms(govn.percentile(99)), ms(stock.percentile(99))), ratio(govn.cpuOf(), stock.cpuOf()))
			fmt.Fprint(os.Stderr, line)
			table.WriteString(line)
			if w.northd && durable {
				s, err := o.one(ctx, w, northdKind, schemaFile, durable)
				if err != nil {
					return fmt.Errorf("%s, northd: %w", w.name, err)
				}
				fmt.Fprintf(&compiled, "| %s | %s |\n", w.name, s)
			}
		}
	}
	if compiled.Len() > 0 {
		table.WriteString("\nThe same in northd, which compiles meanwhile; durable:\n\n| workload | p50 ms | p99 ms | per s | CPU ms |\n|---|---|---|---|---|\n")
		table.Write(compiled.Bytes())
	}
	return nil
}

// pair runs a workload on both in turn, and returns the run of each with the
// median time.
func (o *ovsdbOptions) pair(ctx context.Context, w ovsdbWork, schemaFile string, durable bool) (stock, govn sample, err error) {
	var all [2][]sample
	for range max(o.repeat, 1) {
		for i, kind := range []ovsdbKind{w.stock, govnKind} {
			s, err := o.one(ctx, w, kind, schemaFile, durable)
			if err != nil {
				return stock, govn, err
			}
			all[i] = append(all[i], s)
		}
	}
	return medianSample(all[0]), medianSample(all[1]), nil
}

func medianSample(list []sample) sample {
	slices.SortFunc(list, func(a, b sample) int { return int(a.wall - b.wall) })
	return list[len(list)/2]
}

func (o *ovsdbOptions) one(ctx context.Context, w ovsdbWork, kind ovsdbKind, schemaFile string, durable bool) (s sample, err error) {
	srv, err := startServer(ctx, o, kind, schemaFile, !durable)
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, srv.remove()) }()
	return w.run(ctx, srv, durable)
}

func (s sample) percentile(p float64) time.Duration { return percentile(s.latency, p) }

// cpuOf is the server's processor time for each of what the workload counts.
func (s sample) cpuOf() float64 { return ms(s.cpu) / float64(s.n) }

func ms(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e6 }

// String is the sample's columns of the table.
func (s sample) String() string {
	perSecond := "-"
	if s.n > 1 {
		perSecond = strconv.Itoa(int(float64(s.n) / s.wall.Seconds()))
	}
	return fmt.Sprintf("%s | %s | %s | %s", digits(ms(s.percentile(50))), digits(ms(s.percentile(99))), perSecond, digits(s.cpuOf()))
}

// digits prints three that count.
func digits(f float64) string {
	switch {
	case f >= 100:
		return strconv.FormatFloat(f, 'f', 0, 64)
	case f >= 1:
		return strconv.FormatFloat(f, 'f', 1, 64)
	}
	return strconv.FormatFloat(f, 'f', 3, 64)
}

// ratio prints govn beside ovsdb-server, in bold where govn takes more.
func ratio(govn, stock float64) string {
	if stock == 0 {
		return "-"
	}
	s := strconv.FormatFloat(govn/stock, 'f', 2, 64)
	if govn > stock {
		return "**" + s + "**"
	}
	return s
}
