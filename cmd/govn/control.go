package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"govn/pkg/daemon"
	"govn/proto/control"
	"govn/sim/lab/unixctl"
)

// Programs that have a control socket, as the command version names them.
const (
	programNorthd     = "govn-northd"
	programController = "govn-controller"
)

// errNoDaemon is matched when no daemon answers.
var errNoDaemon = errors.New("is not running here")

// askTime is how long one daemon may take for an answer.
const askTime = time.Minute

// viewFlags are what the commands take that ask running daemons.
type viewFlags struct {
	formatFlags
	sockets []string
}

// socketHelp is part of the help of every command that asks a daemon.
const socketHelp = `
The daemon is found as ovs-appctl finds it: by RUNDIR/PROGRAM.pid, where RUNDIR
is OVN_RUNDIR or /var/run/ovn; without a pidfile the control sockets in RUNDIR
are asked who they are. --unixctl names a socket.`

func (f *viewFlags) add(c *cobra.Command) {
	c.Flags().StringArrayVarP(&f.sockets, "unixctl", "t", nil, "control socket `PATH` of the daemon to ask (default: found in "+daemon.RunDir()+")")
	f.formatFlags.add(c)
}

// peer is a daemon that answers.
type peer struct {
	program string // as it calls itself
	path    string
	client  *unixctl.Client
}

// dial connects to a control socket and asks who is there.
func dial(ctx context.Context, path string) (*peer, error) {
	c, err := unixctl.Dial(ctx, path)
	if err != nil {
		return nil, err
	}
	version, err := c.Call(ctx, "version")
	if err != nil {
		c.Close()
		return nil, fmt.Errorf("%q: %w", path, err)
	}
	program, _, _ := strings.Cut(strings.TrimSpace(version), " ")
	return &peer{program: program, path: path, client: c}, nil
}

// peers connects to the daemons that are told, or else to those of the programs
// that run here, in the order of the programs. The caller closes them.
func (f *viewFlags) peers(ctx context.Context, programs ...string) ([]*peer, error) {
	var out []*peer
	if len(f.sockets) > 0 {
		for _, path := range f.sockets {
			p, err := dial(ctx, path)
			if err != nil {
				closeAll(out)
				return nil, err
			}
			out = append(out, p)
			if !slices.Contains(programs, p.program) {
				closeAll(out)
				return nil, fmt.Errorf("%q is a socket of %q, not of %s", path, p.program, strings.Join(programs, " or "))
			}
		}
		return out, nil
	}
	var closed error
	for _, program := range programs {
		p, err := find(ctx, daemon.RunDir(), program)
		if p != nil {
			out = append(out, p)
		}
		closed = errors.Join(closed, err)
	}
	if len(out) == 0 {
		if closed != nil {
			return nil, fmt.Errorf("a control socket in %s cannot be asked: %w", daemon.RunDir(), closed)
		}
		return nil, fmt.Errorf("%s %w: no pidfile and no control socket of it in %s (set OVN_RUNDIR, or name the socket with --unixctl)",
			strings.Join(programs, " or "), errNoDaemon, daemon.RunDir())
	}
	return out, nil
}

func closeAll(list []*peer) {
	for _, p := range list {
		p.client.Close()
	}
}

// find is the daemon of a program in a run directory, nil if there is none: the
// one that the pidfile names, or else the first whose socket answers. The error is
// of a socket that may be its, and may not be opened.
func find(ctx context.Context, dir, program string) (_ *peer, closed error) {
	var paths []string
	if b, err := os.ReadFile(filepath.Join(dir, program+".pid")); err == nil {
		paths = append(paths, filepath.Join(dir, program+"."+strings.TrimSpace(string(b))+".ctl"))
	}
	if more, err := filepath.Glob(filepath.Join(dir, "*.ctl")); err == nil {
		paths = append(paths, more...)
	}
	for _, path := range paths {
		p, err := dial(ctx, path)
		if errors.Is(err, fs.ErrPermission) && strings.HasPrefix(filepath.Base(path), program+".") {
			closed = err
		}
		if err != nil {
			continue
		}
		if p.program == program {
			return p, nil
		}
		p.client.Close()
	}
	return nil, closed
}

// ask runs a command of a daemon and decodes its answer.
func (p *peer) ask(ctx context.Context, answer control.Answer, command string, args ...string) error {
	out, err := p.client.Call(ctx, command, append([]string{control.FormatArg(control.JSON)}, args...)...)
	var refused *unixctl.CommandError
	if errors.As(err, &refused) {
		return errors.New(strings.TrimSpace(refused.Text)) // it says what is wrong with the question
	}
	if err != nil {
		return fmt.Errorf("%s at %q: %w", p.program, p.path, err)
	}
	if err := json.Unmarshal([]byte(out), answer); err != nil {
		return fmt.Errorf("%s at %q: answer to %s: %w", p.program, p.path, command, err)
	}
	return nil
}

// asking is the context of a command that asks daemons.
func asking(c *cobra.Command) (context.Context, context.CancelFunc) {
	ctx, stop := interruptible(c)
	ctx, cancel := context.WithTimeout(ctx, askTime)
	return ctx, func() { cancel(); stop() }
}

// one asks the first daemon of the programs and prints its answer.
func (f *viewFlags) one(c *cobra.Command, programs []string, answer control.Answer, command string, args ...string) error {
	if err := f.prepare(); err != nil {
		return err
	}
	ctx, cancel := asking(c)
	defer cancel()
	list, err := f.peers(ctx, programs...)
	if err != nil {
		return err
	}
	defer closeAll(list)
	if err := list[0].ask(ctx, answer, command, args...); err != nil {
		return err
	}
	return control.Write(c.OutOrStdout(), f.format, answer)
}
