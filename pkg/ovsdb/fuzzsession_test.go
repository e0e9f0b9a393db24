package ovsdb

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"
	"unicode"
)

// FuzzSession sends sequences of requests, one a line: a method, a space and its
// params. Nothing panics, and every request gets exactly one reply, waiting
// transactions when they are canceled.
func FuzzSession(f *testing.F) {
	zero := `"00000000-0000-0000-0000-000000000000"`
	for _, s := range []string{
		"echo [1]\nlist_dbs []\nget_server_id []\nget_schema [\"Test\"]\nnosuch []",
		`monitor ["Test","m",{"Switch":{"columns":["name"]}}]` + "\n" + `transact ["Test",{"op":"insert","table":"Switch","row":{"name":"a"}}]` + "\n" + `monitor_cancel ["m"]`,
		`monitor_cond_since ["Test",{"a":1},{"Flow":[{"where":[["priority","<",5]]}]},` + zero + "]\n" + `monitor_cond_change [{"a":1},2,{"Flow":[{"where":[true]}]}]` + "\n" + `monitor_cancel [2]`,
		`transact ["Test",{"op":"wait","table":"Switch","where":[],"columns":["name"],"until":"!=","rows":[]}]` + "\n" + `cancel [0]` + "\n" + `cancel [0]`,
		`transact ["Test",{"op":"wait","timeout":1,"table":"Switch","where":[],"columns":["name"],"until":"!=","rows":[]}]` + "\n" + `transact ["Test",{"op":"insert","table":"Switch","row":{}}]`,
		"lock [\"l\"]\nsteal [\"l\"]\nunlock [\"l\"]\nunlock [\"l\"]\nsteal [\"l\"]\n" + `transact ["Test",{"op":"assert","lock":"l"}]`,
		`monitor_cond ["Test",1,{"Switch":{}}]` + "\n" + `convert ["Test",` + strings.ReplaceAll(testSchemaJSON, "\n", "") + "]\n" + `monitor_cond_change [1,1,{"Switch":[{}]}]`,
		`transact ["Test",{"op":"wait","table":"Port","where":[],"columns":["name"],"until":"!=","rows":[]}]` + "\n" +
			`convert ["Test",{"name":"Test","version":"2.0.0","tables":{"Flow":{"columns":{"match":{"type":"string"}}}}}]` + "\n" + `transact ["Test",{"op":"select","table":"Port","where":[]}]`,
		`monitor ["_Server",1,{"Database":{}}]` + "\n" + `transact ["_Server",{"op":"delete","table":"Database","where":[]}]`,
	} {
		f.Add(s)
	}
	schema := testSchema(f)
	f.Fuzz(func(t *testing.T, script string) {
		store, err := Open(context.Background(), NewMemoryEngine(), []Database{{Schema: schema, AnySchema: true}}, Options{Logger: quiet()})
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		srv := NewServer(store, ServerOptions{Logger: failOnPanic(t)})
		here, there := net.Pipe()
		done := make(chan struct{})
		go func() {
			defer close(done)
			newRemote(srv, "pipe", Address{}, remoteOptions{}).converse(context.Background(), there, "")
		}()
		defer func() {
			here.Close()
			<-done
		}()
		var requests []string
		for line := range strings.Lines(script) {
			method, params, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
			v, err := parseJSON(params, jsonLimits{depth: 20, values: 1000})
			if err != nil || v.kind != jsonArray || strings.ContainsFunc(method, unicode.IsControl) || method == "" || method == "set_db_change_aware" || len(requests) == 20 {
				continue
			}
			requests = append(requests, fmt.Sprintf(`{"method":%s,"params":%s,"id":%d}`, appendString(nil, strings.ToValidUTF8(method, "?")), v.String(), len(requests)))
		}
		replies := make(map[string]int)
		read := make(chan error, 1)
		go func() {
			dec := json.NewDecoder(here)
			for len(replies) < len(requests)+2 || replies[`"end"`] == 0 {
				var m message
				if err := dec.Decode(&m); err != nil {
					read <- err
					return
				}
				if m.Method == "" {
					replies[string(m.ID)]++
				}
			}
			read <- nil
		}()
		here.SetDeadline(time.Now().Add(30 * time.Second))
		io.WriteString(here, `{"method":"set_db_change_aware","params":[true],"id":"aware"}`)
		for _, r := range requests {
			io.WriteString(here, r)
		}
		for i := range requests {
			fmt.Fprintf(here, `{"method":"cancel","params":[%d],"id":null}`, i)
		}
		io.WriteString(here, `{"method":"echo","params":[],"id":"end"}`)
		err = <-read
		for i, r := range requests {
			if n := replies[fmt.Sprint(i)]; n != 1 {
				t.Errorf("%d replies (%v) to %s", n, err, r)
			}
		}
	})
}
