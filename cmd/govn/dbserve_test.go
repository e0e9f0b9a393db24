package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"govn/pkg/certs/certstest"
	"govn/pkg/eventually"
)

// controlled is a server of databases with a control socket, in a directory of
// its own.
type controlled struct {
	t   *testing.T
	dir string
}

// startDBServer starts the stock server or ours with an empty northbound. more are
// options that both have.
func startDBServer(t *testing.T, stock bool, more ...string) *controlled {
	dir, err := os.MkdirTemp("", "serve") // short: paths of sockets have 108 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	c := &controlled{t, dir}
	argv := []string{"govn", "db", "serve", "DIR/nb.db", "--schema=/usr/share/ovn/ovn-nb.ovsschema", "--listen=punix:DIR/s"}
	if stock {
		if out, err := exec.Command("ovsdb-tool", "create", filepath.Join(dir, "nb.db"), "/usr/share/ovn/ovn-nb.ovsschema").CombinedOutput(); err != nil {
			t.Fatalf("ovsdb-tool: %v\n%s", err, out)
		}
		argv = []string{"ovsdb-server", "DIR/nb.db", "--remote=punix:DIR/s", "--no-chdir", "-vconsole:off"}
	}
	argv = append(append(argv, more...), "--unixctl=DIR/ctl", "--pidfile=DIR/pid", "--log-file=DIR/log", "--detach")
	for i := range argv {
		argv[i] = c.place(argv[i])
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, out)
	}
	t.Cleanup(func() {
		c.appctl("exit")
		eventually.That(t, "end of the server", func() bool {
			_, err := os.Stat(filepath.Join(dir, "pid"))
			return err != nil
		})
	})
	return c
}

func (c *controlled) place(s string) string { return strings.ReplaceAll(s, "DIR", c.dir) }

// appctl is what ovs-appctl prints, with the directory's name replaced.
func (c *controlled) appctl(args ...string) string {
	argv := []string{"-T", "10", "-t", filepath.Join(c.dir, "ctl")}
	for _, arg := range args {
		argv = append(argv, c.place(arg))
	}
	cmd := exec.Command("ovs-appctl", argv...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		c.t.Fatal(err)
	}
	return strings.ReplaceAll(fmt.Sprintf("%sstatus %d\n", out.String(), cmd.ProcessState.ExitCode()), c.dir, "DIR")
}

// dial connects to a socket until that works, and returns a connection that has
// been answered.
func (c *controlled) dial(name string) net.Conn {
	var conn net.Conn
	eventually.That(c.t, "connection to "+name, func() bool {
		var err error
		conn, err = net.Dial("unix", filepath.Join(c.dir, name))
		return err == nil
	})
	c.t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	fmt.Fprint(conn, `{"id":1,"method":"echo","params":[]}`)
	if _, err := conn.Read(make([]byte, 100)); err != nil {
		c.t.Fatal(err)
	}
	return conn
}

