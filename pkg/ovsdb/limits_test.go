package ovsdb

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime"
	"runtime/metrics"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"govn/pkg/certs"
	"govn/pkg/certs/certstest"
	"govn/pkg/eventually"
)

// limited is a server with its metrics.
type limited struct {
	t        *testing.T
	sock     string
	registry *prometheus.Registry
}

// exceededCount is the metric of a limit.
func (l *limited) exceededCount(limit string) float64 { return l.metric("limit_exceeded_total", limit) }

func (l *limited) metric(name, limit string) float64 {
	l.t.Helper()
	families, err := l.registry.Gather()
	if err != nil {
		l.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "govn_ovsdb_"+name {
			continue
		}
		for _, m := range f.GetMetric() {
			for _, label := range m.GetLabel() {
				if limit == "" || label.GetName() == "limit" && label.GetValue() == limit {
					return m.GetGauge().GetValue() + m.GetCounter().GetValue()
				}
			}
		}
	}
	l.t.Fatalf("no metric %s of %q", name, limit)
	return 0
}

func newLimited(t *testing.T, limits Limits) *limited {
	t.Helper()
	l := &limited{t: t, registry: prometheus.NewRegistry()}
	l.sock = serveWith(t, openTest(t, NewMemoryEngine(), testSchema(t)), ServerOptions{Limits: limits}, func(srv *Server) {
		l.registry.MustRegister(srv.LimitMetrics("Test"))
	})
	return l
}

// raw opens a connection that sends what it is told and does not read.
func (l *limited) raw() net.Conn {
	l.t.Helper()
	conn, err := net.Dial("unix", l.sock)
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { conn.Close() })
	return conn
}

// closed waits for the server to close a connection.
func closed(t *testing.T, conn net.Conn) {
	t.Helper()
	conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.Copy(io.Discard, conn); err != nil && !strings.Contains(err.Error(), "reset") {
		t.Errorf("the connection is still there: %v", err)
	}
}

// TestLimitsEndConnections: what goes beyond these ends the connection, and no
// other, and is counted.
func TestLimitsEndConnections(t *testing.T) {
	wait := `{"method":"transact","params":["Test",{"op":"wait","table":"Switch","where":[],"columns":["name"],"until":"!=","rows":[]}],"id":%d}`
	for _, tt := range []struct {
		limit  string
		limits Limits
		send   func(io.Writer)
	}{
		{"message", Limits{MaxMessage: 10_000}, func(w io.Writer) {
			fmt.Fprintf(w, `{"method":"echo","params":["%s"],"id":1}`, strings.Repeat("x", 20_000))
		}},
		{"message", Limits{MaxMessage: 16_000}, func(w io.Writer) { fmt.Fprint(w, `{"method":"echo","params":[0`, strings.Repeat(`,0`, 5000)) }},
		{"depth", Limits{MaxDepth: 10}, func(w io.Writer) { fmt.Fprint(w, `{"method":"echo","params":`, strings.Repeat("[", 10)) }},
		{"outstanding", Limits{MaxOutstanding: 3}, func(w io.Writer) {
			for i := range 4 {
				fmt.Fprintf(w, wait, i)
			}
		}},
		{"message-time", Limits{MessageTimeout: 50 * time.Millisecond}, func(w io.Writer) { fmt.Fprint(w, `{"method":"ec`) }},
		{"buffers", Limits{MaxBuffers: 300_000}, func(w io.Writer) { fmt.Fprint(w, `{"method":"`+strings.Repeat("x", 400_000)) }},
		{"buffers", Limits{MaxBuffers: 3 << 20}, func(w io.Writer) { // names that are kept
			for i := range 5 {
				fmt.Fprintf(w, `{"method":"lock","params":["n%d%s"],"id":%d}`, i, strings.Repeat("x", 1<<20), i)
			}
		}},
		{"buffers", Limits{MaxBuffers: 3 << 20}, func(w io.Writer) { // a small request that waits keeps memory for a usual one
			for i := range 600 {
				fmt.Fprintf(w, wait, i)
			}
		}},
		{"buffers", Limits{MaxBuffers: 3 << 20}, func(w io.Writer) { // values take more than their text
			rows := strings.Repeat(",{}", 5000)
			for i := range 10 {
				fmt.Fprintf(w, `{"method":"transact","params":["Test",{"op":"wait","table":"Switch","where":[],"columns":[],"until":"==","rows":[{}%s]}],"id":%d}`, rows, i)
			}
		}},
	} {
		t.Run(tt.limit, func(t *testing.T) {
			l := newLimited(t, tt.limits)
			good := dial(t, l.sock)
			good.result("echo", `[]`)
			bad := l.raw()
			tt.send(bad)
			closed(t, bad)
			if n := l.exceededCount(tt.limit); n != 1 {
				t.Errorf("%g times", n)
			}
			good.result("transact", `["Test",{"op":"insert","table":"Switch","row":{"name":"x"}}]`)
			eventually.That(t, "one connection left", func() bool { return l.metric("sessions", "") == 1 && l.metric("buffered_bytes", "") == 0 })
		})
	}
}

