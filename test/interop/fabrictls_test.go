package interop

import (
	"context"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"govn/northd"
	"govn/pkg/abi"
	"govn/pkg/certs"
	"govn/pkg/certs/certstest"
	"govn/proto"
)

// TestFabricTLS: a chassis comes in with a certificate of its own name, nobody
// else does.
func TestFabricTLS(t *testing.T) {
	ca, evil := certstest.NewAuthority(t, "ca"), certstest.NewAuthority(t, "evil")
	quiet := slog.New(slog.DiscardHandler)
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	free.Close()
	keys := ca.Issue("northd")
	runUntilEnd(t, func(ctx context.Context, ready func()) error {
		return northd.Run(ctx, northd.Options{Store: "memory", FabricListen: []string{"ssl:" + address}, Keys: keys, Logger: quiet, Ready: ready})
	})
	foreign, trusting := evil.Issue("hv1"), ca.Issue("hv1")
	foreign.CACert, trusting.CACert = ca.File, evil.File
	transport := func(f certs.Files) credentials.TransportCredentials {
		config, err := certs.NewLoader(f, quiet).ClientConfig(address)
		if err != nil {
			t.Fatal(err)
		}
		return credentials.NewTLS(config)
	}
	for _, c := range []struct {
		what  string
		creds credentials.TransportCredentials
		want  string
	}{
		{"its own", transport(ca.Issue("hv1")), ""},
		{"another chassis'", transport(ca.Issue("hv2")), `chassis "hv1" shows the certificate of "hv2"`},
		{"of another authority", transport(foreign), "code = Unavailable"},
		{"in the clear", insecure.NewCredentials(), "code = Unavailable"},
		{"a server of another authority", transport(trusting), "unknown authority"},
	} {
		if got := attach(t, address, c.creds); (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", c.what, got, c.want)
		}
	}
}

// attach says hello as hv1, and returns why that is refused.
func attach(t *testing.T, address string, creds credentials.TransportCredentials) string {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(creds))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	call, err := proto.NewFabricClient(conn).Attach(ctx)
	if err != nil {
		return err.Error()
	}
	hello := &proto.Hello{Name: "hv1", Hostname: "hv1", Abi: abi.Version, Encaps: []*proto.Encap{{Type: "geneve", Ip: "192.0.2.1"}}}
	if err := call.Send(&proto.FromChassis{Msg: &proto.FromChassis_Hello{Hello: hello}}); err != nil {
		return err.Error()
	}
	m, err := call.Recv()
	if err != nil {
		return err.Error()
	}
	return m.GetWelcome().GetError()
}
