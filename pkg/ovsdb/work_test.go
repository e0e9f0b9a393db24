package ovsdb

import (
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
)

// flowRows inserts rows into table Flow.
func flowRows(c *client, n int) {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,{"op":"insert","table":"Flow","row":{"match":"m%d","priority":%d}}`, i, i%1000)
	}
	c.result("transact", `["Test"`+b.String()+`]`)
}

const otherWrite = `["Test",{"op":"insert","table":"Global","row":{"nb_cfg":1}},{"op":"delete","table":"Global","where":[]}]`

// TestWorkIsLimited: a transaction that has to look at too much is refused,
// whichever way it does that, and what it wrote is not there.
func TestWorkIsLimited(t *testing.T) {
	l := newLimited(t, Limits{MaxWork: 20_000})
	c := dial(t, l.sock)
	flowRows(c, 1000)
	many := func(n int, op string) string { return strings.Repeat(","+op, n)[1:] }
	for name, ops := range map[string]string{
		"scans":      many(30, `{"op":"select","table":"Flow","where":[["priority",">",5000]]}`),
		"conditions": `{"op":"select","table":"Flow","where":[` + many(200, `["priority","!=",-1]`) + `]}`,
		"one column": many(5, `{"op":"select","table":"Flow","where":[["match","==","m7"]]}`) + "," + many(20, `{"op":"select","table":"Flow","where":[["priority","<",0]]}`),
		"mutations":  `{"op":"mutate","table":"Flow","where":[],"mutations":[` + many(20, `["priority","+=",1]`) + `]}`,
		"writes":     many(3, `{"op":"update","table":"Flow","where":[],"row":{"match":"y"}}`),
		"results":    many(10, `{"op":"select","table":"Flow","where":[]}`),
		"sorts":      many(6, `{"op":"select","table":"Flow","where":[],"sort":["match"],"columns":["match"]}`),
		"waits":      many(12, `{"op":"wait","table":"Flow","where":[],"columns":["match"],"until":"!=","rows":[]}`),
		"inserts":    many(3000, `{"op":"insert","table":"Flow","row":{}}`),
	} {
		before := l.exceededCount("work")
		got := c.result("transact", `["Test",{"op":"insert","table":"Global","row":{"nb_cfg":7}},`+ops+`]`)
		if !strings.Contains(got, "a limit is exceeded (work): the transaction has to look at more than 20000 rows") {
			t.Errorf("%s: %.200s", name, got)
		}
		if n := l.exceededCount("work") - before; n != 1 {
			t.Errorf("%s: counted %g times", name, n)
		}
	}
	if got := c.result("transact", `["Test",{"op":"select","table":"Global","where":[]}]`); got != `[{"rows":[]}]` {
		t.Error("a refused transaction left something: ", got)
	}
	// What is within it is done: by name, a thousand rows cost little.
	var b strings.Builder
	for i := range 200 {
		fmt.Fprintf(&b, `,{"op":"update","table":"Flow","where":[["match","==","m%d"]],"row":{"priority":1}}`, i)
	}
	if got := c.result("transact", `["Test"`+b.String()+`]`); strings.Count(got, `{"count":1}`) != 200 {
		t.Errorf("%.300s", got)
	}
}

// TestHeavyTransactionsTakeTurns: while one transaction is heavy, others that
// become heavy wait, without holding up what is light.
func TestHeavyTransactionsTakeTurns(t *testing.T) {
	s := openTest(t, NewMemoryEngine(), testSchema(t))
	sock := serve(t, s, ServerOptions{})
	c := dial(t, sock)
	flowRows(c, 10_000)
	scans := strings.Repeat(`,{"op":"select","table":"Flow","where":[["priority",">",5000]]}`, 40)
	s.heavy <- struct{}{} // somebody's turn
	reads, writes, gone := dial(t, sock), dial(t, sock), dial(t, sock)
	answers := make(chan string, 2)
	var wg sync.WaitGroup
	for _, x := range []struct {
		c   *client
		ops string
	}{{reads, `["Test"` + scans + `]`}, {writes, `["Test",{"op":"insert","table":"Flow","row":{"match":"late"}}` + scans + `]`}} {
		wg.Go(func() { answers <- x.c.result("transact", x.ops) })
	}
	fmt.Fprintf(gone.conn, `{"method":"transact","params":["Test"%s],"id":1}`, scans)
	for range 100 {
		c.result("transact", otherWrite)
	}
	select {
	case got := <-answers:
		t.Fatalf("answered out of turn: %.100s", got)
	default:
	}
	<-s.heavy
	wg.Wait()
	for range 2 {
		if got := <-answers; strings.Count(got, `{"rows":[]}`) != 40 {
			t.Errorf("%.200s", got)
		}
	}
	if got := c.result("transact", `["Test",{"op":"select","table":"Flow","where":[["match","==","late"]],"columns":["match"]}]`); got != `[{"rows":[{"match":"late"}]}]` {
		t.Error(got)
	}
	gone.call("echo", `[]`) // its heavy transaction has been answered
	if len(s.heavy) != 0 {
		t.Error("a turn was not given back")
	}
}

// TestOthersWriteMeanwhile: clients that have the server look at a large table again and
// again do not hold up those who write: not one of their transactions has to end for a
// small one to be done.
func TestOthersWriteMeanwhile(t *testing.T) {
	l := newLimited(t, Limits{MaxWork: 2_000_000})
	c := dial(t, l.sock)
	flowRows(c, 20_000)
	attack := fmt.Sprintf(`{"method":"transact","params":["Test",{"op":"insert","table":"Flow","row":{"match":"a"}}%s],"id":1}`,
		strings.Repeat(`,{"op":"select","table":"Flow","where":[["priority",">",5000]]}`, 2000))
	var conns []net.Conn
	var wg sync.WaitGroup
	for range 6 {
		conn := l.raw()
		conns = append(conns, conn)
		wg.Go(func() {
			for {
				if _, err := fmt.Fprint(conn, attack); err != nil {
					return
				}
			}
		})
	}
	// Each ends by being refused, after 2,000,000 rows.
	for l.exceededCount("work") == 0 {
		c.result("transact", otherWrite)
	}
	const writes = 50
	before := l.exceededCount("work")
	for range writes {
		c.result("transact", otherWrite)
	}
	ended := l.exceededCount("work") - before
	for _, conn := range conns {
		conn.Close()
	}
	wg.Wait()
	if t.Logf("%g heavy transactions ended during %d writes", ended, writes); ended > writes/2 {
		t.Errorf("%g heavy transactions ended during %d writes", ended, writes)
	}
}

// TestHeavyWritesAndConflicts: a heavy transaction that writes sees one state and
// is committed on the present one, also where others change the tables that it
// names meanwhile; one too long for that is refused.
func TestHeavyWritesAndConflicts(t *testing.T) {
	for _, tt := range []struct {
		name   string
		limits Limits
		other  string // what others write meanwhile; %d is a number
		ok     bool
	}{
		{"other tables", Limits{MaxWork: 1_000_000}, `{"op":"delete","table":"Switch","where":[]},{"op":"insert","table":"Switch","row":{"name":"s%d"}}`, true},
		{"the same table", Limits{}, `{"op":"mutate","table":"Flow","where":[["match","==","m7"]],"mutations":[["priority","+=",1000]]},{"op":"comment","comment":"%d"}`, true},
		{"the same table, and too long", Limits{MaxWork: 1_000_000}, `{"op":"mutate","table":"Flow","where":[["match","==","m7"]],"mutations":[["priority","+=",1000]]},{"op":"comment","comment":"%d"}`, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLimited(t, tt.limits)
			c, other := dial(t, l.sock), dial(t, l.sock)
			flowRows(c, 10_000)
			stop := make(chan struct{})
			var wg sync.WaitGroup
			n := 0
			wg.Go(func() {
				for i := 0; ; i++ {
					n = i
					select {
					case <-stop:
						return
					default:
						other.result("transact", `["Test",`+fmt.Sprintf(tt.other, i)+`]`)
					}
				}
			})
			ended := sync.OnceFunc(func() {
				close(stop)
				wg.Wait()
			})
			defer ended()
			ops := `["Test",{"op":"mutate","table":"Flow","where":[["match","==","m7"]],"mutations":[["priority","+=",1]]}` +
				strings.Repeat(`,{"op":"select","table":"Flow","where":[["priority","<",0]]}`, 30) + `]`
			done := 0
			for i := 0; i < 10 || !tt.ok && i < 200; i++ {
				got := c.result("transact", ops)
				refused := strings.Contains(got, "others change what the transaction looks at")
				if !refused && !strings.HasPrefix(got, `[{"count":1}`) || refused && tt.ok {
					t.Fatalf("%.300s", got)
				}
				if !refused {
					done++
				} else if i >= 10 {
					break
				}
			}
			ended()
			if tt.name == "other tables" {
				n = 0
			}
			want := fmt.Sprintf(`[{"rows":[{"priority":%d}]}]`, 7+done+1000*n)
			if got := c.result("transact", `["Test",{"op":"select","table":"Flow","where":[["match","==","m7"]],"columns":["priority"]}]`); got != want {
				t.Errorf("%s, want %s", got, want)
			}
			if n := l.exceededCount("work"); (n > 0) == tt.ok {
				t.Errorf("%g were refused", n)
			}
		})
	}
}

// TestBlockedWaitsSleep: a transaction that waits is run again only when a commit
// changed what it reads.
func TestBlockedWaitsSleep(t *testing.T) {
	d := testSchema(t)
	s := openTest(t, NewMemoryEngine(), d)
	ops, err := parseJSON(`[{"op":"comment","comment":"x"},{"op":"wait","table":"Switch","where":[],"columns":["name"],"until":"!=","rows":[]},{"op":"select","table":"Flow","where":[]}]`, jsonLimits{depth: 10, values: 1000})
	if err != nil {
		t.Fatal(err)
	}
	tr := &transaction{store: s, db: s.database(d), ops: ops.list, who: OwnerClient}
	if o := tr.run(0); !o.blocked {
		t.Fatalf("%s", o.result)
	}
	_, since := s.moment()
	insert := func(table string) {
		update(t, s, d, func(tx *Txn) { tx.Insert(d.Table(table), UUID{}, nil) })
	}
	insert("Flow")
	insert("Global")
	if tr.concerns(changedSince(since)) {
		t.Error("a commit of other tables concerns it")
	}
	insert("Switch")
	if !tr.concerns(changedSince(since)) {
		t.Error("a commit of its table does not concern it")
	}
	if o := tr.run(0); o.blocked {
		t.Error("it is blocked still")
	}
}

// TestRepeatedScansLikeStock: from the fourth scan on by a value in one column, rows
// are found by an index of the transaction, and they are the same ones.
func TestRepeatedScansLikeStock(t *testing.T) {
	b := newBeside(t, testSchemaJSON)
	find := func(n int) string {
		return strings.Repeat(`,{"op":"select","table":"Flow","where":[["match","==","a"]],"columns":["priority"],"sort":["priority"]},{"op":"select","table":"Flow","where":[["match","==","b"]],"columns":["priority"],"sort":["priority"]}`, n)[1:]
	}
	row := func(s string, i int) string {
		return fmt.Sprintf(`{"op":"insert","table":"Flow","row":{"match":"%s","priority":%d}}`, s, i)
	}
	b.transact(row("a", 1) + "," + row("a", 2) + "," + row("b", 3) + "," + row("c", 4))
	b.transact(find(6))
	b.transact(find(3) + "," + row("a", 5) + "," + find(1) +
		`,{"op":"update","table":"Flow","where":[["match","==","b"]],"row":{"match":"a"}},` + find(1) +
		`,{"op":"update","table":"Flow","where":[["priority","==",1]],"row":{"match":"b"}},` + find(1) +
		`,{"op":"delete","table":"Flow","where":[["match","==","a"],["priority","<",3]]},` + find(1) +
		`,{"op":"mutate","table":"Flow","where":[["match","==","a"]],"mutations":[["priority","+=",10]]},` + find(1) +
		`,{"op":"delete","table":"Flow","where":[["match","==","a"]]},` + find(1))
	b.transact(`{"op":"select","table":"Flow","where":[],"columns":["match","priority"],"sort":["priority"]}`)
}
