package ovsdb

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"govn/pkg/certs"
	"govn/pkg/certs/certstest"
	"govn/pkg/eventually"
)

// served is a southbound database, served by us or by ovsdb-server as ovn-ctl
// starts it: on a unix socket, and where its Connection and SSL rows say.
type served struct {
	t    *testing.T
	sock string
	log  func() string
	ours *Server // nil: stock
}

// sbctl runs ovn-sbctl over the unix socket.
func (s *served) sbctl(args ...string) string {
	s.t.Helper()
	return command(s.t, "ovn-sbctl", append([]string{"--no-leader-only", "--db=unix:" + s.sock}, args...)...)
}

// status waits until a key of a Connection row's status has a value and returns
// it; is_connected is one of the keys.
func (s *served) status(target, key string, ok func(string) bool) (value string) {
	s.t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		m := s.statusOf(target)
		if value = m[key]; ok(value) {
			return value
		}
		if time.Now().After(end) {
			s.t.Fatalf("%s of %s is %q; status %v\n%s", key, target, value, m, s.log())
		}
	}
}

func (s *served) statusOf(target string) map[string]string {
	s.t.Helper()
	c := dial(s.t, s.sock)
	defer c.conn.Close()
	var rows []struct {
		Rows []struct {
			Connected bool            `json:"is_connected"`
			Status    json.RawMessage `json:"status"`
		}
	}
	text := c.result("transact", fmt.Sprintf(`["OVN_Southbound",{"op":"select","table":"Connection","where":[["target","==",%q]],"columns":["is_connected","status"]}]`, target))
	if err := json.Unmarshal([]byte(text), &rows); err != nil || len(rows[0].Rows) != 1 {
		s.t.Fatalf("%s: %v", text, err)
	}
	m := map[string]string{"is_connected": strconv.FormatBool(rows[0].Rows[0].Connected)}
	var pairs [2]json.RawMessage
	var list [][2]string
	if json.Unmarshal(rows[0].Rows[0].Status, &pairs) != nil || json.Unmarshal(pairs[1], &list) != nil {
		s.t.Fatalf("%s", text)
	}
	for _, kv := range list {
		m[kv[0]] = kv[1]
	}
	return m
}

// port is where a passive remote listens.
func (s *served) port(target string) string {
	s.t.Helper()
	return s.status(target, "bound_port", func(v string) bool { return v != "" })
}

func is(want string) func(string) bool { return func(v string) bool { return v == want } }

// southbounds runs a test on both servers at once.
func southbounds(t *testing.T, test func(t *testing.T, s *served)) {
	for _, kind := range []string{"govn", "stock"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			s := ourSouthbound
			if kind == "stock" {
				s = stockSouthbound
			}
			test(t, s(t))
		})
	}
}

func ourSouthbound(t *testing.T) *served {
	t.Helper()
	logs := &logBuffer{}
	store := ovnStore(t)
	dir, err := os.MkdirTemp("", "ovsdb")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s := &served{t: t, sock: filepath.Join(dir, "s.sock"), log: logs.String}
	s.ours = NewServer(store, ServerOptions{Logger: slog.New(slog.NewTextHandler(logs, nil)), Databases: []string{"OVN_Southbound"}})
	runRemotes(t, s.ours, RemotesOptions{
		Remotes: []string{"punix:" + s.sock, "db:OVN_Southbound,SB_Global,connections"}, Keys: KeysFrom("OVN_Southbound"),
	})
	s.sbctl("init")
	return s
}

// runRemotes opens remotes and runs them until the test ends.
func runRemotes(t *testing.T, srv *Server, o RemotesOptions) *Remotes {
	t.Helper()
	rs, err := srv.OpenRemotes(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() {
		if err := rs.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		cancel()
		done.Wait()
	})
	return rs
}

