package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"govn/sim/lab"
)

// failoverLab is a network behind a distributed router, whose gateway port is on
// gw1 or gw2, and a machine outside:
//
//	vm (hv1) -- sw0 -- r0 -- public -- localnet on gw1, gw2 -- wire -- out (ext)
const failoverLab = `
name: failover
chassis:
  - {name: hv1}
  - {name: gw1, external-ids: {ovn-bridge-mappings: "physnet1:br-phys"}}
  - {name: gw2, external-ids: {ovn-bridge-mappings: "physnet1:br-phys"}}
  - {name: ext}
workloads:
  - {name: vm, chassis: hv1, mac: "0a:00:00:00:00:01", ip: 10.0.0.1/24, gw: 10.0.0.254}
  - {name: out, chassis: ext, bridge: br-phys, mac: "0a:00:00:00:01:01", ip: 172.16.0.9/24, gw: 172.16.0.254}
topology:
  switches:
    - name: sw0
      ports:
        - {name: sw0-r0, type: router, addresses: [router], options: {router-port: r0-sw0}}
        - {name: vm, addresses: ["0a:00:00:00:00:01 10.0.0.1"]}
    - name: public
      ports:
        - {name: public-r0, type: router, addresses: [router], options: {router-port: r0-public}}
        - {name: public-net, type: localnet, unknown: true, options: {network_name: physnet1}}
  nbctl:
    - lr-add r0
    - lrp-add r0 r0-sw0 0a:00:00:00:ff:01 10.0.0.254/24
    - lrp-add r0 r0-public 0a:00:00:00:ff:02 172.16.0.254/24
    - lrp-set-gateway-chassis r0-public gw1 20
    - lrp-set-gateway-chassis r0-public gw2 10
`

const (
	gatewayMAC = "0a:00:00:00:ff:02"
	outside    = "172.16.0.9"
)

// timers are sets of NB_Global options that a failover is measured with.
var timers = map[string][]string{
	"default": nil,
	"tuned":   {"options:bfd-min-rx=200", "options:bfd-min-tx=100"},
	"fast":    {"options:bfd-min-rx=50", "options:bfd-min-tx=50"},
}

type failoverOptions struct {
	n, deadN  int
	systems   []string
	timers    []string
	govn, out string
	limit     time.Duration // that a failover may take
	keep      bool
}

func failover(ctx context.Context, args []string) error {
	var o failoverOptions
	var systems, sets string
	fs := flag.NewFlagSet("failover", flag.ContinueOnError)
	fs.IntVar(&o.n, "n", 20, "failovers of each kind")
	fs.IntVar(&o.deadN, "dead-n", 20, "failovers while northd (and stock's databases) are dead; stock gets 3 at most, and no further one once nothing took over")
	fs.StringVar(&systems, "systems", "stock,govn", "what to measure")
	fs.StringVar(&sets, "timers", "default,tuned,fast", "timers of BFD: default, tuned (bfd-min-rx=200, bfd-min-tx=100), fast (both 50)")
	fs.StringVar(&o.govn, "govn", "", "govn binary (default: built from this tree)")
	fs.StringVar(&o.out, "out", "", "file to which the table is appended (default: standard output only)")
	fs.DurationVar(&o.limit, "limit", 15*time.Second, "how long a failover may take")
	fs.BoolVar(&o.keep, "keep", false, "keep the directory of a run that failed")
	if err := fs.Parse(args); err != nil {
		return err
	}
	var err error
	if o.systems, err = choices("systems", systems, controls...); err != nil {
		return err
	}
	if o.timers, err = choices("timers", sets, slices.Sorted(maps.Keys(timers))...); err != nil {
		return err
	}
	dir, err := workDir(ctx, "failover", &o.govn)
	if err != nil {
		return err
	}
	defer func() {
		if !o.keep {
			_ = os.RemoveAll(dir)
		}
	}()
	var table bytes.Buffer
	fmt.Fprintf(&table, "\n## Gateway failover\n\n%s, %d CPUs, Open vSwitch in userspace, kill -9 of the active gateway's ovs-vswitchd under a 10 ms ping, both systems in one run; load average before: %s.\n\n",
		time.Now().Format(time.DateOnly), runtime.NumCPU(), loadAverage())
	table.WriteString("| system | BFD timers | northd | samples | outage median ms | max ms | lost median | max | failback outage median ms | max ms | lost median | max |\n")
	table.WriteString("|---|---|---|---|---|---|---|---|---|---|---|---|\n")
	for _, set := range o.timers {
		for _, system := range o.systems {
			if err := failovers(ctx, &o, lab.Control(system), set, filepath.Join(dir, system[:1]+set[:1]), &table); err != nil {
				return fmt.Errorf("%s, %s timers: %w", system, set, err)
			}
		}
	}
	return appendTable(o.out, table.Bytes())
}

