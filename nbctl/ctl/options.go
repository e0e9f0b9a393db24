package ctl

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"govn/pkg/certs"
)

// How long --wait waits.
const (
	waitNone = iota
	waitSB
	waitHV
)

// settings are the options of a command line as a whole.
type settings struct {
	db            string
	style         Style
	wait          int
	printWaitTime bool
	timeout       time.Duration // 0: for ever
	dryRun        bool
	oneline       bool
	anyMember     bool // also of a cluster that are not its leader
	keepOrder     bool // of remotes
	trace         bool
	keys          certs.Files
	dbGiven       bool
	// Of daemons: to become one, files, who runs it, and the options that a
	// client hands on. forClient: this is a daemon, and the options a client's.
	detach, forClient               bool
	unixctl, pidfile, logFile, user string
	remote                          []localOption
	// output is the format of -o, "" without.
	output string
	// show is what to print instead of running commands: help, version,
	// commands or options; "" otherwise.
	show string
}

// globals are the long options with their kind: ' ' without, '=' with and '?'
// with an optional value.
var globals = map[string]byte{
	"db": '=', "no-syslog": ' ', "no-wait": ' ', "wait": '=', "print-wait-time": ' ', "dry-run": ' ', "oneline": ' ',
	"timeout": '=', "leader-only": ' ', "no-leader-only": ' ', "shuffle-remotes": ' ', "no-shuffle-remotes": ' ',
	"format": '=', "data": '=', "no-headings": ' ', "pretty": ' ', "bare": ' ', "max-column-width": '=', "output": '=',
	"verbose": '?', "log-file": '?', "syslog-method": '=', "syslog-target": '=',
	"private-key": '=', "certificate": '=', "ca-cert": '=', "bootstrap-ca-cert": '=', "ssl-protocols": '=', "ssl-ciphers": '=',
	"help": ' ', "version": ' ', "commands": ' ', "options": ' ',
	"detach": ' ', "monitor": ' ', "no-chdir": ' ', "pidfile": '?', "overwrite-pidfile": ' ', "user": '=', "no-self-confinement": ' ', "unixctl": '=',
}

// defaultFile stands for the usual place of a file.
const defaultFile = "-"

// shorts are the short options.
var shorts = map[byte]string{
	'h': "help", 'V': "version", 't': "timeout", 'v': "verbose", 'f': "format", 'd': "data",
	'p': "private-key", 'c': "certificate", 'C': "ca-cert", 'u': "unixctl", 'o': "output",
}

// notPlain are the options that plain programs do not have.
var notPlain = []string{
	"no-wait", "wait", "print-wait-time", "shuffle-remotes", "no-shuffle-remotes",
	"detach", "monitor", "no-chdir", "pidfile", "overwrite-pidfile", "user", "no-self-confinement", "unixctl",
}

// global returns the kind of an option of the command line as a whole.
func (p *Program) global(name string) (kind byte, ok bool) {
	if p.Plain && slices.Contains(notPlain, name) {
		return 0, false
	}
	kind, ok = globals[name]
	return kind, ok
}

// globalNames are the options of the command line as a whole, in order.
func (p *Program) globalNames() []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(globals)), func(name string) bool { _, ok := p.global(name); return !ok })
}

// short returns the long name of a short option.
func (p *Program) short(c byte) (name string, ok bool) {
	if name, ok = shorts[c]; ok {
		_, ok = p.global(name)
	}
	return name, ok
}

// localOption is an option of the first command.
type localOption struct {
	name, value string
	given       bool // whether with a value
}

// parseOptions reads the options before the first command. Options that are of
// a command are returned for the first one.
func (p *Program) parseOptions(s *settings, args []string) (local []localOption, rest []string, err error) {
	kinds := p.optionKinds()
	for len(args) > 0 {
		arg := args[0]
		if arg == "--" {
			return local, args[1:], nil
		}
		if len(arg) < 2 || arg[0] != '-' {
			break
		}
		args = args[1:]
		if arg[1] != '-' {
			if args, err = p.shortOptions(s, arg, args); err != nil {
				return nil, nil, err
			}
			continue
		}
		name, value, given := strings.Cut(arg[2:], "=")
		if name, err = p.matchOption(kinds, name, arg); err != nil {
			return nil, nil, err
		}
		switch kind := kinds[name]; {
		case given && kind == ' ':
			return nil, nil, fmt.Errorf("option '%s' doesn't allow an argument", choose(p.Plain, "--"+name, arg))
		case !given && kind == '=':
			if len(args) == 0 {
				return nil, nil, fmt.Errorf("option '--%s' requires an argument", name)
			}
			value, args = args[0], args[1:]
		}
		if _, global := p.global(name); !global || s.forClient && !slices.Contains(remoteOptions, name) {
			if global {
				return nil, nil, fmt.Errorf("unrecognized option '%s'", arg)
			}
			local = append(local, localOption{"--" + name, value, given || kinds[name] == '='})
		} else if err := p.apply(s, name, value); err != nil {
			return nil, nil, err
		}
	}
	return local, args, nil
}

