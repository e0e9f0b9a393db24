package ctl

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"govn/nbctl/idl"
	"govn/pkg/certs"
	"govn/pkg/northbound"
)

// Program is a command line for one database.
type Program struct {
	// Name is what messages begin with: govn nbctl.
	Name string
	// Summary is the line of the help that says what the program is for.
	Summary string
	// Database is the name of the database.
	Database string
	// DBEnv and OptionsEnv are the variables with the default of --db and with
	// more options.
	DBEnv, OptionsEnv string
	// DaemonEnv is the variable with the control socket of a daemon.
	DaemonEnv string
	// Socket is the name of the default socket in the run directory.
	Socket string
	// Singleton is the table with one row that the programs of this database
	// create when it is missing; "" for none.
	Singleton string
	// Waits says that --wait=sb|hv is there; it needs the Singleton NB_Global.
	Waits bool
	// Plain says that the stock program has neither a daemon nor --wait nor a
	// choice of the order of remotes, as those of the interconnection.
	Plain bool
	// Check finds what is wrong with the values of a row before they are sent.
	// Optional.
	Check func(table string, row northbound.Row) []northbound.Fault
	// Commands are the verbs beside the generic ones.
	Commands []Command
	// NotYet are verbs of the stock program that are not there, and why.
	NotYet map[string]string
	// Apart are commands that are no verbs, since they do not ask the database: they
	// stand first, without options of the program before them.
	Apart []string
	// Identities are the ways to name rows, by table.
	Identities map[string][]Identity
	// Objects are the tables of the objects that the placeholders of Args stand
	// for, for completion. "lrp:PORT" is PORT of verbs that begin with lrp-.
	Objects map[string]string
	// Version is printed by --version. Optional.
	Version string
	// Getenv looks up environment variables; nil: os.Getenv.
	Getenv func(string) string
}

// All are the verbs of the program, the generic ones included.
func (p *Program) All() []Command { return slices.Concat(p.Commands, generic) }

func (p *Program) command(name string) *Command {
	all := p.All()
	for i := range all {
		if all[i].Name == name {
			return &all[i]
		}
	}
	return nil
}

func (p *Program) getenv(name string) string {
	if p.Getenv != nil {
		return p.Getenv(name)
	}
	return os.Getenv(name)
}

// remotes is the default of --db.
func (p *Program) remotes() string {
	if s := p.getenv(p.DBEnv); s != "" {
		return s
	}
	dir := p.getenv("OVN_RUNDIR")
	if dir == "" {
		dir = "/var/run/ovn"
	}
	return "unix:" + filepath.Join(dir, p.Socket)
}

// Status values of Run.
const (
	statusError   = 1
	statusTimeout = 142 // of a process that dies of SIGALRM, in a shell
)

// errTimeout is the cause of a context that ended because of --timeout.
var errTimeout = errors.New("terminating with signal 14 (Alarm clock)")

// run is one run of a command line.
type run struct {
	p         *Program
	o         settings
	db        *idl.DB
	commands  []*Context
	stdout    io.Writer
	stderr    io.Writer
	start     time.Time
	forceWait bool
	warnings  []string
}

// Run runs a command line and returns the exit status.
func (p *Program) Run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	r := &run{p: p, stdout: stdout, stderr: stderr, start: time.Now()}
	err := r.run(ctx, args)
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errTimeout):
		fmt.Fprintf(stderr, "%s: %v\n", p.Name, errTimeout)
		return statusTimeout
	}
	fmt.Fprintf(stderr, "%s: %v\n", p.Name, err)
	return statusError
}

// parse reads a command line. rest is what follows the options, local those of
// them that are the first command's.
func (r *run) parse(args []string) (local []localOption, rest []string, err error) {
	p := r.p
	r.o = settings{style: Style{Format: "list", Data: "string"}}
	if more := p.getenv(p.OptionsEnv); more != "" {
		if _, rest, err := p.parseOptions(&r.o, strings.Fields(more)); err != nil {
			return nil, nil, fmt.Errorf("%s: %w", p.OptionsEnv, err)
		} else if len(rest) > 0 {
			return nil, nil, fmt.Errorf("%s: non-option argument '%s'", p.OptionsEnv, rest[0])
		}
	}
	if local, rest, err = p.parseOptions(&r.o, args); err != nil {
		return nil, nil, err
	}
	rest, err = r.trailingOutput(rest)
	if r.o.db == "" {
		r.o.db = p.remotes()
	}
	return local, rest, err
}

