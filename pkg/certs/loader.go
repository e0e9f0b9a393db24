package certs

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"
)

// Loader gives each handshake the key material of the moment. It is safe for
// concurrent use.
type Loader struct {
	log *slog.Logger

	mu     sync.Mutex
	files  Files
	stamps []stamp // of the files at the last attempt; nil: none yet
	good   *material
	err    error  // of the last attempt
	told   string // err, as it was logged
}

// material is what was read.
type material struct {
	pair     tls.Certificate
	roots    *x509.CertPool // nil: peers are not verified, or not yet
	missing  bool           // roots are to be had from the first peer
	min, max uint16
	ciphers  []uint16
}

// stamp tells one state of a file from the next.
type stamp struct {
	size  int64
	mtime time.Time
	inode uint64
	err   string
}

func stampOf(name string) stamp {
	if name == "" || name == none {
		return stamp{}
	}
	info, err := os.Stat(name)
	if err != nil {
		return stamp{err: err.Error()}
	}
	s := stamp{size: info.Size(), mtime: info.ModTime()}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		s.inode = st.Ino
	}
	return s
}

// none stands for the CA certificate where peers are not verified.
const none = "none"

// NewLoader makes a loader; log is where it complains.
func NewLoader(f Files, log *slog.Logger) *Loader { return &Loader{files: f, log: log} }

// Set replaces the names. Connections that exist are not touched.
func (l *Loader) Set(f Files) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if f != l.files {
		l.files, l.stamps, l.good, l.err, l.told = f, nil, nil, nil, ""
	}
}

// Files are the names.
func (l *Loader) Files() Files {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.files
}

// Check reads the files if they have changed, and says why they cannot be used;
// the last usable ones do not count.
func (l *Loader) Check() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refresh()
	return l.err
}

// load returns the material of the moment.
func (l *Loader) load() (*material, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refresh()
	if l.good == nil {
		return nil, l.err
	}
	return l.good, nil
}

func (l *Loader) refresh() {
	f := &l.files
	now := []stamp{stampOf(f.PrivateKey), stampOf(f.Certificate), stampOf(f.CACert), stampOf(f.PeerCACert)}
	if l.stamps != nil && slices.Equal(now, l.stamps) {
		return
	}
	first := l.stamps == nil
	l.stamps = now
	m, err := read(f)
	if l.err = err; err != nil {
		if l.good != nil && err.Error() != l.told {
			l.told = err.Error()
			l.log.Error("changed key material cannot be used, the old one stays", "err", err)
		}
		return
	}
	l.good, l.told = m, ""
	if !first {
		l.log.Info("key material was read again", "certificate", f.Certificate)
	}
}

// read reads and checks all files. Errors name the file.
func read(f *Files) (*material, error) {
	if err := f.Configured(); err != nil {
		return nil, err
	}
	m := &material{}
	var err error
	if m.min, m.max, err = ParseProtocols(f.Protocols); err != nil {
		return nil, err
	}
	if m.ciphers, err = ParseCiphers(f.Ciphers); err != nil {
		return nil, err
	}
	key, err := os.ReadFile(f.PrivateKey)
	if err != nil {
		return nil, fmt.Errorf("private key: %w", err)
	}
	cert, err := os.ReadFile(f.Certificate)
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	if m.pair, err = tls.X509KeyPair(cert, key); err != nil {
		return nil, fmt.Errorf("certificate %q and private key %q: %w", f.Certificate, f.PrivateKey, err)
	}
	var authorities, extra []*x509.Certificate
	if f.CACert != none {
		authorities, err = readCertificates(f.CACert)
		switch {
		case err == nil:
			m.roots = x509.NewCertPool()
			for _, c := range authorities {
				m.roots.AddCert(c)
			}
		case f.BootstrapCA && errors.Is(err, fs.ErrNotExist):
			m.missing = true
		default:
			return nil, fmt.Errorf("CA certificate: %w", err)
		}
	}
	if f.PeerCACert != "" {
		if extra, err = readCertificates(f.PeerCACert); err != nil {
			return nil, fmt.Errorf("CA certificate for peers: %w", err)
		}
	}
	m.complete(authorities, extra)
	return m, nil
}

// complete puts behind our certificate those that vouch for it, the root too,
// as OpenSSL does: a peer that bootstraps takes the root from there.
func (m *material) complete(authorities, extra []*x509.Certificate) {
	last, err := x509.ParseCertificate(m.pair.Certificate[len(m.pair.Certificate)-1])
	if err != nil {
		return
	}
	for range authorities {
		i := slices.IndexFunc(authorities, func(c *x509.Certificate) bool {
			return !c.Equal(last) && bytes.Equal(c.RawSubject, last.RawIssuer) && last.CheckSignatureFrom(c) == nil
		})
		if i < 0 || m.sends(authorities[i]) {
			break
		}
		last = authorities[i]
		m.pair.Certificate = append(m.pair.Certificate, last.Raw)
	}
	for _, c := range extra {
		if !m.sends(c) {
			m.pair.Certificate = append(m.pair.Certificate, c.Raw)
		}
	}
}

func (m *material) sends(c *x509.Certificate) bool {
	return slices.ContainsFunc(m.pair.Certificate, func(raw []byte) bool { return bytes.Equal(raw, c.Raw) })
}

// readCertificates reads all certificates of a PEM file; there must be one.
func readCertificates(name string) (list []*x509.Certificate, err error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: certificate %d: %w", name, len(list)+1, err)
		}
		list = append(list, c)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%s: there is no PEM certificate in it", name)
	}
	return list, nil
}
