//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"iter"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket/pcapgo"
	"golang.org/x/sys/unix"

	"govn/sim/lab"
)

// govn is the binary under test, labs the directory for the run directories of all
// labs, which are taken down however the tests end.
var govn, labs string

// control runs the stories on another control plane: on stock OVN they tell
// whether a failure is the test's fault.
var control = flag.String("control", "", "control plane of every lab, instead of what the test says: stock")

func TestMain(m *testing.M) {
	if what := os.Getenv(peerEnv); what != "" {
		fmt.Fprintln(os.Stderr, peerMain(what))
		os.Exit(1)
	}
	if what := os.Getenv(streamEnv); what != "" {
		if err := streamMain(what); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	flag.Parse()
	os.Exit(lab.Guarded("e2e", func(dir string) int {
		labs = dir
		if *control == string(lab.ControlStock) {
			return m.Run()
		}
		govn = filepath.Join(dir, "govn")
		build := exec.Command("go", "build", "-o", govn, "govn/cmd/govn")
		build.Stdout, build.Stderr = os.Stderr, os.Stderr
		if err := build.Run(); err != nil {
			fmt.Fprintln(os.Stderr, "build govn:", err)
			return 1
		}
		return m.Run()
	}))
}

const twoHypervisors = "../../docs/examples/two-hypervisors.yaml"

// up brings a lab up under a name of its own and takes it down with the test.
func up(t *testing.T, cfg *lab.Config, c lab.Control) *lab.Lab {
	t.Helper()
	l := prepare(t, cfg, c)
	if err := l.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	return l
}

// prepare is a lab that is to be brought up; it is taken down with the test.
func prepare(t *testing.T, cfg *lab.Config, c lab.Control) *lab.Lab {
	t.Helper()
	if *control != "" {
		c = lab.Control(*control)
	}
	dir, err := os.MkdirTemp(labs, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) }) // last of all
	l, err := lab.New(cfg, lab.Options{
		Name: filepath.Base(labs) + "-" + filepath.Base(dir), Dir: filepath.Join(dir, "r"), Control: c, Govn: govn, Timeout: 30 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			printLogs(t, dir)
		}
		if err := l.Down(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return l
}

func load(t *testing.T, file string) *lab.Config {
	t.Helper()
	cfg, err := lab.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func parse(t *testing.T, text string) *lab.Config {
	t.Helper()
	cfg, err := lab.Parse("inline", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// printLogs shows the ends of all logs below a directory.
func printLogs(t *testing.T, dir string) {
	const most = 3000 // bytes of a log
	logs, err := filepath.Glob(filepath.Join(dir, "*", "*", "*.log"))
	if err != nil {
		t.Log(err)
		return
	}
	for _, f := range logs {
		data, err := os.ReadFile(f)
		if err != nil || len(bytes.TrimSpace(data)) == 0 || strings.Contains(f, "ovsdb.log") {
			continue
		}
		t.Logf("%s:\n%s", f, data[max(0, len(data)-most):])
	}
}

// must passes a tool's output through and ends the test if it failed.
func must(t *testing.T) func(out string, err error) string {
	return func(out string, err error) string {
		t.Helper()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return out
	}
}

// eventually polls a condition until it holds and returns how long that took.
// what is printed, with what the condition says about itself, when it does not.
func eventually(t *testing.T, limit time.Duration, what string, cond func() (bool, string)) time.Duration {
	t.Helper()
	start := time.Now()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		ok, said := cond()
		if ok {
			return time.Since(start)
		}
		if time.Since(start) > limit {
			t.Fatalf("%s: not within %v: %s", what, limit, said)
		}
		select {
		case <-tick.C:
		case <-t.Context().Done():
			t.Fatalf("%s: %v", what, t.Context().Err())
		}
	}
}

// pinger is a ping that runs in the background.
type pinger struct {
	t   *testing.T
	cmd *exec.Cmd
	out string // file
}

// startPing pings from a workload every interval until stop.
func startPing(t *testing.T, l *lab.Lab, from, to string, interval time.Duration) *pinger {
	t.Helper()
	cmd, err := l.Command(context.Background(), from, "ping", "-D", "-n", "-i", fmt.Sprint(interval.Seconds()), to)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.CreateTemp(l.Dir(), "ping-*.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	cmd.Stdout, cmd.Stderr = f, f
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &pinger{t: t, cmd: cmd, out: f.Name()}
	t.Cleanup(func() { p.end() })
	return p
}

func (p *pinger) end() {
	if p.cmd.ProcessState == nil {
		_ = p.cmd.Process.Signal(unix.SIGINT)
		_ = p.cmd.Wait() // status 1 says that a reply was lost; stop counts them
	}
}

// replies is how many replies have come up to now.
func (p *pinger) replies() int {
	data, err := os.ReadFile(p.out)
	if err != nil {
		p.t.Fatal(err)
	}
	return bytes.Count(data, []byte("icmp_seq="))
}

// waitReplies waits until n more replies have come.
func (p *pinger) waitReplies(n int, limit time.Duration) time.Duration {
	p.t.Helper()
	from := p.replies()
	return eventually(p.t, limit, fmt.Sprintf("%d more replies", n), func() (bool, string) {
		now := p.replies()
		return now >= from+n, fmt.Sprintf("%d came", now-from)
	})
}

var pingSummary = regexp.MustCompile(`(\d+) packets transmitted, (\d+) received`)

// stop ends the ping and returns what it counted. The last request may have
// been on its way: a loss of one is that.
func (p *pinger) stop() (sent, received int) {
	p.t.Helper()
	p.end()
	data, err := os.ReadFile(p.out)
	if err != nil {
		p.t.Fatal(err)
	}
	m := pingSummary.FindSubmatch(data)
	if m == nil {
		p.t.Fatalf("ping: no summary in %s", data)
	}
	sent, _ = strconv.Atoi(string(m[1]))
	received, _ = strconv.Atoi(string(m[2]))
	return sent, received
}

// noLoss ends the ping and fails the test if replies are missing.
func (p *pinger) noLoss(least int) {
	p.t.Helper()
	sent, received := p.stop()
	if received < least || sent-received > 1 {
		data, _ := os.ReadFile(p.out)
		p.t.Errorf("%d of %d pings answered, at least %d and none lost expected:\n%s", received, sent, least, data)
	}
	p.t.Logf("%d of %d pings answered", received, sent)
}

// frames are those of a capture, with the times at which they came.
func frames(t *testing.T, c *lab.Capture) iter.Seq2[[]byte, time.Time] {
	return func(yield func([]byte, time.Time) bool) {
		t.Helper()
		f, err := os.Open(c.Path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		r, err := pcapgo.NewReader(f)
		if err != nil {
			t.Fatal(err)
		}
		for {
			data, info, err := r.ReadPacketData()
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if !yield(data, info.Timestamp) {
				return
			}
		}
	}
}

var uuidRE = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)

// normal replaces identifiers that differ from one lab to the other and sorts
// the lines, since sets come in the order of their random members.
func normal(text string) string {
	lines := strings.Split(strings.TrimSpace(uuidRE.ReplaceAllString(text, "UUID")), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	lines = slices.DeleteFunc(lines, func(s string) bool { return s == "" })
	return sortedLines(lines)
}

// flow is a flow of br-int as ovs-ofctl prints it.
type flow struct {
	id       string // table, priority, match and actions
	cookie   string
	duration float64 // seconds
	packets  int
}

var (
	durationRE = regexp.MustCompile(`duration=([0-9.]+)s, `)
	packetsRE  = regexp.MustCompile(`n_packets=(\d+), `)
	cookieRE   = regexp.MustCompile(`cookie=(0x[0-9a-f]+), `)
	counterRE  = regexp.MustCompile(`(duration|n_packets|n_bytes|idle_age|hard_age|cookie)=[^ ]+, `)
)

// flows reads the flows of a chassis by what they are.
func flows(t *testing.T, l *lab.Lab, chassis string) map[string]flow {
	t.Helper()
	out := must(t)(l.Ofctl(t.Context(), chassis, "dump-flows", "--no-names"))
	m := map[string]flow{}
	for line := range strings.Lines(out) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "cookie=") {
			continue
		}
		f := flow{id: counterRE.ReplaceAllString(line, "")}
		if s := cookieRE.FindStringSubmatch(line); s != nil {
			f.cookie = s[1]
		}
		if s := durationRE.FindStringSubmatch(line); s != nil {
			f.duration, _ = strconv.ParseFloat(s[1], 64)
		}
		if s := packetsRE.FindStringSubmatch(line); s != nil {
			f.packets, _ = strconv.Atoi(s[1])
		}
		m[f.id] = f
	}
	if len(m) == 0 {
		t.Fatalf("chassis %q has no flows", chassis)
	}
	return m
}

// groups reads the groups of a chassis.
func groups(t *testing.T, l *lab.Lab, chassis string) string {
	t.Helper()
	return normal(must(t)(l.Ofctl(t.Context(), chassis, "dump-groups")))
}

// sameFlows fails the test if two sets of flows differ.
func sameFlows(t *testing.T, what string, got, want map[string]flow) {
	t.Helper()
	var diff []string
	for id := range got {
		if _, ok := want[id]; !ok {
			diff = append(diff, "+ "+id)
		}
	}
	for id := range want {
		if _, ok := got[id]; !ok {
			diff = append(diff, "- "+id)
		}
	}
	if len(diff) > 0 {
		slices.Sort(diff)
		t.Errorf("%s: %d flows, %d expected:\n%s", what, len(got), len(want), strings.Join(diff, "\n"))
	}
}

func sortedLines(lines []string) string {
	lines = slices.Clone(lines)
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}
