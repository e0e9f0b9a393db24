package agent

import (
	"context"
	"fmt"
	"net"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"govn/pkg/certs"
	"govn/proto/ic"
)

// Limits of the connection to the centre.
const (
	dialLimit        = 5 * time.Second
	maxCentreMessage = 64 << 20 // bytes
	maxCentreHeader  = 16 << 10 // bytes
)

// Dial makes a connection to the centre at unix:PATH, tcp:HOST:PORT or
// ssl:HOST:PORT, with the keys of the moment. Nothing is sent before the first
// call.
func Dial(remote string, keys *certs.Loader) (*grpc.ClientConn, error) {
	network, address, err := splitRemote(remote)
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
	return grpc.NewClient("passthrough:///"+address,
		grpc.WithTransportCredentials(transport),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			d := net.Dialer{Timeout: dialLimit}
			return d.DialContext(ctx, network, address)
		}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxCentreMessage), grpc.MaxCallSendMsgSize(maxCentreMessage)),
		grpc.WithMaxHeaderListSize(maxCentreHeader),
		grpc.WithDisableServiceConfig(),
	)
}

// splitRemote takes the address of a centre apart.
func splitRemote(remote string) (network, address string, err error) {
	network, address, _ = strings.Cut(remote, ":")
	switch {
	case network == "unix" && address != "":
	case (network == "tcp" || network == "ssl") && strings.Contains(address, ":"):
	default:
		return "", "", fmt.Errorf("the interconnection's service is at %q, not tcp:HOST:PORT, ssl:HOST:PORT or unix:PATH", remote)
	}
	return network, address, nil
}

// dialer makes streams to the centre. Each has a connection of its own, with the
// keys of the moment.
func dialer(remote string, keys *certs.Loader) (func(context.Context) (caller, func(), error), error) {
	if _, _, err := splitRemote(remote); err != nil {
		return nil, err
	}
	return func(ctx context.Context) (caller, func(), error) {
		conn, err := Dial(remote, keys)
		if err != nil {
			return nil, nil, err
		}
		call, err := ic.NewInterconnectClient(conn).Join(ctx)
		if err != nil {
			conn.Close()
			return nil, nil, err
		}
		return call, func() { conn.Close() }, nil
	}, nil
}
