package certstest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"govn/pkg/certs"
)

// Authority is a certificate authority.
type Authority struct {
	// File has its certificate.
	File string

	t    testing.TB
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

var serial atomic.Int64

// NewAuthority makes an authority whose files are in a temporary directory.
func NewAuthority(t testing.TB, name string) *Authority {
	t.Helper()
	a := &Authority{t: t, dir: t.TempDir()}
	a.File = filepath.Join(a.dir, name+"-cacert.pem")
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial.Add(1)), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	a.key = newKey(t)
	a.cert = a.sign(template, template, a.key, a.File)
	return a
}

// Issue makes a certificate for a common name and returns the files that its
// owner needs, in a directory of their own. edit may change it before it is
// signed.
func (a *Authority) Issue(name string, edit ...func(*x509.Certificate)) certs.Files {
	a.t.Helper()
	dir, err := os.MkdirTemp(a.dir, "issued")
	if err != nil {
		a.t.Fatal(err)
	}
	f := certs.Files{PrivateKey: filepath.Join(dir, "privkey.pem"), Certificate: filepath.Join(dir, "cert.pem"), CACert: a.File}
	a.IssueTo(f, name, edit...)
	return f
}

// IssueTo is Issue to files that may exist, which it replaces.
func (a *Authority) IssueTo(f certs.Files, name string, edit ...func(*x509.Certificate)) {
	a.t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial.Add(1)), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, BasicConstraintsValid: true,
	}
	for _, fn := range edit {
		fn(template)
	}
	key := newKey(a.t)
	a.sign(template, a.cert, key, f.Certificate)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	write(a.t, f.PrivateKey, "PRIVATE KEY", der)
}

// Expired is an edit for Issue: the certificate was valid until a minute ago.
func Expired(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }

func (a *Authority) sign(template, parent *x509.Certificate, key *ecdsa.PrivateKey, file string) *x509.Certificate {
	a.t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	write(a.t, file, "CERTIFICATE", der)
	return c
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// write replaces a file in one step.
func write(t testing.TB, file, kind string, der []byte) {
	t.Helper()
	err := os.WriteFile(file+".new", pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
	if err == nil {
		err = os.Rename(file+".new", file)
	}
	if err != nil {
		t.Fatal(err)
	}
}
