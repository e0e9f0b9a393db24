package ovsdb

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"govn/pkg/certs"
	"govn/pkg/certs/certstest"
	"govn/pkg/eventually"
)

func TestParseAddress(t *testing.T) {
	for in, want := range map[string]Address{
		"ptcp:6641":                {Kind: "ptcp", Port: 6641},
		"ptcp:":                    {Kind: "ptcp", Port: 6640},
		"ptcp:0:127.0.0.1":         {Kind: "ptcp", Host: "127.0.0.1"},
		"pssl::192.0.2.1":          {Kind: "pssl", Host: "192.0.2.1", Port: 6640},
		"pssl:6642:[2001:db8::1]":  {Kind: "pssl", Host: "2001:db8::1", Port: 6642},
		"pssl:6642:2001:db8::1":    {Kind: "pssl", Host: "2001:db8::1", Port: 6642},
		"ptcp:6641:[fe80::1%eth0]": {Kind: "ptcp", Host: "fe80::1%eth0", Port: 6641},
		"tcp:192.0.2.1:6641":       {Kind: "tcp", Host: "192.0.2.1", Port: 6641},
		"ssl:db.example.org":       {Kind: "ssl", Host: "db.example.org", Port: 6640},
		"ssl:[::1]":                {Kind: "ssl", Host: "::1", Port: 6640},
		"tcp:[::1]:1":              {Kind: "tcp", Host: "::1", Port: 1},
		"unix:/run/a:b":            {Kind: "unix", Path: "/run/a:b"},
		"punix:s":                  {Kind: "punix", Path: "s"},
		"":                         {},
		"tcp":                      {},
		"tcp:":                     {},
		"tcp::6641":                {},
		"tcp:a:0":                  {},
		"tcp:::1":                  {},
		"tcp:[::1":                 {},
		"tcp:[::1]6641":            {},
		"tcp:a:b":                  {},
		"tcp:a:65536":              {},
		"ptcp:x":                   {},
		"ptcp:1:a:b":               {},
		"ptcp:1:[::1]:2":           {},
		"unix:":                    {},
		"db:a,b,c":                 {},
		"http:a":                   {},
	} {
		got, err := ParseAddress(in)
		if got != want && want.Kind != "" || (err == nil) != (want.Kind != "") {
			t.Errorf("%q: %+v %v", in, got, err)
		}
		if err != nil && (!errors.Is(err, ErrAddress) || !strings.Contains(err.Error(), fmt.Sprintf("%q", in))) {
			t.Errorf("%q: %v", in, err)
		}
	}
}

func FuzzParseAddress(f *testing.F) {
	for _, s := range []string{"ptcp:6641:[::1]", "ssl:a:1", "unix:x", "tcp:[", "pssl::"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if a, err := ParseAddress(s); err == nil && a.Local() != (a.Path != "") {
			t.Errorf("%q: %+v", s, a)
		}
	})
}

// TestStaticRemotes: what the options name must work at once, but for keys that
// the database is to bring.
func TestStaticRemotes(t *testing.T) {
	store := ovnStore(t)
	srv := NewServer(store, ServerOptions{Logger: quiet()})
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := taken.Addr().(*net.TCPAddr).Port
	for _, c := range []struct {
		remote string
		keys   certs.Files
		want   string
	}{
		{fmt.Sprintf("ptcp:%d:127.0.0.1", port), certs.Files{}, "address already in use"},
		{"pssl:0:127.0.0.1", certs.Files{}, "no private key"},
		{"pssl:0:127.0.0.1", certs.Files{PrivateKey: "/nonexistent", Certificate: "c", CACert: "a"}, "/nonexistent"},
		{"pssl:0:127.0.0.1", certs.Files{PrivateKey: "db:OVN_Southbound,SSL,nosuch"}, `no column "nosuch"`},
		{"nonsense", certs.Files{}, `"nonsense"`},
		{"db:OVN_Southbound,SB_Global", certs.Files{}, "db:DATABASE,TABLE,COLUMN"},
		{"db:Nosuch,SB_Global,connections", certs.Files{}, `no database "Nosuch"`},
		{"db:OVN_Southbound,Nosuch,connections", certs.Files{}, `no table "Nosuch"`},
		{"punix:" + os.DevNull, certs.Files{}, "no socket"},
	} {
		rs, err := srv.OpenRemotes(RemotesOptions{Remotes: []string{"ptcp:0:127.0.0.1", c.remote}, Keys: c.keys})
		if err == nil {
			rs.Close()
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.remote, err, c.want)
		}
	}
	rs, err := srv.OpenRemotes(RemotesOptions{Remotes: []string{"pssl:0:127.0.0.1"}, Keys: KeysFrom("OVN_Southbound")})
	if err != nil {
		t.Fatal("keys may come later: ", err)
	}
	rs.Close()
}

