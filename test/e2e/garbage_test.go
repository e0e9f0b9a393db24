//go:build e2e

package e2e

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"govn/sim/lab"
)

// garbage is what a peer sends that is none. The same bytes every time.
type garbage struct {
	name string
	data []byte
}

// junk are kinds of garbage for any socket.
func junk() []garbage {
	random := make([]byte, 64<<10)
	source := rand.NewChaCha8([32]byte{7})
	_, _ = source.Read(random) // never fails
	return []garbage{
		{"an empty object", []byte("{}")},
		{"a megabyte of brackets", bytes.Repeat([]byte("["), 1<<20)},
		{"random bytes", random},
		{"null", []byte("null\n")},
		{"a request without an end", []byte(`{"id":1,"method":"list_dbs","params":[` + strings.Repeat(`"x",`, 1000))},
	}
}

// talk sends garbage on a connection, waits for the other side to end it, or
// ends it from this one when the other waits for more.
func talk(t *testing.T, c net.Conn, data []byte) (ended bool) {
	t.Helper()
	defer c.Close()
	const patience = 500 * time.Millisecond
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write(data); err != nil {
		return !errors.Is(err, os.ErrDeadlineExceeded) // it had seen enough
	}
	_, err := io.Copy(io.Discard, c)
	return !errors.Is(err, os.ErrDeadlineExceeded)
}

// complaints counts the warnings and errors in a daemon's log.
func complaints(t *testing.T, l *lab.Lab, node, daemon string) int {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(l.Dir(), node, daemon+".log"))
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Count(data, []byte("level=WARN")) + bytes.Count(data, []byte("level=ERROR"))
}

// pids are the process ids of all daemons of a lab.
func pids(l *lab.Lab) map[string]int {
	all := map[string]int{"northd": l.Pid("central", "northd")}
	for _, c := range l.Config().Chassis {
		for _, d := range []string{"controller", "vswitchd", "ovsdb"} {
			all[c.Name+" "+d] = l.Pid(c.Name, d)
		}
	}
	return all
}

