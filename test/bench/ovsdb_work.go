package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"time"
)

// ovsdbWork is one workload, run on a fresh server.
type ovsdbWork struct {
	name string
	// stock is the server to compare with; default stockKind.
	stock ovsdbKind
	// durable tells which durabilities are measured; a workload that writes
	// nothing is measured once.
	durable []bool
	northd  bool // measured with the compiler too, for information
	run     func(ctx context.Context, srv *ovsdbServer, durable bool) (sample, error)
}

var (
	bothDurabilities = []bool{true, false}
	readsOnly        = []bool{false}
)

func ovsdbWorks(o *ovsdbOptions) []ovsdbWork {
	n := o.n
	var list []ovsdbWork
	for _, w := range []struct{ clients, window, switches int }{{1, 1, 1}, {1, 1, 100}, {8, 1, 1}, {8, 1, 100}, {1, 64, 100}} {
		name := fmt.Sprintf("insert a port, %s, %s", count(w.clients, "client"), count(w.switches, "switch"))
		if w.window > 1 {
			name += fmt.Sprintf(", %d under way", w.window)
		}
		list = append(list, ovsdbWork{
			name: name, durable: bothDurabilities, northd: w.window == 1,
			run: func(_ context.Context, srv *ovsdbServer, durable bool) (sample, error) {
				switches, err := makeSwitches(srv, w.switches)
				if err != nil {
					return sample{}, err
				}
				return load{w.clients, w.window, n, func(b []byte, i int) []byte {
					return portsRequest(b, switches[i%len(switches)], i, i+1, durable)
				}}.run(srv)
			},
		})
	}
	list = append(list,
		ovsdbWork{name: "10,000 ports in one transaction", durable: []bool{true}, run: func(_ context.Context, srv *ovsdbServer, durable bool) (sample, error) {
			switches, err := makeSwitches(srv, 3)
			if err != nil {
				return sample{}, err
			}
			return load{1, 1, len(switches), func(b []byte, i int) []byte {
				return portsRequest(b, switches[i], i*10_000, (i+1)*10_000, durable)
			}}.run(srv)
		}},
		lookup("select a port by name (index) of 10,000", n, "Logical_Switch_Port", "p%d", readsOnly, `{"op":"select","table":%q,"where":[["name","==",%q]],"columns":["_uuid","addresses","name"]}`),
		lookup("update a port by name (index) of 10,000", n, "Logical_Switch_Port", "p%d", bothDurabilities, `{"op":"update","table":%q,"where":[["name","==",%q]],"row":{"external_ids":["map",[["n","%d"]]]}}`),
		lookup("select a switch by name (no index) of 10,000", n/4, "Logical_Switch", "sw%d", readsOnly, `{"op":"select","table":%q,"where":[["name","==",%q]],"columns":["_uuid","name"]}`),
		lookup("update a switch by name (no index) of 10,000", n/4, "Logical_Switch", "sw%d", bothDurabilities, `{"op":"update","table":%q,"where":[["name","==",%q]],"row":{"external_ids":["map",[["n","%d"]]]}}`),
		monitoring("50 monitors, 1,000 updates of a port, all received", `{"columns":["name","addresses","external_ids","up"]}`, 50, 1000),
		monitoring("50 monitors with conditions that do not match, 1,000 updates", `{"columns":["name","addresses","external_ids","up"],"where":[["name","==","nobody"]]}`, 50, 0),
		reconnect("200 clients connect, 2,000 ports each", stockKind, 200, false),
		reconnect("200 clients connect again and resume (ovsdb-server: a cluster of one)", stockCluster, 200, true),
	)
	return list
}

func count(n int, what string) string {
	switch {
	case n == 1:
		return "1 " + what
	case what[len(what)-1] == 'h':
		return fmt.Sprintf("%d %ses", n, what)
	}
	return fmt.Sprintf("%d %ss", n, what)
}

const durableOp = `,{"op":"commit","durable":true}`

var uuidInReply = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)

