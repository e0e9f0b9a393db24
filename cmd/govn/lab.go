package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"govn/sim/lab"
)

// labFlags are what every verb of "govn lab" takes.
type labFlags struct {
	dir, name, control, govn string
	timeout                  time.Duration
	verbose                  bool
}

func (f *labFlags) open(file string, out io.Writer) (*lab.Lab, error) {
	cfg, err := lab.Load(file)
	if err != nil {
		return nil, err
	}
	switch c := lab.Control(f.control); c {
	case "", lab.ControlGovn, lab.ControlStock:
	default:
		return nil, fmt.Errorf("--control %q is neither govn nor stock", f.control)
	}
	o := lab.Options{Name: f.name, Dir: f.dir, Control: lab.Control(f.control), Govn: f.govn, Timeout: f.timeout}
	if f.verbose {
		o.Logger = slog.New(slog.NewTextHandler(out, nil))
	}
	return lab.New(cfg, o)
}

// newLabCommand is "govn lab": networks of real hypervisors on this machine.
func newLabCommand() *cobra.Command {
	f := &labFlags{}
	c := &cobra.Command{
		Use:   "lab",
		Short: "Build networks of hypervisors with real Open vSwitch on this machine",
		Long: `Build networks of hypervisors with real Open vSwitch on this machine.

FILE is a lab file in YAML: chassis, workloads and the topology; docs/lab.md
explains it and docs/examples has some. Each hypervisor and each workload
becomes a network namespace. Labs need root, but no kernel module.`,
		Example: `  govn lab up docs/examples/two-hypervisors.yaml
  govn lab exec docs/examples/two-hypervisors.yaml vm1 ping -c 3 10.0.0.12
  govn lab capture docs/examples/two-hypervisors.yaml hv1 underlay -c 4 -e -vv udp port 6081
  govn lab down docs/examples/two-hypervisors.yaml`,
	}
	p := c.PersistentFlags()
	p.StringVar(&f.dir, "dir", "", "run directory of the lab (default "+lab.DefaultRoot+"/NAME)")
	p.StringVar(&f.name, "name", "", "another name than the file's: the same file can be up twice, with other networks")
	p.StringVar(&f.control, "control", "", "another control plane than the file's: govn or stock")
	p.StringVar(&f.govn, "govn", "", "govn binary that runs the daemons (default this one)")
	p.DurationVar(&f.timeout, "timeout", time.Minute, "how long to wait for ports to come up")
	p.BoolVarP(&f.verbose, "verbose", "v", false, "log progress")
	f.completeFlags(c)
	c.AddCommand(newLabUp(f), newLabStatus(f), newLabExec(f), newLabCapture(f), newLabDown(f))
	return group(c)
}

// completeFlags completes the options of all verbs.
func (f *labFlags) completeFlags(c *cobra.Command) {
	// It fails only for a flag that is not there.
	_ = c.RegisterFlagCompletionFunc("control", cobra.FixedCompletions([]string{string(lab.ControlGovn), string(lab.ControlStock)}, cobra.ShellCompDirectiveNoFileComp))
}

// completeNode completes FILE NODE, and then files.
func (f *labFlags) completeNode(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) != 1 {
		return nil, cobra.ShellCompDirectiveDefault
	}
	l, err := f.open(args[0], io.Discard)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return l.Nodes(), cobra.ShellCompDirectiveNoFileComp
}

// interruptible is a context that SIGINT and SIGTERM end, so that an
// interrupted "up" cleans up after itself.
func interruptible(c *cobra.Command) (context.Context, context.CancelFunc) {
	ctx := c.Context()
	if ctx == nil {
		ctx = context.Background()
	}
	return signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
}

func newLabUp(f *labFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "up FILE",
		Short: "Build a lab and wait until its ports are up",
		Args:  arguments(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			l, err := f.open(args[0], c.ErrOrStderr())
			if err != nil {
				return err
			}
			ctx, stop := interruptible(c)
			defer stop()
			start := time.Now()
			if err := l.Up(ctx); err != nil {
				if errors.Is(err, lab.ErrExists) {
					return fmt.Errorf("%w (see \"govn lab status %s\", or take it down first)", err, args[0])
				}
				return err
			}
			out := c.OutOrStdout()
			cfg := l.Config()
			fmt.Fprintf(out, "lab %q is up (control: %s, %.1f s)\n\n", cfg.Name, cfg.Control, time.Since(start).Seconds())
			printZones(out, cfg, true)
			fmt.Fprintf(out, "\nfiles, logs and sockets: %s\n\ntry:\n", l.Dir())
			for _, line := range l.Try(f.again() + args[0]) {
				fmt.Fprintf(out, "  %s\n", line)
			}
			return nil
		},
	}
}

// printZones prints the zones of a lab that is up, their chassis, with the kinds of
// their datapaths where those are real, and what is on them.
func printZones(out io.Writer, cfg *lab.Config, real bool) {
	for _, z := range cfg.AllZones() {
		if z.Name != "" {
			fmt.Fprintf(out, "zone %s (control: %s", z.Name, z.Control)
			if cfg.IC != nil {
				fmt.Fprintf(out, ", agent: %s", z.Agent)
			}
			fmt.Fprintln(out, ")")
		}
		for _, ch := range cfg.ChassisOf(z.Name) {
			kind := ""
			if real {
				kind = string(ch.Datapath) + " datapath, "
			}
			fmt.Fprintf(out, "  %-12s chassis, %stunnels from %v\n", ch.Name, kind, ch.EncapIP)
			for _, w := range cfg.WorkloadsOf(z.Name) {
				if w.Chassis == ch.Name {
					fmt.Fprintf(out, "    %-10s port %s  %s  %s\n", w.Name, w.Port, w.MAC, joinAny(w.IPs))
				}
			}
		}
	}
}

