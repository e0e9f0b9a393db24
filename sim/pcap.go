package sim

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// underlayCapture names the capture of what is on the underlay.
const underlayCapture = ""

// captureFile is a pcap file that is being written.
type captureFile struct {
	f *os.File
	w *pcapgo.Writer
}

// Captured is a frame as a capture has it.
type Captured struct {
	At   time.Time // simulated
	Data []byte
}

// CaptureFiles writes captures into a directory from now on: LAB.pcap for the
// underlay, LAB-WORKLOAD.pcap for what a workload sends and receives.
func (n *Network) CaptureFiles(dir, lab string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("captures: %w", err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.pcapPath = func(name string) string {
		if name == underlayCapture {
			return filepath.Join(dir, lab+".pcap")
		}
		return filepath.Join(dir, lab+"-"+name+".pcap")
	}
	if err := n.openCapture(underlayCapture); err != nil {
		return err
	}
	for name := range n.stations {
		if err := n.openCapture(name); err != nil {
			return err
		}
	}
	return nil
}

// openCapture begins a file. The caller holds mu.
func (n *Network) openCapture(name string) error {
	f, err := os.Create(n.pcapPath(name))
	if err != nil {
		return fmt.Errorf("capture: %w", err)
	}
	c := &captureFile{f: f, w: pcapgo.NewWriterNanos(f)}
	if err := c.w.WriteFileHeader(65535, layers.LinkTypeEthernet); err != nil {
		return errors.Join(fmt.Errorf("capture %q: %w", f.Name(), err), f.Close())
	}
	n.pcaps[name] = c
	return nil
}

// capture notes a frame at a place, and writes it where a file is open.
func (n *Network) capture(name string, data []byte) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if name == underlayCapture && n.keepUnderlay {
		n.underlay = append(n.underlay, Captured{n.clock.Now(), data})
	}
	c := n.pcaps[name]
	if c == nil {
		return
	}
	info := gopacket.CaptureInfo{Timestamp: n.clock.Now(), CaptureLength: len(data), Length: len(data)}
	if err := c.w.WritePacket(info, data); err != nil && n.captureErr == nil {
		n.captureErr = fmt.Errorf("capture %q: %w", c.f.Name(), err)
	}
}

// Underlay is what was on the underlay since KeepUnderlay.
func (n *Network) Underlay() []Captured {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]Captured(nil), n.underlay...)
}

// KeepUnderlay makes Underlay begin anew.
func (n *Network) KeepUnderlay() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.keepUnderlay, n.underlay = true, nil
}

func (n *Network) closeCaptures() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	err := n.captureErr
	for name, c := range n.pcaps {
		err = errors.Join(err, c.f.Close())
		delete(n.pcaps, name)
	}
	return err
}
