package interop

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

// The formats of -o hold what list and show print.
func TestOutputs(t *testing.T) {
	servers(t, func(t *testing.T, remote map[string]string) {
		must(t, remote, "ls-add", "sw0", "--", "lsp-add", "sw0", "p1", "--", "lsp-add", "sw0", "r", "--", "lsp-set-type", "r", "router", "--",
			"lsp-set-options", "r", "router-port=rp1", "--", "set", "Logical_Switch", "sw0", "other_config:subnet=10.0.0.0/24")
		must(t, remote, "lr-add", "r0", "--", "lrp-add", "r0", "rp1", "00:00:00:00:01:01", "10.0.0.1/24", "--", "lrp-set-gateway-chassis", "rp1", "hv1")
		for _, format := range []string{"json", "yaml"} {
			decode := json.Unmarshal
			if format == "yaml" {
				decode = yaml.Unmarshal
			}
			var rows []map[string]any
			out := must(t, remote, "--columns=name,other_config,copp,ports", "list", "Logical_Switch", "-o", format)
			if err := decode([]byte(out), &rows); err != nil || len(rows) != 1 || rows[0]["name"] != "sw0" || rows[0]["copp"] != nil ||
				rows[0]["other_config"].(map[string]any)["subnet"] != "10.0.0.0/24" || len(rows[0]["ports"].([]any)) != 2 {
				t.Errorf("list -o %s: %v\n%s", format, err, out)
			}
			var zone struct {
				Switches []struct {
					Name  string
					Ports []struct{ Name, Type string }
				}
				Routers []struct{ Ports []struct{ Networks []string } }
			}
			out = must(t, remote, "-o", format, "show")
			if err := decode([]byte(out), &zone); err != nil || len(zone.Switches) != 1 || zone.Switches[0].Ports[1].Type != "router" ||
				zone.Routers[0].Ports[0].Networks[0] != "10.0.0.1/24" {
				t.Errorf("show -o %s: %v\n%s", format, err, out)
			}
		}
		if out := must(t, remote, "--columns=name", "list", "Logical_Switch", "-o", "csv"); out != "name\nsw0\n" {
			t.Errorf("list -o csv: %q", out)
		}
		if out := must(t, remote, "-o", "table", "--", "--columns=name", "find", "Logical_Switch", "name=sw0"); out != "name\n----\nsw0\n" {
			t.Errorf("find -o table: %q", out)
		}
		for format, phrases := range map[string][]string{
			"svg":     {"<svg ", ">sw0<", ">r0<", ">1 port<", ">gateway hv1<", `class="link"`},
			"dot":     {"graph topology {", `label="sw0\n10.0.0.1/24\n1 port"`, "gateway hv1", " -- "},
			"mermaid": {"flowchart TB", "<b>sw0</b>", "gateway hv1", " --- "},
		} {
			out := must(t, remote, "show", "-o", format)
			for _, phrase := range phrases {
				if !strings.Contains(out, phrase) {
					t.Errorf("show -o %s has no %q:\n%s", format, phrase, out)
				}
			}
		}
		for _, line := range []string{"list Logical_Switch -o svg", "-o json ls-list", "show -o table", "show -o"} {
			if _, stderr, status := ours(remote)(t.Context(), "nb", words(t, line)); status != 1 || stderr == "" {
				t.Errorf("%s: status %d", line, status)
			}
		}
		// An argument of another verb is what it says.
		must(t, remote, "--", "ls-add", "-o")
		if out := must(t, remote, "ls-list"); !strings.Contains(out, "(-o)") {
			t.Errorf("ls-add -o: %s", out)
		}
	})
}

// watching runs watch until the test has read what it wants.
func watching(t *testing.T, remote map[string]string, args ...string) (lines func() string, stop func()) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	r, w := io.Pipe()
	p := programs()["nb"]
	p.Getenv = func(name string) string {
		if name == p.DBEnv {
			return remote["nb"]
		}
		return ""
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		var stderr strings.Builder
		if status := p.Run(ctx, args, w, &stderr); status != 0 {
			t.Errorf("%v: status %d, %s", args, status, stderr.String())
		}
		w.Close()
	})
	scanner := bufio.NewScanner(r)
	next := make(chan string)
	wg.Go(func() {
		defer close(next)
		for scanner.Scan() {
			select {
			case next <- scanner.Text():
			case <-ctx.Done():
			}
		}
	})
	return func() string {
			select {
			case line := <-next:
				return normal(line)
			case <-ctx.Done():
				t.Errorf("%v prints nothing more", args)
				return ""
			}
		}, func() {
			cancel()
			r.Close()
			wg.Wait()
		}
}

// watch prints a line for every change, and nothing else.
func TestWatch(t *testing.T) {
	servers(t, func(t *testing.T, remote map[string]string) {
		must(t, remote, "ls-add", "sw0", "--", "lsp-add", "sw0", "p1", "--", "lsp-add", "sw0", "p2")
		lines, stop := watching(t, remote, "--initial", "--columns=name,addresses,enabled", "watch", "Logical_Switch_Port", "p1")
		defer stop()
		inJSON, stopJSON := watching(t, remote, "--initial", "--columns=name,other_config,ports", "watch", "Logical_Switch", "-o", "json")
		defer stopJSON()
		expect := func(next func() string, want string) {
			t.Helper()
			if got := next(); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		}
		expect(lines, "+ Logical_Switch_Port <uuid> (p1) name=p1")
		expect(inJSON, `{"op":"insert","table":"Logical_Switch","uuid":"<uuid>","name":"sw0","new":{"name":"sw0","other_config":{},"ports":["<uuid>","<uuid>"]}}`)
		must(t, remote, "lsp-set-addresses", "p2", "unknown") // not this one
		must(t, remote, "lsp-set-type", "p1", "router")       // not this column
		must(t, remote, "lsp-set-addresses", "p1", "unknown", "router")
		expect(lines, "~ Logical_Switch_Port <uuid> (p1) addresses+=[router, unknown]")
		must(t, remote, "lsp-set-addresses", "p1", "unknown", "--", "lsp-set-enabled", "p1", "disabled")
		expect(lines, "~ Logical_Switch_Port <uuid> (p1) addresses-=[router] enabled=false (was [])")
		must(t, remote, "set", "Logical_Switch", "sw0", "other_config:a=b")
		expect(inJSON, `{"op":"modify","table":"Logical_Switch","uuid":"<uuid>","name":"sw0","old":{"other_config":{}},"new":{"other_config":{"a":"b"}}}`)
		must(t, remote, "lsp-del", "p1")
		expect(lines, "- Logical_Switch_Port <uuid> (p1)")
		must(t, remote, "ls-del", "sw0")
		if got := []string{inJSON(), inJSON()}; !strings.HasPrefix(got[0], `{"op":"modify"`) || !slices.ContainsFunc(got[1:], func(s string) bool { return strings.HasPrefix(s, `{"op":"delete"`) }) {
			t.Errorf("%q", got)
		}
	})
}
