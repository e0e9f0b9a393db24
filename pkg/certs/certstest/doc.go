// Package certstest makes certificate authorities and certificates for tests, as
// ovs-pki(8) does for users: a directory with PEM files.
package certstest