// again repeats the options that later commands on the same lab need.
func (f *labFlags) again() string {
	s := ""
	if f.name != "" {
		s += "--name " + f.name + " "
	}
	if f.dir != "" {
		s += "--dir " + f.dir + " "
	}
	return s
}

func joinAny[T any](list []T) string {
	words := make([]string, len(list))
	for i, v := range list {
		words[i] = fmt.Sprint(v)
	}
	return strings.Join(words, " ")
}

func newLabStatus(f *labFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "status FILE",
		Short: "Show the nodes of a lab and their daemons",
		Args:  arguments(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			l, err := f.open(args[0], c.ErrOrStderr())
			if err != nil {
				return err
			}
			st, err := l.Status()
			if err != nil {
				return err
			}
			out := c.OutOrStdout()
			if len(st.Nodes) == 0 {
				fmt.Fprintf(out, "lab %q is not up\n", st.Name)
				return nil
			}
			switch {
			case st.Up.IsZero():
				fmt.Fprintf(out, "lab %q is incomplete: it is being built, or that was interrupted\n", st.Name)
			default:
				fmt.Fprintf(out, "lab %q: up since %s, control %s, files in %s\n", st.Name, st.Up.Format(time.DateTime), st.Control, st.Dir)
			}
			w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
			fmt.Fprintln(w, "NODE\tKIND\tSTATE\tDAEMONS (PID, MB)\tDETAIL")
			for _, n := range st.Nodes {
				var daemons []string
				for _, d := range n.Daemons {
					if d.Pid == 0 {
						daemons = append(daemons, d.Name+" is down")
					} else {
						daemons = append(daemons, fmt.Sprintf("%s %d %d", d.Name, d.Pid, d.RSS/1024))
					}
				}
				state := "ok"
				if !n.OK {
					state = "broken"
				}
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", n.Node, n.Kind, state, strings.Join(daemons, ", "), n.Detail)
			}
			return w.Flush()
		},
	}
}

// attached runs a program of a lab on the terminal of this one.
func attached(c *cobra.Command, cmd *exec.Cmd) error {
	cmd.Stdin, cmd.Stdout, cmd.Stderr = c.InOrStdin(), c.OutOrStdout(), c.ErrOrStderr()
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		if ws, ok := exit.Sys().(syscall.WaitStatus); ok && ws.Signaled() && (ws.Signal() == syscall.SIGINT || ws.Signal() == syscall.SIGTERM) {
			return nil
		}
	}
	return err
}

func newLabExec(f *labFlags) *cobra.Command {
	c := &cobra.Command{
		Use:   "exec FILE NODE PROGRAM [ARG...]",
		Short: "Run a program on a workload, a hypervisor, \"central\" or a zone, \"ic\" or \"fabric\"",
		Long: `Run a program on a node: a workload, a hypervisor, "central" (with zones, the zone's
name), "ic" (what joins zones) or "fabric" (the networks between them). OVN_NB_DB,
OVN_SB_DB, OVN_IC_NB_DB, OVN_IC_SB_DB and OVS_RUNDIR are set for the node. The exit
status is the program's.`,
		Example: `  govn lab exec docs/examples/two-hypervisors.yaml vm1 ping -c 3 10.0.0.12
  govn lab exec docs/examples/two-hypervisors.yaml central ovn-nbctl show
  govn lab exec docs/examples/two-hypervisors.yaml hv1 govn flows --drops`,
		ValidArgsFunction: f.completeNode,
		Args:              arguments(3, -1),
		RunE: func(c *cobra.Command, args []string) error {
			l, err := f.open(args[0], c.ErrOrStderr())
			if err != nil {
				return err
			}
			ctx, stop := interruptible(c)
			defer stop()
			cmd, err := l.Command(ctx, args[1], args[2:]...)
			if err != nil {
				return err
			}
			return attached(c, cmd)
		},
	}
	c.Flags().SetInterspersed(false)
	return c
}

func newLabCapture(f *labFlags) *cobra.Command {
	c := &cobra.Command{
		Use:   "capture FILE NODE [INTERFACE [TCPDUMP-ARG...]]",
		Short: "Show the packets on an interface of a node",
		Long: `Show the packets on an interface of a node, by tcpdump.

INTERFACE is one in the node's namespace, or "underlay": the link of a
hypervisor to the others, where packets are in tunnels. Without it the link
of a hypervisor or eth0 of a workload is meant. What follows goes to tcpdump;
-vv decodes the Geneve option.`,
		ValidArgsFunction: f.completeNode,
		Args:              arguments(2, -1),
		RunE: func(c *cobra.Command, args []string) error {
			l, err := f.open(args[0], c.ErrOrStderr())
			if err != nil {
				return err
			}
			ctx, stop := interruptible(c)
			defer stop()
			ifname, rest := "", args[2:]
			if len(rest) > 0 && !strings.HasPrefix(rest[0], "-") {
				ifname, rest = rest[0], rest[1:]
			}
			cmd, err := l.CaptureCommand(ctx, args[1], ifname, rest...)
			if err != nil {
				return err
			}
			return attached(c, cmd)
		},
	}
	c.Flags().SetInterspersed(false)
	return c
}

func newLabDown(f *labFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "down FILE",
		Short: "Remove a lab with all its processes and namespaces",
		Args:  arguments(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			l, err := f.open(args[0], c.ErrOrStderr())
			if err != nil {
				return err
			}
			ctx, stop := interruptible(c)
			defer stop()
			if err := l.Down(ctx); err != nil {
				return err
			}
			fmt.Fprintf(c.OutOrStdout(), "lab %q is down\n", l.Config().Name)
			return nil
		},
	}
}