// makeSwitches inserts sw0, sw1 ... in one transaction and returns their UUIDs.
func makeSwitches(srv *ovsdbServer, n int) ([]string, error) {
	b := []byte(`{"id":1,"method":"transact","params":["OVN_Northbound"`)
	for i := range n {
		b = fmt.Appendf(b, `,{"op":"insert","table":"Logical_Switch","row":{"name":"sw%d"}}`, i)
	}
	reply, err := once(srv, append(b, "]}"...))
	if err != nil {
		return nil, err
	}
	uuids := uuidInReply.FindAllString(string(reply), -1)
	if len(uuids) != n {
		return nil, fmt.Errorf("%d switches were made, not %d", len(uuids), n)
	}
	return uuids, nil
}

// once makes one request on a connection of its own.
func once(srv *ovsdbServer, request []byte) ([]byte, error) {
	w, err := dialWire(srv.sock)
	if err != nil {
		return nil, err
	}
	reply, err := w.call(request)
	return bytes.Clone(reply), errors.Join(err, w.close())
}

// portsRequest adds ports to a switch in one transaction, as ovn-nbctl lsp-add
// does it: insert each, and one mutation of the switch.
func portsRequest(b []byte, sw string, from, to int, durable bool) []byte {
	b = fmt.Appendf(b, `{"id":%d,"method":"transact","params":["OVN_Northbound"`, from)
	for i := from; i < to; i++ {
		b = fmt.Appendf(b, `,{"op":"insert","table":"Logical_Switch_Port","uuid-name":"p%d","row":{"name":"p%d","addresses":"0a:01:00:%02x:%02x:%02x 10.%d.%d.%d","port_security":"0a:01:00:%02x:%02x:%02x 10.%d.%d.%d"}}`,
			i, i, byte(i>>16), byte(i>>8), byte(i), byte(i>>16), byte(i>>8), byte(i), byte(i>>16), byte(i>>8), byte(i), byte(i>>16), byte(i>>8), byte(i))
	}
	b = fmt.Appendf(b, `,{"op":"mutate","table":"Logical_Switch","where":[["_uuid","==",["uuid",%q]]],"mutations":[["ports","insert",["set",[`, sw)
	for i := from; i < to; i++ {
		if i > from {
			b = append(b, ',')
		}
		b = fmt.Appendf(b, `["named-uuid","p%d"]`, i)
	}
	b = append(b, `]]]]}`...)
	if durable {
		b = append(b, durableOp...)
	}
	return append(b, "]}"...)
}

// lookup makes one operation on the rows of a table of 10,000, one after the
// other.
func lookup(name string, n int, table, row string, durable []bool, op string) ovsdbWork {
	return ovsdbWork{name: name, durable: durable, run: func(_ context.Context, srv *ovsdbServer, durable bool) (sample, error) {
		if table == "Logical_Switch" {
			if _, err := makeSwitches(srv, 10_000); err != nil {
				return sample{}, err
			}
		} else {
			switches, err := makeSwitches(srv, 1)
			if err == nil {
				_, err = once(srv, portsRequest(nil, switches[0], 0, 10_000, false))
			}
			if err != nil {
				return sample{}, err
			}
		}
		return load{1, 1, n, func(b []byte, i int) []byte {
			b = fmt.Appendf(b, `{"id":%d,"method":"transact","params":["OVN_Northbound",`, i)
			args := []any{table, fmt.Sprintf(row, i*7919%10_000), i}
			b = fmt.Appendf(b, op, args[:bytes.Count([]byte(op), []byte("%"))]...)
			if durable {
				b = append(b, durableOp...)
			}
			return append(b, "]}"...)
		}}.run(srv)
	}}
}

