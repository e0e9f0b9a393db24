package agent

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/grpc"

	"govn/pkg/certs"
	"govn/pkg/rpc"
	"govn/proto/ic"
)

// Dial makes a connection to the centre at unix:PATH, tcp:HOST:PORT or
// ssl:HOST:PORT, with the keys of the moment. Nothing is sent before the first
// call.
func Dial(remote string, keys *certs.Loader) (*grpc.ClientConn, error) {
	conn, err := rpc.Dial(remote, keys)
	if errors.Is(err, rpc.ErrRemote) {
		return nil, fmt.Errorf("the interconnection's service: %w", err)
	}
	return conn, err
}

// dialer makes streams to the centre. Each has a connection of its own, with the
// keys of the moment.
func dialer(remote string, keys *certs.Loader) (func(context.Context) (caller, func(), error), error) {
	if _, _, err := rpc.Parse(remote); err != nil {
		return nil, fmt.Errorf("the interconnection's service: %w", err)
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
