package vswitch

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"govn/schema"
)

// false server: what it answers to each method until the first connection of it
// ends, and what it says of its own accord after the monitor began. From the
// second connection on it is a good one.
type falseServer struct {
	t       *testing.T
	answers map[string]string // method to result; "" is a good one
	raw     map[string]string // method to a whole message
	after   string            // sent once the monitor is there
	schema  []byte

	mu          sync.Mutex
	connections int
}

const (
	goodRoot = `{"initial":{"external_ids":["map",[["system-id","hv1"],["ovn-remote","tcp:127.0.0.1:1"],["ovn-encap-type","geneve"],["ovn-encap-ip","203.0.113.1"]]]}}`
	rootUUID = `"11111111-1111-1111-1111-111111111111"`
	newUUID  = `"22222222-2222-2222-2222-222222222222"`
)

func (f *falseServer) serve(conn net.Conn) {
	defer conn.Close()
	f.mu.Lock()
	f.connections++
	good := f.connections > 1
	f.mu.Unlock()
	d := json.NewDecoder(conn)
	for {
		var m struct {
			Method string
			Params []json.RawMessage
			ID     json.RawMessage
		}
		if d.Decode(&m) != nil {
			return
		}
		var result string
		switch m.Method {
		case "list_dbs":
			result = `["Open_vSwitch"]`
		case "get_schema":
			result = string(f.schema)
		case "monitor_cond_since":
			result = fmt.Sprintf(`[false,"t",{"Open_vSwitch":{%s:%s}}]`, rootUUID, goodRoot)
		case "transact":
			result = `[]`
		}
		if bad := f.answers[m.Method]; bad != "" && !good {
			result = bad
		}
		text := fmt.Sprintf(`{"id":%s,"error":null,"result":%s}`, m.ID, result)
		if bad := f.raw[m.Method]; bad != "" && !good {
			text = bad
		}
		if m.Method == "monitor_cond_since" && f.after != "" && !good {
			text += strings.ReplaceAll(f.after, "COOKIE", string(m.Params[1]))
		}
		if _, err := io.WriteString(conn, text); err != nil {
			return
		}
	}
}

// A server that does not keep to the protocol costs its connection, at any point
// of it; the client says so, comes back, and works.
func TestFalseServer(t *testing.T) {
	update := func(tables string) string {
		return `{"id":null,"method":"update3","params":[COOKIE,"t2",` + tables + `]}`
	}
	for name, f := range map[string]*falseServer{
		"{} first":            {raw: map[string]string{"list_dbs": `{}`}},
		"null id":             {raw: map[string]string{"list_dbs": `{"id":null,"result":[]}`}},
		"no JSON":             {raw: map[string]string{"get_schema": `<html>`}},
		"deep":                {raw: map[string]string{"get_schema": strings.Repeat(`{"a":`, 100)}},
		"list_dbs":            {answers: map[string]string{"list_dbs": `7`}},
		"other database":      {answers: map[string]string{"list_dbs": `["other"]`}},
		"schema":              {answers: map[string]string{"get_schema": `{"name":"Open_vSwitch","tables":{"Bridge":{"columns":{"name":{}}}}}`}},
		"schema with less":    {answers: map[string]string{"get_schema": `{"name":"Open_vSwitch","version":"1.0.0","tables":{}}`}},
		"monitor null":        {answers: map[string]string{"monitor_cond_since": `null`}},
		"monitor short":       {answers: map[string]string{"monitor_cond_since": `[true]`}},
		"monitor empty value": {answers: map[string]string{"monitor_cond_since": `[false,"t",{"Open_vSwitch":{` + rootUUID + `:{"initial":{"external_ids":[]}}}}]`}},
		"monitor modifies":    {answers: map[string]string{"monitor_cond_since": `[false,"t",{"Open_vSwitch":{` + rootUUID + `:{"modify":{}}}}]`}},
		"update {}":           {after: `{}`},
		"update params":       {after: `{"id":null,"method":"update2","params":[]}`},
		"update null row":     {after: update(`{"Open_vSwitch":{` + rootUUID + `:null}}`)},
		"update other cookie": {after: `{"id":null,"method":"update3","params":[{"databaseName":"Open_vSwitch","id":"x"},"t",{}]}`},
		"update of nothing":   {after: update(`{"Bridge":{` + newUUID + `:{"modify":{"name":"x"}}}}`)},
		"update empty value":  {after: update(`{"Bridge":{` + newUUID + `:{"insert":{"ports":[]}}}}`)},
		"update wrong type":   {after: update(`{"Bridge":{` + newUUID + `:{"insert":{"name":7}}}}`)},
		"update other table":  {after: update(`{"QoS":{` + newUUID + `:{"insert":{}}}}`)},
		"update other column": {after: update(`{"Bridge":{` + newUUID + `:{"insert":{"stp_enable":true}}}}`)},
		"request":             {after: `{"id":1,"method":"monitor_canceled","params":[]}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f.t, f.schema = t, schema.OpenVSwitch().JSON()
			l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
			if err != nil {
				t.Fatal(err)
			}
			var wg sync.WaitGroup
			wg.Go(func() {
				for {
					conn, err := l.Accept()
					if err != nil {
						return
					}
					wg.Go(func() { f.serve(conn) })
				}
			})
			t.Cleanup(func() { l.Close(); wg.Wait() })
			var log logged
			w := startLogged(t, "unix:"+l.Addr().String(), slog.New(slog.NewTextHandler(&log, nil)))
			w.until("configuration from the second connection", func() bool {
				f.mu.Lock()
				defer f.mu.Unlock()
				return f.connections > 1 && w.config != nil && w.config.SystemID == "hv1"
			})
			if text := log.String(); strings.Count(text, "connection to a database lost") != 1 ||
				name != "other database" && name != "schema with less" && !strings.Contains(text, "does not keep to the protocol") {
				t.Errorf("log:\n%s", text)
			}
		})
	}
}

// logged is a log that a test reads.
type logged struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// A server that goes away in the middle of a transaction is noticed.
func TestServerGoesAway(t *testing.T) {
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	f := &falseServer{t: t, schema: schema.OpenVSwitch().JSON(), raw: map[string]string{"transact": "}"}}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { f.serve(conn) })
		}
	})
	t.Cleanup(func() { l.Close(); wg.Wait() })
	w := start(t, "unix:"+l.Addr().String())
	w.until("configuration", func() bool { return w.config != nil })
	w.c.Want(&Wish{Bridge: "br-int"})
	began := time.Now()
	w.until("second connection", func() bool { return w.fulls > 1 })
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("the client came back after %v", took)
	}
}
