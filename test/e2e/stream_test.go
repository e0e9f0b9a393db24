//go:build e2e

package e2e

import (
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"govn/sim/lab"
)

// streamEnv makes the test binary one end of a TCP connection: "serve" takes one
// connection and prints how many bytes came and their sum; "ADDRESS BYTES" sends
// and prints the same of what it sent.
const streamEnv = "GOVN_E2E_STREAM"

const streamPort = "5001"

// streamMain is the whole program of an end.
func streamMain(what string) error {
	sum := sha256.New()
	if what == "serve" {
		l, err := net.Listen("tcp4", ":"+streamPort)
		if err != nil {
			return err
		}
		c, err := l.Accept()
		if err != nil {
			return err
		}
		n, err := io.Copy(sum, c)
		fmt.Printf("%d %x\n", n, sum.Sum(nil))
		return err
	}
	addr, size, _ := strings.Cut(what, " ")
	n, err := strconv.ParseInt(size, 10, 64)
	if err != nil {
		return err
	}
	var c net.Conn
	for range 50 { // the other end may not listen yet
		if c, err = net.DialTimeout("tcp4", net.JoinHostPort(addr, streamPort), 2*time.Second); err == nil {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	if err != nil {
		return err
	}
	sent, err := io.Copy(io.MultiWriter(c, sum), io.LimitReader(rand.NewChaCha8([32]byte{1}), n))
	if err != nil {
		return err
	}
	fmt.Printf("%d %x\n", sent, sum.Sum(nil))
	return c.Close()
}

// stream sends bytes by TCP from a workload to another, which must get what was
// sent, and returns how long that took.
func stream(t *testing.T, l *lab.Lab, sender, receiver, addr string, size int) time.Duration {
	t.Helper()
	server, err := l.Command(t.Context(), receiver, "env", streamEnv+"=serve", os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	server.Stdout = &got
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	sent, err := l.Exec(t.Context(), sender, "timeout", "60", "env", fmt.Sprintf("%s=%s %d", streamEnv, addr, size), os.Args[0])
	if err != nil {
		_ = server.Process.Kill()
		_ = server.Wait() // killed
		t.Fatalf("%d bytes by TCP to %s: %v", size, addr, err)
	}
	if err := server.Wait(); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(sent, fmt.Sprint(size)+" ") || got.String() != sent {
		t.Fatalf("TCP to %s: sent %s, got %s", addr, sent, got.String())
	}
	return time.Since(start)
}
