package lab

import (
	"context"
	"fmt"
	"net"
	"runtime"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// Transmit sends Ethernet frames as they are, out of an interface of a node;
// the names are those of [Lab.Capture]. From a workload ("vm1", "") they are what
// it sends. From the wire of a hypervisor ("hv1", "underlay") they reach the
// hypervisor, as if another had sent them.
func (l *Lab) Transmit(ctx context.Context, node, ifname string, frames ...[]byte) error {
	ns, dev, err := l.place(node, ifname)
	if err != nil {
		return err
	}
	fd, index, err := packetSocket(ns, dev)
	if err != nil {
		return fmt.Errorf("interface %q of %q: %w", dev, node, err)
	}
	defer unix.Close(fd)
	for _, f := range frames {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := unix.Sendto(fd, f, 0, &unix.SockaddrLinklayer{Ifindex: index}); err != nil {
			return fmt.Errorf("interface %q of %q: %d bytes: %w", dev, node, len(f), err)
		}
	}
	return nil
}

// packetSocket opens a packet socket in a namespace. The socket stays there when
// the thread comes back.
func packetSocket(ns, dev string) (fd, index int, err error) {
	runtime.LockOSThread()
	here, err := netns.Get()
	if err != nil {
		runtime.UnlockOSThread()
		return -1, 0, fmt.Errorf("this namespace: %w", err)
	}
	defer here.Close()
	there, err := netns.GetFromName(ns)
	if err != nil {
		runtime.UnlockOSThread()
		return -1, 0, fmt.Errorf("namespace %q: %w", ns, err)
	}
	defer there.Close()
	if err := netns.Set(there); err != nil {
		runtime.UnlockOSThread()
		return -1, 0, fmt.Errorf("namespace %q: %w", ns, err)
	}
	fd, index, err = openPacket(dev)
	if back := netns.Set(here); back != nil {
		// The thread stays locked, so it ends with its goroutine and serves
		// nobody else.
		return -1, 0, fmt.Errorf("back to this namespace: %w", back)
	}
	runtime.UnlockOSThread()
	return fd, index, err
}

func openPacket(dev string) (fd, index int, err error) {
	i, err := net.InterfaceByName(dev)
	if err != nil {
		return -1, 0, err
	}
	fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, 0, fmt.Errorf("packet socket: %w", err)
	}
	return fd, i.Index, nil
}
