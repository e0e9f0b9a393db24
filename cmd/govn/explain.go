package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"govn/pkg/daemon"
	"govn/proto/control"
)

// maxAsked is how many cookies go into one question.
const maxAsked = 1000

// maxLine is the longest line that explain takes from its input.
const maxLine = 1 << 20

func runDir() string { return daemon.RunDir() }

// newExplainCommand is "govn explain".
func newExplainCommand() *cobra.Command {
	f := &viewFlags{}
	c := &cobra.Command{
		Use:   "explain COOKIE|FLOW... | -",
		Short: "Say what a flow is for: from its cookie to the objects behind it",
		Long: `Say what a flow is for: the logical flow that it was compiled from (stage,
priority, match, actions) and the northbound objects behind that; several where
flows merge. For flows that a chassis makes itself it says what they are for: a
port, a tunnel, a multicast group, a learned address.

A COOKIE is hexadecimal. A FLOW is a line of ovs-ofctl dump-flows; the datapath
in its match narrows the answer down. With "-" the standard input is copied, and
each cookie in it is explained below its line: "cookie=0x..." of dump-flows as
well as "cookie 0x..." of ofproto/trace.

northd and the controller of this host are both asked, as far as they run here:
northd knows the logical flows, the controller counters and its own flows.
` + socketHelp,
		Example: `  govn explain 0x1f62fff0999558a2
  ovs-ofctl -O OpenFlow15 dump-flows br-int table=9 | govn explain -
  ovs-appctl ofproto/trace br-int in_port=1,dl_src=50:54:00:00:00:01 | govn explain -
  govn explain -t /var/run/ovn/govn-controller.4711.ctl 0x3a0000010000abcd`,
		Args: arguments(1, -1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := f.prepare(); err != nil {
				return err
			}
			ctx, cancel := asking(c)
			defer cancel()
			if slices.Equal(args, []string{"-"}) {
				return f.annotate(ctx, c.InOrStdin(), c.OutOrStdout())
			}
			return f.explain(ctx, c.OutOrStdout(), args)
		},
	}
	f.add(c)
	return c
}

// joined puts the words of flows that the shell took apart together again: a
// word without a cookie belongs to what comes before it.
func joined(args []string) ([]control.Query, error) {
	var texts []string
	for _, a := range args {
		if _, err := control.ParseQuery(a); err != nil && len(texts) > 0 {
			texts[len(texts)-1] += " " + a
			continue
		}
		texts = append(texts, a)
	}
	return control.ParseQueries(texts)
}

func (f *viewFlags) explain(ctx context.Context, w io.Writer, args []string) error {
	queries, err := joined(args)
	if err != nil {
		return err
	}
	got, asked, err := f.origins(ctx, queries)
	if err != nil {
		return err
	}
	if f.format != control.Text || len(got.Origins) > 0 {
		if err := control.Write(w, f.format, got); err != nil {
			return err
		}
	}
	var missing []error
	for _, q := range queries {
		if len(of(got, q)) == 0 {
			missing = append(missing, errors.New(unexplained(q, asked)))
		}
	}
	return errors.Join(missing...)
}

// unexplained says why nothing is said about a cookie.
func unexplained(q control.Query, asked []string) string {
	maker := control.Maker(q.Cookie)
	switch {
	case maker == "":
		return fmt.Sprintf("cookie %#x is not one of govn", q.Cookie)
	case maker != control.Northd && !slices.Contains(asked, programController):
		return fmt.Sprintf("cookie %#x is of a flow that a chassis makes itself (%s): ask there, or name its controller's socket with --unixctl", q.Cookie, maker)
	}
	return fmt.Sprintf("cookie %#x: %s has no flow with it", q.Cookie, strings.Join(asked, " and "))
}