func (r *run) run(ctx context.Context, args []string) error {
	local, rest, err := r.parse(args)
	switch {
	case err != nil:
		return err
	case r.o.show != "":
		r.show()
		return nil
	case r.o.detach:
		if len(rest) > 0 || len(local) > 0 {
			return errors.New("non-option arguments not supported with --detach (use --help for help)")
		}
		return r.serve()
	}
	if path := r.socket(); path != "" && r.o.output == "" && !r.follows(rest) {
		return r.delegate(ctx, path, local, rest)
	}
	if r.commands, err = r.p.parseCommands(local, rest); err != nil {
		return err
	}
	if err := r.checkOutput(); err != nil {
		return err
	}
	return r.connectAndExecute(ctx)
}

// follows tells whether the first command prints until it is interrupted, which
// a daemon cannot do for others.
func (r *run) follows(rest []string) bool {
	if len(rest) == 0 {
		return false
	}
	c := r.p.command(rest[0])
	return c != nil && c.Follow != nil
}

// connectAndExecute runs the commands.
func (r *run) connectAndExecute(ctx context.Context) error {
	if r.o.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, r.o.timeout, errTimeout)
		defer cancel()
	}
	close, err := r.open(ctx)
	if err != nil {
		return timedOut(ctx, err)
	}
	defer close()
	return timedOut(ctx, r.execute(ctx))
}

// timedOut names the timeout as the reason of errors that it caused.
func timedOut(ctx context.Context, err error) error {
	if err != nil && errors.Is(context.Cause(ctx), errTimeout) {
		return errTimeout
	}
	if err != nil && errors.Is(err, context.DeadlineExceeded) {
		return errTimeout
	}
	return err
}

// open connects.
func (r *run) open(ctx context.Context) (close func() error, err error) {
	o := idl.Options{
		Remotes: r.o.db, Database: r.p.Database, LeaderOnly: !r.o.anyMember, Shuffle: !r.o.keepOrder, Keys: certs.NewLoader(r.o.keys, slog.New(slog.DiscardHandler)),
	}
	if r.o.trace {
		o.Trace = func(direction string, message []byte) {
			fmt.Fprintf(r.stderr, "%s: %s %s\n", r.p.Name, direction, bytes.TrimSpace(message))
		}
	}
	conn, err := idl.Dial(ctx, o)
	if err != nil {
		return nil, err
	}
	r.db = idl.NewDB(conn)
	return conn.Close, nil
}

// load asks all commands what they need and fetches it.
func (r *run) load(ctx context.Context) error {
	if r.p.Singleton != "" {
		r.db.Need(r.p.Singleton)
		if r.o.wait != waitNone {
			r.db.Need(r.p.Singleton, "nb_cfg", "nb_cfg_timestamp", "sb_cfg", "sb_cfg_timestamp", "hv_cfg", "hv_cfg_timestamp")
		}
	}
	watch := r.o.wait != waitNone || r.commands[0].command.Follow != nil
	for _, c := range r.commands {
		watch = watch || c.command.Waits
		c.DB, c.run = r.db, r
		if c.command.Needs != nil {
			if err := c.command.Needs(c); err != nil {
				return err
			}
		}
	}
	return r.db.Load(ctx, watch)
}

func (r *run) execute(ctx context.Context) error {
	if err := r.load(ctx); err != nil {
		return err
	}
	if follow := r.commands[0].command.Follow; follow != nil {
		if len(r.commands) > 1 {
			return fmt.Errorf("'%s' has to be the only command", r.commands[0].command.Name)
		}
		return follow(ctx, r.commands[0], r.stdout)
	}
	var result *idl.Result
	for {
		txn, err := r.attempt()
		if err == nil {
			result, err = txn.Commit(ctx)
		}
		switch {
		case err == nil:
		case errors.Is(err, errAgain), errors.Is(err, idl.ErrTryAgain):
			if err := r.db.Wait(ctx); err != nil {
				return err
			}
			continue
		default:
			r.warn()
			return err
		}
		break
	}
	for _, c := range r.commands {
		c.result = result
		if c.command.Post != nil {
			if err := c.command.Post(c); err != nil {
				return err
			}
		}
	}
	r.warn()
	if err := r.print(); err != nil {
		return err
	}
	if r.o.wait == waitNone || r.o.dryRun || result.Incremented == 0 {
		return nil
	}
	return r.waitFor(ctx, result.Incremented)
}