// TestLimitsRefuse: what goes beyond these is an error, and the connection lives.
func TestLimitsRefuse(t *testing.T) {
	l := newLimited(t, Limits{MaxMonitors: 2, MaxLocks: 2, MaxOperations: 3, MaxRows: 2})
	c := dial(t, l.sock)
	flows := func(n int) string {
		return `["Test"` + strings.Repeat(`,{"op":"insert","table":"Flow","row":{"match":"m"}}`, n) + `]`
	}
	for _, tt := range []struct {
		limit, method, params string
		ok                    bool
	}{
		{"monitors", "monitor", `["Test",1,{}]`, true},
		{"monitors", "monitor_cond", `["Test",2,{}]`, true},
		{"monitors", "monitor", `["_Server",3,{}]`, false},
		{"monitors", "monitor_cancel", `[1]`, true},
		{"monitors", "monitor", `["_Server",3,{}]`, true},
		{"locks", "lock", `["a"]`, true},
		{"locks", "steal", `["b"]`, true},
		{"locks", "lock", `["c"]`, false},
		{"locks", "unlock", `["a"]`, true},
		{"locks", "lock", `["c"]`, true},
		{"operations", "transact", flows(4), false},
		{"rows", "transact", flows(3), false},
		{"rows", "transact", flows(2), true},
		{"rows", "transact", `["Test",{"op":"insert","table":"Flow","row":{}},{"op":"delete","table":"Flow","where":[]}]`, false},
		{"rows", "transact", `["Test",{"op":"mutate","table":"Flow","where":[],"mutations":[["priority","+=",1]]}]`, true},
		{"rows", "transact", `["Test",{"op":"select","table":"Flow","where":[]}]`, true},
	} {
		before := l.exceededCount(tt.limit)
		m := c.call(tt.method, tt.params)
		all := string(m.Error) + string(m.Result)
		if refused := strings.Contains(all, `"resources exhausted"`); refused == tt.ok {
			t.Errorf("%s %s: %s", tt.method, tt.params, all)
		}
		want := before
		if !tt.ok {
			want++
			if !strings.Contains(all, "a limit is exceeded ("+tt.limit+")") {
				t.Errorf("%s %s: %s", tt.method, tt.params, all)
			}
		}
		if n := l.exceededCount(tt.limit); n != want {
			t.Errorf("%s %s: %s is counted %g times, not %g", tt.method, tt.params, tt.limit, n, want)
		}
	}
	if got := c.result("transact", `["Test",{"op":"select","table":"Flow","where":[],"columns":["priority"]}]`); got != `[{"rows":[{"priority":1}]}]` {
		t.Error(got)
	}
	if n := l.metric("monitors", ""); n != 2 {
		t.Errorf("%g monitors", n)
	}
	if n := l.metric("limit", "rows"); n != 2 {
		t.Errorf("limit of rows: %g", n)
	}
}

