package rpc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"govn/pkg/certs"
	"govn/pkg/unixsocket"
)

// Limits of connections.
const (
	// MaxMessage is the size in bytes of the largest message from a server.
	MaxMessage = 64 << 20

	dialLimit = 5 * time.Second
	maxHeader = 16 << 10 // bytes
)

// ErrRemote is wrapped by the error of what is no remote.
var ErrRemote = errors.New("is not tcp:HOST:PORT, ssl:HOST:PORT or unix:PATH")

// Parse takes a remote apart into its kind ("tcp", "ssl" or "unix") and address.
func Parse(remote string) (kind, address string, err error) {
	kind, address, _ = strings.Cut(remote, ":")
	switch {
	case kind == "unix" && address != "":
	case (kind == "tcp" || kind == "ssl") && strings.Contains(address, ":"):
	default:
		return "", "", fmt.Errorf("%q %w", remote, ErrRemote)
	}
	return kind, address, nil
}

// Listen opens the socket of a remote. What "ssl" adds is the server's. A unix
// socket that nobody listens on any more is replaced.
func Listen(remote string) (net.Listener, error) {
	kind, address, err := Parse(remote)
	if err != nil {
		return nil, err
	}
	if kind != "unix" {
		return net.Listen("tcp", address)
	}
	l, err := unixsocket.Listen(address)
	if err != nil {
		return nil, err
	}
	return l, nil
}

// Dial makes a connection to a remote; keys are for ssl. Nothing is sent before the
// first call.
func Dial(remote string, keys *certs.Loader, more ...grpc.DialOption) (*grpc.ClientConn, error) {
	network, address, err := Parse(remote)
	if err != nil {
		return nil, err
	}
	transport := insecure.NewCredentials()
	if network == "ssl" {
		config, err := keys.ClientConfig(address)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", remote, err)
		}
		network, transport = "tcp", credentials.NewTLS(config)
	}
	return grpc.NewClient("passthrough:///"+address, append([]grpc.DialOption{
		grpc.WithTransportCredentials(transport),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			d := net.Dialer{Timeout: dialLimit}
			return d.DialContext(ctx, network, address)
		}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(MaxMessage), grpc.MaxCallSendMsgSize(MaxMessage)),
		grpc.WithMaxHeaderListSize(maxHeader),
		grpc.WithDisableServiceConfig(),
	}, more...)...)
}
