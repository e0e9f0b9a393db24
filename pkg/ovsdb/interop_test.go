package ovsdb

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"govn/pkg/eventually"
)

// serve starts a server of the store on a unix socket and returns its path.
func serve(t testing.TB, s *Store, o ServerOptions) string {
	t.Helper()
	return serveWith(t, s, o, func(*Server) {})
}

// serveWith is serve for who needs the server.
func serveWith(t testing.TB, s *Store, o ServerOptions, with func(*Server)) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "ovsdb")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) }) // last of all
	path := filepath.Join(dir, "s.sock")
	l, err := ListenRemote("punix:" + path)
	if err != nil {
		t.Fatal(err)
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	srv := NewServer(s, o)
	with(srv)
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Add(1)
	go func() {
		defer done.Done()
		if err := srv.Serve(ctx, l); err != nil {
			t.Error(err)
		}
	}()
	t.Cleanup(func() {
		cancel()
		done.Wait()
	})
	return path
}

// stockServer runs ovsdb-server with a fresh database of a schema file.
func stockServer(t testing.TB, schemas ...string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "stock")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) }) // last of all
	sock := filepath.Join(dir, "s.sock")
	args := []string{"--remote=punix:" + sock, "--unixctl=" + filepath.Join(dir, "ctl"), "--log-file=" + filepath.Join(dir, "log"), "-vconsole:off"}
	for i, schema := range schemas {
		db := filepath.Join(dir, fmt.Sprintf("%d.db", i))
		command(t, "ovsdb-tool", "create", db, schema)
		args = append(args, db)
	}
	cmd := exec.Command("ovsdb-server", args...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	eventually.That(t, "ovsdb-server answers", func() bool {
		conn, err := net.Dial("unix", sock)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	return sock
}

func command(t testing.TB, name string, args ...string) string {
	t.Helper()
	out, err := tryCommand(name, args...)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return out
}

func tryCommand(name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "OVS_RUNDIR=/nonexistent", "OVN_RUNDIR=/nonexistent")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

var uuidPattern = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)

var timePattern = regexp.MustCompile(`\d{4}-\d\d-\d\dT[0-9:.]+Z`)

var orderPattern = regexp.MustCompile(`First row, with UUID .*?\.  Second row, with UUID .*?transaction\.`)

// normalise replaces UUIDs by numbers in the order of appearance.
func normalise(s string) string {
	seen := make(map[string]string)
	return uuidPattern.ReplaceAllStringFunc(s, func(u string) string {
		if u == "00000000-0000-0000-0000-000000000000" {
			return u
		}
		if seen[u] == "" {
			seen[u] = fmt.Sprintf("<%d>", len(seen))
		}
		return seen[u]
	})
}

// anonymous replaces all UUIDs alike and sorts the lines, for output whose
// order depends on them.
func anonymous(s string) string {
	s = timePattern.ReplaceAllString(uuidPattern.ReplaceAllString(s, "<uuid>"), "<time>")
	s = orderPattern.ReplaceAllString(s, "<which rows>") // depends on UUIDs
	lines := strings.Split(s, "\n")
	sort.Strings(lines)
	return strings.Join(lines, "\n")
}

func ovnSchema(t testing.TB, name string) *DatabaseSchema {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("/usr/share/ovn", name+".ovsschema"))
	if err != nil {
		t.Fatal(err)
	}
	d, err := ParseSchema(b)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func ovnStore(t testing.TB) *Store {
	t.Helper()
	s, err := Open(context.Background(), NewMemoryEngine(), []Database{{Schema: ovnSchema(t, "ovn-nb")}, {Schema: ovnSchema(t, "ovn-sb")}}, Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, db := range s.Snapshot().dbs {
			if err := db.check(); err != nil {
				t.Error(err)
			}
		}
		s.Close()
	})
	return s
}

