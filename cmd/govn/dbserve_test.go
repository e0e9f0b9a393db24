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
	"strings"
	"testing"
	"time"
)

// controlled is a server of databases with a control socket, in a directory of
// its own.
type controlled struct {
	t   *testing.T
	dir string
}

// startDBServer starts the stock server or ours with an empty northbound.
func startDBServer(t *testing.T, stock bool) *controlled {
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
	argv = append(argv, "--unixctl=DIR/ctl", "--pidfile=DIR/pid", "--log-file=DIR/log", "--detach")
	for i := range argv {
		argv[i] = c.place(argv[i])
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, out)
	}
	t.Cleanup(func() {
		c.appctl("exit")
		deadline := time.Now().Add(10 * time.Second)
		for {
			if _, err := os.Stat(filepath.Join(dir, "pid")); err != nil {
				return
			}
			if time.Now().After(deadline) {
				t.Error("the server does not end")
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
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
	deadline := time.Now().Add(10 * time.Second)
	for {
		conn, err := net.Dial("unix", filepath.Join(c.dir, name))
		if err != nil {
			if time.Now().After(deadline) {
				c.t.Fatal(err)
			}
			time.Sleep(5 * time.Millisecond)
			continue
		}
		c.t.Cleanup(func() { conn.Close() })
		conn.SetDeadline(time.Now().Add(10 * time.Second))
		fmt.Fprint(conn, `{"id":1,"method":"echo","params":[]}`)
		if _, err := conn.Read(make([]byte, 100)); err != nil {
			c.t.Fatal(err)
		}
		return conn
	}
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
			for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
				conn, err := net.Dial("unix", filepath.Join(c.dir, "s2"))
				if err != nil {
					break
				}
				conn.Close()
				if time.Now().After(deadline) {
					t.Fatal("a remote that was removed is still there")
				}
			}
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
