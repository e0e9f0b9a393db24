package main

import (
	"context"
	"encoding/json"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc"

	"govn/proto/control"
	"govn/proto/ic"
)

// centreDouble is a centre that tells what the test says.
type centreDouble struct {
	ic.UnimplementedInterconnectServer
	reply *ic.StatusReply
}

func (c *centreDouble) Status(context.Context, *ic.StatusRequest) (*ic.StatusReply, error) {
	return c.reply, nil
}

// serveCentre serves a centre, and returns its remote.
func serveCentre(t *testing.T, centre ic.InterconnectServer) string {
	t.Helper()
	sock := filepath.Join(t.TempDir(), "fabric")
	l, err := net.Listen("unix", sock)
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer()
	if centre != nil {
		ic.RegisterInterconnectServer(s, centre)
	}
	var wg sync.WaitGroup
	wg.Go(func() { _ = s.Serve(l) }) // ends with Stop
	t.Cleanup(func() { s.Stop(); wg.Wait() })
	return "unix:" + sock
}

func runIC(args ...string) (stdout, stderr string, code int) {
	var out, err strings.Builder
	code = run(append([]string{"ic"}, args...), &out, &err)
	return out.String(), err.String(), code
}

func TestICStatusOfTheCentre(t *testing.T) {
	zone := &ic.ZoneStatus{Row: "r1", Name: "east", Zone: make([]byte, 16), Owner: "certificate east", Alive: true, Gateways: 1, Ports: 1, Routes: 2}
	centre := &centreDouble{reply: &ic.StatusReply{
		Centre: make([]byte, 16), Zones: []*ic.ZoneStatus{zone},
		Switches: []*ic.SwitchStatus{{Name: "ts1", Key: 0xff0002, Joined: []string{"east"}}, {Name: "ts2", Key: 0xff0003, Allowed: []string{"east"}}},
	}}
	remote := serveCentre(t, centre)

	const well = `centre 00000000000000000000000000000000: 1 zone, 2 transit switches

ZONE  STATE  GATEWAYS  PORTS  ROUTES  REFUSED  OWNER             ID
east  alive  1         1      2       0        certificate east  00000000000000000000000000000000

SWITCH  KEY                  MAY JOIN  HAVE A PORT
ts1     16711682 (0xff0002)  all       east
ts2     16711683 (0xff0003)  east      -

no problems
`
	if out, err, code := runIC("status", "--ic", remote); out != well || err != "" || code != 0 {
		t.Errorf("status %d %s\n%s", code, err, out)
	}
	if out, _, code := runIC("status", "--ic", remote, "ts2", "-o", "table"); code != 0 || strings.Contains(out, "ts1") || !strings.Contains(out, "ts2") {
		t.Errorf("status %d\n%s", code, out)
	}
	if out, _, code := runIC("conflicts", "--ic", remote); code != 0 || out != "no conflicts\n" {
		t.Errorf("status %d\n%s", code, out)
	}

	zone.Alive, zone.ExpiresMs = false, 2000
	centre.reply.Conflicts = []*ic.Conflict{{Switch: "ts1", Prefix: "10.0.0.0/24", Zone: "east", OtherPrefix: "10.0.0.0/24", OtherZone: "west", Kind: "same"}}
	out, err, code := runIC("status", "--ic", remote, "-o", "json")
	var s control.Interconnection
	if e := json.Unmarshal([]byte(out), &s); e != nil || code != 2 || err != "" || len(s.Problems) != 2 || s.Conflicts[0].OtherZone != "west" || s.Zones[0].ExpiresMS != 2000 {
		t.Errorf("status %d %v %s\n%s", code, e, err, out)
	}
	if out, _, code := runIC("status", "--ic", remote, "-o", "yaml"); code != 2 || !strings.Contains(out, "problems:\n  - zone \"east\" is lost; its routes go in 2s\n") {
		t.Errorf("status %d\n%s", code, out)
	}
	if out, _, code := runIC("conflicts", "--ic", remote); code != 2 || !strings.Contains(out, "10.0.0.0/24 of east is used, that of west is not") {
		t.Errorf("status %d\n%s", code, out)
	}
	if out, _, code := runIC("conflicts", "--ic", remote, "ts2", "-f", "json"); code != 0 || out != "[]\n" {
		t.Errorf("status %d\n%s", code, out)
	}
}

// Who cannot be asked is named, and why.
func TestICStatusErrors(t *testing.T) {
	t.Setenv("OVN_RUNDIR", t.TempDir())
	for _, tt := range []struct{ args, want string }{
		{"status", "govn ic status: govn-ic-agent is not running here: "},
		{"conflicts", "; --ic FABRIC asks the centre\n"},
		{"status --ic 192.0.2.1:6648", `govn ic status: the interconnection's service: "192.0.2.1:6648" is not tcp:HOST:PORT, ssl:HOST:PORT or unix:PATH`},
		{"status --ic unix:/nonexistent/fabric", "govn ic status: unix:/nonexistent/fabric: dial unix /nonexistent/fabric: connect: no such file or directory\n"},
		{"status --ic ssl:127.0.0.1:1", "govn ic status: ssl:127.0.0.1:1: TLS is not configured: no private key"},
		{"status --ic " + serveCentre(t, nil), " does not tell: it is no centre, or an older one"},
		{"status --ic " + serveCentre(t, &centreDouble{reply: &ic.StatusReply{}}) + " ts9", `govn ic status: there is no transit switch "ts9"`},
		{"status --routes --ic unix:/nonexistent/fabric", "govn ic status: --routes: the centre counts routes"},
		{"status -o xml", `govn ic status: unknown format "xml": want table, json or yaml`},
		{"conflicts -f xml", `unknown format "xml"`},
	} {
		if out, err, code := runIC(strings.Fields(tt.args)...); code != 1 || out != "" || !strings.Contains(err, tt.want) {
			t.Errorf("%s: status %d\n%s%s\nwant %s", tt.args, code, out, err, tt.want)
		}
	}
}
