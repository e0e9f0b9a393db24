package certs

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
)

// ServerConfig is for listeners: each handshake gets the key material of its
// moment. protocols are those of the application, by ALPN, if there is a choice.
func (l *Loader) ServerConfig(protocols ...string) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS10, // the material says
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			m, err := l.load()
			if err != nil {
				return nil, err
			}
			c := m.config()
			c.NextProtos = protocols
			switch {
			case m.missing:
				c.ClientAuth = tls.RequireAnyClientCert
				c.VerifyConnection = l.bootstrap
			case m.roots != nil:
				c.ClientAuth = tls.RequireAndVerifyClientCert
				c.ClientCAs = m.roots
			}
			return c, nil
		},
	}
}

// ClientConfig is for one connection to a server at an address, HOST or
// HOST:PORT.
func (l *Loader) ClientConfig(address string) (*tls.Config, error) {
	m, err := l.load()
	if err != nil {
		return nil, err
	}
	c := m.config()
	// Whatever authorities the server names: it is to say who it does not know.
	c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &m.pair, nil }
	c.InsecureSkipVerify = true // its own check knows names; VerifyConnection does the rest
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = address
	}
	if net.ParseIP(host) == nil {
		c.ServerName = host
	}
	switch {
	case m.missing:
		c.VerifyConnection = l.bootstrap
	case m.roots != nil:
		c.VerifyConnection = m.verifyServer
	}
	return c, nil
}

func (m *material) config() *tls.Config {
	return &tls.Config{
		Certificates: []tls.Certificate{m.pair}, MinVersion: m.min, MaxVersion: m.max, CipherSuites: m.ciphers,
		SessionTicketsDisabled: true,
	}
}

// verifyServer is what crypto/tls does on the client's side, but for the name.
func (m *material) verifyServer(state tls.ConnectionState) error {
	chain := x509.NewCertPool()
	for _, c := range state.PeerCertificates[1:] {
		chain.AddCert(c)
	}
	_, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{
		Roots: m.roots, Intermediates: chain, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	if err != nil {
		return &tls.CertificateVerificationError{UnverifiedCertificates: state.PeerCertificates, Err: err}
	}
	return nil
}

// bootstrap stores the authority at the end of the peer's chain.
func (l *Loader) bootstrap(state tls.ConnectionState) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	root := state.PeerCertificates[len(state.PeerCertificates)-1]
	if err := root.CheckSignatureFrom(root); err != nil {
		return fmt.Errorf("bootstrapping CA certificate %q: the last certificate of the peer, %q, is not that of an authority: %w",
			l.files.CACert, root.Subject, err)
	}
	f, err := os.OpenFile(l.files.CACert, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return ErrBootstrapped // somebody else was first; this peer was not verified
	}
	if err != nil {
		return fmt.Errorf("bootstrapping: CA certificate: %w", err)
	}
	err = errors.Join(pem.Encode(f, &pem.Block{Type: "CERTIFICATE", Bytes: root.Raw}), f.Close())
	if err != nil {
		os.Remove(l.files.CACert)
		return fmt.Errorf("bootstrapping CA certificate %q: %w", l.files.CACert, err)
	}
	l.log.Info("bootstrapped the CA certificate", "file", l.files.CACert, "subject", root.Subject.String())
	return ErrBootstrapped
}