// TestLastAnswer: a client that deletes the row of its own listener is answered,
// and then cut off.
func TestLastAnswer(t *testing.T) {
	t.Parallel()
	s := ourSouthbound(t)
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(free.Addr().String())
	free.Close()
	for range 20 {
		s.sbctl("set-connection", "ptcp:"+port+":127.0.0.1")
		eventually.That(t, "the port is open", func() bool {
			conn, err := net.Dial("tcp", "127.0.0.1:"+port)
			if err == nil {
				conn.Close()
			}
			return err == nil
		})
		c := dialTCP(t, port)
		c.result("monitor", `["OVN_Southbound","m",{"Connection":{"columns":["target"]}}]`)
		got := c.result("transact", `["OVN_Southbound",{"op":"update","table":"SB_Global","where":[],"row":{"connections":["set",[]]}}]`)
		if got != `[{"count":1}]` || len(c.notes) == 0 {
			t.Fatal(got, c.notes)
		}
		c.ended(10 * time.Second)
	}
}

// TestFailingRemote: a row that cannot be obeyed says why, harms nobody, and is
// obeyed as soon as it can be.
func TestFailingRemote(t *testing.T) {
	t.Parallel()
	s := ourSouthbound(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	target := "ptcp:" + strings.TrimPrefix(taken.Addr().String(), "127.0.0.1:") + ":127.0.0.1"
	s.sbctl("set-connection", target, "ptcp:0:127.0.0.1", "bogus:1", "pssl:0:127.0.0.1")
	dialTCP(t, s.port("ptcp:0:127.0.0.1")).result("echo", `[]`)
	contains := func(what string) func(string) bool { return func(v string) bool { return strings.Contains(v, what) } }
	s.status(target, "last_error", contains("address already in use"))
	s.status("bogus:1", "last_error", contains(`"bogus:1"`))
	s.status("pssl:0:127.0.0.1", "last_error", contains("no private key"))
	taken.Close()
	dialTCP(t, s.port(target)).result("echo", `[]`)
	if n := strings.Count(s.log(), "address already in use"); n != 1 {
		t.Errorf("%d log lines\n%s", n, s.log())
	}
}

// TestRefusedPeersInTheLog: one line about each kind of peer that may not come in,
// however often it tries.
func TestRefusedPeersInTheLog(t *testing.T) {
	t.Parallel()
	ca, evil := certstest.NewAuthority(t, "ca"), certstest.NewAuthority(t, "evil")
	s := ourSouthbound(t)
	server := ca.Issue("server")
	s.sbctl("set-ssl", server.PrivateKey, server.Certificate, server.CACert)
	s.sbctl("set-connection", "pssl:0:127.0.0.1", "ptcp:0:127.0.0.1")
	secure, plain := s.port("pssl:0:127.0.0.1"), s.port("ptcp:0:127.0.0.1")
	foreign := evil.Issue("stranger")
	foreign.CACert = ca.File
	for range 3 {
		if _, err := dialTLS(t, secure, foreign); err == nil {
			t.Error("let in")
		}
		if _, err := dialTLS(t, secure, ca.Issue("x", certstest.Expired)); err == nil {
			t.Error("let in")
		}
		c := dialTCP(t, secure)
		c.send(`{"method":"echo","params":[],"id":0}`)
		c.ended(10 * time.Second)
		if _, err := dialTLS(t, plain, ca.Issue("x")); err == nil {
			t.Error("TLS on a plain port")
		}
	}
	eventually.That(t, "log lines", func() bool { return strings.Contains(s.log(), "the peer speaks TLS") })
	for _, what := range []string{`the certificate of \"stranger\"`, "unknown authority", "expired", "the peer speaks JSON-RPC without TLS", "the peer speaks TLS"} {
		if n := strings.Count(s.log(), what); n != 1 {
			t.Errorf("%q is logged %d times\n%s", what, n, s.log())
		}
	}
}

// TestProbeWhileBlocked: a client whose transaction waits is probed, and the wait
// goes on while it answers; its own echo is answered too.
func TestProbeWhileBlocked(t *testing.T) {
	store := ovnStore(t)
	srv := NewServer(store, ServerOptions{Logger: quiet(), ProbeInterval: 100 * time.Millisecond})
	rs := runRemotes(t, srv, RemotesOptions{Remotes: []string{"ptcp:0:127.0.0.1"}})
	_, port, _ := net.SplitHostPort(rs.list()[0].listener.Addr().String())
	c := dialTCP(t, port)
	id := c.request("transact", `["OVN_Northbound",{"op":"wait","table":"NB_Global","where":[],"columns":[],"until":"!=","rows":[],"timeout":30000}]`)
	for probes := 0; probes < 3; {
		m := c.receive()
		if m.Method != "echo" {
			t.Fatalf("%+v", m)
		}
		probes++
		c.send(`{"id":"echo","result":[],"error":null}`)
		c.send(`{"method":"echo","params":[%d],"id":"mine"}`, probes)
		if m := c.receive(); string(m.ID) != `"mine"` || string(m.Result) != fmt.Sprintf("[%d]", probes) {
			t.Fatalf("%+v", m)
		}
	}
	other := dialTCP(t, port)
	other.result("transact", `["OVN_Northbound",{"op":"insert","table":"NB_Global","row":{}}]`)
	if m := c.await(id); !strings.Contains(string(m.Result), `[{}]`) {
		t.Errorf("%s %s", m.Result, m.Error)
	}
}

// TestOvsPKI: keys that ovs-pki made, and a stock client that bootstraps the
// authority from us.
func TestOvsPKI(t *testing.T) {
	dir := t.TempDir()
	run := func(args ...string) {
		t.Helper()
		command(t, "sh", append([]string{"-c", `cd "$0" && exec ovs-pki --dir="$0/pki" --log="$0/log" "$@"`, dir}, args...)...)
	}
	run("init")
	run("-u", "req+sign", "server", "switch")
	run("-u", "req+sign", "admin", "switch")
	file := func(name string) string { return filepath.Join(dir, name) }
	logs := &logBuffer{}
	srv := NewServer(ovnStore(t), ServerOptions{Logger: slog.New(slog.NewTextHandler(logs, nil))})
	rs := runRemotes(t, srv, RemotesOptions{Remotes: []string{"pssl:0:127.0.0.1"}, Keys: certs.Files{
		PrivateKey: file("server-privkey.pem"), Certificate: file("server-cert.pem"), CACert: file("pki/switchca/cacert.pem"),
	}})
	db := strings.Replace(rs.list()[0].listener.Addr().String(), "127", "ssl:127", 1)
	for try := range 2 {
		out, err := tryCommand("ovn-nbctl", "--no-leader-only", "--db="+db, "--private-key="+file("admin-privkey.pem"), "--certificate="+file("admin-cert.pem"),
			"--bootstrap-ca-cert="+file("bootstrapped.pem"), "--timeout=20", "--may-exist", "ls-add", "sw0", "--", "ls-list")
		// The first run stores the authority, and that ends its only attempt.
		if try == 1 && (err != nil || !strings.Contains(out, "(sw0)")) {
			t.Error(out, err, logs)
		}
	}
	stored, err := os.ReadFile(file("bootstrapped.pem"))
	if err != nil {
		t.Fatal(err)
	}
	ca, err := os.ReadFile(file("pki/switchca/cacert.pem"))
	if i := bytes.Index(ca, []byte("-----BEGIN")); err != nil || !bytes.Equal(stored, ca[max(i, 0):]) {
		t.Error("what was bootstrapped is not the authority: ", err)
	}
}

// TestBesideAStaticListener: a row for all addresses is obeyed although a flag has
// the same port at one of them, as northd's have by default.
func TestBesideAStaticListener(t *testing.T) {
	s := ourSouthbound(t)
	rs := runRemotes(t, NewServer(s.ours.store, ServerOptions{Logger: quiet()}), RemotesOptions{Remotes: []string{"ptcp:0:127.0.0.1", "db:OVN_Northbound,NB_Global,connections"}})
	_, port, _ := net.SplitHostPort(rs.list()[0].listener.Addr().String())
	nbctl := func(args ...string) {
		t.Helper()
		command(t, "ovn-nbctl", append([]string{"--no-leader-only", "--db=tcp:127.0.0.1:" + port}, args...)...)
	}
	nbctl("init")
	for range 3 {
		nbctl("set-connection", "ptcp:"+port+":0.0.0.0")
		eventually.That(t, "another address is served", func() bool {
			conn, err := net.Dial("tcp", "127.0.0.2:"+port)
			if err == nil {
				newClient(t, conn).result("echo", `[]`)
			}
			return err == nil
		})
		if l, err := net.Listen("tcp", "127.0.0.2:"+port); err == nil {
			l.Close()
			t.Error("somebody else can have the port")
		}
		nbctl("del-connection")
		eventually.That(t, "the other address is closed", func() bool {
			conn, err := net.Dial("tcp", "127.0.0.2:"+port)
			if err == nil {
				conn.Close()
			}
			return err != nil
		})
	}
}

// TestRemotesOfAConvertedDatabase: rows are obeyed and told of in the new schema,
// and without the table nothing is left to obey.
func TestRemotesOfAConvertedDatabase(t *testing.T) {
	t.Parallel()
	const target = "ptcp:0:127.0.0.1"
	schema := ovnSchema(t, "ovn-sb")
	store := openTest(t, NewMemoryEngine(), schema, func(db *Database) { db.AnySchema = true })
	s := &served{t: t, sock: filepath.Join(t.TempDir(), "s"), log: func() string { return "" }}
	runRemotes(t, NewServer(store, ServerOptions{Logger: quiet()}), RemotesOptions{
		Remotes: []string{"punix:" + s.sock, "db:OVN_Southbound,SB_Global,connections"},
	})
	s.sbctl("init")
	s.sbctl("set-connection", target)
	port := s.port(target)
	text := strings.Replace(string(schema.JSON()), `"Connection":{"columns":{`, `"Connection":{"columns":{"added":{"type":"string"},`, 1)
	if text == string(schema.JSON()) {
		t.Fatal("the schema is not what the test believes")
	}
	if _, err := store.Convert(t.Context(), schema, []byte(text)); err != nil {
		t.Fatal(err)
	}
	c := dialTCP(t, port)
	c.result("echo", `[]`)
	s.status(target, "is_connected", is("true"))
	s.sbctl("set-connection", target, "ptcp:0:127.0.0.2")
	s.port("ptcp:0:127.0.0.2")
}

// TestOptionsOfSockets: dscp marks packets, and a change of it opens the listener
// anew; a unix socket may be a row too; failures are counted.
func TestOptionsOfSockets(t *testing.T) {
	t.Parallel()
	s := ourSouthbound(t)
	registry := prometheus.NewRegistry()
	registry.MustRegister(s.ours.RemoteMetrics("sb"))
	metric := func(name string) (sum float64) {
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			if f.GetName() == "govn_ovsdb_"+name {
				for _, m := range f.Metric {
					sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
				}
			}
		}
		return sum
	}
	const target = "ptcp:0:127.0.0.1"
	local := "punix:" + filepath.Join(t.TempDir(), "row.sock")
	s.sbctl("set-connection", target, local)
	tos := func() (tos int) {
		for _, r := range s.ours.remotes.Load().list() {
			if l, ok := r.listener.(*net.TCPListener); ok {
				raw, err := l.SyscallConn()
				if err != nil {
					return -1
				}
				raw.Control(func(fd uintptr) { tos, err = syscall.GetsockoptInt(int(fd), syscall.IPPROTO_IP, syscall.IP_TOS) })
				if err != nil {
					return -1
				}
			}
		}
		return tos
	}
	before := s.port(target)
	if got := tos(); got != 48<<2 {
		t.Errorf("type of service %#x, want that of DSCP 48", got)
	}
	s.sbctl("set", "Connection", target, "other_config:dscp=10", "inactivity_probe=1")
	eventually.That(t, "dscp 10", func() bool { return tos() == 10<<2 })
	port := s.status(target, "bound_port", func(v string) bool { return v != "" && v != before })
	silent := dialTCP(t, port)
	silent.ended(10 * time.Second)
	eventually.That(t, "the probe that failed is counted", func() bool { return metric("probe_failures_total") == 1 })
	dial(t, strings.TrimPrefix(local, "punix:")).result("echo", `[]`)
	if n := metric("connections"); n < 1 {
		t.Error("connections: ", n)
	}
	s.sbctl("set-connection", "bogus:")
	eventually.That(t, "a failing remote is counted", func() bool { return metric("remote_failing") == 1 })
}
