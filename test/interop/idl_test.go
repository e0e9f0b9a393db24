package interop

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestPythonIDL runs testdata/idl.py, a client on Debian's python3-openvswitch
// that monitors with conditions and changes them, verifies what it read, mutates,
// holds a lock, and goes on after a restart of the server.
func TestPythonIDL(t *testing.T) {
	stock, ours := eachServer(t, func(t *testing.T, s *dbServer) string {
		tp := newTap(t, s.remote)
		f := s.follow(t, "/usr/bin/python3", "testdata/idl.py", tp.remote)
		out := f.until("RESTART")
		s.restart()
		f.enter("go on")
		out = normal(out + f.until("END"))
		// A standalone ovsdb-server cannot resume.
		if n := tp.resumed(); strings.HasSuffix(t.Name(), "/govn") && n != 1 {
			t.Errorf("%d monitors were resumed, not 1", n)
		}
		return out
	})
	if diff := cmp.Diff(stock, ours); diff != "" {
		t.Errorf("-ovsdb-server +govn\n%s", diff)
	}
	if testing.Verbose() {
		t.Log(ours)
	}
}
