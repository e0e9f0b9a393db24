package main

import (
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"govn/pkg/certs"
)

// addKeyFlags adds the flags of TLS, which are those of ovsdb-server(1).
func addKeyFlags(c *cobra.Command) {
	fs := c.Flags()
	fs.StringP("private-key", "p", "", "PEM `FILE` of the private key for ssl and pssl")
	fs.StringP("certificate", "c", "", "PEM `FILE` of its certificate")
	fs.StringP("ca-cert", "C", "", "PEM `FILE` of the authority that vouches for peers, or none")
	fs.String("bootstrap-ca-cert", "", "as --ca-cert, but a `FILE` that is not there is made from the first peer's authority")
	fs.String("peer-ca-cert", "", "PEM `FILE` of certificates to send to peers that bootstrap")
	fs.String("ssl-protocols", "", "`LIST` of TLS versions (default TLSv1.2,TLSv1.3)")
	fs.String("ssl-ciphers", "", "`LIST` of ciphers up to TLSv1.2, as openssl-ciphers(1)")
}

var errBothCAs = errors.New("--ca-cert and --bootstrap-ca-cert exclude each other")

// keyFlags reads them.
func keyFlags(s *settings) (certs.Files, error) {
	f := certs.Files{
		PrivateKey: s.str("private-key"), Certificate: s.str("certificate"), CACert: s.str("ca-cert"),
		PeerCACert: s.str("peer-ca-cert"), Protocols: s.str("ssl-protocols"), Ciphers: s.str("ssl-ciphers"),
	}
	if file := s.str("bootstrap-ca-cert"); file != "" {
		if f.CACert != "" {
			return f, errBothCAs
		}
		f.CACert, f.BootstrapCA = file, true
	}
	return f, nil
}

// remotes is a list of connection methods. "db:DB,TABLE,COLUMN" has commas of its
// own.
func (s *settings) remotes(key string) (out []string, err error) {
	words, err := s.list(key)
	for i := 0; i < len(words); i++ {
		word := words[i]
		if strings.HasPrefix(word, "db:") && i+2 < len(words) {
			word = strings.Join(words[i:i+3], ",")
			i += 2
		}
		out = append(out, word)
	}
	return out, err
}