func TestMaxConnections(t *testing.T) {
	l := newLimited(t, Limits{MaxConnections: 2})
	one, two := dial(t, l.sock), dial(t, l.sock)
	one.result("echo", `[]`)
	two.result("echo", `[]`)
	closed(t, l.raw())
	if n := l.exceededCount("connections"); n != 1 {
		t.Errorf("%g times", n)
	}
	two.conn.Close()
	eventually.That(t, "room for one more", func() bool { return l.metric("sessions", "") == 1 })
	dial(t, l.sock).result("echo", `[]`)
	one.result("echo", `[]`)
}

// TestSlowReaderResumes: a client that does not read is dropped, and goes on where
// it was.
func TestSlowReaderResumes(t *testing.T) {
	l := newLimited(t, Limits{MaxBacklog: 1 << 20})
	writer := dial(t, l.sock)
	slow := dial(t, l.sock)
	reply := slow.result("monitor_cond_since", `["Test","m",{"Flow":[{}]},"00000000-0000-0000-0000-000000000000"]`)
	var since []json.RawMessage
	if err := json.Unmarshal([]byte(reply), &since); err != nil {
		t.Fatal(err)
	}
	big := strings.Repeat("x", 100_000)
	for i := range 30 {
		writer.result("transact", fmt.Sprintf(`["Test",{"op":"insert","table":"Flow","row":{"match":"%s","priority":%d}}]`, big, i))
	}
	eventually.That(t, "the slow client is dropped", func() bool { return l.exceededCount("backlog") == 1 })
	// What it reads until the end is whole, in order, and says where it is.
	last := string(since[1])
	seen := 0
	for {
		var m message
		if err := slow.dec.Decode(&m); err != nil {
			break
		}
		var params []json.RawMessage
		if err := json.Unmarshal(m.Params, &params); err != nil || len(params) != 3 {
			t.Fatal(err)
		}
		last = string(params[1])
		seen++
	}
	again := dial(t, l.sock)
	again.conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	var found []json.RawMessage
	if err := json.Unmarshal([]byte(again.result("monitor_cond_since", `["Test","m",{"Flow":[{"columns":["priority"]}]},`+last+`]`)), &found); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(found[2]), `"insert"`); string(found[0]) != "true" || seen+n != 30 {
		t.Errorf("found %s: %d updates were read, %d rows came then", found[0], seen, n)
	}
}

