package certs_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"govn/pkg/certs"
	"govn/pkg/certs/certstest"
)

// loaderOf returns a loader and its log.
func loaderOf(f certs.Files) (*certs.Loader, *bytes.Buffer) {
	b := &bytes.Buffer{}
	return certs.NewLoader(f, slog.New(slog.NewTextHandler(b, nil))), b
}

// handshake connects two loaders and returns the errors of both sides and what
// the server knows.
func handshake(t *testing.T, server, client *certs.Loader) (state tls.ConnectionState, serverErr, clientErr error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn, err := l.Accept()
		if err != nil {
			serverErr = err
			return
		}
		defer conn.Close()
		c := tls.Server(conn, server.ServerConfig())
		if serverErr = c.HandshakeContext(ctx); serverErr == nil {
			state = c.ConnectionState()
			_, serverErr = c.Write([]byte("x"))
		}
	}()
	config, err := client.ClientConfig(l.Addr().String())
	if err != nil {
		l.Close()
		<-done
		return state, nil, err
	}
	c, err := (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", l.Addr().String())
	if err == nil {
		_, err = c.Read(make([]byte, 1)) // in TLS 1.3 a refusal comes only here
		c.Close()
	}
	<-done
	return state, serverErr, err
}

func TestBothSidesVerify(t *testing.T) {
	ca, evil := certstest.NewAuthority(t, "ca"), certstest.NewAuthority(t, "evil")
	server, _ := loaderOf(ca.Issue("server"))
	from := func(f certs.Files) *certs.Loader { l, _ := loaderOf(f); return l }
	foreign := evil.Issue("client")
	foreign.CACert = ca.File
	trusting := ca.Issue("client")
	trusting.CACert = evil.File
	for _, c := range []struct {
		name           string
		client         certs.Files
		server, byPeer string // parts of the errors; "" is none
	}{
		{"good", ca.Issue("hv1"), "", ""},
		{"another authority", foreign, "unknown authority", "remote error"},
		{"expired", ca.Issue("hv1", certstest.Expired), "expired", "remote error"},
		{"for servers only", ca.Issue("hv1", func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }), "incompatible key usage", "remote error"},
		{"the server is not trusted", trusting, "remote error", "unknown authority"},
	} {
		state, serverErr, clientErr := handshake(t, server, from(c.client))
		for side, e := range map[string]struct {
			err  error
			want string
		}{"server": {serverErr, c.server}, "client": {clientErr, c.byPeer}} {
			if (e.err == nil) != (e.want == "") || e.err != nil && !strings.Contains(e.err.Error(), e.want) {
				t.Errorf("%s: %s: %v, want %q", c.name, side, e.err, e.want)
			}
		}
		if serverErr == nil && state.PeerCertificates[0].Subject.CommonName != "hv1" {
			t.Errorf("%s: %s", c.name, state.PeerCertificates[0].Subject)
		}
	}
	open := ca.Issue("server")
	open.CACert = "none"
	if _, err, _ := handshake(t, from(open), from(foreign)); err != nil {
		t.Error("ca-cert=none: ", err)
	}
}

