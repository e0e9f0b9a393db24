package interop

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"govn/pkg/ovsdb"
)

// dbServer is a northbound database on a unix socket that can be restarted: ours
// in this process, or ovsdb-server.
type dbServer struct {
	remote string // unix:PATH
	start  func()
	stop   func()
}

func (s *dbServer) restart() {
	s.stop()
	s.start()
}

// eachServer calls f for both kinds of servers and returns what it returned.
func eachServer(t *testing.T, f func(t *testing.T, s *dbServer) string) (stock, ours string) {
	t.Run("ovsdb-server", func(t *testing.T) { stock = f(t, stockDB(t)) })
	t.Run("govn", func(t *testing.T) { ours = f(t, ourDB(t)) })
	return stock, ours
}

func stockDB(t *testing.T) *dbServer {
	dir := t.TempDir()
	db, sock := filepath.Join(dir, "nb.db"), filepath.Join(dir, "s")
	if out, err := exec.Command("ovsdb-tool", "create", db, "/usr/share/ovn/ovn-nb.ovsschema").CombinedOutput(); err != nil {
		t.Fatalf("ovsdb-tool: %v\n%s", err, out)
	}
	var cmd *exec.Cmd
	s := &dbServer{remote: "unix:" + sock}
	s.start = func() {
		cmd = exec.Command("ovsdb-server", "--remote=punix:"+sock, "--unixctl="+filepath.Join(dir, "ctl"), "-vconsole:off", "--log-file="+filepath.Join(dir, "log"), db)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		awaitSocket(t, sock)
	}
	s.stop = func() {
		cmd.Process.Kill()
		cmd.Wait()
		os.Remove(sock)
	}
	s.start()
	t.Cleanup(func() { s.stop() })
	return s
}

func ourDB(t *testing.T) *dbServer {
	dir := t.TempDir()
	sock := filepath.Join(dir, "s")
	text, err := os.ReadFile("/usr/share/ovn/ovn-nb.ovsschema")
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := ovsdb.ParseSchema(text)
	if err != nil {
		t.Fatal(err)
	}
	quiet := slog.New(slog.DiscardHandler)
	s := &dbServer{remote: "unix:" + sock}
	s.start = func() {
		engine, err := ovsdb.OpenBolt(filepath.Join(dir, "nb.db"), ovsdb.BoltOptions{})
		if err != nil {
			t.Fatal(err)
		}
		store, err := ovsdb.Open(context.Background(), engine, []ovsdb.Database{{Schema: parsed}}, ovsdb.Options{Logger: quiet})
		if err != nil {
			t.Fatal(err)
		}
		l, err := ovsdb.ListenRemote("punix:" + sock)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		var serving sync.WaitGroup
		serving.Go(func() { ovsdb.NewServer(store, ovsdb.ServerOptions{Logger: quiet}).Serve(ctx, l) })
		s.stop = func() {
			cancel()
			serving.Wait()
			if err := store.Close(); err != nil {
				t.Error(err)
			}
		}
	}
	s.start()
	t.Cleanup(func() { s.stop() })
	return s
}

// client runs ovsdb-client; SOCK stands for the server.
func (s *dbServer) client(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for i := range args {
		args[i] = strings.ReplaceAll(args[i], "SOCK", s.remote)
	}
	cmd := exec.CommandContext(ctx, "ovsdb-client", args...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "OVS_RUNDIR=/nonexistent"}
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return logTime.ReplaceAllString(strings.ReplaceAll(string(out), s.remote, "SOCK"), "TIME|")
}

// logTime begins a line of a stock program's log.
var logTime = regexp.MustCompile(`\d{4}-\d\d-\d\dT[0-9:]+Z\|`)

// follower is a client that runs and prints lines until it is stopped.
type follower struct {
	t     *testing.T
	cmd   *exec.Cmd
	lines chan string
	stdin io.WriteCloser
}

// enter writes a line to the client's standard input.
func (f *follower) enter(line string) {
	f.t.Helper()
	if _, err := io.WriteString(f.stdin, line+"\n"); err != nil {
		f.t.Fatal(err)
	}
}

func (s *dbServer) follow(t *testing.T, program string, args ...string) *follower {
	t.Helper()
	for i := range args {
		args[i] = strings.ReplaceAll(args[i], "SOCK", s.remote)
	}
	cmd := exec.Command(program, args...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "OVS_RUNDIR=/nonexistent", "PYTHONUNBUFFERED=1"}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	f := &follower{t: t, cmd: cmd, lines: make(chan string, 1000), stdin: stdin}
	var reading sync.WaitGroup
	reading.Go(func() {
		defer close(f.lines)
		for scan := bufio.NewScanner(out); scan.Scan(); {
			f.lines <- scan.Text()
		}
	})
	t.Cleanup(func() {
		cmd.Process.Kill()
		reading.Wait()
		cmd.Wait()
	})
	return f
}

