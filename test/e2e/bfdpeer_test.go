//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"govn/pkg/bfd"
	"govn/sim/lab"
)

// peerEnv makes the test binary one end of a BFD session, "LOCAL REMOTE", that
// runs until it is killed and prints each state that it comes to.
const peerEnv = "GOVN_E2E_BFD_PEER"

// peerMain is the whole program of a peer.
func peerMain(what string) error {
	local, remote, _ := strings.Cut(what, " ")
	src, err := netip.ParseAddr(local)
	if err != nil {
		return err
	}
	dst, err := netip.ParseAddr(remote)
	if err != nil {
		return err
	}
	in, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(src, bfd.Port)))
	if err != nil {
		return err
	}
	out, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(src, bfd.MinSourcePort)))
	if err != nil {
		return err
	}
	for _, c := range []*net.UDPConn{in, out} {
		if err := setTTL(c, src.Is4()); err != nil {
			return err
		}
	}
	s, err := bfd.New(time.Now(), bfd.Config{Discr: uint32(os.Getpid()), MinTx: 100 * time.Millisecond, MinRx: 100 * time.Millisecond, Mult: 5,
		Changed: func(c bfd.Change) { fmt.Println(c.New) }})
	if err != nil {
		return err
	}
	for {
		for {
			p, ok := s.Transmit(time.Now())
			if !ok {
				break
			}
			// The way may not be there yet, which is what BFD is for.
			_, _ = out.WriteToUDPAddrPort(p.Append(nil), netip.AddrPortFrom(dst, bfd.Port))
		}
		if err := in.SetReadDeadline(s.Next()); err != nil {
			return err
		}
		var b, oob [1500]byte
		n, m, _, from, err := in.ReadMsgUDPAddrPort(b[:], oob[:])
		if errors.Is(err, os.ErrDeadlineExceeded) {
			continue
		} else if err != nil {
			return err
		}
		p, err := bfd.Decode(b[:n])
		if ttl := ttlIn(oob[:m]); err != nil || ttl != bfd.TTL || from.Addr().Unmap() != dst {
			fmt.Printf("strange: TTL %d from %v: %v\n", ttl, from, err)
			continue
		}
		if err := s.Receive(time.Now(), p); err != nil {
			fmt.Println(err)
		}
	}
}

func setTTL(c *net.UDPConn, v4 bool) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var set error
	err = raw.Control(func(fd uintptr) {
		if v4 {
			set = errors.Join(unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_TTL, bfd.TTL),
				unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_RECVTTL, 1))
		} else {
			set = errors.Join(unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_UNICAST_HOPS, bfd.TTL),
				unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_RECVHOPLIMIT, 1))
		}
	})
	return errors.Join(err, set)
}

// ttlIn is the TTL or hop limit in the control data of a datagram.
func ttlIn(oob []byte) int {
	list, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return -1
	}
	for _, m := range list {
		if len(m.Data) > 0 && (m.Header.Type == unix.IP_TTL || m.Header.Type == unix.IPV6_HOPLIMIT) {
			return int(m.Data[0])
		}
	}
	return -1
}

// peer is a running peer.
type peer struct {
	t    *testing.T
	file string
	stop context.CancelFunc
	done chan struct{}
}

// startPeer runs a peer on a workload.
func startPeer(t *testing.T, l *lab.Lab, workload, local, remote string) *peer {
	t.Helper()
	p := &peer{t: t, file: filepath.Join(t.TempDir(), "states"), done: make(chan struct{})}
	f, err := os.Create(p.file)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	p.stop = stop
	var cmd *exec.Cmd
	if cmd, err = l.Command(ctx, workload, "env", peerEnv+"="+local+" "+remote, os.Args[0]); err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = f, f
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = cmd.Wait()
		f.Close()
		close(p.done)
	}()
	t.Cleanup(p.kill)
	return p
}

// kill ends the peer at once, without a word.
func (p *peer) kill() {
	p.stop()
	<-p.done
}

// states are those that the peer came to.
func (p *peer) states() []string {
	p.t.Helper()
	b, err := os.ReadFile(p.file)
	if err != nil {
		p.t.Fatal(err)
	}
	return strings.Fields(string(b))
}
