package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"govn/pkg/certs"
	"govn/pkg/rpc"
)

// fabric is what listens for the streams of zones.
type fabric struct {
	plain, secure *grpc.Server
	listeners     []net.Listener
	by            []*grpc.Server // of each listener
}

// listen opens the listeners, or none.
func (c *Centre) listen(remotes []string, files certs.Files) (f *fabric, err error) {
	f = &fabric{plain: grpc.NewServer(c.ServerOptions()...)}
	c.Register(f.plain)
	defer func() {
		if err != nil {
			f.close()
		}
	}()
	for _, remote := range remotes {
		srv := f.plain
		if strings.HasPrefix(remote, "ssl:") {
			if f.secure == nil {
				keys := certs.NewLoader(files, c.log)
				if err := keys.Check(); err != nil {
					return nil, fmt.Errorf("listening on %q: %w", remote, err)
				}
				f.secure = grpc.NewServer(append(c.ServerOptions(), grpc.Creds(credentials.NewTLS(keys.ServerConfig("h2"))))...)
				c.Register(f.secure)
			}
			srv = f.secure
		}
		l, err := rpc.Listen(remote)
		if err != nil {
			return nil, fmt.Errorf("listening on %q: %w", remote, err)
		}
		f.listeners, f.by = append(f.listeners, l), append(f.by, srv)
		c.log.Info("listening for zones", "remote", remote, "addr", l.Addr().String())
	}
	return f, nil
}

// run serves until ctx ends.
func (f *fabric) run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for i, l := range f.listeners {
		g.Go(func() error {
			if err := f.by[i].Serve(l); !errors.Is(err, grpc.ErrServerStopped) { // it may end before it begins
				return err
			}
			return nil
		})
	}
	g.Go(func() error {
		<-ctx.Done()
		f.close()
		return nil
	})
	return g.Wait()
}

func (f *fabric) close() {
	f.plain.Stop()
	if f.secure != nil {
		f.secure.Stop()
	}
	for _, l := range f.listeners {
		l.Close()
	}
}