// warn prints the warnings of the last attempt.
func (r *run) warn() {
	for _, w := range r.warnings {
		fmt.Fprintf(r.stderr, "%s: warning: %s\n", r.p.Name, w)
	}
	r.warnings = nil
}

// attempt runs the commands once, as one transaction.
func (r *run) attempt() (*idl.Txn, error) {
	txn := r.db.Begin()
	txn.DryRun = r.o.dryRun
	txn.Comment = r.comment()
	r.forceWait, r.warnings = false, nil
	var global *idl.Row
	if r.p.Singleton != "" {
		if global = r.db.First(r.p.Singleton); global == nil {
			global = txn.Insert(r.p.Singleton)
		}
	}
	names := &symbols{}
	for _, c := range r.commands {
		c.Txn, c.symbols, c.Table, c.created = txn, names, nil, idl.UUID{}
		c.Out.Reset()
		if err := c.command.Run(c); err != nil {
			return nil, err
		}
		if err := r.db.Err(); err != nil {
			return nil, err
		}
	}
	if err := names.check(r.warnf); err != nil {
		return nil, err
	}
	r.check(txn)
	if r.o.wait != waitNone && global != nil {
		txn.Increment(global, "nb_cfg", r.forceWait)
	}
	return txn, nil
}

// comment is the command line for the server's log.
func (r *run) comment() string {
	var b strings.Builder
	b.WriteString(strings.ReplaceAll(r.p.Name, " ", "-") + ":")
	for i, c := range r.commands {
		if i > 0 {
			b.WriteString(" --")
		}
		for name, value := range c.options {
			b.WriteString(" " + name)
			if value != "" {
				b.WriteString("=" + value)
			}
		}
		for _, a := range c.Args {
			b.WriteString(" " + a)
		}
	}
	return b.String()
}

func (r *run) warnf(format string, args ...any) {
	r.warnings = append(r.warnings, fmt.Sprintf(format, args...))
}

var onelineEscapes = strings.NewReplacer("\\", `\\`, "\n", `\n`)

// print prints the output of all commands.
func (r *run) print() error {
	var b strings.Builder
	tables := 0
	for _, c := range r.commands {
		switch {
		case c.Table != nil && r.o.output != "":
			s, err := c.Table.renderAs(r.o.output, r.o.style, tables == 0)
			if err != nil {
				return err
			}
			b.WriteString(s)
			tables++
		case c.Table != nil:
			b.WriteString(c.Table.Render(r.o.style, tables == 0))
			tables++
		case r.o.oneline:
			onelineEscapes.WriteString(&b, strings.TrimSuffix(c.Out.String(), "\n"))
			b.WriteByte('\n')
		default:
			b.WriteString(c.Out.String())
		}
	}
	_, err := io.WriteString(r.stdout, b.String())
	return err
}

// waitFor waits until the southbound database, or all chassis, have caught up
// with the value of nb_cfg.
func (r *run) waitFor(ctx context.Context, nbCfg int64) error {
	column := "sb_cfg"
	if r.o.wait == waitHV {
		column = "hv_cfg"
	}
	r.db.Begin()
	for {
		global := r.db.First(r.p.Singleton)
		if global == nil {
			return fmt.Errorf("the row of %s went away", r.p.Singleton)
		}
		if global.Int(column) >= nbCfg {
			r.printWaitTime(global, nbCfg)
			return nil
		}
		if err := r.db.Wait(ctx); err != nil {
			return err
		}
	}
}

func (r *run) printWaitTime(global *idl.Row, nbCfg int64) {
	if !r.o.printWaitTime {
		return
	}
	since := func(column string) int64 { return global.Int(column) - r.start.UnixMilli() }
	fmt.Fprintf(r.stdout, "Time spent on processing nb_cfg %d:\n", nbCfg)
	fmt.Fprintf(r.stdout, "\tovn-northd delay before processing:\t%dms\n", since("nb_cfg_timestamp"))
	fmt.Fprintf(r.stdout, "\tovn-northd completion:\t\t\t%dms\n", since("sb_cfg_timestamp"))
	if r.o.wait == waitHV {
		fmt.Fprintf(r.stdout, "\tovn-controller(s) completion:\t\t%dms\n", since("hv_cfg_timestamp"))
	}
}
