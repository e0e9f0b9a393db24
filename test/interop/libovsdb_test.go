package interop

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	"github.com/ovn-org/libovsdb/client"
	"github.com/ovn-org/libovsdb/model"
	"github.com/ovn-org/libovsdb/ovsdb"
)

// tap relays a unix socket to a server and records what the server says.
type tap struct {
	remote string
	mu     sync.Mutex
	said   bytes.Buffer
}

func newTap(t *testing.T, server string) *tap {
	sock := filepath.Join(t.TempDir(), "tap")
	l, err := net.Listen("unix", sock)
	if err != nil {
		t.Fatal(err)
	}
	tp := &tap{remote: "unix:" + sock}
	var relaying sync.WaitGroup
	relaying.Go(func() {
		for {
			down, err := l.Accept()
			if err != nil {
				return
			}
			up, err := net.Dial("unix", strings.TrimPrefix(server, "unix:"))
			if err != nil {
				down.Close() // the server is away
				continue
			}
			relaying.Go(func() {
				defer up.Close()
				io.Copy(up, down)
			})
			relaying.Go(func() {
				defer down.Close()
				io.Copy(io.MultiWriter(down, tp), up)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		relaying.Wait()
	})
	return tp
}

func (tp *tap) Write(b []byte) (int, error) {
	tp.mu.Lock()
	defer tp.mu.Unlock()
	return tp.said.Write(b)
}

var resumption = regexp.MustCompile(`"result":\[true,"[0-9a-f-]{36}",`)

// resumed counts the monitors that the server resumed from a transaction id.
func (tp *tap) resumed() int {
	tp.mu.Lock()
	defer tp.mu.Unlock()
	return len(resumption.FindAll(tp.said.Bytes(), -1))
}

type goSwitch struct {
	UUID  string            `ovsdb:"_uuid"`
	Name  string            `ovsdb:"name"`
	Ports []string          `ovsdb:"ports"`
	Other map[string]string `ovsdb:"other_config"`
}

type goPort struct {
	UUID      string   `ovsdb:"_uuid"`
	Name      string   `ovsdb:"name"`
	Addresses []string `ovsdb:"addresses"`
	Tag       *int     `ovsdb:"tag"`
}

// TestLibovsdb is a Go program on ovn-org/libovsdb's client: monitors with
// conditions, transactions with waits and mutations, and resumption of
// monitor_cond_since after a restart of the server.
func TestLibovsdb(t *testing.T) {
	stock, ours := eachServer(t, func(t *testing.T, s *dbServer) string {
		tp := newTap(t, s.remote)
		out := goProgram(t, tp.remote, s.restart)
		// A standalone ovsdb-server cannot resume.
		if n := tp.resumed(); strings.HasSuffix(t.Name(), "/govn") && n != 1 {
			t.Errorf("%d monitors were resumed, not 1", n)
		}
		return out
	})
	if diff := cmp.Diff(stock, ours); diff != "" {
		t.Errorf("-ovsdb-server +govn\n%s", diff)
	}
	if testing.Verbose() {
		t.Log(ours)
	}
}

func goProgram(t *testing.T, remote string, restart func()) string {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	dbModel, err := model.NewClientDBModel("OVN_Northbound", map[string]model.Model{"Logical_Switch": &goSwitch{}, "Logical_Switch_Port": &goPort{}})
	if err != nil {
		t.Fatal(err)
	}
	silent := logr.Discard()
	c, err := client.NewOVSDBClient(dbModel, client.WithEndpoint(remote), client.WithLeaderOnly(false), client.WithLogger(&silent),
		client.WithReconnect(5*time.Second, backoff.NewConstantBackOff(20*time.Millisecond)))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Connect(ctx); err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	sw, port := &goSwitch{}, &goPort{}
	tag := 7
	_, err = c.Monitor(ctx, c.NewMonitor(
		client.WithConditionalTable(sw, []model.Condition{{Field: &sw.Name, Function: ovsdb.ConditionEqual, Value: "a"}, {Field: &sw.Other, Function: ovsdb.ConditionIncludes, Value: map[string]string{"see": "me"}}}, &sw.Name, &sw.Ports, &sw.Other),
		client.WithConditionalTable(port, []model.Condition{{Field: &port.Tag, Function: ovsdb.ConditionEqual, Value: &tag}}, &port.Name, &port.Addresses, &port.Tag)))
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	transact := func(title string, ops ...[]ovsdb.Operation) {
		t.Helper()
		results, err := c.Transact(ctx, slices.Concat(ops...)...)
		fmt.Fprintf(&out, "%s: %v:", title, err)
		for _, r := range results {
			fmt.Fprintf(&out, " %d %s %t;", r.Count, r.Error, r.UUID.GoUUID != "")
		}
		out.WriteByte('\n')
	}
	must := func(ops []ovsdb.Operation, err error) []ovsdb.Operation {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return ops
	}
	// cached waits until the cache is as wanted, and prints it.
	cached := func(title, want string) {
		t.Helper()
		for {
			var switches []goSwitch
			var ports []goPort
			if err := c.List(ctx, &switches); err != nil {
				t.Fatal(err)
			}
			if err := c.List(ctx, &ports); err != nil {
				t.Fatal(err)
			}
			var lines []string
			for _, s := range switches {
				lines = append(lines, fmt.Sprintf("%s %v %d ports", s.Name, s.Other, len(s.Ports)))
			}
			for _, p := range ports {
				lines = append(lines, fmt.Sprintf("%s %v %d", p.Name, p.Addresses, *p.Tag))
			}
			slices.Sort(lines)
			if got := strings.Join(lines, ", "); got == want {
				fmt.Fprintf(&out, "%s: %s\n", title, got)
				return
			} else if ctx.Err() != nil {
				t.Fatalf("%s: the cache holds %q, not %q", title, got, want)
			}
			time.Sleep(time.Millisecond) // the cache has no other news than its events
		}
	}
	transact("insert", must(c.Create(
		&goPort{UUID: "p1", Name: "p1", Addresses: []string{"unknown"}, Tag: &tag}, &goPort{UUID: "p2", Name: "p2"},
		&goSwitch{Name: "a", Ports: []string{"p1"}}, &goSwitch{Name: "b", Other: map[string]string{"see": "me"}, Ports: []string{"p2"}}, &goSwitch{Name: "c"})))
	cached("matching rows", "a map[] 1 ports, b map[see:me] 1 ports, p1 [unknown] 7")
	find := func(name string) *goSwitch {
		t.Helper()
		var found []goSwitch
		if err := c.WhereCache(func(s *goSwitch) bool { return s.Name == name }).List(ctx, &found); err != nil || len(found) != 1 {
			t.Fatalf("%d switches %q, %v", len(found), name, err)
		}
		return &found[0]
	}
	b := find("b")
	transact("mutate", must(c.Where(b).Mutate(b, model.Mutation{Field: &b.Other, Mutator: ovsdb.MutateOperationDelete, Value: map[string]string{"see": "me"}})))
	cached("b has left", "a map[] 1 ports, p1 [unknown] 7")
	a := find("a")
	zero := 0
	transact("a wait that holds", must(c.Where(a).Wait(ovsdb.WaitConditionEqual, &zero, a, &a.Name)), must(c.Where(a).Mutate(a, model.Mutation{Field: &a.Other, Mutator: ovsdb.MutateOperationInsert, Value: map[string]string{"x": "y"}})))
	wrong := *a
	wrong.Name = "other"
	transact("a wait that does not", must(c.Where(a).Wait(ovsdb.WaitConditionEqual, &zero, &wrong, &wrong.Name)), must(c.Where(a).Delete()))
	cached("a is changed", "a map[x:y] 1 ports, p1 [unknown] 7")
	transact("a reference to nothing", must(c.Create(&goSwitch{Name: "d", Ports: []string{"99999999-0000-4000-8000-000000000009"}})))

	restart()
	// It calls itself connected until it has noticed the end of the connection.
	for c.Echo(ctx) != nil {
		if ctx.Err() != nil {
			t.Fatal("no connection after the restart")
		}
		time.Sleep(time.Millisecond)
	}
	cached("after the restart", "a map[x:y] 1 ports, p1 [unknown] 7")
	a = find("a")
	transact("delete", must(c.Where(a).Delete()))
	cached("nothing", "")
	return out.String()
}
