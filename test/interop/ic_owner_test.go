package interop

import (
	"context"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"govn/ic/server"
)

// freePort is a TCP port that nobody has.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// centre serves the databases of the interconnection by govn: by unix sockets, as
// w.db names them, and by tcp.
func (w *icWorld) centre(t *testing.T, lease time.Duration) (icnb, icsb string) {
	t.Helper()
	nb, sb := freePort(t), freePort(t)
	w.remotes = map[string]string{"icnb": "unix:" + filepath.Join(w.dir, "our-nb.sock"), "icsb": "unix:" + filepath.Join(w.dir, "our-sb.sock")}
	ctx, cancel := context.WithCancel(context.Background())
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- server.Run(ctx, server.Options{
			Store: "memory", NBListen: []string{"ptcp:" + nb + ":127.0.0.1", "p" + w.db("icnb")}, SBListen: []string{"ptcp:" + sb + ":127.0.0.1", "p" + w.db("icsb")},
			Centre: server.CentreOptions{Lease: lease}, Ready: func() { close(ready) },
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the centre: %v", err)
		}
	})
	<-ready
	return "tcp:127.0.0.1:" + nb, "tcp:127.0.0.1:" + sb
}

// TestStockZonesAtCentre: stock zones by tcp are joined as by stock databases, each
// owns its rows, and is a lease.
func TestStockZonesAtCentre(t *testing.T) {
	t.Parallel()
	const lease = 4 * time.Second
	w := newICWorld(t)
	icnb, icsb := w.centre(t, lease)
	east := w.ovnIC("east", icnb, icsb)
	w.ovnIC("west", icnb, icsb)
	for _, text := range icSteps[:13] {
		w.step(text)
	}
	routes := func(zone string) string {
		return w.ctl(zone+"-nb", "lr-route-list", map[string]string{"east": "r1", "west": "r2"}[zone])
	}
	learned := func() bool {
		return strings.Contains(routes("west"), "10.1.0.0/24") && strings.Contains(routes("east"), "10.2.0.0/24")
	}
	w.until("routes", learned)
	rows := func(zone string) string {
		az := strings.TrimSpace(w.ctl("icsb", "--bare", "--columns=_uuid", "find", "availability_zone", "name="+zone))
		return w.ctl("icsb", "--bare", "--columns=_uuid,ip_prefix", "find", "route", "availability_zone="+az)
	}
	before := rows("east")

	// Who is not the zone cannot write its rows.
	for _, c := range []struct{ table, args string }{
		{"Route", "destroy route %s"}, {"Gateway", "set gateway %s hostname=evil"}, {"Port_Binding", "set port_binding %s address=evil"},
		{"Availability_Zone", "set availability_zone %s name=evil"}, {"Encap", "set encap %s ip=203.0.113.99"}, {"Datapath_Binding", "destroy datapath_binding %s"},
	} {
		row := strings.Fields(w.ctl("icsb", "--bare", "--columns=_uuid", "list", c.table))[0]
		out, err := exec.Command("ovn-ic-sbctl", append([]string{"--db=" + icsb}, strings.Fields(fmt.Sprintf(c.args, row))...)...).CombinedOutput()
		if err == nil || !strings.Contains(string(out), "permission error") || !strings.Contains(string(out), c.table) || !strings.Contains(string(out), row) {
			t.Errorf("%s: %v\n%s", c.args, err, out)
		}
	}
	// A daemon that is merely restarted loses nothing.
	east()
	east = w.ovnIC("east", icnb, icsb)
	for limit := time.Now().Add(2 * lease); time.Now().Before(limit); time.Sleep(100 * time.Millisecond) { // between two looks
		if now := rows("east"); now != before {
			t.Fatalf("routes of east %q, before its daemon was restarted %q", now, before)
		}
	}
	// One that is gone takes its routes with it, after the lease, and brings them back.
	east()
	gone := time.Now()
	w.until("east's routes to go", func() bool { return !strings.Contains(routes("west"), "10.1.0.0/24") })
	if took := time.Since(gone); took < lease-time.Second || took > 3*lease {
		t.Errorf("the routes went after %v, the lease is %v", took, lease)
	}
	if out := w.ctl("icsb", "show"); !strings.Contains(out, "gateway gw1") || !strings.Contains(out, "port ts-r1") {
		t.Errorf("gateway or port went with the lease:\n%s", out)
	}
	w.ovnIC("east", icnb, icsb)
	w.until("east's routes again", learned)
	// The operator may.
	row := strings.Fields(w.ctl("icsb", "--bare", "--columns=_uuid", "list", "Route"))[0]
	w.ctl("icsb", "destroy", "route", row)
	w.until("the route again", learned)
}
