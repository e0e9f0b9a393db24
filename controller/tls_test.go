package controller

import (
	"log/slog"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"govn/pkg/certs"
	"govn/pkg/certs/certstest"
	"govn/pkg/eventually"
)

// TestTLS: with ssl:HOST:PORT in ovn-remote, controller and northd know each other
// by certificates.
func TestTLS(t *testing.T) {
	ca := certstest.NewAuthority(t, "ca")
	l := newLab(t)
	l.n.stop()
	l.n.options = []grpc.ServerOption{grpc.Creds(credentials.NewTLS(certs.NewLoader(ca.Issue("northd"), slog.New(slog.DiscardHandler)).ServerConfig("h2")))}
	l.n.listen("127.0.0.1:0")
	l.keys = ca.Issue("hv1")
	l.ovs.Vsctl("set", "Open_vSwitch", ".", `external_ids:ovn-remote="ssl:`+l.n.addr+`"`)
	l.start()
	eventually.That(t, "hello by TLS", func() bool {
		l.n.mu.Lock()
		defer l.n.mu.Unlock()
		return len(l.n.hellos) > 0 && l.n.hellos[0].Name == "hv1"
	})
}
