package ctl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"govn/nbctl/idl"
	"govn/pkg/ovsdb"
)

// Unlimited is the Max of a command that takes any number of arguments.
const Unlimited = -1

// errAgain is returned by a command that waits for something to happen.
var errAgain = errors.New("the condition does not hold yet")

// Command is a verb.
type Command struct {
	// Name is the verb. Required.
	Name string
	// Min and Max are how many arguments follow the name.
	Min, Max int
	// Args describes the arguments, for the help.
	Args string
	// Options are the verb's own options, separated by commas: "--name", with
	// "=" when it takes a value, with "?" when it may.
	Options string
	// Needs asks for what Run reads. Optional.
	Needs func(*Context) error
	// Run does the work. Required.
	Run func(*Context) error
	// Post runs after the commit. Optional.
	Post func(*Context) error
	// Outputs are the formats of -o that Run knows beside those of tables.
	Outputs []string
	// Follow prints what happens until ctx ends, instead of a transaction.
	Follow func(ctx context.Context, c *Context, w io.Writer) error
	// Waits says that Run may want to wait for changes.
	Waits bool
}

// option returns the kind of an option: 0 when the command does not have it,
// otherwise ' ', '=' or '?'.
func (c *Command) option(name string) byte {
	for o := range strings.SplitSeq(c.Options, ",") {
		switch {
		case o == "":
		case o == name:
			return ' '
		case o == name+"=":
			return '='
		case o == name+"?":
			return '?'
		}
	}
	return 0
}

// Context is one command of a command line while it runs.
type Context struct {
	// Args are the name of the verb and its arguments.
	Args []string
	// DB is the replica.
	DB *idl.DB
	// Txn is the transaction in progress; nil in Needs.
	Txn *idl.Txn
	// Out is what the command prints.
	Out strings.Builder
	// Table is printed instead, if the command sets it.
	Table *Table

	program *Program
	command *Command
	options map[string]string
	symbols *symbols
	run     *run
	result  *idl.Result
	created idl.UUID
}

// Has tells whether an option was given.
func (c *Context) Has(option string) bool { _, ok := c.options[option]; return ok }

// Option returns the value of an option.
func (c *Context) Option(option string) (string, bool) {
	v, ok := c.options[option]
	return v, ok
}

// Arg returns an argument, "" when it was not given. Argument 0 is the verb.
func (c *Context) Arg(i int) string {
	if i < len(c.Args) {
		return c.Args[i]
	}
	return ""
}

// Printf prints.
func (c *Context) Printf(format string, args ...any) { fmt.Fprintf(&c.Out, format, args...) }

// Warnf prints a warning to the standard error.
func (c *Context) Warnf(format string, args ...any) { c.run.warnf(format, args...) }

// Getenv looks up an environment variable.
func (c *Context) Getenv(name string) string { return c.program.getenv(name) }

// ForceWait makes --wait wait even if nothing was changed.
func (c *Context) ForceWait() { c.run.forceWait = true }

// Waits tells whether --wait was given.
func (c *Context) Waits() bool { return c.run.o.wait != waitNone }

// symbols are the names @name of rows on a command line.
type symbols struct {
	byName map[string]*symbol
	order  []string
}

type symbol struct {
	uuid              idl.UUID
	created           bool
	strong, weak, any bool // how it was used
}

func (s *symbols) get(name string) *symbol {
	if s.byName == nil {
		s.byName = map[string]*symbol{}
	}
	sym := s.byName[name]
	if sym == nil {
		sym = &symbol{uuid: ovsdb.NewUUID()}
		s.byName[name] = sym
		s.order = append(s.order, name)
	}
	return sym
}

// Symbol implements idl.Symbols.
func (s *symbols) Symbol(name string, kind ovsdb.RefType) idl.UUID {
	sym := s.get(name)
	sym.any = true
	sym.strong = sym.strong || kind == ovsdb.RefStrong
	sym.weak = sym.weak || kind == ovsdb.RefWeak
	return sym.uuid
}

// create claims a name for a row that is there or will be.
func (s *symbols) create(name string) (*symbol, error) {
	if !strings.HasPrefix(name, "@") {
		return nil, fmt.Errorf("row id \"%s\" does not begin with \"@\"", name)
	}
	sym := s.get(name)
	if sym.created {
		return nil, fmt.Errorf("row id \"%s\" may only be specified on one --id option", name)
	}
	sym.created = true
	return sym, nil
}

// check verifies, after all commands ran, that names in use were created, and
// warns about rows that will vanish.
func (s *symbols) check(warn func(string, ...any)) error {
	for _, name := range s.order {
		sym := s.byName[name]
		switch {
		case !sym.created:
			return fmt.Errorf("row id \"%s\" is referenced but never created (e.g. with \"-- --id=%s create ...\")", name, name)
		case sym.strong:
		case sym.weak:
			warn("row id \"%s\" was created but only a weak reference to it was inserted, so it will not actually appear in the database", name)
		default:
			warn("row id \"%s\" was created but no reference to it was inserted, so it will not actually appear in the database", name)
		}
	}
	return nil
}
