package ovsdb

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// How many crashes the tests make; the long ones make more.
var (
	crashPoints = 150
	killRounds  = 8
)

// crashWriter is a process that several goroutines write with. Each transaction
// is a switch with two ports; it prints
//
//	txn REVISION TRANSACTION-ID    when it is visible
//	ack REVISION NAME              when it is durable
//
// until it is killed, or each has written n.
func crashWriter(dir string, n int, o BoltOptions) {
	fail := func(err error) {
		if err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
	}
	d, err := ParseSchema([]byte(testSchemaJSON))
	fail(err)
	o.Logger = slog.New(slog.DiscardHandler)
	e, err := OpenBolt(filepath.Join(dir, "db"), o)
	fail(err)
	s, err := Open(context.Background(), e, []Database{{Schema: d}}, Options{CompactAt: 12_000, Logger: o.Logger})
	fail(err)
	var out, order sync.Mutex
	var done sync.WaitGroup
	for w := range 4 {
		done.Go(func() {
			for i := 0; n == 0 || i < n; i++ {
				name := fmt.Sprintf("%d-%d-%d", os.Getpid(), w, i)
				order.Lock()
				rev, err := s.Update(context.Background(), d, OwnerNorthd, func(tx *Txn) error {
					var ports []Atom
					for p := range 2 {
						ports = append(ports, tx.Insert(d.Table("Port"), UUID{}, map[string]Value{"name": fmt.Sprint(name, "-", p)}))
					}
					tx.Insert(d.Table("Switch"), UUID{}, map[string]Value{"name": name, "ports": NewSet(ports...),
						"options": map[string]string{"x": strings.Repeat("x", i%5*200)}})
					return nil
				})
				fail(err)
				id := s.Snapshot().TxnID()
				order.Unlock()
				out.Lock()
				fmt.Println("txn", rev, id)
				out.Unlock()
				fail(s.WaitDurable(context.Background(), rev))
				out.Lock()
				fmt.Println("ack", rev, name)
				out.Unlock()
			}
		})
	}
	done.Wait()
	os.Exit(0) // without Close
}

// said is what a writer has printed.
type said struct {
	acked map[string]uint64 // by name of the switch
	ids   map[uint64]string // transaction ids by revision
}

func newSaid() *said { return &said{make(map[string]uint64), make(map[uint64]string)} }

func (s *said) line(text string) error {
	f := strings.Fields(text)
	if len(f) != 3 || f[0] != "ack" && f[0] != "txn" {
		return fmt.Errorf("the writer says %q", text)
	}
	rev, err := strconv.ParseUint(f[1], 10, 64)
	if f[0] == "ack" {
		s.acked[f[2]] = rev
	} else {
		s.ids[rev] = f[2]
	}
	return err
}

// judge opens what a crash has left and says what is wrong: a transaction that
// was acknowledged and is not there, one that is half there, a hole, another transaction
// id than before. Then it goes on writing.
func judge(path string, d *DatabaseSchema, before *said) error {
	open := func() (*Store, error) {
		e, err := OpenBolt(path, BoltOptions{NoSync: true, Logger: quiet()})
		if err != nil {
			return nil, err
		}
		return Open(context.Background(), e, []Database{{Schema: d}}, Options{Logger: quiet(), CompactAt: 1})
	}
	s, err := open()
	if err != nil {
		return err
	}
	defer s.Close()
	sw, port := d.Table("Switch"), d.Table("Port")
	whole := func(s *Store, ids map[uint64]string) error {
		sn := s.Snapshot()
		if id := ids[sn.Revision()]; id != "" && id != sn.TxnID().String() {
			return fmt.Errorf("revision %d is transaction %s, not %s", sn.Revision(), sn.TxnID(), id)
		}
		if n := sn.Len(sw); uint64(n) != sn.Revision() || sn.Len(port) != 2*n {
			return fmt.Errorf("%d switches and %d ports at revision %d", n, sn.Len(port), sn.Revision())
		}
		for r := range sn.Rows(sw) {
			if r.Set(sw.Column("ports")).Len() != 2 {
				return fmt.Errorf("switch %q lacks ports", r.Str(sw.Column("name")))
			}
		}
		for name, rev := range before.acked {
			if r := sn.Lookup(sw, 0, name); r == nil || r.Revision() != rev {
				return fmt.Errorf("%s of revision %d was acknowledged and is %v", name, rev, r)
			}
		}
		return sn.dbs[0].check()
	}
	if err := whole(s, before.ids); err != nil {
		return err
	}
	rev := s.Snapshot().Revision()
	for i := range 3 {
		if _, err := s.Update(context.Background(), d, OwnerNorthd, func(tx *Txn) error {
			a := tx.Insert(port, UUID{}, map[string]Value{"name": fmt.Sprint("after", rev, i)})
			b := tx.Insert(port, UUID{}, map[string]Value{"name": fmt.Sprint("after", rev, i, "b")})
			tx.Insert(sw, UUID{}, map[string]Value{"name": fmt.Sprint("after", rev, i), "ports": NewSet(a, b)})
			return nil
		}); err != nil {
			return err
		}
	}
	if err := s.Close(); err != nil {
		return err
	}
	if s, err = open(); err != nil {
		return fmt.Errorf("after going on: %w", err)
	}
	defer s.Close()
	if got := s.Snapshot().Revision(); got != rev+3 {
		return fmt.Errorf("revision %d, where %d was stored", got, rev+3)
	}
	return whole(s, nil)
}