// failovers brings one lab up and lets its gateway fail over, with the central
// node alive and then dead.
func failovers(ctx context.Context, o *failoverOptions, control lab.Control, set, dir string, table *bytes.Buffer) (err error) {
	options := timers[set]
	cfg, err := lab.Parse("failover", []byte(failoverLab))
	if err != nil {
		return err
	}
	l, err := lab.New(cfg, lab.Options{Name: fmt.Sprintf("fo%d", os.Getpid()%100000), Dir: dir, Control: control, Govn: o.govn})
	if err != nil {
		return err
	}
	if !o.keep {
		defer func() { err = errors.Join(err, l.Down(context.WithoutCancel(ctx))) }()
	}
	if err := l.Up(ctx); err != nil {
		return err
	}
	if len(options) > 0 {
		if _, err := l.Nbctl(ctx, append([]string{"set", "NB_Global", "."}, options...)...); err != nil {
			return err
		}
	}
	if _, err := l.Nbctl(ctx, "--wait=hv", "sync"); err != nil {
		return err
	}
	run := func(northd string, n int) error {
		var r failoverResult
		for i := range n {
			if err := r.once(ctx, l, o.limit); err != nil {
				return fmt.Errorf("failover %d with northd %s: %w", i, northd, err)
			}
			last := func(list []gap) string {
				if len(list) == 0 {
					return "none"
				}
				g := list[len(list)-1]
				return fmt.Sprintf("%v (%d lost)", g.outage.Round(time.Millisecond), g.lost)
			}
			fmt.Fprintf(os.Stderr, "%s, %s timers, northd %s, %d: failover %s, failback %s\n", control, set, northd, i, last(r.over), last(r.back))
			if r.over[len(r.over)-1].never {
				break // what did not take over once may not come back either
			}
		}
		if n > 0 {
			fmt.Fprintf(table, "| %s | %s | %s | %d | %s | %s |\n", control, set, northd, len(r.over), columns(r.over), columns(r.back))
		}
		return nil
	}
	if err := run("alive", o.n); err != nil {
		return err
	}
	dead, n := []string{"northd"}, o.deadN
	if control == lab.ControlStock {
		dead, n = []string{"northd", "sb", "nb"}, min(n, 3)
	}
	if n == 0 {
		return nil
	}
	for _, daemon := range dead {
		if err := l.Signal("central", daemon, unix.SIGKILL); err != nil {
			return err
		}
	}
	return run("dead", n)
}

// gap is a time without replies.
type gap struct {
	outage time.Duration
	lost   int // requests without a reply
	never  bool
}

type failoverResult struct{ over, back []gap }

// columns is median and maximum of the outage, and of what was lost.
func columns(list []gap) string {
	if len(list) == 0 {
		return "- | - | - | -"
	}
	outage := func(g gap) string {
		if g.never {
			return fmt.Sprintf("> %d", g.outage.Milliseconds())
		}
		return strconv.FormatInt(g.outage.Milliseconds(), 10)
	}
	slices.SortFunc(list, func(a, b gap) int { return int(a.outage - b.outage) })
	mid, last := list[(len(list)-1)/2], list[len(list)-1]
	if last.never {
		return fmt.Sprintf("%s | %s | - | -", outage(mid), outage(last))
	}
	lost := make([]int, len(list))
	for i, g := range list {
		lost[i] = g.lost
	}
	slices.Sort(lost)
	return fmt.Sprintf("%s | %s | %d | %d", outage(mid), outage(last), lost[(len(lost)-1)/2], lost[len(lost)-1])
}

// once kills the gateway, waits for replies through the other, starts it again and
// waits until it is the gateway again.
func (r *failoverResult) once(ctx context.Context, l *lab.Lab, limit time.Duration) error {
	if err := gatewayIs(ctx, l, "gw1", 60*time.Second); err != nil {
		return err
	}
	p, err := startPing(ctx, l)
	if err != nil {
		return err
	}
	defer p.stop()
	if err := p.await(ctx, 50, time.Time{}, limit); err != nil {
		return fmt.Errorf("before: %w", err)
	}
	killed := time.Now()
	if err := l.Signal("gw1", "vswitchd", unix.SIGKILL); err != nil {
		return err
	}
	// Replies that are on their way come within milliseconds.
	over, err := p.settle(ctx, killed, killed.Add(20*time.Millisecond), limit)
	if err != nil {
		return err
	}
	started := time.Now()
	if err := l.Start(ctx, "gw1", "vswitchd"); err != nil {
		return err
	}
	if over.never {
		// Nothing was taken over: what comes back is the gateway itself.
		r.over = append(r.over, over)
		return gatewayIs(ctx, l, "gw1", 60*time.Second)
	}
	if err := gatewayIs(ctx, l, "gw1", 60*time.Second); err != nil {
		return err
	}
	back, err := p.settle(ctx, started, time.Now(), limit)
	if err != nil {
		return err
	}
	r.over, r.back = append(r.over, over), append(r.back, back)
	return nil
}