// liveHeap is how much of the heap a collection has found in use, what was
// allocated meanwhile included.
func liveHeap() uint64 {
	runtime.GC()
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// hostileBudget is what peers may make a server hold at most, by its limits: what
// MaxBuffers counts, and as much for each of the large messages that are handled at
// a time, whose connection may have been dropped for it and which is not broken off
// yet. All of that three times: a list or a result that grows is there as it was
// and, a quarter longer, as it becomes; a result that is whole once more as the
// reply; and what the measurement finds has in it what became garbage meanwhile.
func hostileBudget(l Limits) uint64 {
	return 3 * uint64(l.MaxBuffers) * uint64(1+cap(newMeter(l, nil).large))
}

// TestHostilePeers: whatever peers do, memory stays bounded and another client's
// transactions go on.
func TestHostilePeers(t *testing.T) {
	limits := Limits{MaxMessage: 8 << 20, MaxBacklog: 4 << 20, MaxBuffers: 16 << 20, MaxOutstanding: 100, MessageTimeout: time.Minute}
	budget := hostileBudget(limits)
	repeat := func(w io.Writer, head, part string, n int) {
		if _, err := io.WriteString(w, head); err != nil {
			return
		}
		chunk := strings.Repeat(part, max(1, (64<<10)/len(part)))
		for sent := 0; sent < n; sent += len(chunk) {
			if _, err := io.WriteString(w, chunk); err != nil {
				return
			}
		}
	}
	megabyte := strings.Repeat("x", 1<<20)
	rows := strings.Repeat(",{}", 50_000)
	clauses := strings.Repeat(`["priority","==",1],`, 50_000)
	attacks := map[string]func(conn net.Conn){
		"two bytes":        func(conn net.Conn) { io.WriteString(conn, "{}") },
		"a string of 1 GB": func(conn net.Conn) { repeat(conn, `{"method":"echo","params":["`, "x", 1<<30) },
		"white space":      func(conn net.Conn) { repeat(conn, "", " ", 32<<20) },
		"nesting":          func(conn net.Conn) { repeat(conn, `{"method":"echo","params":`, "[", 1<<30) },
		"members": func(conn net.Conn) {
			repeat(conn, `{"method":"echo","params":[{}`, `,{"a":0}`, 7<<20)
			io.WriteString(conn, `],"id":1}`)
		},
		"numbers": func(conn net.Conn) {
			repeat(conn, `{"method":"echo","params":[0`, ",0", 2<<20)
			io.WriteString(conn, `],"id":1}`)
		},
		"names of locks": func(conn net.Conn) {
			for i := range 200 {
				fmt.Fprintf(conn, `{"method":"lock","params":["a%d`, i)
				io.WriteString(conn, megabyte)
				if _, err := fmt.Fprintf(conn, `"],"id":%d}`, i); err != nil {
					return
				}
			}
		},
		"waits of many values": func(conn net.Conn) {
			for i := range 1000 {
				io.WriteString(conn, `{"method":"transact","params":["Test",{"op":"wait","table":"Switch","where":[],"columns":[],"until":"==","rows":[{}`)
				io.WriteString(conn, rows)
				if _, err := fmt.Fprintf(conn, `]}],"id":%d}`, i); err != nil {
					return
				}
			}
		},
		"selects of a large table": func(conn net.Conn) {
			repeat(conn, "", `{"method":"transact","params":["Test",{"op":"select","table":"Flow","where":[]}],"id":1}`, 1000)
		},
		"monitors of a large table": func(conn net.Conn) {
			repeat(conn, "", `{"method":"monitor","params":["Test",null,{"Flow":{}}],"id":1}`, 1000)
		},
		"half a message": func(conn net.Conn) { repeat(conn, `{"method":"echo","params":["`, "x", 7<<20) },
		"reads nothing":  func(conn net.Conn) { repeat(conn, "", `{"method":"get_schema","params":["Test"],"id":1}`, 64<<20) },
		"monitors, no reads": func(conn net.Conn) {
			repeat(conn, "", `{"method":"monitor","params":["Test",null,{"Flow":{}}],"id":1}{"method":"monitor_cancel","params":[null],"id":2}`, 64<<20)
		},
		"waits for ever": func(conn net.Conn) {
			for i := range 1000 {
				io.WriteString(conn, `{"method":"transact","params":["Test",{"op":"comment","comment":"`)
				io.WriteString(conn, megabyte)
				if _, err := fmt.Fprintf(conn, `"},{"op":"wait","table":"Switch","where":[],"columns":["name"],"until":"==","rows":[{"name":"never"}]}],"id":%d}`, i); err != nil {
					return
				}
			}
		},
		"a wide monitor": func(conn net.Conn) {
			for i := range 100 {
				fmt.Fprintf(conn, `{"method":"monitor_cond","params":["Test",%d,{"Flow":[{"where":[`, i)
				io.WriteString(conn, clauses)
				if _, err := io.WriteString(conn, `["priority","==",1]]}]}],"id":1}`); err != nil {
					return
				}
			}
		},
		"selects the same again": func(conn net.Conn) {
			io.WriteString(conn, `{"method":"transact","params":["Test"`)
			for range 20_000 {
				if _, err := io.WriteString(conn, `,{"op":"select","table":"Flow","where":[]}`); err != nil {
					return
				}
			}
			io.WriteString(conn, `],"id":1}`)
		},
	}
	for name, attack := range attacks {
		t.Run(name, func(t *testing.T) {
			l := newLimited(t, limits)
			good := dial(t, l.sock)
			match := strings.Repeat("m", 1000)
			if strings.HasSuffix(name, "of a large table") {
				match = strings.Repeat("m", 300_000)
			}
			for range 10 {
				good.result("transact", `["Test"`+strings.Repeat(`,{"op":"insert","table":"Flow","row":{"match":"`+match+`"}}`, 10)+`]`)
			}
			before := liveHeap()
			var attackers sync.WaitGroup
			var conns []net.Conn
			for range 6 {
				conn := l.raw()
				conns = append(conns, conn)
				attackers.Go(func() { attack(conn) })
			}
			done := make(chan struct{})
			go func() {
				defer close(done)
				attackers.Wait()
			}()
			var most uint64
			start, slowest := time.Now(), time.Duration(0)
			for attacking, n := true, 0; attacking || n < 20; n++ {
				began := time.Now()
				good.result("transact", fmt.Sprintf(`["Test",{"op":"insert","table":"Global","row":{"nb_cfg":%d}},{"op":"delete","table":"Global","where":[]}]`, n))
				slowest = max(slowest, time.Since(began))
				if used := liveHeap(); used > before {
					most = max(most, used-before)
				}
				select {
				case <-done:
					attacking = false
				default:
					// Those who read nothing are stuck in writing by then.
					attacking = attacking && time.Since(start) < 2*time.Second
				}
			}
			for _, conn := range conns {
				conn.Close()
			}
			<-done
			t.Logf("at most %d KiB more; the slowest of the other's transactions took %v", most>>10, slowest.Round(time.Millisecond))
			if most > budget {
				t.Errorf("the heap grew by %d KiB, and the limits allow %d KiB", most>>10, budget>>10)
			}
			if slowest > 10*time.Second {
				t.Errorf("a transaction took %v", slowest)
			}
			eventually.That(t, "the attackers are gone", func() bool { return l.metric("sessions", "") == 1 && l.metric("buffered_bytes", "") < 1<<20 })
		})
	}
}

func TestErrLimit(t *testing.T) {
	m := newMeter(Limits{}.withDefaults(), func() {})
	if err := m.exceeded(limitRows, "%d", 7); !errors.Is(err, ErrLimit) || m.hits[limitRows].Load() != 1 {
		t.Error(err)
	}
	var none *meter
	if err := none.exceeded(limitDepth, "x"); !errors.Is(err, ErrLimit) {
		t.Error(err)
	}
	l := Limits{MaxMonitors: -1, MaxMessage: -1, MaxDepth: -1}.withDefaults()
	if l.MaxMonitors != Unlimited || l.MaxMessage > 1<<30 || l.MaxDepth > 10_000 || l.MaxLocks != 1000 {
		t.Errorf("%+v", l)
	}
}

// TestHandshakeLimit: who connects and never shakes hands, or stops in the middle,
// is cut off in time, by every remote with TLS, and others come in meanwhile.
func TestHandshakeLimit(t *testing.T) {
	ca := certstest.NewAuthority(t, "ca")
	s := openTest(t, NewMemoryEngine(), testSchema(t))
	srv := NewServer(s, ServerOptions{Limits: Limits{HandshakeTimeout: time.Second, MaxConnections: 20}})
	rs, err := srv.OpenRemotes(RemotesOptions{Remotes: []string{"pssl:0:127.0.0.1"}, Keys: ca.Issue("server")})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { rs.Run(ctx) })
	defer running.Wait()
	defer cancel()
	l := &limited{t: t, registry: prometheus.NewRegistry()}
	l.registry.MustRegister(srv.LimitMetrics("Test"), srv.RemoteMetrics("Test"))
	address := rs.list()[0].listener.Addr().String()
	var silent []net.Conn
	for i := range 6 {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if i%2 == 0 { // the head of a record that does not come
			conn.Write([]byte{22, 3, 1, 2, 0, 1})
		}
		silent = append(silent, conn)
	}
	config, err := certs.NewLoader(ca.Issue("client"), slog.New(slog.DiscardHandler)).ClientConfig(address)
	if err != nil {
		t.Fatal(err)
	}
	good, err := tls.Dial("tcp", address, config)
	if err != nil {
		t.Fatal(err)
	}
	defer good.Close()
	c := newClient(t, good)
	c.result("echo", `[]`)
	for _, conn := range silent {
		closed(t, conn)
	}
	eventually.That(t, "the count of late handshakes", func() bool { return l.exceededCount("handshake") == 6 })
	eventually.That(t, "one connection left", func() bool { return l.metric("sessions", "") == 1 })
	c.result("echo", `[]`)
}
