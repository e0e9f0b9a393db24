package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"govn/ic/agent"
	"govn/pkg/certs"
	"govn/proto/control"
	"govn/proto/ic"
)

// programICAgent is the agent as the command version names it.
const programICAgent = "govn-ic-agent"

// icViewFlags are what the commands take that ask an agent or the centre.
type icViewFlags struct {
	viewFlags
	centre string
}

// icHelp is part of the help of the commands that ask.
const icHelp = `
By default the agent of this host is asked, found as ovs-appctl finds daemons: by
RUNDIR/govn-ic-agent.pid, where RUNDIR is OVN_RUNDIR or /var/run/ovn, or by its
control socket there; --unixctl names a socket. With --ic the centre is asked,
"govn ic server --fabric-listen": of all zones.`

func (f *icViewFlags) add(c *cobra.Command) {
	f.viewFlags.add(c)
	c.Flags().StringVar(&f.centre, "ic", "", "`FABRIC` of the centre to ask instead: tcp:HOST:PORT, ssl:HOST:PORT or unix:PATH")
	addKeyFlags(c)
}

func newICStatusCommand() *cobra.Command {
	f := &icViewFlags{}
	routes := false
	c := &cobra.Command{
		Use:   "status [SWITCH]",
		Short: "Show the links of this zone to others, or how all zones are joined",
		Long: `Show the links of this zone to others: its connections, and for each transit
switch the key, gateways with their tunnels by BFD, ports, how many routes others
are told and how many of theirs are used, and why others are not. With SWITCH, of
that one; with --routes each route by itself.

With --ic the centre tells of all zones: which are alive, who owns them, what they
have, what was refused to them; of transit switches, who may join and who has; and
which prefixes overlap.

The end names what is not as it should be: a connection that is lost, a refusal, a
port on no gateway, a tunnel that is down, a zone that is lost, one prefix in two
zones. What options and filters keep back is none.
` + icHelp + `

The exit status is 0 if all is well, 1 if nobody could be asked, 2 if there are
problems.`,
		Example: `  govn ic status
  govn ic status ts1
  govn ic status --routes ts1
  govn ic status --routes -o json | jq -r '.links[].in[] | select(.status != "used") | [.prefix, .zone, .status] | @tsv'
  govn ic status --ic tcp:192.0.2.1:6648`,
		Args: arguments(0, 1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := f.prepare(); err != nil {
				return err
			}
			if f.centre != "" {
				if routes {
					return errRoutes
				}
				s, err := f.askCentre(c, args)
				if err != nil {
					return err
				}
				return f.print(c, s, len(s.Problems))
			}
			if routes {
				args = append([]string{"--routes"}, args...)
			}
			s := &agent.Status{}
			if err := f.askAgent(c, s, "ic/status", args); err != nil {
				return err
			}
			return f.print(c, s, len(s.Problems))
		},
	}
	f.add(c)
	c.Flags().BoolVar(&routes, "routes", false, "list every route, refusal and conflict, not how many there are")
	return c
}

// errRoutes is returned where the centre is asked for every route.
var errRoutes = errors.New("--routes: the centre counts routes; \"govn ic-sbctl list Route\" lists them")

func newICConflictsCommand() *cobra.Command {
	f := &icViewFlags{}
	c := &cobra.Command{
		Use:   "conflicts [SWITCH]",
		Short: "List prefixes that several zones advertise",
		Long: `List prefixes that several zones advertise on a transit switch, or that lie within
another zone's.

"same" is one prefix of two zones: the route of the zone that was first is used.
"ecmp" is that where both are used: options:govn-ic-route-ecmp asks for it, and
where no centre says who was first, it is what OVN does. "within" is a prefix that
lies in another zone's: both are used, the longer one for what it holds.
` + icHelp + `

The exit status is 0 if there are none, 1 if nobody could be asked, 2 if there are
some.`,
		Example: `  govn ic conflicts
  govn ic conflicts --ic tcp:192.0.2.1:6648 -o json | jq -r '.[] | select(.kind == "same") | .prefix'`,
		Args: arguments(0, 1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := f.prepare(); err != nil {
				return err
			}
			if f.centre != "" {
				s, err := f.askCentre(c, args)
				if err != nil {
					return err
				}
				return f.print(c, control.ICConflicts(s.Conflicts), len(s.Conflicts))
			}
			list := agent.Conflicts{}
			if err := f.askAgent(c, &list, "ic/conflicts", args); err != nil {
				return err
			}
			return f.print(c, list, len(list))
		},
	}
	f.add(c)
	return c
}

