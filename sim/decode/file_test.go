package decode

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

var start = time.Date(2026, 11, 21, 14, 50, 0, 123456000, time.UTC)

// writePcap makes a capture of frames, a millisecond apart.
func writePcap(t testing.TB, ng bool, frames ...[]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	var write func(gopacket.CaptureInfo, []byte) error
	flush := func() error { return nil }
	if ng {
		w, err := pcapgo.NewNgWriter(&b, layers.LinkTypeEthernet)
		check(err)
		write, flush = w.WritePacket, w.Flush
	} else {
		w := pcapgo.NewWriter(&b)
		check(w.WriteFileHeader(65535, layers.LinkTypeEthernet))
		write = w.WritePacket
	}
	for i, f := range frames {
		check(write(gopacket.CaptureInfo{Timestamp: start.Add(time.Duration(i) * time.Millisecond), CaptureLength: len(f), Length: len(f)}, f))
	}
	check(flush())
	return b.Bytes()
}

// readAll reads a capture to its end.
func readAll(b []byte) (frames []Frame, err error) {
	f, err := NewFile(bytes.NewReader(b))
	for err == nil {
		var frame Frame
		if frame, err = f.Next(); err == nil {
			frames = append(frames, frame)
		}
	}
	if err == io.EOF {
		err = nil
	}
	return frames, err
}

func TestFile(t *testing.T) {
	a, b := ping(t, "10.0.0.11", "10.0.0.12"), ping(t, "10.0.0.12", "10.0.0.11")
	for _, ng := range []bool{false, true} {
		capture := writePcap(t, ng, a, b)
		frames, err := readAll(capture)
		if err != nil || len(frames) != 2 || !bytes.Equal(frames[1].Data, b) || frames[1].Number != 2 ||
			!frames[0].Time.Equal(start) || frames[0].Link != layers.LinkTypeEthernet || frames[0].Length != len(a) {
			t.Errorf("pcapng %v: %+v, %v", ng, frames, err)
		}
		// What was read before the capture breaks off counts.
		frames, err = readAll(capture[:len(capture)-20])
		if !errors.Is(err, ErrCapture) || len(frames) != 1 || !strings.Contains(err.Error(), "after 1 packets") {
			t.Errorf("pcapng %v, cut: %d frames, %v", ng, len(frames), err)
		}
	}
	if _, err := readAll(nil); err != nil {
		t.Errorf("nothing: %v", err)
	}
	for _, s := range []string{"x", "GIF89a and more", "\xa1\xb2\xc3\xd4", "\x0a\x0d\x0d\x0a\xff\xff\xff\xff\x4d\x3c\x2b\x1a"} {
		if frames, err := readAll([]byte(s)); err == nil || len(frames) > 0 || !errors.Is(err, ErrNotCapture) && !errors.Is(err, ErrCapture) {
			t.Errorf("%q: %v", s, err)
		}
	}
}

func FuzzFile(f *testing.F) {
	a := ping(f, "10.0.0.11", "10.0.0.12")
	f.Add(writePcap(f, false, a, a))
	f.Add(writePcap(f, true, a, a))
	f.Fuzz(func(t *testing.T, b []byte) {
		frames, _ := readAll(b)
		for _, frame := range frames {
			if len(frame.Data) > len(b) || frame.Length < len(frame.Data) {
				t.Errorf("a frame of %d bytes (%d captured) in a file of %d", frame.Length, len(frame.Data), len(b))
			}
			(&Decoder{}).Decode(frame)
		}
	})
}