// monitoring is clients with a monitor while another one makes a thousand
// updates one after the other; each monitor receives so many of them.
func monitoring(name, request string, monitors, received int) ovsdbWork {
	return ovsdbWork{name: name, durable: bothDurabilities, run: func(_ context.Context, srv *ovsdbServer, durable bool) (s sample, err error) {
		switches, err := makeSwitches(srv, 1)
		if err != nil {
			return s, err
		}
		if _, err := once(srv, portsRequest(nil, switches[0], 0, 1000, false)); err != nil {
			return s, err
		}
		wires := make([]*wire, monitors)
		for i := range wires {
			if wires[i], err = dialWire(srv.sock); err != nil {
				return s, err
			}
			defer wires[i].close()
			if _, err := wires[i].call(fmt.Appendf(nil, `{"id":1,"method":"monitor_cond","params":["OVN_Northbound","m",{"Logical_Switch_Port":[%s]}]}`, request)); err != nil {
				return s, err
			}
		}
		before, err := cpu(srv.pid())
		if err != nil {
			return s, err
		}
		errs := make([]error, monitors)
		var wg sync.WaitGroup
		start := time.Now()
		for i, w := range wires {
			wg.Go(func() { errs[i] = w.updates(received) })
		}
		writer := load{1, 16, 1000, func(b []byte, i int) []byte {
			b = fmt.Appendf(b, `{"id":%d,"method":"transact","params":["OVN_Northbound",{"op":"update","table":"Logical_Switch_Port","where":[["name","==","p%d"]],"row":{"external_ids":["map",[["n","%d"]]]}}`, i, i%1000, i)
			if durable {
				b = append(b, durableOp...)
			}
			return append(b, "]}"...)
		}}
		_, err = writer.run(srv)
		wg.Wait()
		s.wall, s.n = time.Since(start), 1
		s.latency = []time.Duration{s.wall}
		after, cpuErr := cpu(srv.pid())
		s.cpu = after - before
		return s, firstError(append(errs, err, cpuErr))
	}}
}

// updates reads so many updates.
func (w *wire) updates(n int) error {
	for i := range n {
		m, err := w.in.next()
		if err != nil {
			return fmt.Errorf("update %d: %w", i, err)
		}
		if !bytes.Contains(m, isUpdate) {
			return fmt.Errorf("not an update: %.300s", m)
		}
	}
	return nil
}

var lastID = regexp.MustCompile(`"result":\[(true|false),"([0-9a-f-]{36})"`)

// reconnect is clients that connect at once and ask for all of a table, or for
// what has changed of it since a transaction that they name.
func reconnect(name string, stock ovsdbKind, clients int, resume bool) ovsdbWork {
	return ovsdbWork{name: name, stock: stock, durable: readsOnly, run: func(_ context.Context, srv *ovsdbServer, _ bool) (s sample, err error) {
		switches, err := makeSwitches(srv, 1)
		if err != nil {
			return s, err
		}
		if _, err := once(srv, portsRequest(nil, switches[0], 0, 2000, false)); err != nil {
			return s, err
		}
		request := func(since string) []byte {
			return fmt.Appendf(nil, `{"id":1,"method":"monitor_cond_since","params":["OVN_Northbound","m",{"Logical_Switch_Port":[{}]},%q]}`, since)
		}
		since := "00000000-0000-0000-0000-000000000000"
		if resume {
			// ovsdb-server remembers no more than the database has values, so the
			// last changes must be small.
			update := func(i int) error {
				_, err := once(srv, fmt.Appendf(nil, `{"id":1,"method":"transact","params":["OVN_Northbound",{"op":"update","table":"Logical_Switch_Port","where":[["name","==","p%d"]],"row":{"type":"localport"}}]}`, i))
				return err
			}
			if err := update(0); err != nil {
				return s, err
			}
			reply, err := once(srv, request(since))
			if err != nil {
				return s, err
			}
			m := lastID.FindSubmatch(reply)
			if m == nil {
				return s, fmt.Errorf("no last transaction id in %.100s", reply)
			}
			since = string(m[2])
			for i := range 20 { // what happens meanwhile
				if err := update(i + 1); err != nil {
					return s, err
				}
			}
		}
		before, err := cpu(srv.pid())
		if err != nil {
			return s, err
		}
		errs, latency := make([]error, clients), make([]time.Duration, clients)
		var wg sync.WaitGroup
		start := time.Now()
		for i := range clients {
			wg.Go(func() {
				reply, err := once(srv, request(since))
				latency[i] = time.Since(start)
				if m := lastID.FindSubmatch(reply); err == nil && (m == nil || string(m[1]) != strconv.FormatBool(resume)) {
					err = fmt.Errorf("not resumed as expected: %.100s", reply)
				}
				errs[i] = err
			})
		}
		wg.Wait()
		s.wall, s.n = time.Since(start), 1
		s.latency = latency
		slices.Sort(s.latency)
		after, err := cpu(srv.pid())
		s.cpu = after - before
		return s, firstError(append(errs, err))
	}}
}
