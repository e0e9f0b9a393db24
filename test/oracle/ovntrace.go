package oracle

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"govn/sim/lab"
	"govn/sim/lab/unixctl"
)

// ErrSyntax is wrapped by errors about output that the oracle cannot read.
var ErrSyntax = errors.New("unexpected output")

// OVNTrace is stock ovn-trace on a southbound database.
type OVNTrace struct {
	name, db, dir string
	static        bool           // there are static MAC bindings
	daemons       []*traceDaemon // by the choice that select actions make, from 1
}

// traceDaemon is one ovn-trace. Its control socket takes no option --select-id,
// so there is one for each choice.
type traceDaemon struct {
	files string // of the daemon, without their extension
	ctl   *unixctl.Client
}

// StartOVNTrace runs ovn-trace as a daemon on the southbound database of a lab,
// until Close. It returns when it answers.
func StartOVNTrace(ctx context.Context, name string, l *lab.Lab) (*OVNTrace, error) {
	o := &OVNTrace{name: name, db: l.SB(), dir: l.Dir()}
	out, err := l.Sbctl(ctx, "--bare", "--columns=ip", "list", "Static_MAC_Binding")
	if err != nil {
		return nil, fmt.Errorf("ovn-trace: %w", err)
	}
	o.static = strings.TrimSpace(out) != ""
	_, err = o.daemon(ctx, 1)
	return o, err
}

// daemon is the one for a choice; it is started if there is none yet.
func (o *OVNTrace) daemon(ctx context.Context, choice int) (*traceDaemon, error) {
	for len(o.daemons) < choice {
		o.daemons = append(o.daemons, nil)
	}
	if d := o.daemons[choice-1]; d != nil {
		return d, nil
	}
	d := &traceDaemon{files: filepath.Join(o.dir, fmt.Sprintf("ovn-trace%d", choice))}
	out, err := os.Create(d.files + ".out")
	if err != nil {
		return nil, fmt.Errorf("ovn-trace: %w", err)
	}
	defer out.Close()
	// --detach makes it a daemon and returns when the database has been read;
	// the process that we start goes away.
	cmd := exec.CommandContext(ctx, "ovn-trace", "--db="+o.db, "--detach", "--no-chdir", "-vconsole:off", fmt.Sprintf("--select-id=%d", choice),
		"--pidfile="+d.files+".pid", "--log-file="+d.files+".log", "--unixctl="+d.files+".ctl")
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Run(); err != nil {
		said, _ := os.ReadFile(out.Name())
		return nil, fmt.Errorf("ovn-trace: %w: %s", err, said)
	}
	if d.ctl, err = unixctl.Dial(ctx, d.files+".ctl"); err != nil {
		return nil, fmt.Errorf("ovn-trace: %w", err)
	}
	o.daemons[choice-1] = d
	return d, nil
}

// Close ends the daemons.
func (o *OVNTrace) Close() error {
	var errs []error
	for _, d := range o.daemons {
		if d != nil {
			errs = append(errs, d.close())
		}
	}
	return errors.Join(errs...)
}

func (d *traceDaemon) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	// The connection may have been closed by an error; ending the daemon must
	// not depend on it.
	err := d.ctl.Close()
	ctl, dialErr := unixctl.Dial(ctx, d.files+".ctl")
	if dialErr != nil {
		return errors.Join(err, fmt.Errorf("ovn-trace: %w", dialErr))
	}
	_, exitErr := ctl.Call(ctx, "exit")
	return errors.Join(err, exitErr, ctl.Close())
}

// Name implements [Engine].
func (o *OVNTrace) Name() string { return o.name }

// Role implements [Engine].
func (o *OVNTrace) Role() Role { return RoleOVNTrace }

// Trace implements [Engine].
func (o *OVNTrace) Trace(ctx context.Context, flows []Microflow) ([]Answer, error) {
	answers := make([]Answer, len(flows))
	for i := range flows {
		var err error
		if answers[i], err = o.trace(ctx, &flows[i]); err != nil {
			return nil, fmt.Errorf("microflow %d: %s: %w", i, flows[i].OVN(), err)
		}
	}
	return answers, nil
}

// trace asks once for each choice that select actions have.
func (o *OVNTrace) trace(ctx context.Context, m *Microflow) (Answer, error) {
	var a Answer
	for id, n := 1, 1; id <= n; id++ {
		d, err := o.daemon(ctx, id)
		if err != nil {
			return a, err
		}
		text, err := d.ctl.Call(ctx, "trace", "--all", m.Switch, m.OVN())
		if errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) {
			return o.crashed(id)
		}
		if err != nil {
			return a, err
		}
		if strings.Contains(text, "is_chassis_resident(") {
			a.Unjudged = "ovn-trace takes every port to be resident"
		}
		if o.static && strings.Contains(text, "/* No MAC binding. */") {
			a.Unjudged = "ovn-trace does not read Static_MAC_Binding"
		}
		v, err := parseText(text, m.Packet)
		if err != nil {
			return a, err
		}
		a.Verdicts, n = with(a.Verdicts, v), max(n, choices(text))
	}
	return a, nil
}

// crashes are the assertions of ovn-trace that are known to fail, and what by.
var crashes = map[string]string{
	// actions.h: nd_na_router is traced as an nd_na, which it is not.
	"assertion ovnact->type == OVNACT_ND_NA failed": "ovn-trace aborts at nd_na_router",
	// The same with put_nd_ra_opts, which it takes for put_dhcpv6_opts.
	"assertion ovnact->type == OVNACT_PUT_DHCPV6_OPTS failed": "ovn-trace aborts at put_nd_ra_opts",
}

// crashed says what ended a daemon, and has it started again when it is needed.
func (o *OVNTrace) crashed(choice int) (Answer, error) {
	log := o.daemons[choice-1].files + ".log"
	said, err := os.ReadFile(log)
	if err != nil {
		return Answer{}, fmt.Errorf("ovn-trace ended: %w", err)
	}
	for assertion, name := range crashes {
		if strings.Contains(string(said), assertion) {
			o.daemons[choice-1] = nil
			return Answer{Unjudged: name}, os.Remove(log)
		}
	}
	if !strings.Contains(string(said), "assertion") {
		// It has no stack left: see circle.
		o.daemons[choice-1] = nil
		return Answer{Unjudged: "ovn-trace overflows its stack"}, nil
	}
	return Answer{}, fmt.Errorf("ovn-trace ended: %w: %s", ErrSyntax, said)
}

func clone(p Packet) Packet {
	c := make(Packet, len(p))
	for k, v := range p {
		c[k] = v
	}
	return c
}