// until returns the lines up to one that contains last.
func (f *follower) until(last string) string {
	f.t.Helper()
	var all []string
	timeout := time.After(20 * time.Second)
	for {
		select {
		case line, ok := <-f.lines:
			if !ok {
				f.t.Fatalf("%s ends before it prints %q:\n%s", f.cmd.Args, last, strings.Join(all, "\n"))
			}
			if all = append(all, line); strings.Contains(line, last) {
				return strings.Join(all, "\n") + "\n"
			}
		case <-timeout:
			f.t.Fatalf("%s never prints %q:\n%s", f.cmd.Args, last, strings.Join(all, "\n"))
		}
	}
}

const insertSwitch = `{"op":"insert","table":"Logical_Switch","row":{"name":"NAME","other_config":["map",[["k","v"]]]}}`

func transactNB(ops ...string) string { return `["OVN_Northbound",` + strings.Join(ops, ",") + `]` }

// clientCommands are command lines of ovsdb-client, in order.
var clientCommands = [][]string{
	{"list-dbs", "SOCK"}, {"get-schema", "SOCK", "OVN_Northbound"}, {"get-schema", "SOCK"}, {"get-schema", "SOCK", "nosuch"}, {"get-schema-version", "SOCK", "OVN_Northbound"}, {"get-schema-cksum", "SOCK", "OVN_Northbound"},
	{"list-tables", "SOCK", "OVN_Northbound"}, {"list-tables", "SOCK", "_Server"}, {"list-columns", "SOCK", "OVN_Northbound"}, {"list-columns", "SOCK", "OVN_Northbound", "ACL"}, {"list-columns", "SOCK", "_Server"}, {"list-columns", "SOCK", "OVN_Northbound", "nosuch"},
	{"get-server-id", "SOCK"},
	{"transact", "SOCK", transactNB(strings.Replace(insertSwitch, "NAME", "a", 1), `{"op":"comment","comment":"hello"}`)}, {"transact", "SOCK", transactNB(strings.Replace(insertSwitch, "NAME", "b", 1))},
	{"transact", "SOCK", transactNB(`{"op":"insert","table":"NB_Global","row":{}}`, `{"op":"insert","table":"NB_Global","row":{}}`)}, {"transact", "SOCK", transactNB(`{"op":"nosuch"}`)}, {"transact", "SOCK", `["nosuch"]`}, {"transact", "SOCK", `[`},
	{"transact", "SOCK", transactNB(`{"op":"insert","table":"Address_Set","row":{"name":"as","addresses":["set",["10.0.0.2","10.0.0.1"]],"external_ids":["map",[["z","1"],["a","2"]]]}}`)},
	{"query", "SOCK", transactNB(`{"op":"select","table":"Logical_Switch","where":[["name","==","a"]],"columns":["name","other_config","ports"]}`)}, {"query", "SOCK", transactNB(`{"op":"delete","table":"Logical_Switch","where":[]}`)},
	{"dump", "SOCK", "OVN_Northbound"}, {"dump", "SOCK", "OVN_Northbound", "Logical_Switch", "name", "other_config"}, {"-f", "csv", "dump", "SOCK", "OVN_Northbound", "Address_Set", "name", "addresses", "external_ids"}, {"-f", "json", "dump", "SOCK", "OVN_Northbound", "Address_Set", "name", "addresses"}, {"-f", "list", "dump", "SOCK", "OVN_Northbound", "Logical_Switch", "name"},
	{"dump", "SOCK", "_Server", "Database", "name", "model", "connected", "leader", "cid", "sid", "index"}, {"dump", "SOCK", "OVN_Northbound", "nosuch"},
	{"wait", "SOCK", "OVN_Northbound", "added"}, {"wait", "SOCK", "OVN_Northbound", "connected"}, {"-t", "1", "wait", "SOCK", "nosuch", "removed"}, {"-t", "1", "wait", "SOCK", "nosuch", "added"},
	{"needs-conversion", "SOCK", "/usr/share/ovn/ovn-nb.ovsschema"}, {"convert", "SOCK", "/usr/share/ovn/ovn-nb.ovsschema"},
}

// TestOVSDBClient runs the commands of ovsdb-client on both servers.
func TestOVSDBClient(t *testing.T) {
	var outputs [2][]string
	k := 0
	eachServer(t, func(t *testing.T, s *dbServer) string {
		for _, args := range clientCommands {
			args := append([]string{}, args...)
			outputs[k] = append(outputs[k], unordered(normal(s.client(t, "", args...))))
		}
		backup := s.client(t, "", "backup", "SOCK", "OVN_Northbound")
		if !strings.HasPrefix(backup, "OVSDB ") {
			t.Errorf("backup prints %.100q", backup)
		}
		s.client(t, "", "transact", "SOCK", transactNB(`{"op":"delete","table":"Logical_Switch","where":[["name","==","a"]]}`))
		before := s.client(t, "", "dump", "SOCK", "OVN_Northbound", "Logical_Switch", "name")
		out := s.client(t, backup, "restore", "SOCK", "OVN_Northbound")
		after := s.client(t, "", "dump", "SOCK", "OVN_Northbound", "Logical_Switch", "name")
		outputs[k] = append(outputs[k], before, normal(out), unordered(after))
		k++
		return ""
	})
	for i := range outputs[0] {
		what := "backup and restore"
		if i < len(clientCommands) {
			what = strings.Join(clientCommands[i], " ")
		}
		if diff := cmp.Diff(outputs[0][i], outputs[1][i]); diff != "" {
			t.Errorf("ovsdb-client %s: -ovsdb-server +govn\n%s", what, diff)
		}
	}
}