// event is one system call of the writer, as it began or ended.
type event struct {
	kind   byte // 'w' write, 't' truncate, 's' sync begins, 'S' ends, 'l' link, 'd' directory synced, 'p' printed
	offset int64
	data   []byte
	sync   int // of 's' and 'S', which
}

// recordWriter runs the writer and returns its calls on the store, in the order in which
// they were made. A write is there when it is made, a sync ends when it has returned.
func recordWriter(t *testing.T, mode string) []event {
	t.Helper()
	dir := t.TempDir()
	trace := filepath.Join(dir, "trace")
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("strace", "-f", "-y", "-xx", "-s", "4000000", "-o", trace,
		"-e", "trace=pwrite64,fdatasync,fsync,ftruncate,linkat,write", exe)
	cmd.Env = append(os.Environ(), "OVSDB_TEST_CRASH="+mode, "OVSDB_TEST_DIR="+dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("strace: %v\n%.2000s", err, out)
	}
	f, err := os.Open(trace)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	events, err := parseTrace(f, dir)
	if err != nil {
		t.Fatal(err)
	}
	return events
}

var (
	traceCall    = regexp.MustCompile(`^(\d+) +(\w+)\((?:(\d+)<([^>]*)>)?(?:AT_FDCWD)?(.*)$`)
	traceResumed = regexp.MustCompile(`^(\d+) +<\.\.\. (\w+) resumed>`)
	traceData    = regexp.MustCompile(`"((?:\\x[0-9a-f]{2})*)", *\d+(?:, *(\d+))?`)
	traceSize    = regexp.MustCompile(`^, (\d+)`)
)

func unhex(s string) []byte {
	b := make([]byte, 0, len(s)/4)
	for i := 0; i+4 <= len(s); i += 4 {
		n, err := strconv.ParseUint(s[i+2:i+4], 16, 8)
		if err != nil {
			return nil
		}
		b = append(b, byte(n))
	}
	return b
}

// parseTrace reads the output of strace about the store in dir.
func parseTrace(f *os.File, dir string) (events []event, err error) {
	lines := bufio.NewReaderSize(f, 1<<20)
	syncing := make(map[string]event) // by thread: what a sync is of
	syncs := 0
	for {
		line, err := lines.ReadString('\n')
		if line == "" {
			return events, nil
		}
		if err != nil {
			return nil, err
		}
		line = strings.TrimSpace(line)
		if m := traceResumed.FindStringSubmatch(line); m != nil {
			if e, ok := syncing[m[1]]; ok && strings.HasSuffix(line, "= 0") {
				events = append(events, e)
				delete(syncing, m[1])
			}
			continue
		}
		m := traceCall.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		thread, call, fd, path, rest := m[1], m[2], m[3], string(unhex(m[4])), m[5]
		ours := filepath.Dir(path) == dir && strings.Contains(filepath.Base(path), "db")
		switch {
		case call == "write" && fd == "1":
			if d := traceData.FindStringSubmatch(rest); d != nil {
				events = append(events, event{kind: 'p', data: unhex(d[1])})
			}
		case call == "linkat":
			events = append(events, event{kind: 'l'})
		case call == "pwrite64" && ours:
			d := traceData.FindStringSubmatch(rest)
			if d == nil || d[2] == "" {
				return nil, fmt.Errorf("line %.100q", line)
			}
			offset, err := strconv.ParseInt(d[2], 10, 64)
			if err != nil {
				return nil, err
			}
			events = append(events, event{kind: 'w', offset: offset, data: unhex(d[1])})
		case call == "ftruncate" && ours:
			size, err := strconv.ParseInt(traceSize.FindStringSubmatch(rest)[1], 10, 64)
			if err != nil {
				return nil, err
			}
			events = append(events, event{kind: 't', offset: size})
		case (call == "fdatasync" || call == "fsync") && (ours || path == dir):
			syncs++
			end := event{kind: 'S', sync: syncs}
			if path == dir {
				end.kind = 'd'
			} else {
				events = append(events, event{kind: 's', sync: syncs})
			}
			if strings.Contains(line, "<unfinished") {
				syncing[thread] = end
			} else if strings.HasSuffix(line, "= 0") {
				events = append(events, end)
			}
		}
	}
}

