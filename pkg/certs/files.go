package certs

import (
	"errors"
	"fmt"
)

// Files name key material. Empty strings are absent.
type Files struct {
	// PrivateKey and Certificate identify this side. The certificate may be
	// followed in its file by those of intermediate authorities.
	PrivateKey, Certificate string
	// CACert has the authorities that vouch for peers. "none": peers are not
	// verified.
	CACert string
	// BootstrapCA allows CACert not to exist yet: the authority at the end of the
	// first peer's chain is then stored there, that connection is dropped, and all
	// later ones are verified by it (ovs-vswitchd(8), --bootstrap-ca-cert). Whoever
	// is first is believed.
	BootstrapCA bool
	// PeerCACert has certificates that are sent to peers behind Certificate, for
	// peers that bootstrap. That of the authority in CACert that signed Certificate
	// is always sent.
	PeerCACert string
	// Protocols and Ciphers are as in the SSL table of ovn-nb(5): see
	// ParseProtocols and ParseCiphers.
	Protocols, Ciphers string
}

// Errors of key material.
var (
	// ErrNotConfigured is returned when a name is missing.
	ErrNotConfigured = errors.New("TLS is not configured")
	// ErrBootstrapped is returned by the handshake that stored the authority of its
	// peer. The peer may connect again.
	ErrBootstrapped = errors.New("the certificate authority of the peer was stored; connections are verified from now on")
)

// Configured tells whether there are names enough to try.
func (f *Files) Configured() error {
	for _, n := range []struct{ name, what string }{
		{f.PrivateKey, "private key"}, {f.Certificate, "certificate"}, {f.CACert, "CA certificate"},
	} {
		if n.name == "" {
			return fmt.Errorf("%w: no %s", ErrNotConfigured, n.what)
		}
	}
	return nil
}

// Or fills what is absent from g. The CA certificate and whether it may be
// bootstrapped belong together.
func (f Files) Or(g Files) Files {
	pick := func(to *string, from string) {
		if *to == "" {
			*to = from
		}
	}
	if f.CACert == "" {
		f.CACert, f.BootstrapCA = g.CACert, g.BootstrapCA
	}
	pick(&f.PrivateKey, g.PrivateKey)
	pick(&f.Certificate, g.Certificate)
	pick(&f.PeerCACert, g.PeerCACert)
	pick(&f.Protocols, g.Protocols)
	pick(&f.Ciphers, g.Ciphers)
	return f
}
