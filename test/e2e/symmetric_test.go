//go:build e2e

package e2e

import (
	"bufio"
	"fmt"
	"strings"
	"testing"
	"time"

	"govn/sim/lab"
)

// hop1 and hop2 are two ways to 192.168.100.0/24 behind different ports of a gateway
// router, and both have the same address there.
const symmetricLab = `
name: symmetric
chassis: [{name: hv1}, {name: hv2}]
workloads:
  - {name: vm1, chassis: hv2, mac: "50:54:00:00:00:01", ip: 10.0.0.11/24, gw: 10.0.0.1}
  - {name: hop1, chassis: hv1, mac: "50:54:00:00:01:01", ip: 10.1.0.11/24, gw: 10.1.0.1}
  - {name: hop2, chassis: hv2, mac: "50:54:00:00:02:02", ip: 10.2.0.12/24, gw: 10.2.0.1}
topology:
  switches:
    - name: in
      ports:
        - {name: vm1, addresses: ["50:54:00:00:00:01 10.0.0.11"]}
        - {name: in-r1, type: router, addresses: [router], options: {router-port: r1-in}}
    - name: one
      ports:
        - {name: hop1, addresses: ["50:54:00:00:01:01 10.1.0.11"]}
        - {name: one-r1, type: router, addresses: [router], options: {router-port: r1-one}}
    - name: two
      ports:
        - {name: hop2, addresses: ["50:54:00:00:02:02 10.2.0.12"]}
        - {name: two-r1, type: router, addresses: [router], options: {router-port: r1-two}}
  nbctl:
    - create Logical_Router name=r1 options:chassis=hv1
    - lrp-add r1 r1-in 00:00:00:00:01:01 10.0.0.1/24
    - lrp-add r1 r1-one 00:00:00:00:01:02 10.1.0.1/24
    - lrp-add r1 r1-two 00:00:00:00:01:03 10.2.0.1/24
    - --ecmp-symmetric-reply lr-route-add r1 192.168.100.0/24 10.1.0.11
    - --ecmp-symmetric-reply lr-route-add r1 192.168.100.0/24 10.2.0.12
`

// echo answers datagrams and TCP connections at port 7 until its input ends.
const echo = `import socket, sys, threading
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
u.bind(("", 7))
s = socket.socket()
s.bind(("", 7))
s.listen(64)
def datagrams():
    while True:
        data, peer = u.recvfrom(2048)
        u.sendto(data, peer)
def connections():
    while True:
        c, _ = s.accept()
        threading.Thread(target=lambda: c.sendall(c.recv(64)), daemon=True).start()
for f in (datagrams, connections):
    threading.Thread(target=f, daemon=True).start()
print("ready", flush=True)
sys.stdin.read()
`

// converse asks port 7 of an address by UDP, twice, and by TCP, from an address and from
// as many ports as are given after the first, and prints how many are answered.
const converse = `import socket, sys
to, source, first, n = (sys.argv[1], 7), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
udp = tcp = 0
for port in range(first, first + n):
    try:
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.settimeout(2)
        s.bind((source, port))
        for word in (b"a", b"b"):
            s.sendto(word, to)
            udp += s.recv(64) == word
    except OSError:
        pass
    try:
        s = socket.socket()
        s.settimeout(2)
        s.bind((source, port))
        s.connect(to)
        s.sendall(b"c")
        tcp += s.recv(64) == b"c"
    except OSError:
        pass
print(udp, tcp)
`

// startEcho runs echo at a workload until the test is over.
func startEcho(t *testing.T, l *lab.Lab, at string) {
	t.Helper()
	cmd, err := l.Command(t.Context(), at, "python3", "-c", echo)
	if err != nil {
		t.Fatal(err)
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait() // killed when the test is over before
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "ready\n" {
		t.Fatalf("echo says %q, %v", line, err)
	}
}

// Connections that come in by one of two next hops are answered by the same one:
// with as many ports as there are, a hash cannot choose the right one each time.
// What begins inside is spread.
func TestSymmetricReply(t *testing.T) {
	l := up(t, parse(t, symmetricLab), lab.ControlGovn)
	for _, hop := range []string{"hop1", "hop2"} {
		must(t)(l.Exec(t.Context(), hop, "ip", "addr", "add", "192.168.100.100/32", "dev", "lo"))
		eventually(t, 15*time.Second, "an answer to "+hop, func() (bool, string) {
			out, err := l.Exec(t.Context(), hop, "ping", "-c", "1", "-W", "1", "10.0.0.11")
			return err == nil, out
		})
	}
	startEcho(t, l, "vm1")
	const n = 16
	asked := func(hop string, first int) string {
		t.Helper()
		return strings.TrimSpace(must(t)(l.Exec(t.Context(), hop, "python3", "-c", converse, "10.0.0.11", "192.168.100.100", fmt.Sprint(first), fmt.Sprint(n))))
	}
	for i, hop := range []string{"hop1", "hop2"} {
		if got, want := asked(hop, 20000+i*n), fmt.Sprint(2*n, n); got != want {
			t.Errorf("%s has answers to %s datagrams and connections, want %s", hop, got, want)
		}
	}
	// The chassis of the router has mark and label of the connections, and Open vSwitch
	// has learned them.
	learned := must(t)(l.Exec(t.Context(), "hv1", "ovs-ofctl", "-O", "OpenFlow15", "dump-flows", "br-int", "table=77"))
	if got := strings.Count(learned, "udp"); got < n {
		t.Errorf("%d datagrams are known of %d:\n%s", got, 2*n, learned)
	}

	got := shares(t, l, "vm1", "192.168.100.100", 64, "hop1", "hop2")
	if got[0] < 8 || got[1] < 8 {
		t.Errorf("what begins inside is spread %v", got)
	}
	for _, route := range strings.Fields(must(t)(l.Nbctl(t.Context(), "--bare", "--columns=_uuid", "find", "Logical_Router_Static_Route"))) {
		must(t)(l.Nbctl(t.Context(), "--wait=hv", "remove", "Logical_Router_Static_Route", route, "options", "ecmp_symmetric_reply"))
	}
	learned = must(t)(l.Exec(t.Context(), "hv1", "ovs-ofctl", "-O", "OpenFlow15", "dump-flows", "br-int", "table=77"))
	if strings.Contains(learned, "udp") {
		t.Errorf("what was learned outlives the flows that learned it:\n%s", learned)
	}
}
