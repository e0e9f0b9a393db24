package interop

import (
	"context"
	"crypto/x509"
	"encoding/hex"
	"log/slog"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"govn/ic/server"
	"govn/pkg/certs"
	"govn/pkg/certs/certstest"
	"govn/pkg/rpc"
	"govn/proto/ic"
)

// icByTLS is a centre that takes connections by TLS only.
type icByTLS struct {
	fabric, sb string // remotes
	keys       certs.Files
}

func serveICByTLS(t *testing.T, ca *certstest.Authority) *icByTLS {
	t.Helper()
	fabric, sb := freePort(t), freePort(t)
	w := &icByTLS{fabric: "ssl:127.0.0.1:" + fabric, sb: "ssl:127.0.0.1:" + sb, keys: ca.Issue("centre")}
	file := filepath.Join(t.TempDir(), "ic.db")
	runUntilEnd(t, func(ctx context.Context, ready func()) error {
		return server.Run(ctx, server.Options{
			Store: "bbolt:" + file, SBListen: []string{"pssl:" + sb + ":127.0.0.1"}, FabricListen: []string{w.fabric},
			Keys: w.keys, Logger: slog.New(slog.DiscardHandler), Ready: ready,
		})
	})
	return w
}

// join says Hello as a zone and returns
// why it was refused; "": it was not. The stream stays until the test ends.
func (w *icByTLS) join(t *testing.T, remote string, keys *certs.Loader, id, name string) (refused string) {
	t.Helper()
	conn, err := rpc.Dial(remote, keys)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	limit := time.AfterFunc(20*time.Second, cancel)
	defer limit.Stop()
	call, err := ic.NewInterconnectClient(conn).Join(ctx)
	if err != nil {
		return err.Error()
	}
	zone, err := hex.DecodeString(strings.Repeat(id, 16))
	if err != nil {
		t.Fatal(err)
	}
	if err := call.Send(&ic.FromZone{Msg: &ic.FromZone_Hello{Hello: &ic.Hello{Zone: zone, Name: name}}}); err == nil {
		var m *ic.ToZone
		if m, err = call.Recv(); err == nil && m.GetWelcome() != nil {
			return ""
		}
	}
	_, err = call.Recv()
	return err.Error()
}

// sbctl runs the stock client on OVN_IC_Southbound with the keys of somebody.
func (w *icByTLS) sbctl(f certs.Files, args ...string) string {
	out, err := exec.Command("ovn-ic-sbctl", append([]string{"--db=" + w.sb, "--timeout=10", "-p", f.PrivateKey, "-c", f.Certificate, "-C", f.CACert}, args...)...).CombinedOutput()
	if err != nil && len(out) == 0 {
		return err.Error()
	}
	return strings.ReplaceAll(string(out), `\"`, `"`)
}

// TestInterconnectTLS: with TLS a zone is who has its certificate, by gRPC and by
// OVSDB, also after the files of either side were replaced while it runs.
func TestInterconnectTLS(t *testing.T) {
	t.Parallel()
	ca, evil := certstest.NewAuthority(t, "ca"), certstest.NewAuthority(t, "evil")
	w := serveICByTLS(t, ca)
	quiet := slog.New(slog.DiscardHandler)
	loader := func(f certs.Files) *certs.Loader { return certs.NewLoader(f, quiet) }
	foreign, trusting := evil.Issue("east"), ca.Issue("east")
	foreign.CACert, trusting.CACert = ca.File, evil.File
	east, west, stock, rogue := ca.Issue("east"), ca.Issue("west"), ca.Issue("stock"), ca.Issue("rogue")
	for _, c := range []struct {
		what, remote string
		keys         certs.Files
		id, name     string
		want         string
	}{
		{"east", w.fabric, east, "ea", "east", ""},
		{"west", w.fabric, west, "ae", "west", ""},
		{"the id of a live zone", w.fabric, rogue, "ea", "east", `code = PermissionDenied desc = zone "east" is bound to the certificate of "east"`},
		{"the id under another name", w.fabric, rogue, "ea", "mine", `is bound to the certificate of "east"`},
		{"the name of a live zone", w.fabric, rogue, "66", "east", `code = AlreadyExists desc = the name "east" is that of another zone`},
		{"another zone's certificate", w.fabric, west, "ea", "east", `is bound to the certificate of "east"`},
		{"of another authority", w.fabric, foreign, "ea", "east", "code = Unavailable"},
		{"a certificate without a name", w.fabric, ca.Issue(""), "77", "nameless", "code = PermissionDenied desc = the certificate has no common name"},
		{"expired", w.fabric, ca.Issue("east", certstest.Expired), "ea", "east", "code = Unavailable"},
		{"for servers", w.fabric, ca.Issue("east", func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }), "ea", "east", "code = Unavailable"},
		{"in the clear", strings.Replace(w.fabric, "ssl:", "tcp:", 1), east, "ea", "east", "code = Unavailable"},
		{"a centre of another authority", w.fabric, trusting, "ea", "east", "unknown authority"},
		{"east again", w.fabric, east, "ea", "east", ""},
	} {
		if got := w.join(t, c.remote, loader(c.keys), c.id, c.name); (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", c.what, got, c.want)
		}
	}

	// By OVSDB: zones of both kinds, and those who are none of them.
	if out := w.sbctl(stock, "create", "availability_zone", "name=stock"); len(strings.TrimSpace(out)) != 36 {
		t.Fatal(out)
	}
	for _, c := range []struct {
		what string
		keys certs.Files
		args []string
		want string
	}{
		{"its own", stock, []string{"set", "availability_zone", "stock", "name=stock"}, ""},
		{"a zone of OVN", rogue, []string{"set", "availability_zone", "stock", "name=mine"}, `it is of zone "stock", which is bound to the certificate of "stock"`},
		{"a zone of govn", rogue, []string{"set", "availability_zone", "east", "name=mine"}, `it is of zone "east", which is bound to the certificate of "east"`},
		{"a zone of govn, with another one's", west, []string{"set", "availability_zone", "east", "name=mine"}, `permission error`},
		{"who may connect", stock, []string{"set-connection", "ptcp:0"}, `"stock" is a zone's certificate, and this is the operator's`},
		{"of another authority", foreign, []string{"list", "availability_zone"}, "connection"},
	} {
		if got := w.sbctl(c.keys, c.args...); (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", c.what, got, c.want)
		}
	}

	// The files of the centre and of a zone are replaced, while both run: first by what
	// the other side must refuse, which shows that they are in use.
	next := certstest.NewAuthority(t, "next")
	kept := loader(west)
	next.IssueTo(w.keys, "centre")
	if got := w.join(t, w.fabric, kept, "ae", "west"); !strings.Contains(got, "unknown authority") {
		t.Errorf("the centre does not show its new certificate: %q", got)
	}
	ca.IssueTo(w.keys, "centre")
	ca.IssueTo(west, "rogue")
	if got := w.join(t, w.fabric, kept, "ae", "west"); !strings.Contains(got, `is bound to the certificate of "west"`) {
		t.Errorf("the zone does not show its new certificate: %q", got)
	}
	ca.IssueTo(west, "west")
	if got := w.join(t, w.fabric, kept, "ae", "west"); got != "" {
		t.Errorf("the zone with a new certificate of its name: %q", got)
	}
	if out := w.sbctl(west, "set", "availability_zone", "stock", "name=mine"); !strings.Contains(out, `certificate of "stock"`) {
		t.Errorf("by OVSDB with the new certificate: %q", out)
	}
}
