package decode

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// Errors of reading a capture.
var (
	// ErrNotCapture is returned for a file that is neither pcap nor pcapng.
	ErrNotCapture = errors.New("neither a pcap nor a pcapng file")
	// ErrCapture is returned when a capture cannot be read on.
	ErrCapture = errors.New("broken capture file")
)

// Frame is a packet as it was captured.
type Frame struct {
	Number int // from 1
	Time   time.Time
	Link   layers.LinkType
	Length int    // on the wire, bytes
	Data   []byte // Length bytes, or fewer when the capture cut it
}

// File is an open capture.
type File struct {
	next func() ([]byte, gopacket.CaptureInfo, layers.LinkType, error)
	read int
}

// The first four bytes of a capture: of a section header block, which reads the
// same both ways, and of pcap files with microseconds and nanoseconds.
var (
	magicNG = []byte{0x0a, 0x0d, 0x0d, 0x0a}
	magics  = [][]byte{{0xa1, 0xb2, 0xc3, 0xd4}, {0xd4, 0xc3, 0xb2, 0xa1}, {0xa1, 0xb2, 0x3c, 0x4d}, {0x4d, 0x3c, 0xb2, 0xa1}}
)

// NewFile reads the head of a capture, pcap or pcapng. It returns io.EOF if
// there is nothing at all.
func NewFile(r io.Reader) (*File, error) {
	b := bufio.NewReader(r)
	magic, err := b.Peek(4)
	if len(magic) == 0 && errors.Is(err, io.EOF) {
		return nil, io.EOF
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if bytes.Equal(magic, magicNG) {
		ng, err := pcapgo.NewNgReader(b, pcapgo.NgReaderOptions{WantMixedLinkType: true})
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrCapture, unexpected(err))
		}
		return &File{next: func() ([]byte, gopacket.CaptureInfo, layers.LinkType, error) {
			data, ci, err := ng.ReadPacketData()
			link := layers.LinkTypeEthernet
			if len(ci.AncillaryData) > 0 {
				link, _ = ci.AncillaryData[0].(layers.LinkType)
			}
			return data, ci, link, err
		}}, nil
	}
	for _, m := range magics {
		if bytes.Equal(magic, m) {
			old, err := pcapgo.NewReader(b)
			if err != nil {
				return nil, fmt.Errorf("%w: %w", ErrCapture, unexpected(err))
			}
			return &File{next: func() ([]byte, gopacket.CaptureInfo, layers.LinkType, error) {
				data, ci, err := old.ReadPacketData()
				return data, ci, old.LinkType(), err
			}}, nil
		}
	}
	return nil, fmt.Errorf("%w: it begins with %x", ErrNotCapture, magic)
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// Next returns the next packet, io.EOF after the last one.
func (f *File) Next() (frame Frame, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: after %d packets: %v", ErrCapture, f.read, r)
		}
	}()
	data, ci, link, err := f.next()
	if errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return Frame{}, io.EOF
	}
	if err != nil {
		return Frame{}, fmt.Errorf("%w: after %d packets: %w", ErrCapture, f.read, err)
	}
	f.read++
	return Frame{Number: f.read, Time: ci.Timestamp, Link: link, Length: max(ci.Length, len(data)), Data: data}, nil
}
