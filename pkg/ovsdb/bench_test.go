package ovsdb

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
)

// cpu reports the CPU time of the process per operation, which says more than
// the clock where the machine is shared.
func cpu(b *testing.B) func() {
	used := func() int64 {
		var r syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
			b.Fatal(err)
		}
		return r.Utime.Nano() + r.Stime.Nano()
	}
	before := used()
	return func() { b.ReportMetric(float64(used()-before)/float64(b.N)/1000, "cpu-µs/op") }
}

// BenchmarkPortOnLargeSwitch adds a port to a switch of 100,000 and removes it
// again: two transactions, in memory, without waiting for the log.
func BenchmarkPortOnLargeSwitch(b *testing.B) {
	d := testSchema(b)
	s, err := Open(context.Background(), discard{NewMemoryEngine()}, []Database{{Schema: d}}, Options{Logger: quiet(), CompactAt: 1 << 40})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	sw, port := d.Table("Switch"), d.Table("Port")
	u := fillSwitch(b, s, d, 100_000)
	logged := s.logged.Load()
	b.ReportAllocs()
	defer cpu(b)()
	for b.Loop() {
		var p UUID
		update(b, s, d, func(tx *Txn) {
			p = tx.Insert(port, UUID{}, map[string]Value{"name": "one more"})
			tx.AddToSet(sw, u, "ports", p)
		})
		update(b, s, d, func(tx *Txn) { tx.DelFromSet(sw, u, "ports", p) })
	}
	b.ReportMetric(float64(s.logged.Load()-logged)/float64(2*b.N), "logged-B/txn")
}

// discard forgets what is appended.
type discard struct{ Engine }

func (discard) Append(context.Context, []Entry) error { return nil }

// BenchmarkTransact is transactions of one insert by clients on a unix socket,
// with a bbolt file and fsync, or in memory.
func BenchmarkTransact(b *testing.B) {
	for _, sync := range []bool{true, false} {
		for _, clients := range []int{1, 16} {
			b.Run(fmt.Sprintf("fsync=%t/clients=%d", sync, clients), func(b *testing.B) {
				d := testSchema(b)
				engine := Engine(discard{NewMemoryEngine()})
				if sync {
					var err error
					if engine, err = OpenBolt(filepath.Join(b.TempDir(), "db"), BoltOptions{}); err != nil {
						b.Fatal(err)
					}
				}
				s, err := Open(context.Background(), engine, []Database{{Schema: d}}, Options{Logger: quiet()})
				if err != nil {
					b.Fatal(err)
				}
				b.Cleanup(func() { s.Close() })
				transactLoop(b, serve(b, s, ServerOptions{}), clients, `{"op":"insert","table":"Flow","row":{"match":"ip4.dst == 10.0.0.1","priority":%d}}`)
			})
		}
	}
}

// BenchmarkTransactStock is the same with ovsdb-server.
func BenchmarkTransactStock(b *testing.B) {
	for _, clients := range []int{1, 16} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) {
			file := filepath.Join(b.TempDir(), "test.ovsschema")
			writeSchema(b, file)
			transactLoop(b, stockServer(b, file), clients, `{"op":"insert","table":"Flow","row":{"match":"ip4.dst == 10.0.0.1","priority":%d}},{"op":"commit","durable":true}`)
		})
	}
}

func transactLoop(b *testing.B, sock string, clients int, op string) {
	conns := make([]net.Conn, clients)
	for i := range conns {
		conn, err := net.Dial("unix", sock)
		if err != nil {
			b.Fatal(err)
		}
		defer conn.Close()
		conns[i] = conn
	}
	var next atomic.Int64
	var wg sync.WaitGroup
	b.ResetTimer()
	defer cpu(b)()
	for _, conn := range conns {
		wg.Add(1)
		go func() {
			defer wg.Done()
			dec := json.NewDecoder(conn)
			for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
				fmt.Fprintf(conn, `{"method":"transact","params":["Test",`+op+`],"id":%d}`, n, n)
				var m message
				if err := dec.Decode(&m); err != nil || string(m.Error) != "null" {
					b.Errorf("%s %v", m.Error, err)
					return
				}
			}
		}()
	}
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "txn/s")
}

// BenchmarkMonitorInitial is the reply to a monitor of 50,000 ports.
func BenchmarkMonitorInitial(b *testing.B) {
	d := testSchema(b)
	s, err := Open(context.Background(), NewMemoryEngine(), []Database{{Schema: d}}, Options{Logger: quiet()})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	fillSwitch(b, s, d, 50_000)
	v, err := parseJSON(`{"Port":[{}],"Switch":[{}]}`, defaultJSONLimits)
	if err != nil {
		b.Fatal(err)
	}
	m, err := parseMonitor(s.database(d), d, monitorV2, &jsonValue{}, &v)
	if err != nil {
		b.Fatal(err)
	}
	defer cpu(b)()
	for b.Loop() {
		u := m.begin(nil)
		for _, tm := range m.tables {
			m.rows(s.Snapshot(), tm.table, func(r *Row) { u.initial(tm, r) })
		}
		b.SetBytes(int64(len(u.finish())))
	}
}

// BenchmarkLoad opens a store of 100,000 ports from a snapshot.
func BenchmarkLoad(b *testing.B) {
	d := testSchema(b)
	e := NewMemoryEngine()
	open := func() *Store {
		s, err := Open(context.Background(), e, []Database{{Schema: d}}, Options{Logger: quiet()})
		if err != nil {
			b.Fatal(err)
		}
		return s
	}
	s := open()
	fillSwitch(b, s, d, 100_000)
	if err := s.Compact(context.Background()); err != nil {
		b.Fatal(err)
	}
	s.Close()
	defer cpu(b)()
	for b.Loop() {
		open().Close()
	}
}