// print prints an answer; with problems the command fails.
func (f *icViewFlags) print(c *cobra.Command, a control.Answer, problems int) error {
	if err := control.Write(c.OutOrStdout(), f.format, a); err != nil {
		return err
	}
	if problems > 0 {
		return statusProblems
	}
	return nil
}

func (f *icViewFlags) askAgent(c *cobra.Command, answer control.Answer, command string, args []string) error {
	ctx, cancel := asking(c)
	defer cancel()
	list, err := f.peers(ctx, programICAgent)
	if errors.Is(err, errNoDaemon) {
		return fmt.Errorf("%w; --ic FABRIC asks the centre", err)
	}
	if err != nil {
		return err
	}
	defer closeAll(list)
	return list[0].ask(ctx, answer, command, args...)
}

// askCentre asks the centre for what it knows, of one transit switch if args has
// one.
func (f *icViewFlags) askCentre(c *cobra.Command, args []string) (*control.Interconnection, error) {
	s, err := load(c)
	if err != nil {
		return nil, err
	}
	files, err := keyFlags(s)
	if err != nil {
		return nil, err
	}
	ctx, cancel := asking(c)
	defer cancel()
	reply, err := centreStatus(ctx, f.centre, certs.NewLoader(files, nil))
	if err != nil {
		return nil, err
	}
	answer := interconnectionOf(reply)
	if len(args) > 0 {
		answer.Switches = slices.DeleteFunc(answer.Switches, func(w control.ICSwitch) bool { return w.Name != args[0] })
		answer.Conflicts = slices.DeleteFunc(answer.Conflicts, func(w control.ICConflict) bool { return w.Switch != args[0] })
		if len(answer.Switches) == 0 {
			return nil, fmt.Errorf("there is no transit switch %q", args[0])
		}
	}
	answer.FindProblems()
	return answer, nil
}

// centreStatus asks the centre at a remote.
func centreStatus(ctx context.Context, remote string, keys *certs.Loader) (*ic.StatusReply, error) {
	conn, err := agent.Dial(remote, keys)
	if err != nil {
		return nil, err // it names the remote
	}
	defer conn.Close()
	reply, err := ic.NewInterconnectClient(conn).Status(ctx, &ic.StatusRequest{})
	switch st := status.Convert(err); st.Code() {
	case codes.OK:
		return reply, nil
	case codes.Unimplemented:
		return nil, fmt.Errorf("%s does not tell: it is no centre, or an older one (%s)", remote, st.Message())
	case codes.DeadlineExceeded:
		return nil, fmt.Errorf("%s does not answer", remote)
	default:
		return nil, fmt.Errorf("%s: %s", remote, withoutFrame(st.Message()))
	}
}

// withoutFrame is the message of a failed call without what gRPC says around it.
func withoutFrame(message string) string {
	if _, cause, ok := strings.Cut(message, "Error while dialing: "); ok {
		return strings.TrimSuffix(cause, `"`)
	}
	if _, cause, ok := strings.Cut(message, `desc = "transport: `); ok {
		return strings.TrimSuffix(cause, `"`)
	}
	return message
}

// interconnectionOf is a reply in the form that is printed.
func interconnectionOf(reply *ic.StatusReply) *control.Interconnection {
	s := &control.Interconnection{
		Centre: hex.EncodeToString(reply.Centre), Zones: []control.ICZone{}, Switches: []control.ICSwitch{}, Conflicts: []control.ICConflict{},
	}
	for _, z := range reply.Zones {
		s.Zones = append(s.Zones, control.ICZone{
			Name: z.Name, Row: z.Row, ID: hex.EncodeToString(z.Zone), Owner: z.Owner, Alive: z.Alive, ExpiresMS: z.ExpiresMs,
			Gateways: z.Gateways, Ports: z.Ports, Routes: z.Routes, Refused: z.Refused, Expired: z.Expired,
		})
	}
	for _, w := range reply.Switches {
		s.Switches = append(s.Switches, control.ICSwitch{Name: w.Name, Key: w.Key, Allowed: w.Allowed, Joined: append([]string{}, w.Joined...), Closed: w.Closed})
	}
	for _, k := range reply.Conflicts {
		s.Conflicts = append(s.Conflicts, control.ICConflict{
			Switch: k.Switch, Table: k.Table, Prefix: k.Prefix, Zone: k.Zone, OtherPrefix: k.OtherPrefix, OtherZone: k.OtherZone, Kind: k.Kind,
		})
	}
	return s
}
