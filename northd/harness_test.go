package northd_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"govn/northd"
	"govn/northd/compile"
	"govn/northd/fabric"
	"govn/northd/southbound"
	"govn/northd/topology"
	"govn/pkg/ovsdb"
)

// fullEnv names a database file: the test binary compiles it from scratch,
// prints all that came out, and exits.
const fullEnv = "GOVN_TEST_FULL_COMPILE"

func TestMain(m *testing.M) {
	if path := os.Getenv(fullEnv); path != "" {
		if err := printFull(path); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func printFull(path string) error {
	z, err := openZone(path)
	if err != nil {
		return err
	}
	defer z.close()
	if _, err := os.Stdout.WriteString(z.dump()); err != nil {
		return err
	}
	return nil
}

// recorder is a fabric that keeps what it was given.
type recorder struct {
	bodies   map[[16]byte][]byte
	items    map[fabric.Key]fabric.ItemChange
	bindings map[[2]uint32]fabric.Binding
	chassis  map[string][]byte
	links    map[[2]uint32]fabric.Link
	revision uint64
	groups   map[string]fabric.HAGroup
	batches  int
	users    []fabric.HAUsers
}

func newRecorder() *recorder {
	return &recorder{bodies: make(map[[16]byte][]byte), items: make(map[fabric.Key]fabric.ItemChange),
		bindings: make(map[[2]uint32]fabric.Binding), chassis: make(map[string][]byte), links: make(map[[2]uint32]fabric.Link), groups: make(map[string]fabric.HAGroup)}
}

// TakeHAUsers implements the fabric: it tells what a test put there, once.
func (r *recorder) TakeHAUsers() []fabric.HAUsers {
	users := r.users
	r.users = nil
	return users
}

func (r *recorder) Apply(b fabric.Batch) {
	r.batches++
	r.revision = b.Revision
	named := make(map[[16]byte]bool)
	for _, c := range b.Bodies {
		if named[c.Hash] {
			panic(fmt.Sprintf("body %x comes and goes in one batch", c.Hash))
		}
		named[c.Hash] = true
		if c.Value == nil {
			delete(r.bodies, c.Hash)
		} else {
			r.bodies[c.Hash] = c.Value
		}
	}
	for _, c := range b.Items {
		if c.Value == nil {
			delete(r.items, c.Key)
		} else {
			r.items[c.Key] = c
		}
	}
	for _, c := range b.Bindings {
		k := [2]uint32{c.Datapath, c.Port}
		if c.Chassis == "" {
			delete(r.bindings, k)
		} else {
			r.bindings[k] = c
		}
	}
	for _, l := range b.Links {
		if l.Gone {
			delete(r.links, [2]uint32{l.A, l.B})
		} else {
			r.links[[2]uint32{l.A, l.B}] = l
		}
	}
	for _, g := range b.HAGroups {
		if g.Value == nil {
			delete(r.groups, g.Key)
		} else {
			r.groups[g.Key] = g
		}
	}
	for _, c := range b.Chassis {
		if c.Gone {
			delete(r.chassis, c.Name)
		} else {
			r.chassis[c.Name] = c.Value
		}
	}
}

// zone is a zone on a database file, without sockets.
type zone struct {
	*northd.Zone
	ctx      context.Context
	store    *ovsdb.Store
	schemas  topology.Schemas
	columns  *topology.Columns
	flows    *compile.FlowTable
	registry *southbound.Registry
	progress *southbound.Progress
	fabric   *recorder
	last     northd.Round
	releases bool // as if chassis acknowledged everything at once
}

func openZone(path string) (*zone, error) {
	ctx := context.Background()
	s, err := northd.Schemas()
	if err != nil {
		return nil, err
	}
	z := &zone{ctx: ctx, schemas: s, columns: topology.NewColumns(s), fabric: newRecorder()}
	z.flows = compile.NewFlowTable(z.columns.LogicalFlow)
	engine := ovsdb.NewMemoryEngine()
	if path != "" {
		if engine, err = ovsdb.OpenBolt(path, ovsdb.BoltOptions{}); err != nil {
			return nil, err
		}
	}
	log := slog.New(slog.DiscardHandler)
	if z.store, err = northd.OpenStore(ctx, engine, s, z.flows, log); err != nil {
		return nil, err
	}
	z.registry = southbound.NewRegistry(ctx, z.store, s.SB, z.columns, log)
	z.progress = southbound.NewProgress(z.registry, s.NB, nil)
	z.Zone = northd.NewZone(northd.ZoneOptions{
		Store: z.store, Schemas: s, Columns: z.columns, Log: log, Registry: z.registry, Progress: z.progress,
		Fabric: z.fabric, Flows: z.flows, Workers: 1, Observe: func(r northd.Round) { z.last = r },
		Acked: func() uint64 {
			if z.releases {
				return z.fabric.revision
			}
			return 0
		},
	})
	return z, z.Start(ctx)
}

func (z *zone) close() error {
	z.Zone.Close()
	return z.store.Close()
}

func newZone(t testing.TB, path string) *zone {
	t.Helper()
	z, err := openZone(path)
	if err != nil {
		t.Fatal(err)
	}
	z.releases = true
	t.Cleanup(func() {
		if err := z.close(); err != nil {
			t.Error(err)
		}
	})
	return z
}

// nb changes the northbound database as a client does, and runs a round.
func (z *zone) nb(t testing.TB, fn func(*ovsdb.Txn) error) {
	t.Helper()
	if _, err := z.store.Update(z.ctx, z.schemas.NB, ovsdb.OwnerClient, fn); err != nil {
		t.Fatal(err)
	}
	z.step(t)
}

func (z *zone) step(t testing.TB) {
	t.Helper()
	if err := z.Step(z.ctx); err != nil {
		t.Fatal(err)
	}
}

// dump is all that the zone came to, as text: what the fabric holds, the
// databases, the logical flows, and what is wrong.
func (z *zone) dump() string {
	var lines []string
	add := func(format string, a ...any) { lines = append(lines, fmt.Sprintf(format, a...)) }
	for h, b := range z.fabric.bodies {
		add("body %x %x", h, b)
	}
	for k, i := range z.fabric.items {
		add("item %v %x scope=%v %x", k.Kind, k.Key, i.Scope, i.Value)
	}
	for _, b := range z.fabric.bindings {
		add("binding %+v", b)
	}
	for _, l := range z.fabric.links {
		add("link %+v", l)
	}
	for _, g := range z.fabric.groups {
		add("HA group %x %v %x", g.Key, g.Members, g.Value)
	}
	for name, v := range z.fabric.chassis {
		add("chassis %q %x", name, v)
	}
	sn := z.store.Snapshot()
	for _, db := range []*ovsdb.DatabaseSchema{z.schemas.NB, z.schemas.SB, z.schemas.Private} {
		for _, t := range db.Tables {
			for row := range sn.Rows(t) {
				add("%s", rowText(t, row))
			}
		}
	}
	flows, stop := z.flows.Watch(func([]ovsdb.Change) {})
	stop()
	for _, f := range flows {
		add("%s", rowText(z.columns.LogicalFlow, f))
	}
	st := z.Program().Engine.Stats()
	add("engine nodes=%d edges=%d", st.Nodes, st.Edges)
	for _, e := range z.Program().Engine.Errors() {
		add("error %s %v: %v", e.Unit, e.Key, e.Err)
	}
	for _, p := range z.View().Lint().Problems {
		add("problem %s", p)
	}
	sort.Strings(lines)
	return strings.Join(lines, "\n") + "\n"
}

func rowText(t *ovsdb.TableSchema, row *ovsdb.Row) string {
	var b strings.Builder
	fmt.Fprintf(&b, "row %s %s", t.Name, row.UUID())
	for _, c := range t.Columns {
		if strings.HasSuffix(c.Name, "_timestamp") {
			continue
		}
		fmt.Fprintf(&b, " %s=%s", c.Name, valueText(row.Get(c)))
	}
	return b.String()
}

func valueText(v ovsdb.Value) string {
	switch v := v.(type) {
	case ovsdb.Set:
		var parts []string
		for a := range v.All() {
			parts = append(parts, fmt.Sprint(a))
		}
		return "[" + strings.Join(parts, " ") + "]"
	case ovsdb.Map:
		var parts []string
		for k, a := range v.All() {
			parts = append(parts, fmt.Sprint(k, "=", a))
		}
		return "{" + strings.Join(parts, " ") + "}"
	}
	return fmt.Sprint(v)
}

// full compiles a copy of the zone's database from scratch in a new process.
func (z *zone) full(t testing.TB, path string) string {
	t.Helper()
	if err := z.store.WaitDurable(z.ctx, z.store.Snapshot().Revision()); err != nil {
		t.Fatal(err)
	}
	read := func(path string) []byte {
		data, err := os.ReadFile(path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		return data
	}
	// The file and its log, when nothing is being brought from one to the other.
	log, file := read(path+".wal"), read(path)
	for again := read(path + ".wal"); !bytes.Equal(log, again); again = read(path + ".wal") {
		log, file = again, read(path)
	}
	dump := filepath.Join(t.TempDir(), "dump.db")
	if err := errors.Join(os.WriteFile(dump, file, 0o600), os.WriteFile(dump+".wal", log, 0o600)); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), fullEnv+"="+dump)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("compiling from scratch: %v\n%s", err, stderr.String())
	}
	return string(out)
}

// difference is the lines that only one of the dumps has.
func difference(a, b string) string {
	as, bs := strings.Split(a, "\n"), strings.Split(b, "\n")
	slices.Sort(as) // an entry may have several lines
	slices.Sort(bs)
	var out []string
	for _, l := range as {
		if _, found := slices.BinarySearch(bs, l); !found && l != "" {
			out = append(out, "incremental: "+l)
		}
	}
	for _, l := range bs {
		if _, found := slices.BinarySearch(as, l); !found && l != "" {
			out = append(out, "full:        "+l)
		}
	}
	return strings.Join(out, "\n")
}

// at is the time of every acknowledgement in tests.
func (z *zone) at() time.Time { return time.UnixMilli(1_700_000_000_000) }
