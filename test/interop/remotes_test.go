package interop

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"govn/northd"
	"govn/pkg/certs"
	"govn/pkg/certs/certstest"
)

// running is a northd, ours or stock, with its databases on unix sockets.
type running struct {
	t        *testing.T
	nb, sb   string
	registry *prometheus.Registry // nil: stock
}

// ctl runs a stock program (nb or sb) and returns what it says; it must succeed.
func (r *running) ctl(program string, args ...string) string {
	r.t.Helper()
	out, err := r.try(program, args...)
	if err != nil {
		r.t.Fatalf("ovn-%sctl %s: %v\n%s", program, strings.Join(args, " "), err, out)
	}
	return out
}

func (r *running) try(program string, args ...string) (string, error) {
	db := r.nb
	if program == "sb" {
		db = r.sb
	}
	if !slices.ContainsFunc(args, func(a string) bool { return strings.HasPrefix(a, "--db=") }) {
		args = append([]string{"--db=" + db}, args...)
	}
	ctx, cancel := context.WithTimeout(r.t.Context(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "ovn-"+program+"ctl", append([]string{"--no-leader-only", "--timeout=20"}, args...)...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "OVN_RUNDIR=/nonexistent"}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// await polls until a command's output satisfies ok, and returns it.
func (r *running) await(what string, ok func(string) bool, program string, args ...string) string {
	r.t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		out := r.ctl(program, args...)
		if ok(out) {
			return out
		}
		if time.Now().After(end) {
			r.t.Fatalf("never: %s\n%s", what, out)
		}
	}
}

// metric sums a metric of ours.
func (r *running) metric(name string) (sum float64) {
	r.t.Helper()
	families, err := r.registry.Gather()
	if err != nil {
		r.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			for _, m := range f.Metric {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return sum
}

// runOurs runs a northd until the test ends.
func runOurs(t *testing.T, keys certs.Files) *running {
	t.Helper()
	dir, err := os.MkdirTemp("", "govn")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	r := &running{t: t, nb: "unix:" + dir + "/nb.sock", sb: "unix:" + dir + "/sb.sock", registry: prometheus.NewRegistry()}
	runUntilEnd(t, func(ctx context.Context, ready func()) error {
		return northd.Run(ctx, northd.Options{
			Store: "memory", NBListen: []string{"p" + r.nb}, SBListen: []string{"p" + r.sb}, Keys: keys,
			Logger: slog.New(slog.DiscardHandler), Registry: r.registry, Ready: ready,
		})
	})
	return r
}

// runUntilEnd runs a server in the process until the test ends, and waits until it says
// that it is ready.
func runUntilEnd(t *testing.T, run func(ctx context.Context, ready func()) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- run(ctx, func() { close(ready) }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	select {
	case <-ready:
	case err := <-done:
		done <- err
		t.Fatal(err)
	}
}

// runStock runs ovsdb-server and ovn-northd until the test ends.
func runStock(t *testing.T) *running {
	t.Helper()
	remote := stockServer(t)
	dir := t.TempDir()
	cmd := exec.Command("ovn-northd", "--ovnnb-db="+remote["nb"], "--ovnsb-db="+remote["sb"], "--unixctl="+filepath.Join(dir, "ctl"), "-vconsole:off")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	return &running{t: t, nb: remote["nb"], sb: remote["sb"]}
}

// TestControllerRole: the role that northd writes is that of ovn-northd.
func TestControllerRole(t *testing.T) {
	list := func(r *running) (table string) {
		r.await("a role", func(out string) bool { return strings.Contains(out, "Service_Monitor") }, "sb", "--bare", "--columns=permissions", "list", "RBAC_Role")
		out := r.ctl("sb", "--format=csv", "--columns=table,authorization,insert_delete,update", "list", "RBAC_Permission")
		lines := strings.Split(strings.TrimSpace(out), "\n")
		slices.Sort(lines)
		roles := r.ctl("sb", "--bare", "--columns=name", "list", "RBAC_Role")
		for line := range strings.SplitSeq(r.ctl("sb", "--bare", "--columns=permissions", "list", "RBAC_Role"), " ") {
			name, id, _ := strings.Cut(strings.TrimSpace(line), "=")
			roles += name + " -> " + r.ctl("sb", "--bare", "--columns=table", "list", "RBAC_Permission", id)
		}
		return roles + strings.Join(lines, "\n")
	}
	ours := runOurs(t, certs.Files{})
	if got, want := list(ours), list(runStock(t)); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if out, err := ours.try("sb", "create", "RBAC_Role", "name=mine"); err == nil || !strings.Contains(out, "permission error") {
		t.Error("a client writes the roles: ", out, err)
	}
}

// TestConnectionsOfNorthd: rows in both databases, keys from the SSL table and from
// flags, a role for chassis, and nothing of that wakes the compiler.
func TestConnectionsOfNorthd(t *testing.T) {
	t.Parallel()
	ca := certstest.NewAuthority(t, "ca")
	r := runOurs(t, certs.Files{})
	server, admin, hv1 := ca.Issue("northd"), ca.Issue("admin"), ca.Issue("hv1")
	r.ctl("nb", "ls-add", "sw0")
	r.ctl("nb", "set-ssl", server.PrivateKey, server.Certificate, server.CACert)
	r.ctl("sb", "set-ssl", server.PrivateKey, server.Certificate, server.CACert)
	if out := r.ctl("nb", "get-ssl"); !strings.Contains(out, "Private key: "+server.PrivateKey) || !strings.Contains(out, "Bootstrap: false") {
		t.Error(out)
	}
	r.ctl("nb", "--inactivity-probe=30000", "set-connection", "pssl:0:127.0.0.1")
	r.ctl("sb", "--inactivity-probe=30000", "set-connection", "role=ovn-controller", "pssl:0:127.0.0.1")
	port := func(program string) string {
		out := r.await("a port", func(out string) bool { return strings.Contains(out, "bound_port") }, program, "--bare", "--columns=status", "list", "Connection")
		_, out, _ = strings.Cut(out, "bound_port=")
		return strings.Fields(out)[0]
	}
	secure := func(f certs.Files, program string, args ...string) (string, error) {
		return r.try(program, append([]string{"--db=ssl:127.0.0.1:" + port(program), "--private-key=" + f.PrivateKey,
			"--certificate=" + f.Certificate, "--ca-cert=" + f.CACert}, args...)...)
	}
	if out, err := secure(admin, "nb", "--wait=sb", "lsp-add", "sw0", "p1"); err != nil {
		t.Error(out, err)
	}
	if out := r.ctl("nb", "get-connection"); out != "pssl:0:127.0.0.1\n" {
		t.Error(out)
	}
	for _, c := range []struct {
		who     certs.Files
		args    []string
		allowed bool
	}{
		{hv1, []string{"chassis-add", "hv1", "geneve", "192.0.2.1"}, true},
		{hv1, []string{"chassis-add", "hv2", "geneve", "192.0.2.2"}, false},
		{hv1, []string{"set", "Chassis", "hv1", "external_ids:a=b"}, true},
		{hv1, []string{"set", "Chassis", "hv1", "hostname=x"}, false},
		{ca.Issue("hv2"), []string{"set", "Chassis", "hv1", "external_ids:a=c"}, false},
		{hv1, []string{"set", "SB_Global", ".", "external_ids:a=b"}, false},
		{hv1, []string{"list", "SB_Global"}, true},
		{hv1, []string{"del-connection"}, false},
	} {
		out, err := secure(c.who, "sb", c.args...)
		if (err == nil) != c.allowed || err != nil && !strings.Contains(out, "RBAC rules for client") {
			t.Errorf("%v: %v %s", c.args, err, out)
		}
	}

	// Status is written, nobody compiles.
	conn, err := net.Dial("tcp", "127.0.0.1:"+port("nb"))
	if err != nil {
		t.Fatal(err)
	}
	r.ctl("nb", "--wait=sb", "sync")
	queries := r.metric("govn_northd_queries_total")
	fmt.Fprint(conn, "{") // a plain connection to an ssl port is dropped, and counted
	if _, err := conn.Read(make([]byte, 1)); err == nil {
		if _, err = conn.Read(make([]byte, 1<<10)); err == nil {
			t.Error("the plain connection is not dropped")
		}
	}
	conn.Close()
	idle := exec.Command("ovsdb-client", "--private-key="+admin.PrivateKey, "--certificate="+admin.Certificate, "--ca-cert="+admin.CACert,
		"monitor", "ssl:127.0.0.1:"+port("nb"), "OVN_Northbound", "Logical_Switch")
	if err := idle.Start(); err != nil {
		t.Fatal(err)
	}
	r.await("is_connected", func(out string) bool { return out == "true\n" }, "nb", "--bare", "--columns=is_connected", "list", "Connection")
	if n := r.metric("govn_ovsdb_connections"); n < 1 {
		t.Error("connections: ", n)
	}
	idle.Process.Kill()
	idle.Wait()
	r.await("not is_connected", func(out string) bool { return out == "false\n" }, "nb", "--bare", "--columns=is_connected", "list", "Connection")
	if now := r.metric("govn_northd_queries_total"); now != queries {
		t.Errorf("status columns made the compiler evaluate %v queries", now-queries)
	}
	if n := r.metric("govn_ovsdb_handshake_failures_total"); n != 1 {
		t.Error("handshakes that failed: ", n)
	}
	r.ctl("nb", "del-ssl", "--", "del-connection")
	r.await("no connection", func(out string) bool { return out == "" }, "nb", "get-connection")
	if out := r.ctl("nb", "get-ssl"); out != "" {
		t.Error(out)
	}
}
