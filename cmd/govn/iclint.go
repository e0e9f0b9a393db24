package main

import (
	"cmp"
	"os"

	"github.com/spf13/cobra"

	"govn/nbctl/icctl"
	"govn/nbctl/idl"
	"govn/pkg/certs"
	"govn/proto/control"
)

// newICLintCommand is "govn ic lint", and with another parent "govn ic-nbctl lint"
// and "govn ic-sbctl lint".
func newICLintCommand() *cobra.Command {
	f := &formatFlags{}
	c := &cobra.Command{
		Use:   "lint",
		Short: "List what the databases of an interconnection have that zones cannot use",
		Long: `List what the databases of an interconnection, govn's or stock ones, have that zones
cannot use as it is: names, addresses, prefixes and next hops that cannot be read;
keys of options that mean nothing; transit switches that name zones which nobody
knows; ports on a transit switch or gateway that is not there, or on another zone's;
two ports of a transit switch with one address; keys of transit switches that a zone
may give to a switch of its own; routes whose next hop is no port of the zone.

The exit status is 0 if there is nothing, 1 if a database cannot be read, 2 if there
is something.`,
		Example: `  govn ic lint
  govn ic-nbctl lint
  govn ic lint --ic-nb-db tcp:192.0.2.1:6645 --ic-sb-db tcp:192.0.2.1:6646 -o json`,
		Args: arguments(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := f.prepare(); err != nil {
				return err
			}
			s, err := load(c)
			if err != nil {
				return err
			}
			files, err := keyFlags(s)
			if err != nil {
				return err
			}
			ctx, cancel := asking(c)
			defer cancel()
			keys := certs.NewLoader(files, silent)
			var dbs []*idl.DB
			for _, o := range []idl.Options{
				{Remotes: cmp.Or(s.str("ic-nb-db"), os.Getenv("OVN_IC_NB_DB"), "unix:"+icSocket("nb")), Database: "OVN_IC_Northbound", Keys: keys},
				{Remotes: cmp.Or(s.str("ic-sb-db"), os.Getenv("OVN_IC_SB_DB"), "unix:"+icSocket("sb")), Database: "OVN_IC_Southbound", Keys: keys},
			} {
				db, err := icctl.Load(ctx, o)
				if err != nil {
					return err
				}
				dbs = append(dbs, db)
			}
			found := problemsOf(icctl.Lint(dbs[0], dbs[1]))
			if err := control.Write(c.OutOrStdout(), f.format, found); err != nil {
				return err
			}
			if len(found.Problems) > 0 {
				return statusProblems
			}
			return nil
		},
	}
	f.add(c)
	c.Flags().String("ic-nb-db", "", "`DB` with OVN_IC_Northbound (default $OVN_IC_NB_DB or unix:"+icSocket("nb")+")")
	c.Flags().String("ic-sb-db", "", "`DB` with OVN_IC_Southbound (default $OVN_IC_SB_DB or unix:"+icSocket("sb")+")")
	addKeyFlags(c)
	return c
}

// problemsOf are findings in the form that is printed.
func problemsOf(findings []icctl.Finding) *control.Problems {
	p := &control.Problems{Problems: []control.Problem{}}
	for _, f := range findings {
		one := control.Problem{
			Object: control.Object{Table: f.Table, Name: f.Name, UUID: f.UUID}, Column: f.Place, Value: f.Value, Reason: f.Reason,
			Effect: map[icctl.Effect]string{icctl.LeftOut: control.LeftOut, icctl.Ambiguous: control.Ambiguous, icctl.Ignored: control.Ignored}[f.Effect],
		}
		if f.Position >= 0 {
			one.Position = &f.Position
		}
		p.Problems = append(p.Problems, one)
	}
	return p
}