// disk is a file whose writes are lost unless they are synced.
type disk struct {
	durable []byte
	pending []event
	begun   map[int]int // by sync: how many are pending when it begins
	linked  bool        // it has its name
	named   bool        // and keeps it
	printed strings.Builder
	ignore  func(sync int) bool // a sync that does nothing
}

func (k *disk) apply(e event) {
	switch e.kind {
	case 'w', 't':
		k.pending = append(k.pending, e)
	case 's':
		k.begun[e.sync] = len(k.pending)
	case 'S':
		if k.ignore != nil && k.ignore(e.sync) {
			return
		}
		n := min(k.begun[e.sync], len(k.pending))
		for _, w := range k.pending[:n] {
			k.durable = w.on(k.durable)
		}
		k.pending = append([]event{}, k.pending[n:]...)
	case 'l':
		k.linked = true
	case 'd':
		k.named = k.linked
	case 'p':
		k.printed.Write(e.data)
	}
}

// on is the file after a write or truncation.
func (e event) on(file []byte) []byte {
	end := int(e.offset) + len(e.data)
	for len(file) < end || e.kind == 't' && len(file) < int(e.offset) {
		file = append(file, make([]byte, max(end, int(e.offset))-len(file))...)
	}
	if e.kind == 't' {
		return file[:e.offset]
	}
	copy(file[e.offset:], e.data)
	return file
}

// crash is what the file may be: each write that was not synced is there, or not, or
// some of its sectors are, or its first bytes.
func (k *disk) crash(rng *rand.Rand) []byte {
	file := append([]byte{}, k.durable...)
	for _, e := range k.pending {
		switch how := rng.IntN(4); {
		case how == 0:
		case how == 1 || e.kind == 't':
			file = e.on(file)
		case how == 2:
			for at := 0; at < len(e.data); at += 512 {
				if rng.IntN(2) == 0 {
					file = event{kind: 'w', offset: e.offset + int64(at), data: e.data[at:min(at+512, len(e.data))]}.on(file)
				}
			}
		default: // a medium that does not even write whole sectors
			n := rng.IntN(len(e.data))
			if e.offset < 8192 { // within what a meta page holds
				n = rng.IntN(100)
			}
			file = event{kind: 'w', offset: e.offset, data: e.data[:n]}.on(file)
		}
	}
	return file
}

