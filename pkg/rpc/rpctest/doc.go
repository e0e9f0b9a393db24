// Package rpctest is for tests of services by gRPC: what a server logs and counts,
// read while it runs. It takes testing.TB and rapid.T alike.
//
// # Debugging
//
// Waiting ends after Deadline, with what was waited for.
package rpctest