// TestStockPrograms runs one script of ovn-nbctl and ovsdb-client against our
// server and ovsdb-server, and compares every output and the final dump.
func TestStockPrograms(t *testing.T) {
	ours := "unix:" + serve(t, ovnStore(t), ServerOptions{})
	stock := "unix:" + stockServer(t, "/usr/share/ovn/ovn-nb.ovsschema", "/usr/share/ovn/ovn-sb.ovsschema")
	script := []string{
		"init",
		"ls-add sw0 -- lsp-add sw0 vm1 -- lsp-set-addresses vm1 '02:00:00:00:00:01 10.0.0.1'",
		"lsp-add sw0 vm2",
		"lsp-add sw0 vm2",
		"--may-exist lsp-add sw0 vm2",
		"lsp-set-addresses vm2 unknown '02:00:00:00:00:02 10.0.0.2'",
		"lsp-set-port-security vm1 '02:00:00:00:00:01 10.0.0.1'",
		"lsp-get-port-security vm1",
		"lsp-set-enabled vm2 disabled",
		"lsp-get-enabled vm2",
		"lsp-get-up vm1",
		"set Logical_Switch sw0 external_ids:a=b other_config:mac_only=true",
		"get Logical_Switch sw0 external_ids:a name",
		"get Logical_Switch sw0 external_ids:missing",
		"--columns=name,enabled,type list Logical_Switch_Port vm1 vm2",
		"--bare --columns=name find Logical_Switch_Port enabled=false",
		"add Logical_Switch sw0 external_ids c=d",
		"remove Logical_Switch sw0 external_ids a",
		"get Logical_Switch sw0 external_ids",
		"set Logical_Switch_Port vm1 tag=5000",
		"set Logical_Switch_Port vm1 tag=7 type=nonsense",
		"set Logical_Switch_Port vm1 nosuch=7",
		"ls-add sw1",
		"ls-add sw1",
		"ls-add sw0 -- ls-add sw2",
		"wait-until Logical_Switch sw1",
		"acl-add sw0 to-lport 1000 'ip4' allow -- acl-add sw0 from-lport 100 'tcp' drop",
		"acl-list sw0",
		"lr-add lr0 -- lrp-add lr0 lrp0 02:00:00:00:01:01 10.0.0.254/24",
		"lsp-add sw0 sw0-lr0 -- lsp-set-type sw0-lr0 router -- lsp-set-options sw0-lr0 router-port=lrp0 -- lsp-set-addresses sw0-lr0 router",
		"lr-nat-add lr0 snat 172.16.0.1 10.0.0.0/24",
		"lb-add lb0 10.0.0.10:80 10.0.0.1:80,10.0.0.2:80 -- ls-lb-add sw0 lb0",
		"create Address_Set name=as1 addresses='\"10.0.0.1\" \"10.0.0.2\"'",
		"add Address_Set as1 addresses '\"10.0.0.3\"'",
		"create Address_Set name=as1",
		"get Address_Set as1 addresses",
		"--id=@pg create Port_Group name=pg1 ports=@nosuch",
		"pg-add pg1 vm1 vm2",
		"get Port_Group pg1 name",
		"lsp-list sw0",
		"show",
		"lsp-del vm2",
		"get Port_Group pg1 name",
		"destroy Logical_Switch sw1",
		"lb-del lb0",
		"ls-del sw1",
		"ls-del sw2",
		"--if-exists ls-del sw9",
		"show",
	}
	for _, line := range script {
		got, gotErr := tryCommand("sh", "-c", "ovn-nbctl --no-leader-only --db="+ours+" "+line)
		want, wantErr := tryCommand("sh", "-c", "ovn-nbctl --no-leader-only --db="+stock+" "+line)
		if (gotErr == nil) != (wantErr == nil) || anonymous(got) != anonymous(want) {
			t.Errorf("ovn-nbctl %s\ngot  %v %s\nwant %v %s", line, gotErr, got, wantErr, want)
		}
	}
	for _, args := range []string{
		"list-dbs SOCK", "get-schema SOCK OVN_Northbound", "get-schema-version SOCK OVN_Northbound", "get-schema-cksum SOCK OVN_Southbound",
		"list-tables SOCK _Server", "dump SOCK OVN_Northbound", "dump -f csv SOCK OVN_Northbound Logical_Switch_Port name addresses enabled",
		"get-schema SOCK nonesuch",
	} {
		run := func(sock string) string {
			out, _ := tryCommand("ovsdb-client", strings.Fields(strings.ReplaceAll(args, "SOCK", sock))...)
			return anonymous(out)
		}
		if got, want := run(ours), run(stock); got != want {
			t.Errorf("ovsdb-client %s\ngot  %s\nwant %s", args, got, want)
		}
	}
}

func TestSouthboundShow(t *testing.T) {
	s := ovnStore(t)
	sock := "unix:" + serve(t, s, ServerOptions{})
	command(t, "ovn-sbctl", "--no-leader-only", "--db="+sock, "init")
	command(t, "ovn-sbctl", "--no-leader-only", "--db="+sock, "chassis-add", "hv1", "geneve", "192.0.2.1")
	out := command(t, "ovn-sbctl", "--no-leader-only", "--db="+sock, "show")
	if !strings.Contains(out, "Chassis hv1") || !strings.Contains(out, `ip: "192.0.2.1"`) {
		t.Error(out)
	}
}