// gatewayIs waits until the wire has the router's MAC behind a hypervisor: it is
// where frames from there came from last. A machine outside asks the router
// meanwhile, so that there are some.
func gatewayIs(ctx context.Context, l *lab.Lab, chassis string, limit time.Duration) error {
	deadline := time.Now().Add(limit)
	for {
		// No reply is no error here.
		_, _ = l.Exec(ctx, "out", "ping", "-c", "1", "-W", "1", "172.16.0.254")
		out, err := l.Exec(ctx, "fabric", "bridge", "fdb", "show")
		if err != nil {
			return err
		}
		for line := range strings.Lines(out) {
			if strings.HasPrefix(line, gatewayMAC+" dev "+chassis+"-") {
				return nil
			}
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%q is not the gateway after %v: %s", chassis, limit, out)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// interval is the time between requests.
const interval = 10 * time.Millisecond

// pinging is a ping from the workload to the machine outside.
type pinging struct {
	cmd  *exec.Cmd
	file string
}

func startPing(ctx context.Context, l *lab.Lab) (*pinging, error) {
	cmd, err := l.Command(ctx, "vm", "ping", "-D", "-n", "-i", strconv.FormatFloat(interval.Seconds(), 'f', -1, 64), outside)
	if err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(l.Dir(), "ping-*.txt")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	cmd.Stdout, cmd.Stderr = f, f
	return &pinging{cmd, f.Name()}, cmd.Start()
}

func (p *pinging) stop() {
	_ = p.cmd.Process.Signal(unix.SIGINT)
	_ = p.cmd.Wait() // its status says that replies were lost, which are counted here
}

// reply is a line of ping -D.
type reply struct {
	at  time.Time
	seq int
}

var replyLine = regexp.MustCompile(`^\[(\d+)\.(\d{6})\] \d+ bytes from .* icmp_seq=(\d+) `)

// replies reads what came from since on, with the last before that. Sequence
// numbers of ping wrap at 65536, which no run reaches.
func (p *pinging) replies(since time.Time) ([]reply, error) {
	f, err := os.Open(p.file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var list []reply
	for sc := bufio.NewScanner(f); sc.Scan(); {
		m := replyLine.FindStringSubmatch(sc.Text())
		if m == nil {
			continue
		}
		sec, _ := strconv.ParseInt(m[1], 10, 64)
		usec, _ := strconv.ParseInt(m[2], 10, 64)
		seq, _ := strconv.Atoi(m[3])
		r := reply{time.Unix(sec, usec*1000), seq}
		if r.at.Before(since) {
			list = list[:0]
		}
		list = append(list, r)
	}
	return list, nil
}

// await waits until n replies have come since then.
func (p *pinging) await(ctx context.Context, n int, since time.Time, limit time.Duration) error {
	deadline := time.Now().Add(limit)
	for {
		list, err := p.replies(since)
		if err != nil {
			return err
		}
		if len(list) > n {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%w: %d replies in %v", errNoReplies, len(list), limit)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

var errNoReplies = errors.New("too few replies")

// settled is how many replies in a row tell that a change is over: two seconds.
const settled = 200

// settle waits until replies have come steadily again after a time, and measures
// the longest gap and the losses since from.
func (p *pinging) settle(ctx context.Context, from, after time.Time, limit time.Duration) (gap, error) {
	if err := p.await(ctx, settled, after, limit); errors.Is(err, errNoReplies) {
		return gap{outage: limit, never: true}, nil
	} else if err != nil {
		return gap{}, err
	}
	list, err := p.replies(from)
	if err != nil {
		return gap{}, err
	}
	return gapOf(list), nil
}

// gapOf is the longest time between two replies beyond the usual one, and how
// many sequence numbers are missing.
func gapOf(list []reply) gap {
	var g gap
	seen := map[int]bool{}
	for i, r := range list {
		seen[r.seq] = true
		if i > 0 {
			g.outage = max(g.outage, r.at.Sub(list[i-1].at)-interval)
		}
	}
	if len(list) > 0 {
		first, last := list[0].seq, list[0].seq
		for _, r := range list {
			first, last = min(first, r.seq), max(last, r.seq)
		}
		g.lost = last - first + 1 - len(seen)
	}
	return g
}
