package vswitch

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"govn/pkg/openflow"
	"govn/test/ovstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// listen serves a bridge on a socket, for ovs-ofctl, until the test ends.
func listen(t testing.TB, b *Bridge) (target string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "vsw")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) }) // last of all
	path := filepath.Join(dir, "br-int.mgmt")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var served sync.WaitGroup
	served.Add(1)
	go func() {
		defer served.Done()
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			served.Add(1)
			go func() {
				defer served.Done()
				b.Serve(ctx, c)
			}()
		}
	}()
	t.Cleanup(func() {
		cancel()
		l.Close()
		served.Wait()
	})
	return "unix:" + path
}

// ofctl runs ovs-ofctl and returns what it printed, errors too.
func ofctl(t testing.TB, target, command string, args ...string) string {
	t.Helper()
	cmd := exec.Command("ovs-ofctl", append([]string{"--timeout=10", "-O", "OpenFlow15", command, target}, args...)...)
	out, _ := cmd.CombinedOutput()
	return string(out)
}

// raw is a connection on which a test says what it likes.
type raw struct {
	t  testing.TB
	nc net.Conn
	br *bufio.Reader
}

func dialRaw(t testing.TB, target string) *raw {
	t.Helper()
	nc, err := net.Dial("unix", strings.TrimPrefix(target, "unix:"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	nc.SetDeadline(time.Now().Add(20 * time.Second))
	r := &raw{t: t, nc: nc, br: bufio.NewReader(nc)}
	r.write(encode(t, 1, &openflow.Hello{Versions: 1 << openflow.Version}))
	if b := r.read(); b[1] != openflow.TypeHello {
		t.Fatalf("message type %d instead of hello", b[1])
	}
	return r
}

func encode(t testing.TB, xid uint32, m openflow.Message) []byte {
	t.Helper()
	b, err := openflow.EncodeMessage(xid, m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (r *raw) write(b []byte) {
	r.t.Helper()
	if _, err := r.nc.Write(b); err != nil {
		r.t.Fatal(err)
	}
}

func (r *raw) read() []byte {
	r.t.Helper()
	b, err := readRaw(r.br, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	return b
}

const lastXID = 0x7fffffff

// exchange sends messages and a barrier and returns the replies as text.
func (r *raw) exchange(messages ...[]byte) (replies []string) {
	r.t.Helper()
	for _, m := range messages {
		r.write(m)
	}
	r.write(encode(r.t, lastXID, &openflow.BarrierRequest{}))
	for {
		b := r.read()
		if b[1] == openflow.TypeEchoRequest {
			continue
		}
		if xidOf(b) == lastXID {
			return replies
		}
		replies = append(replies, replyText(b))
	}
}

func replyText(b []byte) string {
	m, xid, err := openflow.DecodeMessage(b)
	if err != nil {
		return fmt.Sprintf("xid %d: %v", xid, err)
	}
	if e, ok := m.(*openflow.Error); ok {
		return fmt.Sprintf("xid %d: %s", xid, e.Name())
	}
	return fmt.Sprintf("xid %d: type %d: %x", xid, b[1], b[openflow.HeaderLen:])
}

// pair is a simulated and a real switch with the same ports.
type pair struct {
	t    testing.TB
	sim  *Bridge
	ovs  *ovstest.OVS
	s, o string // targets
}

const pairPorts = 5

func newPair(t testing.TB) *pair {
	t.Helper()
	p := &pair{t: t, sim: NewBridge(Options{Name: "br-int", DatapathID: 1}), ovs: ovstest.Start(t, ovstest.Options{Tunnels: true})}
	for i := 1; i <= pairPorts; i++ {
		name := fmt.Sprintf("p%d", i)
		p.ovs.AddPort(name, i, fmt.Sprintf("options:tx_pcap=%s/%s.pcap", p.ovs.RunDir, name))
		p.sim.SetPort(Port{Number: uint32(i), Name: name})
	}
	p.sim.SetPort(Port{Number: openflow.PortLocal, Name: "br-int", Type: PortLocal})
	p.s, p.o = listen(t, p.sim), p.ovs.Mgmt
	return p
}

// both runs ovs-ofctl on both and compares what it prints.
func (p *pair) both(command string, args ...string) string {
	p.t.Helper()
	s, o := plain(ofctl(p.t, p.s, command, args...)), plain(ofctl(p.t, p.o, command, args...))
	if s != o {
		p.t.Errorf("%s %v\nsimulator:\n%s\nOpen vSwitch:\n%s", command, args, s, o)
	}
	return o
}

// dumps compares flows and groups.
func (p *pair) dumps() {
	p.t.Helper()
	p.both("dump-flows")
	p.both("dump-groups")
}

var volatile = regexp.MustCompile(`duration=[0-9.]*s, |n_packets=\d+, n_bytes=\d+, |idle_age=\d+, |hard_age=\d+, |\(xid=0x[0-9a-f]+\)|^\d{4}-\d\d-\d\dT[^|]*\|\d+\||unix:\S+`)

// plain takes out what differs from run to run, and sorts the lines.
func plain(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	for i, l := range lines {
		lines[i] = strings.TrimSpace(volatile.ReplaceAllString(l, ""))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}