func stockSouthbound(t *testing.T) *served {
	t.Helper()
	dir, err := os.MkdirTemp("", "stock")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	db, logFile := filepath.Join(dir, "sb.db"), filepath.Join(dir, "log")
	command(t, "ovsdb-tool", "create", db, "/usr/share/ovn/ovn-sb.ovsschema")
	s := &served{t: t, sock: filepath.Join(dir, "s.sock"), log: func() string { b, _ := os.ReadFile(logFile); return string(b) }}
	from := func(column string) string { return "db:OVN_Southbound,SSL," + column }
	cmd := exec.Command("ovsdb-server", "--remote=punix:"+s.sock, "--remote=db:OVN_Southbound,SB_Global,connections",
		"--private-key="+from("private_key"), "--certificate="+from("certificate"), "--ca-cert="+from("ca_cert"),
		"--ssl-protocols="+from("ssl_protocols"), "--ssl-ciphers="+from("ssl_ciphers"),
		"--unixctl="+filepath.Join(dir, "ctl"), "--log-file="+logFile, "-vconsole:off", db)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	eventually.That(t, "ovsdb-server answers", func() bool {
		conn, err := net.Dial("unix", s.sock)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	s.sbctl("init")
	return s
}

// newClient is a client on any connection.
func newClient(t testing.TB, conn net.Conn) *client {
	t.Cleanup(func() { conn.Close() })
	return &client{t: t, conn: conn, dec: json.NewDecoder(conn)}
}

func dialTCP(t testing.TB, port string) *client {
	t.Helper()
	conn, err := net.Dial("tcp", "127.0.0.1:"+port)
	if err != nil {
		t.Fatal(err)
	}
	return newClient(t, conn)
}

// dialTLS connects with key material; the error may also be one that comes with
// the first reading.
func dialTLS(t testing.TB, port string, f certs.Files) (*client, error) {
	t.Helper()
	config, err := certs.NewLoader(f, quiet()).ClientConfig("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	conn, err := tls.Dial("tcp", "127.0.0.1:"+port, config)
	if err != nil {
		return nil, err
	}
	c := newClient(t, conn)
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := fmt.Fprint(conn, `{"method":"echo","params":[],"id":"first"}`); err != nil {
		return nil, err
	}
	var m message
	return c, c.dec.Decode(&m)
}

// ended waits until the server closes a connection.
func (c *client) ended(within time.Duration) {
	c.t.Helper()
	c.conn.SetReadDeadline(time.Now().Add(within))
	for {
		var m message
		if err := c.dec.Decode(&m); err != nil {
			if ne, ok := err.(net.Error); ok && ne.Timeout() {
				c.t.Fatal("the connection is still there")
			}
			return
		}
	}
}

// TestConnectionRows: listeners come and go with their rows, and what did not
// change keeps its connections.
func TestConnectionRows(t *testing.T) {
	t.Parallel()
	southbounds(t, func(t *testing.T, s *served) {
		const v4, v6, far = "ptcp:0:127.0.0.1", "ptcp:0:[::1]", "ptcp:0"
		s.sbctl("--inactivity-probe=0", "set-connection", v4)
		if got := s.sbctl("get-connection"); got != "read-write role=\"\" "+v4+"\n" {
			t.Error(got)
		}
		port := s.port(v4)
		a := dialTCP(t, port)
		if got := a.result("list_dbs", `[]`); !strings.Contains(got, "OVN_Southbound") {
			t.Error(got)
		}
		s.status(v4, "is_connected", is("true"))
		b := dialTCP(t, port)
		b.result("echo", `[]`)
		s.status(v4, "n_connections", is("2"))
		s.sbctl("--id=@c", "create", "Connection", `target="`+v6+`"`, "--", "--id=@d", "create", "Connection", `target="`+far+`"`, "--", "add", "SB_Global", ".", "connections", "@c", "@d")
		conn, err := net.Dial("tcp", "[::1]:"+s.port(v6))
		if err != nil {
			t.Fatal(err)
		}
		six := newClient(t, conn)
		six.result("echo", `[]`)
		if conn, err := net.Dial("tcp", "[::1]:"+s.port(far)); err == nil {
			conn.Close()
			t.Error("a listener without a host listens on IPv6")
		}
		dialTCP(t, s.port(far)).result("echo", `[]`)
		a.result("echo", `["still here"]`)
		b.conn.Close()
		s.status(v4, "n_connections", is(""))
		if got := s.statusOf(v4); got["bound_port"] != port || got["sec_since_connect"] != "0" || got["state"] != "" || got["is_connected"] != "true" {
			t.Error(got)
		}

		// A probe interval holds for the connections that are there.
		s.sbctl("set", "Connection", v4, "inactivity_probe=1000")
		if m := a.receive(); m.Method != "echo" {
			t.Errorf("%+v", m)
		}
		a.send(`{"id":"echo","result":[],"error":null}`)
		if m := a.receive(); m.Method != "echo" {
			t.Errorf("%+v", m)
		}
		a.ended(10 * time.Second) // that one was not answered

		a = dialTCP(t, port)
		a.result("echo", `[]`)
		s.sbctl("del-connection")
		a.ended(10 * time.Second)
		six.ended(10 * time.Second)
		eventually.That(t, "the port is closed", func() bool {
			conn, err := net.Dial("tcp", "127.0.0.1:"+port)
			if err == nil {
				conn.Close()
			}
			return err != nil
		})
		if got := s.sbctl("get-connection"); got != "" {
			t.Error(got)
		}
	})
}

// TestTLS: certificates of the SSL table, stock ovn-sbctl as the client, and
// peers that may not come in.
func TestTLS(t *testing.T) {
	t.Parallel()
	ca, evil := certstest.NewAuthority(t, "ca"), certstest.NewAuthority(t, "evil")
	southbounds(t, func(t *testing.T, s *served) {
		const target = "pssl:0:127.0.0.1"
		server, mine := ca.Issue("server"), ca.Issue("hv1")
		s.sbctl("set-ssl", server.PrivateKey, server.Certificate, server.CACert)
		s.sbctl("set-connection", target)
		port := s.port(target)
		ctl := func(f certs.Files, args ...string) (string, error) {
			return tryCommand("ovn-sbctl", append([]string{"--no-leader-only", "--timeout=5", "--db=ssl:127.0.0.1:" + port,
				"--private-key=" + f.PrivateKey, "--certificate=" + f.Certificate, "--ca-cert=" + f.CACert}, args...)...)
		}
		if out, err := ctl(mine, "get-ssl"); err != nil || !strings.Contains(out, "Certificate: "+server.Certificate) {
			t.Error(out, err)
		}
		good, err := dialTLS(t, port, mine)
		if err != nil {
			t.Fatal(err)
		}
		foreign := evil.Issue("hv1")
		foreign.CACert = ca.File
		bare := mine
		for name, f := range map[string]certs.Files{"another authority": foreign, "expired": ca.Issue("hv1", certstest.Expired)} {
			if _, err := dialTLS(t, port, f); err == nil {
				t.Errorf("%s: let in", name)
			}
		}
		if out, err := ctl(foreign, "show"); err == nil {
			t.Error(out)
		}
		bare.CACert = evil.File
		if _, err := ctl(bare, "show"); err == nil {
			t.Error("ovn-sbctl accepts a server of another authority")
		}
		plain := dialTCP(t, port)
		plain.send(`{"method":"list_dbs","params":[],"id":0}`)
		plain.ended(10 * time.Second)
		good.result("echo", `["others are served"]`)

		// Versions and ciphers are those of the table.
		s.sbctl("set", "SSL", ".", "ssl_protocols=TLSv1.2", "ssl_ciphers=ECDHE-ECDSA-AES128-GCM-SHA256")
		eventually.That(t, "TLS 1.2 with the only cipher", func() bool {
			c, err := dialTLS(t, port, mine)
			if err != nil {
				return false
			}
			state := c.conn.(*tls.Conn).ConnectionState()
			return state.Version == tls.VersionTLS12 && state.CipherSuite == tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
		})
		s.sbctl("set", "SSL", ".", `ssl_protocols="TLSv1.2,TLSv1.3"`, `ssl_ciphers="HIGH:!aNULL:!MD5"`)

		// The files are replaced, with those of another authority: no restart.
		evil.IssueTo(server, "server")
		s.sbctl("set", "SSL", ".", "ca_cert=\""+evil.File+"\"")
		theirs := evil.Issue("hv1")
		eventually.That(t, "the other authority's peers come in", func() bool {
			_, err := dialTLS(t, port, theirs)
			return err == nil
		})
		if _, err := dialTLS(t, port, mine); err == nil {
			t.Error("a peer of the authority before is let in")
		}
		good.result("echo", `["connections are not touched"]`)
		s.sbctl("del-ssl")
		if out := s.sbctl("get-ssl"); out != "" {
			t.Error(out)
		}
	})
}