// TestTshark compares what is decoded with tshark: the protocols, addresses,
// VNIs, flags and options of every level.
func TestTshark(t *testing.T) {
	const experimental, second = "ff00010100000000", "ff00810111223344"
	inner := tunnel(t, "10.0.0.11", "10.0.0.12", 6081, innerHeader, ping(t, "10.9.0.1", "10.9.0.2"))
	frames := [][]byte{
		tunnel(t, "203.0.113.1", "203.0.113.2", 6081, outerHeader, inner),
		tunnel(t, "203.0.113.1", "203.0.113.2", 6081, "0080655800abcd00", ping(t, "10.0.0.11", "10.0.0.12")),
		tunnel(t, "203.0.113.1", "203.0.113.2", 6081, "06406558ffffff00"+"0102800100010002"+experimental+second, ping(t, "10.0.0.11", "10.0.0.12")),
		tunnel(t, "203.0.113.1", "203.0.113.2", 6082, outerHeader, ping(t, "10.0.0.11", "10.0.0.12")),
	}
	samples := sampleFrames(t)
	var names []string
	for name := range samples {
		if name != "too big" { // tshark has what an ICMP error quotes in another place
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		frames = append(frames, tunnel(t, "203.0.113.1", "203.0.113.2", 6081, outerHeader, samples[name].frame))
	}
	capture := writePcap(t, false, frames...)
	file := filepath.Join(t.TempDir(), "x.pcap")
	if err := os.WriteFile(file, capture, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("tshark", "-r", file, "-T", "json", "--no-duplicate-keys", "-J", "eth ip ipv6 udp tcp geneve", "-o", "ip.defragment:FALSE").Output()
	if err != nil {
		t.Fatal(err)
	}
	var dissected []struct {
		Source struct{ Layers map[string]json.RawMessage } `json:"_source"`
	}
	if err := json.Unmarshal(out, &dissected); err != nil {
		t.Fatal(err)
	}
	read, err := readAll(capture)
	if err != nil || len(dissected) != len(read) {
		t.Fatalf("%d packets by tshark, %d here, %v", len(dissected), len(read), err)
	}
	compared := 0
	for i, f := range read {
		p := (&Decoder{}).Decode(f)
		for name, keys := range map[string]map[string]string{
			"ipv4":   {"ip.src": "src", "ip.dst": "dst", "ip.ttl": "ttl", "ip.len": "length", "ip.proto": "protocol"},
			"ipv6":   {"ipv6.src": "src", "ipv6.dst": "dst", "ipv6.hlim": "hop_limit", "ipv6.plen": "length"},
			"udp":    {"udp.srcport": "src_port", "udp.dstport": "dst_port", "udp.length": "length"},
			"tcp":    {"tcp.srcport": "src_port", "tcp.window_size_value": "window"},
			"geneve": {"geneve.vni": "vni", "geneve.flags.oam": "control", "geneve.flags.critical": "critical", "geneve.proto_type": "protocol"},
		} {
			theirs := objects(t, dissected[i].Source.Layers[strings.Replace(name, "ipv4", "ip", 1)])
			var ours []*Layer
			for j := range p.Layers {
				if p.Layers[j].Name == name {
					ours = append(ours, &p.Layers[j])
				}
			}
			if len(theirs) != len(ours) {
				t.Errorf("packet %d: %d %s headers by tshark, %d here:\n%s", i+1, len(theirs), name, len(ours), text(t, p))
				continue
			}
			for j, their := range theirs {
				for key, field := range keys {
					want, ok := find(their, key)
					if !ok {
						t.Errorf("packet %d, %s %d: tshark has no %s", i+1, name, j, key)
						continue
					}
					if got := ours[j].Get(field); plain(got) != plain(want) {
						t.Errorf("packet %d, %s %d: %s is %v, %s by tshark", i+1, name, j, field, got, want)
					}
					compared++
				}
				if name != "geneve" {
					continue
				}
				var got strings.Builder
				options, _ := ours[j].Get("options").([]option)
				for _, o := range options {
					fmt.Fprintf(&got, "%04x%02x%02x%s", o.Class, o.Type, len(o.Data)/8, o.Data)
				}
				want, _ := find(their, "geneve.options")
				if want = strings.ReplaceAll(want, ":", ""); got.String() != want {
					t.Errorf("packet %d: options %s, by tshark %s", i+1, got.String(), want)
				}
				compared++
			}
		}
	}
	t.Logf("%d values of %d packets compared", compared, len(read))
	if compared < 10*len(read) {
		t.Errorf("only %d values compared", compared)
	}
}

// objects are the headers of one protocol: an object, or a list of them.
func objects(t *testing.T, raw json.RawMessage) []map[string]any {
	t.Helper()
	if raw == nil {
		return nil
	}
	var many []map[string]any
	if json.Unmarshal(raw, &many) == nil {
		return many
	}
	var one map[string]any
	if err := json.Unmarshal(raw, &one); err != nil {
		t.Fatalf("tshark: %v: %s", err, raw)
	}
	return []map[string]any{one}
}

// find looks for a key anywhere in an object.
func find(o map[string]any, key string) (string, bool) {
	if v, ok := o[key].(string); ok {
		return v, true
	}
	for _, v := range o {
		if sub, ok := v.(map[string]any); ok {
			if s, ok := find(sub, key); ok {
				return s, true
			}
		}
	}
	return "", false
}

// plain brings values of both sides to one form: numbers without base.
func plain(v any) string {
	switch s := strings.ToLower(strings.TrimSpace(jsonText(v))); s {
	case "true":
		return "1"
	case "false":
		return "0"
	default:
		if n, err := strconv.ParseUint(s, 0, 64); err == nil {
			return strconv.FormatUint(n, 10)
		}
		return s
	}
}

func jsonText(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	b, _ := json.Marshal(v)
	return strings.Trim(string(b), `"`)
}
