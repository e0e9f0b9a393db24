// Package certs is the key material of TLS connections as the programs of Open
// vSwitch use it: a private key, a certificate, and the certificate authority that
// both sides belong to, each a PEM file.
//
//	flags or the SSL table --names--> Loader --tls.Config, made per handshake--> listener, dialer, gRPC
//	                                    ^ files, read again when they have changed
//
// # Contract
//
//   - Both sides show a certificate, and each verifies the other's chain up to its
//     CA file and the purpose of the certificate. Names of hosts play no role, as
//     in OVSDB: an address is configured, a name is not.
//   - A handshake looks whether a file has changed (stat: size, time, inode) and
//     reads all of them again if so. Nothing polls.
//   - Files that cannot be used while they are being replaced do no harm: the last
//     usable ones stay, and the log says once what is wrong, by file and cause.
//   - Sessions are not resumed, so that a certificate that is not valid any more
//     gets nobody in.
//
// # Debugging
//
// A failed handshake is an error of the connection, with the reason that
// crypto/x509 has. Loader.Check reads the files at once and names the first one
// that cannot be used.
package certs
