package main

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"text/tabwriter"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
	"github.com/spf13/cobra"

	"govn/sim/decode"
)

func newTable(w io.Writer) *tabwriter.Writer { return tabwriter.NewWriter(w, 0, 8, 2, ' ', 0) }

// commandWith prepares a program with more in its environment.
func commandWith(ctx context.Context, env, argv []string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), env...)
	return cmd
}

// Sizes of the headers of a pcap file and of a packet in it, in bytes.
const (
	pcapHeader = 24
	pcapRecord = 16
)

// simCapture says what to show of a capture.
type simCapture struct {
	zone  simZone
	count int
	write string
	all   bool
	brief bool
}

func newSimCapture() *cobra.Command {
	f := &simCapture{}
	c := &cobra.Command{
		Use:   "capture FILE NODE",
		Short: "Show the packets of a workload, or of the underlay at a hypervisor",
		Long: `Show the packets of a workload, or of the underlay at a hypervisor, from now on
until interrupted, with logical names. The underlay of a hypervisor is the
packets from or to its tunnel endpoint, and those of physical networks;
"central", or the name of a zone, stands for the whole underlay.

"-w -" writes pcap for tcpdump, tshark or "govn decode"; the whole captures are
DIR/NAME.pcap and DIR/NAME-WORKLOAD.pcap.`,
		Args: arguments(2, 2),
		RunE: func(c *cobra.Command, args []string) error {
			if err := f.zone.open(args[0]); err != nil {
				return err
			}
			ctx, stop := interruptible(c)
			defer stop()
			return f.run(ctx, c.OutOrStdout(), args[1])
		},
	}
	f.zone.addFlags(c)
	fl := c.Flags()
	fl.IntVarP(&f.count, "count", "c", 0, "end after `N` packets")
	fl.StringVarP(&f.write, "write", "w", "", "write pcap to `FILE`, - is standard output")
	fl.BoolVar(&f.all, "all", false, "show what there has been, and end")
	fl.BoolVar(&f.brief, "brief", false, "print a line per packet")
	return c
}

func (f *simCapture) run(ctx context.Context, out io.Writer, node string) (err error) {
	z := &f.zone
	if _, err := z.call(ctx, "version"); err != nil {
		return err
	}
	kind, err := z.kind(node)
	if err != nil {
		return err
	}
	path := z.path(z.cfg.Name + ".pcap")
	if kind == "workload" {
		path = z.path(z.cfg.Name + "-" + node + ".pcap")
	}
	var endpoint netip.Addr
	for i := range z.cfg.Chassis {
		if ch := &z.cfg.Chassis[i]; ch.Name == node {
			endpoint = ch.EncapIP
		}
	}
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	print, end, err := f.printer(ctx, out)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, end()) }()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	tail := &growing{ctx: ctx, file: file, end: f.all}
	capture, err := decode.NewFile(tail)
	shown, position := 0, int64(pcapHeader)
	for err == nil && (f.count == 0 || shown < f.count) {
		old := !f.all && position < info.Size()
		var frame decode.Frame
		if frame, err = capture.Next(); err != nil {
			break
		}
		position += int64(pcapRecord + len(frame.Data))
		if old || endpoint.IsValid() && !at(frame.Data, endpoint) {
			continue
		}
		shown++
		err = print(frame)
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return err
}

// printer prints frames in the way that is wanted.
func (f *simCapture) printer(ctx context.Context, out io.Writer) (print func(decode.Frame) error, end func() error, err error) {
	nothing := func() error { return nil }
	if f.write != "" {
		if f.write != "-" {
			file, err := os.Create(f.write)
			if err != nil {
				return nil, nil, err
			}
			out, nothing = file, file.Close
		}
		w := pcapgo.NewWriterNanos(out)
		if err := w.WriteFileHeader(65535, layers.LinkTypeEthernet); err != nil {
			return nil, nil, errors.Join(err, nothing())
		}
		return func(fr decode.Frame) error {
			return w.WritePacket(gopacket.CaptureInfo{Timestamp: fr.Time, CaptureLength: len(fr.Data), Length: fr.Length}, fr.Data)
		}, nothing, nil
	}
	var names decode.Joined
	var open []*decode.Southbound
	end = func() error {
		for _, sb := range open {
			sb.Close()
		}
		return nil
	}
	for _, zone := range f.zone.cfg.AllZones() {
		sb, err := decode.DialSouthbound(ctx, zone.Name, f.zone.sb(zone.Name))
		if err != nil {
			return nil, nil, errors.Join(err, end())
		}
		names, open = append(names, sb), append(open, sb)
	}
	d := &decode.Decoder{Names: names}
	return func(fr decode.Frame) error {
		p := d.Decode(fr)
		if f.brief {
			return p.Line(out)
		}
		return p.Text(out)
	}, end, nil
}

// at tells whether a frame of the underlay is one that a hypervisor sees: from or
// to its endpoint, or on the physical network.
func at(frame []byte, endpoint netip.Addr) bool {
	p := gopacket.NewPacket(frame, layers.LayerTypeEthernet, gopacket.DecodeOptions{Lazy: true, NoCopy: true})
	udp, ok := p.Layer(layers.LayerTypeUDP).(*layers.UDP)
	if !ok || udp.DstPort != 6081 {
		return true
	}
	src, dst := p.NetworkLayer().NetworkFlow().Endpoints()
	return src.String() == endpoint.String() || dst.String() == endpoint.String()
}

// growing reads a file that another process writes: at its end it waits for
// more, unless end is set.
type growing struct {
	ctx  context.Context
	file *os.File
	end  bool
}

func (g *growing) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		n, err := g.file.Read(b[:min(len(b), 1<<16)])
		if n > 0 || !errors.Is(err, io.EOF) || g.end {
			return n, err
		}
		if _, err := os.Stat(g.file.Name()); err != nil { // the lab is down
			return 0, io.EOF
		}
		select {
		case <-g.ctx.Done():
			return 0, io.EOF
		case <-tick.C:
		}
	}
}
