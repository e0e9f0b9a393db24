package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"govn/sim/decode"
	"govn/sim/lab"
)

// decodeFlags are what "govn decode" takes.
type decodeFlags struct {
	sb, labs    []string
	ports       []uint
	json, brief bool
	timeout     time.Duration
}

// newDecodeCommand is "govn decode": what is in a packet capture.
func newDecodeCommand() *cobra.Command {
	f := &decodeFlags{}
	c := &cobra.Command{
		Use:   "decode PCAP|-...",
		Short: "Print the packets of a capture, inside Geneve too, with logical names",
		Long: `Print the packets of a capture, inside Geneve too, with logical names.

A capture is a pcap or pcapng file; "-" is standard input, which may be a
capture that is going on. Each packet is a block of lines, a header each; what
is inside Geneve is indented, to any depth. Broken packets are said to be
broken, with the byte and the reason.

--sb and --lab give keys their names: the southbound database of a zone, govn's
or stock OVN's. Between tunnel endpoints that are not chassis of a zone, keys
stay numbers, since each network numbers its VNIs as it likes. With several
zones, name each: --sb east=tcp:203.0.113.5:6642.`,
		Example: `  govn lab capture docs/examples/two-hypervisors.yaml hv1 underlay -w - udp port 6081 |
      govn decode --lab docs/examples/two-hypervisors.yaml -
  govn decode --sb unix:/run/ovn/ovnsb_db.sock underlay.pcap
  govn decode --port 6081,6082 --json underlay.pcapng | jq .layers`,
		Args: arguments(1, -1),
		RunE: func(c *cobra.Command, args []string) error { return f.run(c, args) },
	}
	p := c.Flags()
	p.StringSliceVar(&f.sb, "sb", nil, "southbound database to take names from, [ZONE=]REMOTE with unix:PATH or tcp:HOST:PORT; may be given several times")
	p.StringSliceVar(&f.labs, "lab", nil, "lab file whose southbound database to take names from")
	p.UintSliceVar(&f.ports, "port", []uint{6081}, "UDP ports that hold Geneve")
	p.BoolVar(&f.json, "json", false, "print a JSON object per packet")
	p.BoolVar(&f.brief, "brief", false, "print a line per packet")
	p.DurationVar(&f.timeout, "timeout", 10*time.Second, "how long to wait for a southbound database")
	c.MarkFlagsMutuallyExclusive("json", "brief")
	return c
}

func (f *decodeFlags) run(c *cobra.Command, args []string) error {
	ctx := c.Context()
	if ctx == nil {
		ctx = context.Background()
	}
	d := &decode.Decoder{}
	for _, p := range f.ports {
		if p < 1 || p > 65535 {
			return fmt.Errorf("--port %d: not a UDP port", p)
		}
		d.Ports = append(d.Ports, uint16(p))
	}
	names, err := f.names(ctx)
	for _, s := range names {
		defer s.Close()
	}
	if err != nil {
		return err
	}
	if len(names) > 0 {
		all := make(decode.Joined, len(names))
		for i, s := range names {
			all[i] = s
		}
		d.Names = all
	}
	out := bufio.NewWriterSize(c.OutOrStdout(), 64<<10)
	for _, arg := range args {
		if err := f.file(c, d, arg, out); err != nil {
			return errors.Join(fmt.Errorf("%s: %w", arg, err), out.Flush())
		}
	}
	return out.Flush()
}

// names connects to the southbound databases.
func (f *decodeFlags) names(ctx context.Context) ([]*decode.Southbound, error) {
	remotes := f.sb
	for _, file := range f.labs {
		cfg, err := lab.Load(file)
		if err != nil {
			return nil, err
		}
		l, err := lab.New(cfg, lab.Options{})
		if err != nil {
			return nil, err
		}
		for _, central := range l.Centrals() {
			name := central.Zone().Name
			if name == "" && len(f.labs)+len(f.sb) > 1 {
				name = cfg.Name
			}
			remotes = append(remotes, name+"="+central.SB())
		}
	}
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	var all []*decode.Southbound
	for _, r := range remotes {
		zone, remote := "", r
		if before, after, ok := strings.Cut(r, "="); ok {
			zone, remote = before, after
		}
		s, err := decode.DialSouthbound(ctx, zone, remote)
		if err != nil {
			return all, err
		}
		all = append(all, s)
	}
	return all, nil
}

// file prints the packets of one capture. What comes from standard input is
// printed as it arrives.
func (f *decodeFlags) file(c *cobra.Command, d *decode.Decoder, name string, out *bufio.Writer) error {
	in, live := c.InOrStdin(), name == "-"
	if !live {
		file, err := os.Open(name)
		if err != nil {
			return errors.Unwrap(err) // the path is said by the caller
		}
		defer file.Close()
		in = file
	}
	capture, err := decode.NewFile(in)
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err != nil {
		return err
	}
	js := json.NewEncoder(out)
	js.SetEscapeHTML(false)
	for {
		frame, err := capture.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		p := d.Decode(frame)
		switch {
		case f.json:
			err = js.Encode(p)
		case f.brief:
			err = p.Line(out)
		default:
			err = p.Text(out)
		}
		if err == nil && live {
			err = out.Flush()
		}
		if err != nil {
			return err
		}
	}
}