// TestControlLikeStock: the commands of ovsdb-server(1) about remotes and databases
// say and do the same in both servers.
func TestControlLikeStock(t *testing.T) {
	stock, ours := startDBServer(t, true), startDBServer(t, false)
	for _, line := range []string{
		"list-dbs", "sync-status", "get-active-ovsdb-server", "get-sync-exclude-tables",
		"get-db-storage-status OVN_Northbound", "get-db-storage-status", "get-db-storage-status nonesuch",
		"compact", "compact OVN_Northbound", "compact nonesuch",
		"memory-trim-on-compaction on", "memory-trim-on-compaction", "memory-trim-on-compaction maybe",
		"list-remotes", "list-remotes x",
		"add-remote", "add-remote punix:DIR/s2", "add-remote punix:DIR/s2", "list-remotes",
		"add-remote db:Foo,Bar,Baz", "add-remote db:OVN_Northbound,Bar,Baz", "add-remote db:OVN_Northbound,NB_Global,Baz", "add-remote db:x",
		"add-remote db:OVN_Northbound,NB_Global,connections", "add-remote bogus", "add-remote punix:DIR/none/s", "list-remotes",
		"remove-remote", "remove-remote nonesuch", "remove-remote bogus", "remove-remote punix:DIR/none/s", "list-remotes",
	} {
		args := strings.Fields("ovsdb-server/" + line)
		want, got := stock.appctl(args...), ours.appctl(args...)
		if want != got {
			t.Errorf("%s\nstock:\n%sours:\n%s", line, want, got)
		}
	}
	for name, c := range map[string]*controlled{"stock": stock, "ours": ours} {
		t.Run(name, func(t *testing.T) {
			first, second := c.dial("s"), c.dial("s2")
			ended := func(what string, conn net.Conn) {
				t.Helper()
				if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
					t.Errorf("%s: the connection is still there: %v", what, err)
				}
			}
			c.appctl("ovsdb-server/reconnect")
			ended("reconnect", first)
			ended("reconnect", second)
			first, second = c.dial("s"), c.dial("s2")
			c.appctl("ovsdb-server/remove-remote", "punix:DIR/s2")
			ended("remove-remote", second)
			eventually.That(t, "end of the remote that was removed", func() bool {
				conn, err := net.Dial("unix", filepath.Join(c.dir, "s2"))
				if err == nil {
					conn.Close()
				}
				return err != nil
			})
			// A row of the database opens a remote as long as its column is one.
			opens := exec.Command("ovn-nbctl", "--timeout=10", "--db=unix:"+filepath.Join(c.dir, "s"), "set-connection", "punix:"+filepath.Join(c.dir, "s3"))
			if out, err := opens.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			third := c.dial("s3")
			c.appctl("ovsdb-server/remove-remote", "db:OVN_Northbound,NB_Global,connections")
			ended("remove-remote of the column", third)
			fmt.Fprint(first, `{"id":2,"method":"echo","params":[]}`)
			if _, err := first.Read(make([]byte, 100)); err != nil {
				t.Error("a connection of another remote was cut: ", err)
			}
		})
	}
}