// TestReload replaces the files of a server: the next handshake has the new
// ones, and files that do not fit leave the old ones in force.
func TestReload(t *testing.T) {
	ca, next := certstest.NewAuthority(t, "ca"), certstest.NewAuthority(t, "next")
	files := ca.Issue("before")
	server, log := loaderOf(files)
	client, _ := loaderOf(ca.Issue("client"))
	subject := func() string {
		t.Helper()
		config, err := client.ClientConfig("127.0.0.1")
		if err != nil {
			t.Fatal(err)
		}
		var name string
		config.VerifyConnection = func(s tls.ConnectionState) error {
			name = s.PeerCertificates[0].Subject.CommonName
			return nil
		}
		a, b := net.Pipe()
		defer a.Close()
		defer b.Close()
		done := make(chan error, 1)
		go func() { done <- tls.Server(a, server.ServerConfig()).HandshakeContext(t.Context()) }()
		if err := tls.Client(b, config).HandshakeContext(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		return name
	}
	if got := subject(); got != "before" {
		t.Error(got)
	}
	ca.IssueTo(files, "after")
	if got := subject(); got != "after" {
		t.Error("the certificate was replaced, but the server shows ", got)
	}
	if err := os.WriteFile(files.Certificate, []byte("half a cert"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if got := subject(); got != "after" {
			t.Error("a broken certificate is used: ", got)
		}
	}
	if n := strings.Count(log.String(), "cannot be used"); n != 1 || !strings.Contains(log.String(), files.Certificate) {
		t.Errorf("%d complaints, want one that names the file:\n%s", n, log)
	}
	if err := server.Check(); err == nil || !strings.Contains(err.Error(), files.Certificate) {
		t.Error("Check: ", err)
	}
	ca.IssueTo(files, "mended")
	if got := subject(); got != "mended" {
		t.Error(got)
	}
	// Another authority, by name: the client is a stranger now.
	files.CACert = next.File
	server.Set(files)
	if _, err, _ := handshake(t, server, client); err == nil || !strings.Contains(err.Error(), "unknown authority") {
		t.Error("after Set: ", err)
	}
}

func TestErrorsNameTheFile(t *testing.T) {
	ca := certstest.NewAuthority(t, "ca")
	good, other := ca.Issue("a"), ca.Issue("b")
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	edit := func(fn func(*certs.Files)) certs.Files { f := good; fn(&f); return f }
	for _, c := range []struct {
		f    certs.Files
		want []string
	}{
		{edit(func(f *certs.Files) { f.PrivateKey = "" }), []string{"TLS is not configured", "no private key"}},
		{edit(func(f *certs.Files) { f.CACert = "" }), []string{"TLS is not configured", "no CA certificate"}},
		{edit(func(f *certs.Files) { f.PrivateKey = "/nonexistent/key" }), []string{"private key", "/nonexistent/key", "no such file"}},
		{edit(func(f *certs.Files) { f.Certificate = empty }), []string{"certificate", empty}},
		{edit(func(f *certs.Files) { f.PrivateKey = other.PrivateKey }), []string{"does not match", good.Certificate, other.PrivateKey}},
		{edit(func(f *certs.Files) { f.CACert = empty }), []string{"CA certificate", empty, "no PEM certificate"}},
		{edit(func(f *certs.Files) { f.CACert = "/nonexistent/ca" }), []string{"CA certificate", "/nonexistent/ca"}},
		{edit(func(f *certs.Files) { f.Protocols = "SSLv3" }), []string{"SSLv3"}},
		{edit(func(f *certs.Files) { f.Ciphers = "BOGUS" }), []string{"BOGUS"}},
	} {
		l, _ := loaderOf(c.f)
		err := l.Check()
		for _, want := range c.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%+v: %v, want %q", c.f, err, want)
			}
		}
	}
	l, _ := loaderOf(certs.Files{})
	if err := l.Check(); !errors.Is(err, certs.ErrNotConfigured) {
		t.Error(err)
	}
	if err := func() error { l, _ := loaderOf(good); return l.Check() }(); err != nil {
		t.Error(err)
	}
}

