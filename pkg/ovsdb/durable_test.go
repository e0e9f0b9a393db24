package ovsdb

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// writerMain is the process that TestKill kills: it writes through the server,
// as clients do, and prints what was acknowledged.
func writerMain(dir string) {
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
	s, err := Open(context.Background(), e, []Database{{Schema: d}}, Options{CompactAt: 20_000, Logger: slog.New(slog.DiscardHandler)})
	fail(err)
	var out sync.Mutex
	for w := range 4 {
		go func() {
			for i := 0; ; i++ {
				name := fmt.Sprintf("%d-%d-%d", os.Getpid(), w, i)
				rev, err := s.Update(context.Background(), d, OwnerNorthd, func(tx *Txn) error {
					tx.Insert(d.Table("Switch"), UUID{}, map[string]Value{"name": name})
					return nil
				})
				fail(err)
				fail(s.WaitDurable(context.Background(), rev))
				out.Lock()
				fmt.Println("ack", rev, name)
				out.Unlock()
			}
		}()
	}
	select {}
}

// TestKill: transactions that were acknowledged before kill -9 are there after
// it, and the rest is a prefix of the order of revisions.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	acked := make(map[string]uint64)
	for round := range 5 {
		cmd := exec.Command(exe)
		cmd.Env = append(os.Environ(), "OVSDB_TEST_WRITER="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for n := 0; lines.Scan(); n++ {
			fields := strings.Fields(lines.Text())
			if fields[0] != "ack" {
				t.Fatal(lines.Text())
			}
			rev, _ := strconv.ParseUint(fields[1], 10, 64)
			acked[fields[2]] = rev
			if n == 150+37*round {
				cmd.Process.Kill() // what the pipe still holds was acknowledged too
			}
		}
		cmd.Wait()
		d := testSchema(t)
		e, err := OpenBolt(filepath.Join(dir, "db"), BoltOptions{})
		if err != nil {
			t.Fatal(err)
		}
		s, err := Open(context.Background(), e, []Database{{Schema: d}}, Options{Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		sn := s.Snapshot()
		for name, rev := range acked {
			if r := sn.Lookup(d.Table("Switch"), 0, name); r == nil || r.Revision() != rev {
				t.Errorf("round %d: %s of revision %d was acknowledged and is %v", round, name, rev, r)
			}
		}
		if uint64(sn.Len(d.Table("Switch"))) != sn.Revision() {
			t.Errorf("round %d: %d rows at revision %d", round, sn.Len(d.Table("Switch")), sn.Revision())
		}
		if err := sn.dbs[0].check(); err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// gate is an engine whose Append waits, and may fail.
type gate struct {
	Engine
	open    chan struct{}
	fail    atomic.Bool
	batches atomic.Int64
}

func (g *gate) Append(ctx context.Context, batch []Entry) error {
	<-g.open
	if g.fail.Load() {
		return errors.New("no space left")
	}
	g.batches.Add(1)
	return g.Engine.Append(ctx, batch)
}

func (g *gate) Compact(ctx context.Context, rev uint64, parts iter.Seq[[]byte]) error {
	return g.Engine.Compact(ctx, rev, parts)
}

// TestReplyWaitsForTheLog: the visible state runs ahead; replies and updates do
// not, and many transactions share one write.
func TestReplyWaitsForTheLog(t *testing.T) {
	d := testSchema(t)
	g := &gate{Engine: NewMemoryEngine(), open: make(chan struct{})}
	s := openTest(t, g, d)
	sock := serve(t, s, ServerOptions{})
	c, watcher := dial(t, sock), dial(t, sock)
	watcher.result("monitor", `["Test","m",{"Flow":{"columns":["match"]}}]`)
	var ids []string
	for i := range 10 {
		ids = append(ids, c.request("transact", fmt.Sprintf(`["Test",{"op":"insert","table":"Flow","row":{"match":"%d"}}]`, i)))
	}
	eventually(t, "all are visible", func() bool { return s.Snapshot().Len(d.Table("Flow")) == 10 })
	for _, silent := range []*client{c, watcher} {
		silent.conn.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		if n, err := silent.conn.Read(make([]byte, 1)); err == nil || n > 0 {
			t.Fatal("an answer came before the log was written")
		}
	}
	close(g.open)
	for _, id := range ids {
		c.await(id)
	}
	for range ids {
		watcher.receive()
	}
	if n := g.batches.Load(); n > 2 {
		t.Errorf("10 transactions took %d writes", n)
	}
}

func TestEngineFailure(t *testing.T) {
	d := testSchema(t)
	g := &gate{Engine: NewMemoryEngine(), open: make(chan struct{})}
	g.fail.Store(true)
	close(g.open)
	s, err := Open(context.Background(), g, []Database{{Schema: d}}, Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	insert := func(tx *Txn) error {
		tx.Insert(d.Table("Flow"), UUID{}, nil)
		return nil
	}
	rev, err := s.Update(context.Background(), d, OwnerNorthd, insert)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.WaitDurable(context.Background(), rev); !errors.Is(err, &Error{Kind: ErrIO}) {
		t.Errorf("wait: %v", err)
	}
	if _, err := s.Update(context.Background(), d, OwnerNorthd, insert); !errors.Is(err, &Error{Kind: ErrIO}) {
		t.Errorf("update: %v", err)
	}
}