// TestOffersOfOvsdbServer: the options of ovsdb-server and the commands of its control
// socket are there, or a table of docs/database.md says what is instead, but not both.
func TestOffersOfOvsdbServer(t *testing.T) {
	page, err := os.ReadFile("../../docs/database.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(page), "\n## What else ovsdb-server offers\n")
	if !found {
		t.Fatal("the page has no such section")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	var instead []string // first column of the first table
	for line := range strings.SplitSeq(section, "\n") {
		if strings.HasPrefix(line, "| ovsdb-tool") {
			break
		}
		if cells := strings.Split(line, "|"); len(cells) == 4 {
			for _, m := range regexp.MustCompile("`([^`=]+)`").FindAllStringSubmatch(cells[1], -1) {
				instead = append(instead, m[1])
			}
		}
	}
	offers := func(stock bool, program ...string) (all []string) {
		help, err := exec.Command(program[0], append(program[1:], "--help")...).Output()
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(?m)^ +(?:-\w, )?(--[a-z-]+)`).FindAllStringSubmatch(string(help), -1) {
			all = append(all, m[1])
		}
		for line := range strings.SplitSeq(startDBServer(t, stock).appctl("list-commands"), "\n") {
			if name, _, _ := strings.Cut(strings.TrimSpace(line), " "); strings.HasPrefix(line, "  ") {
				all = append(all, name)
			}
		}
		return all
	}
	stock, ours := offers(true, "ovsdb-server"), offers(false, "govn", "db", "serve")
	if len(stock) < 60 || len(instead) < 30 {
		t.Errorf("%d options and commands of ovsdb-server, %d in the table: are they read right?", len(stock), len(instead))
	}
	for _, name := range stock {
		switch here, told := slices.Contains(ours, name), slices.Contains(instead, name); {
		case here && told:
			t.Errorf("%s is there, and the table says what is instead", name)
		case !here && !told:
			t.Errorf("%s is not there, and the table does not say what is instead", name)
		}
	}
	for _, name := range instead {
		if !slices.Contains(stock, name) && !slices.Contains([]string{"relay:DB:REMOTE", "cluster/...", "-V"}, name) {
			t.Errorf("%s is nothing that ovsdb-server offers", name)
		}
	}
}

// TestDatabasesByTLS: govn db talks to a server by TLS, stock or ours, and says
// what is missing.
func TestDatabasesByTLS(t *testing.T) {
	ca, other := certstest.NewAuthority(t, "ca"), certstest.NewAuthority(t, "other")
	server, client := ca.Issue("server"), ca.Issue("client")
	listening := regexp.MustCompile(`(?:addr=127.0.0.1:|listening on port )(\d+)`)
	for _, stock := range []bool{true, false} {
		t.Run(fmt.Sprintf("stock=%t", stock), func(t *testing.T) {
			c := startDBServer(t, stock, "--private-key="+server.PrivateKey, "--certificate="+server.Certificate, "--ca-cert="+server.CACert)
			c.appctl("ovsdb-server/add-remote", "pssl:0:127.0.0.1")
			port := ""
			eventually.That(t, "a line about the port in the log", func() bool {
				log, err := os.ReadFile(filepath.Join(c.dir, "log"))
				if err != nil {
					t.Fatal(err)
				}
				if m := listening.FindSubmatch(log); m != nil {
					port = string(m[1])
				}
				return port != ""
			})
			run := func(args ...string) (string, error) {
				n := 1
				if args[0] == "db" {
					n = 2
				}
				cmd := exec.Command("govn", slices.Insert(slices.Clone(args), n, "--db=ssl:127.0.0.1:"+port)...)
				out, err := cmd.CombinedOutput()
				return string(out), err
			}
			keys := []string{"-p", client.PrivateKey, "-c", client.Certificate, "-C", client.CACert}
			must := func(want string, args ...string) {
				t.Helper()
				out, err := run(args...)
				if err != nil || !strings.Contains(out, want) {
					t.Errorf("%v: %v\n%s", args, err, out)
				}
			}
			fails := func(want string, args ...string) {
				t.Helper()
				if out, err := run(args...); err == nil || !strings.Contains(out, want) {
					t.Errorf("%v: %v, want %q\n%s", args, err, want, out)
				}
			}
			backup := filepath.Join(t.TempDir(), "backup")
			must("", slices.Concat([]string{"nbctl"}, keys, []string{"--timeout=10", "ls-add", "sw0"})...)
			must("", append([]string{"db", "backup", "-o", backup}, keys...)...)
			must("", slices.Concat([]string{"nbctl"}, keys, []string{"--timeout=10", "ls-del", "sw0"})...)
			must("", append([]string{"db", "restore", backup}, keys...)...)
			must("sw0", append([]string{"db", "dump", "OVN_Northbound", "Logical_Switch", "name"}, keys...)...)
			bootstrapped := filepath.Join(t.TempDir(), "ca.pem")
			for range 2 {
				must("", "db", "dump", "OVN_Northbound", "Logical_Switch", "-p", client.PrivateKey, "-c", client.Certificate, "--bootstrap-ca-cert="+bootstrapped)
			}
			if _, err := os.Stat(bootstrapped); err != nil {
				t.Error(err)
			}
			fails("TLS is not configured: no private key; ssl needs --private-key, --certificate and --ca-cert", "db", "dump")
			fails("nonesuch.pem", "db", "dump", "-p", "nonesuch.pem", "-c", client.Certificate, "-C", client.CACert)
			fails("unknown authority", "db", "dump", "-p", client.PrivateKey, "-c", client.Certificate, "-C", other.File)
			foreign := other.Issue("client")
			fails("", "db", "dump", "-p", foreign.PrivateKey, "-c", foreign.Certificate, "-C", ca.File)
		})
	}
}
