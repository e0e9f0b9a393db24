package lab

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

// The lab in containers is as docs/tutorial.md says: nothing is privileged, whatever
// ends is started again, everything has a health check, databases are on named volumes.
func TestComposeFile(t *testing.T) {
	text, err := os.ReadFile("../../docker-compose.yml")
	if err != nil {
		t.Fatal(err)
	}
	type service struct {
		Command     string
		Build       string
		Restart     string
		Privileged  bool
		CapAdd      []string `yaml:"cap_add"`
		Devices     []string
		Volumes     []string
		Healthcheck struct {
			Test              string
			Interval, Timeout string
			Retries           int
		}
	}
	var file struct {
		Version  string
		Services map[string]service
		Volumes  map[string]any
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	if file.Version != "" {
		t.Errorf("version %q: compose v2 warns of it, v1 does not need it", file.Version)
	}
	want := []string{"agent_east", "agent_west", "gw_east", "gw_west", "ic", "northd_east", "northd_west", "operator", "vm1", "vm2", "worker_east", "worker_west"}
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(file.Services))); diff != "" {
		t.Errorf("services: -want +got\n%s", diff)
	}
	var used []string
	for name, s := range file.Services {
		chassis := s.Command == "chassis"
		var caps, devices []string
		if chassis || s.Command == "vm" {
			caps = []string{"NET_ADMIN"}
		}
		if chassis {
			devices = []string{"/dev/net/tun"}
		}
		if s.Privileged || !slices.Equal(s.CapAdd, caps) || !slices.Equal(s.Devices, devices) {
			t.Errorf("%s: privileged %v, cap_add %q, devices %q; want no more than %q and %q", name, s.Privileged, s.CapAdd, s.Devices, caps, devices)
		}
		if s.Restart != "unless-stopped" || s.Build != "." {
			t.Errorf("%s: restart %q, build %q", name, s.Restart, s.Build)
		}
		if h := s.Healthcheck; h.Test == "" || h.Interval == "" || h.Timeout == "" || h.Retries == 0 {
			t.Errorf("%s: health check %+v", name, h)
		}
		var keeps []string
		for _, v := range s.Volumes {
			volume, dir, _ := strings.Cut(v, ":")
			used, keeps = append(used, volume), append(keeps, dir)
		}
		var databases []string
		switch {
		case chassis:
			databases = []string{"/etc/openvswitch", "/var/lib/govn"}
		case strings.HasPrefix(s.Command, "govn northd"), strings.HasPrefix(s.Command, "govn ic server"):
			databases = []string{"/var/lib/govn"}
		}
		if !slices.Equal(keeps, databases) {
			t.Errorf("%s: volumes at %q, want %q", name, keeps, databases)
		}
	}
	slices.Sort(used)
	if diff := cmp.Diff(slices.Sorted(maps.Keys(file.Volumes)), used); diff != "" {
		t.Errorf("volumes: -named +used, each once\n%s", diff)
	}
}
