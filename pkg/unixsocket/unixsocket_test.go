package unixsocket_test

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"testing"

	"govn/pkg/unixsocket"
)

// TestListen: a socket that a killed process has left is replaced, one that is
// listened on stays reachable, and no other file is touched.
func TestListen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "made", "s")
	for range 2 {
		l, err := unixsocket.Listen(path)
		if err != nil {
			t.Fatal(err)
		}
		l.SetUnlinkOnClose(false) // as after kill -9
		if _, err := unixsocket.Listen(path); !errors.Is(err, unixsocket.ErrInUse) {
			t.Errorf("beside another listener: %v", err)
		}
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatalf("the first listener is not reached any more: %v", err)
		}
		c.Close()
		l.Close()
	}

	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("kept"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := unixsocket.Listen(file); !errors.Is(err, unixsocket.ErrNoSocket) {
		t.Errorf("in place of a file: %v", err)
	}
	if b, err := os.ReadFile(file); err != nil || string(b) != "kept" {
		t.Errorf("the file is now %q, %v", b, err)
	}
	if _, err := unixsocket.Listen(filepath.Join(file, "s")); err == nil {
		t.Error("a socket below a file")
	}
}
