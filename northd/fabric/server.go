package fabric

import (
	"google.golang.org/grpc"

	"govn/proto"
)

// Server is the fabric of one zone.
type Server struct {
	proto.UnimplementedFabricServer
	opts Options
}

// New returns a server that holds nothing.
func New(opts Options) *Server { return &Server{opts: opts} }

// Register adds the service to a gRPC server. See ServerOptions.
func (s *Server) Register(g *grpc.Server) { proto.RegisterFabricServer(g, s) }

// ServerOptions are the options that the gRPC server should have: limits of
// what a peer can send, and keepalive.
func ServerOptions() []grpc.ServerOption { return nil }

// Apply makes one batch the desired state.
func (s *Server) Apply(b Batch) {}

// Status tells about every chassis, by name.
func (s *Server) Status() []ChassisStatus { return nil }

// StopSending ends all streams and accepts none any more: northd lost its
// lease.
func (s *Server) StopSending() {}

// Close ends all streams and waits for them.
func (s *Server) Close() {}