// origins asks all daemons that there are, and puts their answers together.
func (f *viewFlags) origins(ctx context.Context, list []control.Query) (*control.Origins, []string, error) {
	daemons, err := f.peers(ctx, programNorthd, programController)
	if err != nil {
		return nil, nil, err
	}
	defer closeAll(daemons)
	queries := make(map[control.Query]bool)
	for _, q := range list {
		queries[q] = true
	}
	got := &control.Origins{Origins: []control.Origin{}}
	var asked []string
	for _, d := range daemons {
		asked = append(asked, d.program)
		if d.program != programController {
			continue
		}
		here, err := d.explain(ctx, queries)
		if err != nil {
			return nil, nil, err
		}
		nameStages(here)
		for i := range here.Origins {
			if len(f.sockets) > 1 {
				here.Origins[i].Scope = "chassis " + here.Chassis
			}
		}
		got.Chassis, got.Revision = here.Chassis, here.Revision
		got.Origins = append(got.Origins, here.Origins...)
	}
	for _, o := range got.Origins { // those that merged with what was asked for
		if o.Maker != control.Northd {
			continue
		}
		for i := range o.Flows {
			if q, ok := queryOf(&o, &o.Flows[i]); ok {
				queries[q] = true
			}
		}
	}
	for _, d := range daemons {
		if d.program != programNorthd {
			continue
		}
		central, err := d.explain(ctx, queries)
		if err != nil {
			return nil, nil, err
		}
		got.Revision = central.Revision
		got.Origins = append(got.Origins, adopt(got, central)...)
	}
	return got, asked, nil
}

// explain asks a daemon about cookies, a limited number at a time.
func (p *peer) explain(ctx context.Context, queries map[control.Query]bool) (*control.Origins, error) {
	texts := make([]string, 0, len(queries))
	for q := range maps.Keys(queries) {
		texts = append(texts, q.String())
	}
	slices.Sort(texts)
	all := &control.Origins{}
	for part := range slices.Chunk(texts, maxAsked) {
		one := &control.Origins{}
		if err := p.ask(ctx, one, "explain", part...); err != nil {
			return nil, err
		}
		all.Chassis, all.Revision = one.Chassis, one.Revision
		all.Origins = append(all.Origins, one.Origins...)
	}
	return all, nil
}

// of are the origins that answer a query.
func of(got *control.Origins, q control.Query) (out []*control.Origin) {
	for i := range got.Origins {
		o := &got.Origins[i]
		if slices.ContainsFunc(o.Flows, func(f control.Flow) bool {
			have, ok := queryOf(o, &f)
			return ok && q.Matches(have.Cookie, have.Datapath)
		}) {
			out = append(out, o)
		}
	}
	return out
}

// annotate copies text and says below each line with a cookie what that is for.
func (f *viewFlags) annotate(ctx context.Context, r io.Reader, w io.Writer) error {
	var lines []string
	var queries []control.Query
	in := bufio.NewScanner(r)
	in.Buffer(nil, maxLine)
	for in.Scan() {
		lines = append(lines, in.Text())
		if q, ok := cookieIn(in.Text()); ok {
			queries = append(queries, q)
		}
	}
	if err := in.Err(); err != nil {
		return fmt.Errorf("standard input: %w", err)
	}
	got, asked, err := f.origins(ctx, queries)
	if err != nil {
		return err
	}
	if f.format != control.Text {
		return control.Write(w, f.format, got)
	}
	out := bufio.NewWriter(w)
	for _, line := range lines {
		fmt.Fprintln(out, line)
		q, ok := cookieIn(line)
		if !ok || q.Cookie == 0 {
			continue
		}
		depth := len(line) - len(strings.TrimLeft(line, " "))
		indent := strings.Repeat(" ", depth-depth%4+4) + "# "
		found := of(got, q)
		for _, o := range found {
			fmt.Fprintln(out, indent+o.Headline())
			for _, x := range o.Objects {
				fmt.Fprintf(out, "%s  from %s (%s)\n", indent, x, x.UUID)
			}
		}
		if len(found) == 0 {
			fmt.Fprintln(out, indent+unexplained(q, asked))
		}
	}
	return out.Flush()
}

// cookieIn finds a cookie that a line of text names as one.
func cookieIn(line string) (control.Query, bool) {
	if !strings.Contains(line, "cookie") {
		return control.Query{}, false
	}
	q, err := control.ParseQuery(line)
	return q, err == nil
}