// TestBootstrap: the first peer's authority is stored, and only its peers come in
// afterwards, on either side.
func TestBootstrap(t *testing.T) {
	for _, side := range []string{"client", "server"} {
		t.Run(side, func(t *testing.T) {
			ca, evil := certstest.NewAuthority(t, "ca"), certstest.NewAuthority(t, "evil")
			files := ca.Issue("new")
			files.CACert, files.BootstrapCA = filepath.Join(t.TempDir(), "cacert.pem"), true
			fresh, _ := loaderOf(files)
			shake := func(peer certs.Files) (error, error) {
				l, _ := loaderOf(peer)
				if side == "client" {
					_, peerErr, err := handshake(t, l, fresh)
					return err, peerErr
				}
				_, err, peerErr := handshake(t, fresh, l)
				return err, peerErr
			}
			if err, _ := shake(ca.Issue("peer")); !errors.Is(err, certs.ErrBootstrapped) {
				t.Fatal("first: ", err)
			}
			stored, err1 := os.ReadFile(files.CACert)
			want, err2 := os.ReadFile(ca.File)
			if err1 != nil || err2 != nil || !bytes.Equal(stored, want) {
				t.Fatal("what was stored is not the authority: ", err1, err2)
			}
			if err, peerErr := shake(ca.Issue("peer")); err != nil || peerErr != nil {
				t.Error("second: ", err, peerErr)
			}
			stranger := evil.Issue("peer")
			stranger.CACert = ca.File
			if err, _ := shake(stranger); err == nil || !strings.Contains(err.Error(), "unknown authority") {
				t.Error("stranger: ", err)
			}
		})
	}
}

func TestParseProtocols(t *testing.T) {
	for in, want := range map[string][2]uint16{
		"":                      {tls.VersionTLS12, tls.VersionTLS13},
		"TLSv1.2":               {tls.VersionTLS12, tls.VersionTLS12},
		"TLSv1,TLSv1.1,TLSv1.2": {tls.VersionTLS10, tls.VersionTLS12},
		"TLSv1.3 TLSv1.2":       {tls.VersionTLS12, tls.VersionTLS13},
		"TLSv1.2+":              {tls.VersionTLS12, tls.VersionTLS13},
		"TLSv1.1-TLSv1.2":       {tls.VersionTLS11, tls.VersionTLS12},
		"SSLv3":                 {}, "TLSv1.2-": {}, "+": {}, "TLSv1.4": {}, "TLSv1.2,x": {},
	} {
		min, max, err := certs.ParseProtocols(in)
		if [2]uint16{min, max} != want || (err == nil) == (want == [2]uint16{}) {
			t.Errorf("%q: %x %x %v", in, min, max, err)
		}
	}
}

func TestParseCiphers(t *testing.T) {
	for in, want := range map[string]string{
		"ECDHE-RSA-AES128-GCM-SHA256":     "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
		"ECDHE+AESGCM:!ECDSA:@STRENGTH":   "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
		"HIGH:!aNULL:!MD5:-AES:!kRSA":     "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256 TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
		"ALL:!ECDHE:!SHA:!SHA256:!SHA384": "error: no suite is left",
		"3DES":                            "error: no suite is left", "!HIGH": "error: no suite is left", "bogus": `error: unknown word "bogus"`,
		"ECDHE+bogus": `error: unknown word "bogus"`, "!": "error: no suite is left",
		"DHE-RSA-AES256-SHA:AES256-SHA": "TLS_RSA_WITH_AES_256_CBC_SHA",
		"-AES:AESGCM+RSA+AES128":        "TLS_RSA_WITH_AES_128_GCM_SHA256",
		"":                              "",
	} {
		ids, err := certs.ParseCiphers(in)
		var names []string
		for _, id := range ids {
			names = append(names, tls.CipherSuiteName(id))
		}
		got := strings.Join(names, " ")
		if err != nil {
			got = "error: " + err.Error()[strings.LastIndex(err.Error(), `": `)+3:]
			if i := strings.Index(err.Error(), "unknown word"); i >= 0 {
				got = "error: " + err.Error()[i:]
			}
		}
		if got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
	}
	if ids, err := certs.ParseCiphers("HIGH:!aNULL:!MD5"); err != nil || !slices.Contains(ids, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384) {
		t.Error(ids, err)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"HIGH:!aNULL:!MD5", "TLSv1,TLSv1.1-TLSv1.3", "+", "!:-", "TLSv1.2+", "A+B:@x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if ids, err := certs.ParseCiphers(s); err == nil && s != "" && len(ids) == 0 {
			t.Error("no suite and no error")
		}
		if min, max, err := certs.ParseProtocols(s); err == nil && (min == 0 || min > max) {
			t.Error(min, max)
		}
	})
}