// optionKinds are the options of the command line and of all commands.
func (p *Program) optionKinds() map[string]byte {
	kinds := map[string]byte{}
	for _, c := range p.All() {
		for o := range strings.SplitSeq(c.Options, ",") {
			if o == "" {
				continue
			}
			name, kind := strings.TrimPrefix(o, "--"), byte(' ')
			if last := name[len(name)-1]; last == '=' || last == '?' {
				name, kind = name[:len(name)-1], last
			}
			kinds[name] = kind
		}
	}
	for _, name := range p.globalNames() {
		kinds[name] = globals[name]
	}
	return kinds
}

// matchOption completes the name of an abbreviated option. arg is the whole
// argument, for messages.
func (p *Program) matchOption(kinds map[string]byte, name, arg string) (string, error) {
	if _, ok := kinds[name]; ok {
		return name, nil
	}
	var found []string
	for k := range kinds {
		if strings.HasPrefix(k, name) {
			found = append(found, k)
		}
	}
	slices.Sort(found)
	switch len(found) {
	case 0:
		return "", fmt.Errorf("unrecognized option '%s'", arg)
	case 1:
		return found[0], nil
	}
	if p.Plain {
		return "", fmt.Errorf("option '%s' is ambiguous; possibilities: '--%s'", arg, strings.Join(found, "' '--"))
	}
	return "", fmt.Errorf("option '--%s' is ambiguous: --%s", name, strings.Join(found, ", --"))
}

// shortOptions reads one argument of short options, which may take the next.
func (p *Program) shortOptions(s *settings, arg string, args []string) ([]string, error) {
	for i := 1; i < len(arg); i++ {
		name, ok := p.short(arg[i])
		if !ok {
			if p.Plain {
				return nil, fmt.Errorf("invalid option -- '%c'", arg[i])
			}
			return nil, fmt.Errorf("unrecognized option '%c'", arg[i])
		}
		value := ""
		if kind := globals[name]; kind != ' ' {
			value = arg[i+1:]
			i = len(arg)
			if value == "" && kind == '=' {
				if len(args) == 0 && p.Plain {
					return nil, fmt.Errorf("option requires an argument -- '%c'", arg[len(arg)-1])
				} else if len(args) == 0 {
					return nil, fmt.Errorf("option '-%c' requires an argument", arg[len(arg)-1])
				}
				value, args = args[0], args[1:]
			}
		}
		if err := p.apply(s, name, value); err != nil {
			return nil, err
		}
	}
	return args, nil
}

// apply sets an option of the command line.
func (p *Program) apply(s *settings, name, value string) error {
	if slices.Contains(remoteOptions, name) && name != "timeout" {
		s.remote = append(s.remote, localOption{name, value, globals[name] == '='})
	}
	switch name {
	case "db":
		s.db, s.dbGiven = value, true
	case "no-wait", "wait", "print-wait-time":
		if !p.Waits {
			return fmt.Errorf("--%s not supported", name)
		}
		if name == "print-wait-time" {
			s.printWaitTime = true
			return nil
		}
		switch value {
		case "none", "":
			s.wait = waitNone
		case "sb":
			s.wait = waitSB
		case "hv":
			s.wait = waitHV
		default:
			return errors.New(`argument to --wait must be "none", "sb", or "hv"`)
		}
	case "timeout":
		n, err := strconv.ParseUint(value, 10, 32)
		if err != nil {
			return fmt.Errorf("value %s on -t or --timeout is invalid", value)
		}
		s.timeout = time.Duration(n) * time.Second
	case "dry-run":
		s.dryRun = true
	case "oneline":
		s.oneline = true
	case "leader-only", "no-leader-only":
		s.anyMember = name == "no-leader-only"
	case "shuffle-remotes", "no-shuffle-remotes":
		s.keepOrder = name == "no-shuffle-remotes"
	case "format":
		if !slices.Contains(Formats, value) {
			return fmt.Errorf("unknown output format \"%s\"", value)
		}
		s.style.Format = value
	case "data":
		if !slices.Contains(Data, value) {
			return fmt.Errorf("unknown data format \"%s\"", value)
		}
		s.style.Data = value
	case "no-headings":
		s.style.NoHeadings = true
	case "pretty":
		s.style.Pretty = true
	case "output":
		s.output = value
	case "max-column-width":
		s.style.MaxWidth, _ = strconv.Atoi(value) // what is no number is no limit, as in ovn-nbctl
	case "bare":
		s.style = Style{Format: "list", Data: "bare", NoHeadings: true, Pretty: s.style.Pretty, MaxWidth: s.style.MaxWidth}
	case "verbose":
		s.trace = s.trace || value == "" || strings.Contains(value, "dbg")
	case "private-key":
		s.keys.PrivateKey = value
	case "certificate":
		s.keys.Certificate = value
	case "ca-cert", "bootstrap-ca-cert":
		s.keys.CACert, s.keys.BootstrapCA = value, name == "bootstrap-ca-cert"
	case "ssl-protocols":
		s.keys.Protocols = value
	case "ssl-ciphers":
		s.keys.Ciphers = value
	case "detach":
		s.detach = true
	case "unixctl":
		s.unixctl = value
	case "pidfile":
		s.pidfile = cmp.Or(value, defaultFile)
	case "log-file":
		s.logFile = cmp.Or(value, defaultFile)
	case "user":
		s.user = value
	case "help", "version", "commands", "options":
		s.show = name
	}
	return nil // the rest has no meaning here
}

