// Package rpc is how programs of govn reach each other by gRPC: a remote in the
// notation of OVSDB connections, for both ends.
//
//	tcp:HOST:PORT    without protection
//	ssl:HOST:PORT    TLS, both sides with a certificate (package certs)
//	unix:PATH        a socket of the file system; who may open it may use it
//
// # Contract
//
//   - A dialer uses the keys of the moment, and asks no proxy and no name service
//     for configuration: what it is told is where it goes.
//   - A stream of a server has a Life: who receives, sends and waits on it end it
//     once, and who neither speaks nor reads is given up in a set time.
//   - A server with Codec decodes nothing that would take much more memory than it
//     took on the wire.
//   - A listener on unix:PATH takes the place of a socket that nobody listens on any
//     more, and of no other (package unixsocket).
//
// # Debugging
//
// Errors name the remote. GRPC_GO_LOG_SEVERITY_LEVEL=info has gRPC tell what it does.
package rpc