// Garbage on a socket ends that connection with a line in the log, and nothing
// else: no daemon ends, nobody else's connection does, no ping is lost.
func TestGarbage(t *testing.T) {
	l := up(t, load(t, twoHypervisors), lab.ControlGovn)
	before := pids(l)
	ping := startPing(t, l, "vm1", "10.0.0.12", pingInterval)
	ping.waitReplies(3, 5*time.Second)

	// HTTP/2, and then nothing that makes sense.
	preface := []byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
	http2 := []garbage{
		{"HTTP/2 and random bytes", append(bytes.Clone(preface), junk()[2].data...)},
		{"HTTP/2 and a frame that is too long", append(bytes.Clone(preface), 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0)},
		{"half of HTTP/2", preface[:11]},
	}
	var silent []net.Conn
	defer func() {
		for _, c := range silent {
			c.Close()
		}
	}()
	for _, s := range []struct {
		node, daemon, file string
		more               []garbage
		check              func() error // the socket serves others
	}{
		{"central", "northd", "nb.sock", nil, func() error { _, err := l.Nbctl(t.Context(), "show"); return err }},
		{"central", "northd", "sb.sock", nil, func() error { _, err := l.Sbctl(t.Context(), "show"); return err }},
		{"central", "northd", "fabric.sock", http2, func() error { _, err := l.Nbctl(t.Context(), "--wait=hv", "sync"); return err }},
		{"central", "northd", "northd.ctl", nil, func() error { _, err := l.Appctl(t.Context(), "central", "northd", "version"); return err }},
		{"hv1", "controller", "controller.ctl", nil, func() error { _, err := l.Appctl(t.Context(), "hv1", "controller", "version"); return err }},
	} {
		dial := func() net.Conn {
			t.Helper()
			c, err := net.Dial("unix", filepath.Join(l.Dir(), s.node, s.file))
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		for _, g := range append(junk(), s.more...) {
			told := complaints(t, l, s.node, s.daemon)
			ended := talk(t, dial(), g.data)
			eventually(t, 3*time.Second, fmt.Sprintf("%s on %s: a line in the log of %s", g.name, s.file, s.daemon), func() (bool, string) {
				n := complaints(t, l, s.node, s.daemon)
				return n > told, fmt.Sprintf("%d lines more, ended by the other side: %v", n-told, ended)
			})
			// At most two of this one; another of the one before may come late.
			if n := complaints(t, l, s.node, s.daemon) - told; n > 4 {
				t.Errorf("%s on %s: %d lines in the log", g.name, s.file, n)
			}
		}
		// Half a message, and then silence, while others work.
		for _, half := range []string{`{"id":1,"method":"transact","params":["OVN_North`, "PRI * HTT", ""} {
			c := dial()
			if _, err := c.Write([]byte(half)); err != nil {
				t.Fatal(err)
			}
			silent = append(silent, c)
		}
		if err := s.check(); err != nil {
			t.Errorf("%s does not serve others: %v", s.file, err)
		}
	}
	ping.noLoss(3)
	for daemon, pid := range pids(l) {
		if before[daemon] != pid || pid == 0 {
			t.Errorf("%s was process %d, is %d", daemon, before[daemon], pid)
		}
	}
	if _, err := l.Nbctl(t.Context(), "--wait=hv", "ls-add", "sw1"); err != nil {
		t.Errorf("a change after the garbage: %v", err)
	}
}

// openflow is a message of OpenFlow 1.5.
func openflow(typ uint8, xid uint32, body ...byte) []byte {
	b := binary.BigEndian.AppendUint16([]byte{6, typ}, uint16(8+len(body)))
	return append(binary.BigEndian.AppendUint32(b, xid), body...)
}

// A switch that sends garbage costs the controller that connection and nothing
// else; when Open vSwitch answers there again, the controller programs it.
func TestGarbageFromSwitch(t *testing.T) {
	l := up(t, load(t, twoHypervisors), lab.ControlGovn)
	want := flows(t, l, "hv2")
	ping := startPing(t, l, "vm1", "10.0.0.12", pingInterval)
	ping.waitReplies(3, 5*time.Second)

	// A false switch takes the place of br-int's; the controller is started anew
	// to meet it. Open vSwitch goes on with its flows.
	mgmt := filepath.Join(l.Dir(), "hv2", "br-int.mgmt")
	if err := os.Rename(mgmt, mgmt+".real"); err != nil {
		t.Fatal(err)
	}
	fake, err := net.Listen("unix", mgmt)
	if err != nil {
		t.Fatal(err)
	}
	defer fake.Close()
	if err := l.Signal("hv2", "controller", unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := l.Start(t.Context(), "hv2", "controller"); err != nil {
		t.Fatal(err)
	}
	pid := l.Pid("hv2", "controller")
	hello := openflow(0, 1)
	for _, g := range append(junk(),
		garbage{"an older OpenFlow", []byte{1, 0, 0, 8, 0, 0, 0, 1}},
		garbage{"hello and random bytes", append(bytes.Clone(hello), junk()[2].data...)},
		garbage{"a message of no length", append(bytes.Clone(hello), 6, 10, 0, 0, 0, 0, 0, 1)},
		garbage{"a message of four bytes", append(bytes.Clone(hello), 6, 10, 0, 4, 0, 0, 0, 1)},
		garbage{"a packet-in of nonsense", append(bytes.Clone(hello), openflow(4, 1, append([]byte{0, 0, 0x23, 0x20, 0, 0, 0, 30}, junk()[2].data[:500]...)...)...)},
		garbage{"half a message", append(bytes.Clone(hello), 6, 10, 0xff, 0xff, 0, 0)},
	) {
		c, err := accept(t, fake)
		if err != nil {
			t.Fatalf("%s: the controller does not come back: %v", g.name, err)
		}
		talk(t, c, g.data)
		if now := l.Pid("hv2", "controller"); now != pid {
			t.Fatalf("%s: the controller was process %d, is %d", g.name, pid, now)
		}
	}
	if n := complaints(t, l, "hv2", "controller"); n == 0 {
		t.Error("nothing in the log of the controller")
	}
	// Open vSwitch is back. (Closing the listener removes its socket.)
	fake.Close()
	if err := os.Rename(mgmt+".real", mgmt); err != nil {
		t.Fatal(err)
	}
	must(t)(l.Nbctl(t.Context(), "--wait=hv", "lsp-set-enabled", "vm2", "enabled"))
	eventually(t, 10*time.Second, "the controller is connected to Open vSwitch", func() (bool, string) {
		_, err := l.Nbctl(t.Context(), "--wait=hv", "sync")
		return err == nil, fmt.Sprint(err)
	})
	sameFlows(t, "hv2", flows(t, l, "hv2"), want)
	ping.noLoss(3)
}

// accept takes the next connection of a controller.
func accept(t *testing.T, l net.Listener) (net.Conn, error) {
	t.Helper()
	if err := l.(*net.UnixListener).SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return l.Accept()
}

// A northd that sends garbage costs the controller that connection; it comes
// back to the right one by itself.
func TestGarbageFromNorthd(t *testing.T) {
	l := up(t, load(t, twoHypervisors), lab.ControlGovn)
	want := flows(t, l, "hv2")
	ping := startPing(t, l, "vm1", "10.0.0.12", pingInterval)
	ping.waitReplies(3, 5*time.Second)
	path := filepath.Join(l.Dir(), "false.sock")
	fake, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer fake.Close()
	remote := strings.TrimSpace(must(t)(l.Vsctl(t.Context(), "hv2", "get", "Open_vSwitch", ".", "external_ids:ovn-remote")))
	must(t)(l.Vsctl(t.Context(), "hv2", "set", "Open_vSwitch", ".", "external_ids:ovn-remote=\"unix:"+path+"\""))
	pid, told := l.Pid("hv2", "controller"), complaints(t, l, "hv2", "controller")
	settings := []byte{0, 0, 0, 4, 0, 0, 0, 0, 0} // HTTP/2: an empty SETTINGS frame
	for _, g := range append(junk(),
		garbage{"HTTP/2 and random bytes", append(bytes.Clone(settings), junk()[2].data...)},
		garbage{"HTTP/2 and an answer to nothing", append(bytes.Clone(settings), 0, 0, 1, 1, 5, 0, 0, 0, 9, 0x88)},
		garbage{"half a frame", settings[:5]},
	) {
		c, err := accept(t, fake)
		if err != nil {
			t.Fatalf("%s: the controller does not come back: %v", g.name, err)
		}
		talk(t, c, g.data)
		if now := l.Pid("hv2", "controller"); now != pid {
			t.Fatalf("%s: the controller was process %d, is %d", g.name, pid, now)
		}
	}
	if n := complaints(t, l, "hv2", "controller"); n == told {
		t.Error("nothing in the log of the controller")
	}
	must(t)(l.Vsctl(t.Context(), "hv2", "set", "Open_vSwitch", ".", "external_ids:ovn-remote="+remote))
	must(t)(l.Nbctl(t.Context(), "--wait=hv", "ls-add", "sw1"))
	sameFlows(t, "hv2", flows(t, l, "hv2"), want)
	ping.noLoss(3)
}