// parseCommands splits the command line at "--" and reads each command's name,
// options and number of arguments. local are the options of the first.
func (p *Program) parseCommands(local []localOption, args []string) ([]*Context, error) {
	var out []*Context
	for {
		end := slices.Index(args, "--")
		part := args
		if end >= 0 {
			part = args[:end]
		}
		if len(part) > 0 || len(local) > 0 {
			c, err := p.parseCommand(local, part)
			if err != nil {
				return nil, err
			}
			out = append(out, c)
			local = nil
		}
		if end < 0 {
			break
		}
		args = args[end+1:]
	}
	if len(out) == 0 {
		return nil, errors.New("missing command name (use --help for help)")
	}
	return out, nil
}

func (p *Program) parseCommand(local []localOption, args []string) (*Context, error) {
	c := &Context{program: p, options: map[string]string{}}
	given := map[string]bool{} // whether with a value
	set := func(name, value string, withValue bool) error {
		if _, twice := c.options[name]; twice {
			return fmt.Errorf("'%s' option specified multiple times", name)
		}
		c.options[name], given[name] = value, withValue
		return nil
	}
	for _, o := range local {
		if err := set(o.name, o.value, o.given); err != nil {
			return nil, err
		}
	}
	for len(args) > 0 && strings.HasPrefix(args[0], "-") {
		name, value, withValue := strings.Cut(args[0], "=")
		if err := set(name, value, withValue); err != nil {
			return nil, err
		}
		args = args[1:]
	}
	if len(args) == 0 {
		return nil, errors.New("missing command name (use --help for help)")
	}
	if c.command = p.command(args[0]); c.command == nil {
		if why, ok := p.NotYet[args[0]]; ok {
			return nil, fmt.Errorf("command '%s' is not there yet (%s)", args[0], why)
		}
		if slices.Contains(p.Apart, args[0]) {
			return nil, fmt.Errorf("command '%s' asks a daemon, not the database, and stands alone: %s %s", args[0], p.Name, args[0])
		}
		return nil, fmt.Errorf("unknown command '%s'; use --help for help", args[0])
	}
	for name, withValue := range given {
		switch kind := c.command.option(name); {
		case kind == 0:
			return nil, fmt.Errorf("'%s' command has no '%s' option", args[0], name)
		case kind == '=' && !withValue:
			return nil, fmt.Errorf("missing argument to '%s' option on '%s' command", name, args[0])
		case kind == ' ' && withValue:
			return nil, fmt.Errorf("'%s' option on '%s' does not accept an argument", name, args[0])
		}
	}
	c.Args = args
	switch n := len(args) - 1; {
	case n < c.command.Min:
		return nil, fmt.Errorf("'%s' command requires at least %d arguments", args[0], c.command.Min)
	case c.command.Max != Unlimited && n > c.command.Max:
		note := ""
		if slices.ContainsFunc(args[1:], func(s string) bool { return strings.HasPrefix(s, "-") }) {
			note = ` (note that options must precede command names and follow a "--" argument)`
		}
		return nil, fmt.Errorf("'%s' command takes at most %d arguments%s", args[0], c.command.Max, note)
	}
	return c, nil
}
