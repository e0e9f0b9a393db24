package oracle

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"govn/sim/lab/unixctl"
)

// ErrSyntax is wrapped by errors about output that the oracle cannot read.
var ErrSyntax = errors.New("unexpected output")

// OVNTrace is stock ovn-trace on a southbound database.
type OVNTrace struct {
	name string
	ctl  *unixctl.Client
	sock string
}

// StartOVNTrace runs ovn-trace as a daemon on the database at db, with its
// control socket in dir, until Close. It returns when it answers.
func StartOVNTrace(ctx context.Context, name, db, dir string) (*OVNTrace, error) {
	sock := filepath.Join(dir, "ovn-trace.ctl")
	log := filepath.Join(dir, "ovn-trace.log")
	pidfile := filepath.Join(dir, "ovn-trace.pid")
	out, err := os.Create(filepath.Join(dir, "ovn-trace.out"))
	if err != nil {
		return nil, fmt.Errorf("ovn-trace: %w", err)
	}
	defer out.Close()
	// --detach makes it a daemon and returns when the database has been read;
	// the process that we start goes away.
	cmd := exec.CommandContext(ctx, "ovn-trace", "--db="+db, "--detach", "--no-chdir", "-vconsole:off",
		"--pidfile="+pidfile, "--log-file="+log, "--unixctl="+sock)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Run(); err != nil {
		said, _ := os.ReadFile(out.Name())
		return nil, fmt.Errorf("ovn-trace: %w: %s", err, said)
	}
	ctl, err := unixctl.Dial(ctx, sock)
	if err != nil {
		return nil, fmt.Errorf("ovn-trace: %w", err)
	}
	return &OVNTrace{name: name, ctl: ctl, sock: sock}, nil
}

// Close ends the daemon.
func (o *OVNTrace) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	// The connection may have been closed by an error; ending the daemon must
	// not depend on it.
	err := o.ctl.Close()
	ctl, dialErr := unixctl.Dial(ctx, o.sock)
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
func (o *OVNTrace) Trace(ctx context.Context, flows []Microflow) ([]Verdict, error) {
	verdicts := make([]Verdict, len(flows))
	for i := range flows {
		m := &flows[i]
		text, err := o.ctl.Call(ctx, "trace", "--minimal", m.Switch, m.OVN())
		if err != nil {
			return nil, fmt.Errorf("microflow %d: %s: %w", i, m.OVN(), err)
		}
		if verdicts[i], err = parseMinimal(text, m.Packet); err != nil {
			return nil, fmt.Errorf("microflow %d: %s: %w", i, m.OVN(), err)
		}
	}
	return verdicts, nil
}

// parseMinimal reads the output of ovn-trace --minimal:
//
//	# arp,reg14=0x3,...              the microflow
//	eth.dst = 0a:00:00:00:00:01;     a rewrite
//	output("a");                     an output
//	nd_na { ... };                   a copy or reply that a controller makes
func parseMinimal(text string, in Packet) (Verdict, error) {
	type frame struct {
		kind string
		p    Packet
	}
	var v Verdict
	stack := []frame{{p: clone(in)}}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		top := &stack[len(stack)-1]
		if strings.HasPrefix(line, "/*") && strings.HasSuffix(line, "*/") {
			continue
		}
		switch kind, isBlock := strings.CutSuffix(line, " {"); {
		case line == "" || strings.HasPrefix(line, "#"):
		case isBlock:
			stack = append(stack, frame{kind: kind, p: clone(top.p)})
		case line == "};" || line == "}":
			if len(stack) == 1 {
				return nil, fmt.Errorf("ovn-trace: %w: unbalanced braces in %q", ErrSyntax, text)
			}
			stack = stack[:len(stack)-1]
		case strings.HasPrefix(line, "output("):
			port, err := quoted(line)
			if err != nil {
				return nil, err
			}
			v = append(v, Output{Port: port, Punt: top.kind, Rewrites: rewrites(in, top.p)})
		default:
			name, value, ok := strings.Cut(strings.TrimSuffix(line, ";"), " = ")
			if !ok {
				return nil, fmt.Errorf("ovn-trace: %w: %q in %q", ErrSyntax, line, text)
			}
			if known(name) {
				top.p[name] = canonical(value)
			}
		}
	}
	if len(stack) != 1 {
		return nil, fmt.Errorf("ovn-trace: %w: unbalanced braces in %q", ErrSyntax, text)
	}
	return v.sorted(), nil
}

func known(name string) bool {
	return slices.ContainsFunc(fields, func(f field) bool { return f.name == name })
}

// quoted is the string in output("x");
func quoted(line string) (string, error) {
	a, b := strings.Index(line, `"`), strings.LastIndex(line, `"`)
	if a < 0 || b <= a {
		return "", fmt.Errorf("ovn-trace: %w: %q", ErrSyntax, line)
	}
	return line[a+1 : b], nil
}

func clone(p Packet) Packet {
	c := make(Packet, len(p))
	for k, v := range p {
		c[k] = v
	}
	return c
}
