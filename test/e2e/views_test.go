//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	views "govn/proto/control"
	"govn/sim/lab"
)

// run runs govn as an operator does. Whatever it writes to standard error is an
// error.
func run(t *testing.T, stdin string, args ...string) (string, error) {
	t.Helper()
	var stderr strings.Builder
	cmd := exec.CommandContext(t.Context(), govn, args...)
	cmd.Stdin, cmd.Stderr = strings.NewReader(stdin), &stderr
	out, err := cmd.Output()
	if err != nil {
		return string(out), fmt.Errorf("%w: %s", err, strings.TrimSpace(stderr.String()))
	}
	return string(out), nil
}

// answer runs govn and reads its answer from JSON.
func answer[A views.Answer](t *testing.T, to A, args ...string) A {
	t.Helper()
	out := must(t)(run(t, "", append(args, "-f", "json")...))
	if err := json.Unmarshal([]byte(out), to); err != nil {
		t.Fatalf("govn %q: %v in %s", args, err, out)
	}
	return to
}

// explain asks northd and a chassis about cookies.
func explain(t *testing.T, l *lab.Lab, chassis string, cookies ...string) *views.Origins {
	t.Helper()
	return answer(t, &views.Origins{}, append([]string{"explain",
		"-t", l.ControlSocket("central", "northd"), "-t", l.ControlSocket(chassis, "controller")}, cookies...)...)
}

// refusals is how many packets the port security of a port has refused on its
// way in, and the flow that did.
func refusals(t *testing.T, l *lab.Lab, chassis, port string) (n uint64, by string) {
	t.Helper()
	got := answer(t, &views.Origins{}, "flows", "-t", l.ControlSocket(chassis, "controller"), "--object", "port:"+port)
	for _, o := range got.Origins {
		if o.Stage == nil || o.Stage.Name != "ls_in_check_port_sec" || !strings.HasSuffix(o.Purpose, "REFUSES") {
			continue
		}
		if len(o.Objects) != 1 || o.Objects[0].Table != "Logical_Switch_Port" || o.Objects[0].Name != port {
			t.Errorf("port security of %q is from %v", port, o.Objects)
		}
		for i := range o.Flows {
			if f := &o.Flows[i]; f.Counters != nil && f.Table == 73 {
				n += f.Counters.Packets
				by = f.String()
			}
		}
	}
	if by == "" {
		t.Fatalf("no flow of port %q refuses anything: %+v", port, got.Origins)
	}
	return n, by
}

// status asks northd for the zone.
func status(t *testing.T, l *lab.Lab) *views.Status {
	t.Helper()
	return answer(t, &views.Status{}, "status", "-t", l.ControlSocket("central", "northd"))
}

func chassisOf(t *testing.T, st *views.Status, name string) *views.Chassis {
	t.Helper()
	for i := range st.Chassis {
		if st.Chassis[i].Name == name {
			return &st.Chassis[i]
		}
	}
	t.Fatalf("no chassis %q in %+v", name, st)
	return nil
}

// The zone at a glance: two chassis in step, one of them away, and back.
func TestStatus(t *testing.T) {
	l := up(t, load(t, twoHypervisors), lab.ControlGovn)
	must(t)(l.Nbctl(t.Context(), "--wait=hv", "sync"))
	st := status(t, l)
	if st.NbCfg == 0 || st.SbCfg != st.NbCfg || st.HvCfg != st.NbCfg || st.LeftOut != 0 || st.Keys.Datapaths.Used != 1 ||
		len(st.Keys.Ports) != 1 || st.Keys.Ports[0].Switch != "sw0" || st.Keys.Ports[0].Used != 2 {
		t.Errorf("zone: %+v", st)
	}
	for name, other := range map[string]string{"hv1": "hv2", "hv2": "hv1"} {
		c := chassisOf(t, st, name)
		if !c.Connected || c.Lag != 0 || c.Applied == 0 || c.Received != c.Applied || c.Ports != 1 || c.Datapaths != 1 ||
			len(c.Tunnels) != 1 || c.Tunnels[0] != other || len(c.Encaps) != 1 || !strings.HasPrefix(c.Encaps[0], "geneve:203.0.113.") || c.NbCfg != st.NbCfg {
			t.Errorf("chassis %q: %+v", name, c)
		}
	}
	if text := must(t)(run(t, "", "status", "-t", l.ControlSocket("central", "northd"))); !regexp.MustCompile(`(?m)^hv1 +up \d+s +geneve:203\.0\.113\.1 +1 +1 +1 `).MatchString(text) {
		t.Errorf("text:\n%s", text)
	}

	h := answer(t, &views.Host{}, "status", "-t", l.ControlSocket("hv1", "controller"))
	if h.Chassis != "hv1" || !h.Northd.Connected || !h.Bridge.Connected || h.State.Source != "northd" || h.State.Applied == 0 ||
		h.Flows.Wanted == 0 || h.Flows.Wanted != h.Flows.Installed || len(h.Ports) != 1 || h.Ports[0] != "vm1" || len(h.Tunnels) != 1 || h.Tunnels[0] != "hv2@203.0.113.2" {
		t.Errorf("hv1: %+v", h)
	}
	if text := must(t)(l.Exec(t.Context(), "hv1", govn, "status")); !strings.Contains(text, "\nports: vm1\ntunnels: hv2@203.0.113.2\n") {
		t.Errorf("hv1:\n%s", text)
	}

	if err := l.Signal("hv2", "controller", unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, 5*time.Second, "hv2 is away", func() (bool, string) {
		c := chassisOf(t, status(t, l), "hv2")
		return !c.Connected && time.Since(c.Since) < time.Minute, fmt.Sprintf("%+v", c)
	})
	must(t)(l.Nbctl(t.Context(), "--wait=sb", "lsp-set-port-security", "vm2", "50:54:00:00:00:02"))
	if c := chassisOf(t, status(t, l), "hv2"); c.Lag == 0 {
		t.Errorf("hv2 is away and lags by nothing: %+v", c)
	}
	if text := must(t)(run(t, "", "status", "-t", l.ControlSocket("central", "northd"))); !regexp.MustCompile(`(?m)^hv2 +DOWN \d+s `).MatchString(text) {
		t.Errorf("text:\n%s", text)
	}
	if err := l.Start(t.Context(), "hv2", "controller"); err != nil {
		t.Fatal(err)
	}
	eventually(t, 10*time.Second, "hv2 is in step", func() (bool, string) {
		c := chassisOf(t, status(t, l), "hv2")
		return c.Connected && c.Lag == 0, fmt.Sprintf("%+v", c)
	})
}

