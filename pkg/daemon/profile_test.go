package daemon

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The profiles are what the Go tools read: gzipped protobuf, a trace, text.
func TestProfiles(t *testing.T) {
	d := inProcess(t, Options{LogLevel: "off"})
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	for _, args := range [][]string{
		{"profile/cpu", "0.05", path("cpu")}, {"profile/trace", "0.05", path("trace")},
		{"profile/heap", path("heap")}, {"profile/goroutines", path("goroutines")},
	} {
		if _, err := appctl(t, d, args...); err != nil {
			t.Fatalf("%v: %v", args, err)
		}
	}
	read := func(name string) []byte {
		t.Helper()
		b, err := os.ReadFile(path(name))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for name, want := range map[string]string{"cpu": "nanoseconds", "heap": "inuse_space"} {
		z, err := gzip.NewReader(bytes.NewReader(read(name)))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if b, err := io.ReadAll(z); err != nil || !bytes.Contains(b, []byte(want)) {
			t.Errorf("%s: no %q in %d bytes (%v)", name, want, len(b), err)
		}
	}
	if b := read("trace"); !bytes.HasPrefix(b, []byte("go 1.")) {
		t.Errorf("trace begins with %q", b[:min(16, len(b))])
	}
	if b := read("goroutines"); !bytes.Contains(b, []byte("goroutine ")) {
		t.Errorf("goroutines: %q", b[:min(64, len(b))])
	}

	for _, tt := range []struct{ args, err string }{
		{"profile/cpu many x", `"many" is no number of seconds`},
		{"profile/cpu 0 x", `"0" is no number of seconds`},
		{"profile/cpu 1e9 x", `"1e9" is no number of seconds`},
		{"profile/heap " + path("heap"), "file exists"},
		{"profile/heap " + path("no/such"), "no such file"},
	} {
		if _, err := appctl(t, d, strings.Fields(tt.args)...); err == nil || !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%s: error %v, want %q", tt.args, err, tt.err)
		}
	}
}
