package stories

import (
	"bytes"
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"govn/pkg/geneve"
	"govn/sim/decode"
)

// Network is what a story needs of a lab or of the simulator.
type Network interface {
	// Ping sends n echo requests that must not be fragmented, with size bytes of
	// data, and returns the number of replies.
	Ping(ctx context.Context, from string, to netip.Addr, size, n int) (replies int, err error)
	// Send sends frames from a workload.
	Send(ctx context.Context, workload string, frames ...[]byte) error
	// Inject makes frames arrive at a chassis from the underlay.
	Inject(ctx context.Context, chassis string, frames ...[]byte) error
	// Record records what a node sends and receives: a workload on its interface,
	// a chassis on the underlay.
	Record(ctx context.Context, node string) (Recording, error)
	// Endpoint is the MAC address of a chassis on the underlay.
	Endpoint(ctx context.Context, chassis string) (net.HardwareAddr, error)
	// Flows are the flows of a chassis as text, with cookies and without counters
	// and times.
	Flows(ctx context.Context, chassis string) ([]string, error)
	// Names is what the southbound database says.
	Names() decode.Names
	// Restart kills all that can be killed, the control plane and everything on
	// the chassis, and returns when all of it works again.
	Restart(ctx context.Context) error
}

// Recording is a recording that goes on until the network ends.
type Recording interface {
	// Frames are the frames up to now, in order.
	Frames(ctx context.Context) ([]decode.Frame, error)
}

// patience is how long a story waits for what must happen.
const patience = 10 * time.Second

// eventually polls until a condition holds.
func eventually(t testing.TB, what string, cond func() (bool, string)) {
	t.Helper()
	deadline := time.Now().Add(patience)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		ok, said := cond()
		if ok {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v: %s", what, patience, said)
		}
		select {
		case <-tick.C:
		case <-t.Context().Done():
			t.Fatalf("%s: %v", what, t.Context().Err())
		}
	}
}

func record(t testing.TB, n Network, node string) Recording {
	t.Helper()
	r, err := n.Record(t.Context(), node)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Has tells whether a frame has been recorded up to now.
func Has(t testing.TB, r Recording, frame []byte) bool {
	t.Helper()
	frames, err := r.Frames(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(frames, func(f decode.Frame) bool { return bytes.Equal(f.Data, frame) })
}

// packets decodes a recording.
func packets(t testing.TB, d *decode.Decoder, r Recording) []*decode.Packet {
	t.Helper()
	frames, err := r.Frames(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	out := make([]*decode.Packet, len(frames))
	for i, f := range frames {
		out[i] = d.Decode(f)
	}
	return out
}

// layersOf are the layers of one protocol, from the outside to the inside.
func layersOf(p *decode.Packet, name string) []*decode.Layer {
	var out []*decode.Layer
	for i := range p.Layers {
		if p.Layers[i].Name == name {
			out = append(out, &p.Layers[i])
		}
	}
	return out
}

func textOf(p *decode.Packet) string {
	var b strings.Builder
	_ = p.Text(&b) // a Builder does not fail
	return b.String()
}

// logicalSwitch is a switch with its keys.
type logicalSwitch struct {
	vni geneve.VNI
	dp  *decode.Datapath
}

// findSwitch looks a switch up in the southbound database.
func findSwitch(t testing.TB, n Network, name string) logicalSwitch {
	t.Helper()
	for _, z := range n.Names().Zones() {
		for vni, d := range z.Datapaths {
			if d.Name == name {
				return logicalSwitch{vni, d}
			}
		}
	}
	t.Fatalf("no switch %q in the southbound database", name)
	return logicalSwitch{}
}

// port is the key of a port, 0 for none.
func (s logicalSwitch) port(name string) uint16 {
	for key, n := range s.dp.Ports {
		if n == name {
			return key
		}
	}
	return 0
}

// keys are the tunnel keys of a network with what they stand for, in order.
func keys(n Network) []string {
	var out []string
	for _, z := range n.Names().Zones() {
		for vni, d := range z.Datapaths {
			out = append(out, vni.String()+" "+d.Name)
			for key, port := range d.Ports {
				out = append(out, vni.String()+" port "+geneve.Ports{Egress: key}.String()+" "+port)
			}
			for key, group := range d.Groups {
				out = append(out, vni.String()+" group "+geneve.Ports{Egress: key}.String()+" "+group)
			}
		}
		for ip, chassis := range z.Chassis {
			out = append(out, "chassis "+chassis+" "+ip.String())
		}
	}
	slices.Sort(out)
	return out
}