var cookieLine = regexp.MustCompile(`cookie(=| )(0x[1-6][0-9a-f]+)`)

// Each flow that a chassis has is explained, by its line of dump-flows and in a
// trace.
func TestExplainEverything(t *testing.T) {
	l := up(t, parse(t, strings.Replace(securityLab, "name: security", "name: explain", 1)), lab.ControlGovn)
	must(t)(l.Exec(t.Context(), "vm1", "ping", "-c", "2", "-w", "5", "10.0.0.12"))
	sockets := []string{"-t", l.ControlSocket("central", "northd"), "-t", l.ControlSocket("hv1", "controller")}
	for what, text := range map[string]string{
		"dump": must(t)(l.Ofctl(t.Context(), "hv1", "dump-flows", "--no-names")),
		"trace": must(t)(l.Exec(t.Context(), "hv1", "ovs-appctl", "-t", l.ControlSocket("hv1", "vswitchd"), "ofproto/trace", "br-int",
			fmt.Sprintf("in_port=%s,dl_src=50:54:00:00:00:01,dl_dst=50:54:00:00:00:02,dl_type=0x800,nw_src=10.0.0.11", ofport(t, l, "hv1", "vm1")))),
	} {
		out := must(t)(run(t, text, append([]string{"explain", "-"}, sockets...)...))
		lines := strings.Split(out, "\n")
		explained := 0
		for i, line := range lines {
			if cookieLine.FindString(line) == "" || strings.HasPrefix(strings.TrimSpace(line), "#") {
				continue
			}
			if i+1 == len(lines) || !strings.HasPrefix(strings.TrimSpace(lines[i+1]), "# sw0 ") && !strings.HasPrefix(strings.TrimSpace(lines[i+1]), "# chassis: ") {
				t.Errorf("%s: not explained: %s", what, line)
				continue
			}
			explained++
		}
		if explained < 20 {
			t.Errorf("%s: %d lines explained:\n%s", what, explained, out)
		}
		for _, want := range []string{`what comes in from port "vm1"`, "ls_in_check_port_sec", `from Logical_Switch "sw0"`} {
			if !strings.Contains(out, want) {
				t.Errorf("%s: %q is not in\n%s", what, want, out)
			}
		}
		// Nothing of the input is lost.
		var kept []string
		for _, line := range lines {
			if !strings.HasPrefix(strings.TrimSpace(line), "# ") {
				kept = append(kept, line)
			}
		}
		if got := strings.Join(kept, "\n"); got != strings.TrimSuffix(text, "\n")+"\n" {
			t.Errorf("%s: the text came back changed:\n%s", what, got)
		}
	}
	// What drops is found without knowing of what.
	if out := must(t)(l.Exec(t.Context(), "hv1", govn, "flows", "--drops")); strings.Contains(out, "REFUSES") {
		t.Errorf("dropped before anything is wrong:\n%s", out)
	}
	identity(t, l, "vm1", "50:54:00:00:00:99", "10.0.0.11", "10.0.0.12", "50:54:00:00:00:02")
	send(t, l, "vm1", "10.0.0.12", 5)
	eventually(t, 5*time.Second, "a refusal of vm1 among the drops", func() (bool, string) {
		out := must(t)(l.Exec(t.Context(), "hv1", govn, "flows", "--drops"))
		return strings.Contains(out, "what the port may send: REFUSES\n  from Logical_Switch_Port \"vm1\"") &&
			strings.Contains(out, "sw0 ls_in_apply_port_sec (ingress 1)") && !strings.Contains(out, "n_packets=0"), out
	})
	// A lab's run directories hold the sockets of their daemons: no options needed.
	out := must(t)(l.Exec(t.Context(), "central", govn, "flows", "--object", "port:vm2"))
	if !strings.Contains(out, `on every chassis with switch "sw0" (now hv1, hv2)`) {
		t.Errorf("flows:\n%s", out)
	}
	out = must(t)(l.Exec(t.Context(), "hv1", govn, "flows", "--object", "port:vm2"))
	if !strings.Contains(out, `chassis: sw0, output to port "vm2" on chassis hv2`) || !strings.Contains(out, "n_packets=") {
		t.Errorf("flows on hv1:\n%s", out)
	}
}

// ofport is the OpenFlow port of a logical port on a chassis.
func ofport(t *testing.T, l *lab.Lab, chassis, port string) string {
	t.Helper()
	return strings.TrimSpace(must(t)(l.Vsctl(t.Context(), chassis, "--bare", "--columns=ofport", "find", "Interface", "external_ids:iface-id="+port)))
}