// TestOVSDBClientMonitors follows changes with each monitor of ovsdb-client.
func TestOVSDBClientMonitors(t *testing.T) {
	stock, ours := eachServer(t, func(t *testing.T, s *dbServer) string {
		transact := func(ops ...string) { s.client(t, "", "transact", "SOCK", transactNB(ops...)) }
		transact(strings.Replace(insertSwitch, "NAME", "a", 1))
		cond := `[["name","==","a"],["name","==","end"]]`
		var all strings.Builder
		followers := []*follower{
			s.follow(t, "ovsdb-client", "-f", "csv", "monitor", "SOCK", "OVN_Northbound", "Logical_Switch", "name", "other_config"),
			s.follow(t, "ovsdb-client", "-f", "csv", "monitor", "SOCK", "OVN_Northbound", "Logical_Switch", "name,other_config,!initial,!delete"),
			s.follow(t, "ovsdb-client", "-f", "csv", "monitor-cond", "SOCK", "OVN_Northbound", cond, "Logical_Switch", "name,other_config"),
			s.follow(t, "ovsdb-client", "-f", "csv", "monitor-cond-since", "SOCK", "OVN_Northbound", "00000000-0000-0000-0000-000000000000", cond, "Logical_Switch", "name,other_config"),
		}
		for i, f := range followers {
			if i != 1 { // which sees no initial rows
				all.WriteString(f.until(",a,"))
			}
		}
		// A follower that has printed nothing yet may not be connected.
		second := followers[1]
		for connected := false; !connected; {
			transact(strings.Replace(insertSwitch, "NAME", "probe", 1), `{"op":"commit","durable":false}`)
			transact(`{"op":"delete","table":"Logical_Switch","where":[["name","==","probe"]]}`)
			select {
			case <-second.lines:
				connected = true
			case <-time.After(20 * time.Millisecond):
			}
		}
		transact(strings.Replace(insertSwitch, "NAME", "b", 1))
		transact(`{"op":"mutate","table":"Logical_Switch","where":[["name","==","a"]],"mutations":[["other_config","insert",["map",[["x","y"]]]],["other_config","delete",["set",["k"]]]]}`)
		transact(`{"op":"update","table":"Logical_Switch","where":[["name","==","b"]],"row":{"name":"c"}}`)
		transact(`{"op":"update","table":"Logical_Switch","where":[["name","==","a"]],"row":{"name":"d"}}`)
		transact(`{"op":"update","table":"Logical_Switch","where":[["name","==","c"]],"row":{"name":"a"}}`)
		transact(`{"op":"delete","table":"Logical_Switch","where":[["name","==","a"]]}`)
		transact(strings.Replace(insertSwitch, "NAME", "end", 1))
		for _, f := range followers {
			all.WriteString(withoutProbe(f.until(",end,")) + "----\n")
		}
		return normal(all.String())
	})
	if diff := cmp.Diff(stock, ours); diff != "" {
		t.Errorf("-ovsdb-server +govn\n%s", diff)
	}
}

// withoutProbe leaves out the rows that only tell that a client is connected,
// and headings.
func withoutProbe(s string) string {
	var kept []string
	for line := range strings.Lines(s) {
		if !strings.Contains(line, ",probe,") && !strings.HasPrefix(line, "row,action") && strings.TrimSpace(line) != "" {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "")
}

// TestOVSDBClientLocks has three clients compete for a lock. (The command
// "unlock" of ovsdb-client is of no use, since a lock ends with its connection.)
func TestOVSDBClientLocks(t *testing.T) {
	stock, ours := eachServer(t, func(t *testing.T, s *dbServer) string {
		first := s.follow(t, "ovsdb-client", "lock", "SOCK", "l")
		all := first.until("locked")
		second := s.follow(t, "ovsdb-client", "lock", "SOCK", "l")
		all += second.until("locked")
		thief := s.follow(t, "ovsdb-client", "steal", "SOCK", "l")
		all += thief.until("locked") + first.until("stolen")
		thief.cmd.Process.Kill() // the lock goes back to the first
		all += first.until("locked")
		first.cmd.Process.Kill()
		all += second.until("locked")
		return all
	})
	if diff := cmp.Diff(stock, ours); diff != "" {
		t.Errorf("-ovsdb-server +govn\n%s", diff)
	}
}
