package interop

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// authority signs certificates for tests.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string
}

func newAuthority(t *testing.T) *authority {
	a := &authority{file: filepath.Join(t.TempDir(), "ca.pem")}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ca"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	var der []byte
	a.key, der = sign(t, template, nil)
	var err error
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	write(t, a.file, "CERTIFICATE", der)
	return a
}

// sign makes a key and a certificate of the template, signed by a or by itself.
func sign(t *testing.T, template *x509.Certificate, a *authority) (*ecdsa.PrivateKey, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	parent, signer := template, key
	if a != nil {
		parent, signer = a.cert, a.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	return key, der
}

// issue writes a key and a certificate without names of hosts, as ovs-pki does.
func (a *authority) issue(t *testing.T) (keyFile, certFile string) {
	t.Helper()
	dir := t.TempDir()
	key, der := sign(t, &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "someone"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}, a)
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	keyFile, certFile = filepath.Join(dir, "key.pem"), filepath.Join(dir, "cert.pem")
	write(t, keyFile, "EC PRIVATE KEY", keyDER)
	write(t, certFile, "CERTIFICATE", der)
	return keyFile, certFile
}

func write(t *testing.T, file, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

// tlsFront accepts TLS from clients with a certificate of the authority and
// forwards to a unix socket.
func tlsFront(t *testing.T, a *authority, socket string) (address string) {
	keyFile, certFile := a.issue(t)
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(a.cert)
	pair.Certificate = append(pair.Certificate, a.cert.Raw) // for --bootstrap-ca-cert
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAnyClientCert,
		VerifyConnection: func(s tls.ConnectionState) error {
			_, err := s.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
			return err
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			front, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer front.Close()
				back, err := net.Dial("unix", socket)
				if err != nil {
					return
				}
				defer back.Close()
				wg.Go(func() {
					_, _ = io.Copy(front, back)
				})
				_, _ = io.Copy(back, front)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		wg.Wait()
	})
	return l.Addr().String()
}

// ssl: remotes want certificates of one authority on both sides, and no names.
func TestTLS(t *testing.T) {
	remote := govnServer(t)
	ca, other := newAuthority(t), newAuthority(t)
	address := tlsFront(t, ca, strings.TrimPrefix(remote["nb"], "unix:"))
	key, cert := ca.issue(t)
	otherKey, otherCert := other.issue(t)
	for _, tt := range []struct {
		name          string
		key, cert, ca string
		ok            bool
		message       string
	}{
		{"all of one authority", key, cert, ca.file, true, ""},
		{"a server of another authority", key, cert, other.file, false, "unknown authority"},
		{"a client of another authority", otherKey, otherCert, ca.file, false, "database connection failed"},
		{"no authority", key, cert, "", false, "no CA certificate; ssl needs --private-key, --certificate and --ca-cert"},
		{"a file that is not there", key, cert, "/nonexistent", false, "open /nonexistent: no such file or directory"},
	} {
		args := []string{"--db=ssl:" + address, "-p", tt.key, "-c", tt.cert, "-C", tt.ca, "--may-exist", "ls-add", "sw0"}
		stdout, stderr, status := ours(remote)(t.Context(), "nb", args)
		if (status == 0) != tt.ok || !strings.Contains(stderr, tt.message) {
			t.Errorf("%s: status %d, %q, %q", tt.name, status, stdout, stderr)
		}
	}
}

// --bootstrap-ca-cert keeps the certificate of the authority that the server
// sends, and trusts no other from then on.
func TestBootstrapAuthority(t *testing.T) {
	remote := govnServer(t)
	ca, other := newAuthority(t), newAuthority(t)
	socket := strings.TrimPrefix(remote["nb"], "unix:")
	key, cert := ca.issue(t)
	file := filepath.Join(t.TempDir(), "ca.pem")
	run := func(address string) (string, int) {
		_, stderr, status := ours(remote)(t.Context(), "nb", []string{"--db=ssl:" + address, "-p", key, "-c", cert, "--bootstrap-ca-cert=" + file, "ls-list"})
		return stderr, status
	}
	address := tlsFront(t, ca, socket)
	for range 2 { // without the file, and with it
		if stderr, status := run(address); status != 0 {
			t.Fatalf("status %d, %s", status, stderr)
		}
	}
	kept, err := os.ReadFile(file)
	want, werr := os.ReadFile(ca.file)
	if err != nil || werr != nil || string(kept) != string(want) {
		t.Errorf("%v, %v: kept\n%s\nwant\n%s", err, werr, kept, want)
	}
	if stderr, status := run(tlsFront(t, other, socket)); status == 0 {
		t.Errorf("a server of another authority is trusted: %s", stderr)
	}
}