// crashes lets the machine crash n times at random instants of a recording and
// returns the first few verdicts that are bad, and how many there are.
func crashes(t *testing.T, events []event, n int, seed uint64, ignore func(int) bool) (bad []string, count int) {
	t.Helper()
	d := testSchema(t)
	all := newSaid()
	for _, e := range events {
		if e.kind != 'p' {
			continue
		}
		for line := range strings.Lines(string(e.data)) {
			if err := all.line(line); err != nil {
				t.Fatal(err)
			}
		}
	}
	rng := rand.New(rand.NewPCG(seed, 1))
	at := make(map[int]int)
	for range n {
		at[rng.IntN(len(events)+1)]++
	}
	path := filepath.Join(t.TempDir(), "db")
	k := &disk{begun: make(map[int]int), ignore: ignore}
	check := func(i int) {
		before := newSaid()
		for line := range strings.Lines(k.printed.String()) {
			if err := before.line(line); err != nil {
				t.Fatal(err)
			}
		}
		before.ids = all.ids
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		if k.named || k.linked && rng.IntN(2) == 0 {
			if err := os.WriteFile(path, k.crash(rng), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := judge(path, d, before); err != nil {
			if count++; len(bad) < 5 {
				bad = append(bad, fmt.Sprintf("after event %d of %d, %d acknowledged: %v", i, len(events), len(before.acked), err))
			}
		}
	}
	for i := 0; i <= len(events); i++ {
		for range at[i] {
			check(i)
		}
		if i < len(events) {
			k.apply(events[i])
		}
	}
	return bad, count
}

// TestCrash: whatever a crash of the machine at any instant leaves of what was
// written, with the writes that were not synced lost, reordered and torn, every
// transaction that was acknowledged is there, none is half there, and the log goes on
// with the same transaction ids.
func TestCrash(t *testing.T) {
	events := recordWriter(t, "synced")
	kinds := make(map[byte]int)
	for _, e := range events {
		kinds[e.kind]++
	}
	t.Logf("%d writes, %d syncs, %d lines printed", kinds['w'], kinds['S'], kinds['p'])
	bad, n := crashes(t, events, crashPoints, 1, nil)
	if n > 0 {
		t.Errorf("%d of %d crashes:\n%s", n, crashPoints, strings.Join(bad, "\n"))
	}
}

// TestCrashIsSeen: the test above fails if the store does not sync, or if the
// disk does not do what a sync asks for. How many crashes show it depends on how
// much is written between two syncs.
func TestCrashIsSeen(t *testing.T) {
	if bad, n := crashes(t, recordWriter(t, "unsynced"), 120, 2, nil); n == 0 {
		t.Errorf("without any sync %d of 120 crashes are seen: %s", n, strings.Join(bad, "\n"))
	}
	events := recordWriter(t, "synced")
	if bad, n := crashes(t, events, 120, 3, func(sync int) bool { return sync%2 == 1 }); n == 0 {
		t.Errorf("with a disk that ignores every second sync %d of 120 crashes are seen: %s", n, strings.Join(bad, "\n"))
	}
}

// TestTornMeta: bbolt's meta page that is being written when the machine stops,
// cut off anywhere, leaves the state before or after.
func TestTornMeta(t *testing.T) {
	events := recordWriter(t, "synced")
	d := testSchema(t)
	all := newSaid()
	k := &disk{begun: make(map[int]int)}
	path := filepath.Join(t.TempDir(), "db")
	metas := 0
	for _, e := range events {
		if e.kind == 'p' {
			for line := range strings.Lines(string(e.data)) {
				if err := all.line(line); err != nil {
					t.Fatal(err)
				}
			}
		}
		if e.kind == 'w' && k.named && e.offset <= 4096 {
			if metas++; metas%40 == 0 {
				for n := 0; n <= 80; n += 3 {
					file := append([]byte{}, k.durable...)
					for _, w := range k.pending {
						file = w.on(file)
					}
					file = event{kind: 'w', offset: e.offset, data: e.data[:n]}.on(file)
					if err := os.WriteFile(path, file, 0o600); err != nil {
						t.Fatal(err)
					}
					before := newSaid()
					before.acked = all.acked
					if err := judge(path, d, before); err != nil {
						t.Errorf("meta page %d torn after %d bytes: %v", e.offset/4096, n, err)
					}
				}
			}
		}
		k.apply(e)
	}
	if metas < 80 {
		t.Errorf("%d meta pages were written", metas)
	}
}

// TestKill: transactions that were acknowledged before kill -9 are there after
// it, and the rest is a prefix of the order of revisions. The next writer goes on with
// what is there.
func TestKill(t *testing.T) {
	var dir string
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	d := testSchema(t)
	all, acked := newSaid(), 0
	rng := rand.New(rand.NewPCG(5, 6))
	for round := range killRounds {
		if round%20 == 0 { // another database, before this one is large
			acked += len(all.acked)
			dir, all = t.TempDir(), newSaid()
		}
		cmd := exec.Command(exe)
		cmd.Env = append(os.Environ(), "OVSDB_TEST_CRASH=endless", "OVSDB_TEST_DIR="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		last := rng.IntN(400)
		for n := 0; lines.Scan(); n++ {
			if err := all.line(lines.Text()); err != nil {
				t.Fatal(err)
			}
			if n == last {
				cmd.Process.Kill() // what the pipe still holds was acknowledged too
			}
		}
		cmd.Wait()
		// Judged on a copy, because it goes on writing.
		file, err := os.ReadFile(filepath.Join(dir, "db"))
		if err != nil {
			t.Fatal(err)
		}
		copied := filepath.Join(t.TempDir(), "db")
		if err := os.WriteFile(copied, file, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := judge(copied, d, all); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		// What was visible and not acknowledged may be lost, and its revision used again.
		clear(all.ids)
	}
	t.Logf("%d transactions acknowledged, %d kills", acked+len(all.acked), killRounds)
}
