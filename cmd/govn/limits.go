package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"govn/pkg/ovsdb"
)

// errLimit is returned for a limit that is no number or time.
var errLimit = errors.New("bad limit")

// limitFlags are the flags of ovsdb.Limits: what --help says, and where a value
// goes. Bytes may have a suffix.
var limitFlags = []struct {
	name, usage string
	bytes       bool
	number      func(*ovsdb.Limits) *int
	time        func(*ovsdb.Limits) *time.Duration
}{
	{name: "ovsdb-max-message", bytes: true, usage: "`BYTES` of the longest message of an OVSDB client; K, M and G are suffixes (default 64M)",
		number: func(l *ovsdb.Limits) *int { return &l.MaxMessage }},
	{name: "ovsdb-max-depth", usage: "`N` levels of nesting in its messages (default 100)",
		number: func(l *ovsdb.Limits) *int { return &l.MaxDepth }},
	{name: "ovsdb-max-backlog", bytes: true, usage: "`BYTES` that may wait for a client that does not read (default 64M)",
		number: func(l *ovsdb.Limits) *int { return &l.MaxBacklog }},
	{name: "ovsdb-max-buffers", bytes: true, usage: "`BYTES` that all clients together may make the server hold (default 1G)"},
	{name: "ovsdb-max-outstanding", usage: "`N` transactions of a client that wait (default 1000)",
		number: func(l *ovsdb.Limits) *int { return &l.MaxOutstanding }},
	{name: "ovsdb-max-monitors", usage: "`N` monitors of a client (default 1000)",
		number: func(l *ovsdb.Limits) *int { return &l.MaxMonitors }},
	{name: "ovsdb-max-locks", usage: "`N` locks that a client asks for (default 1000)",
		number: func(l *ovsdb.Limits) *int { return &l.MaxLocks }},
	{name: "ovsdb-max-operations", usage: "`N` operations of a transaction (default 1000000)",
		number: func(l *ovsdb.Limits) *int { return &l.MaxOperations }},
	{name: "ovsdb-max-rows", usage: "`N` rows that a transaction writes (default 1000000)",
		number: func(l *ovsdb.Limits) *int { return &l.MaxRows }},
	{name: "ovsdb-max-work", usage: "`N` rows that a transaction looks at; writing counts for more (default 20000000)",
		number: func(l *ovsdb.Limits) *int { return &l.MaxWork }},
	{name: "ovsdb-max-connections", usage: "`N` clients of a database (default 10000)",
		number: func(l *ovsdb.Limits) *int { return &l.MaxConnections }},
	{name: "ovsdb-handshake-timeout", usage: "`TIME` that a TLS handshake may take (default 10s)",
		time: func(l *ovsdb.Limits) *time.Duration { return &l.HandshakeTimeout }},
	{name: "ovsdb-message-timeout", usage: "`TIME` that a message may take to arrive (default 2m)",
		time: func(l *ovsdb.Limits) *time.Duration { return &l.MessageTimeout }},
}

// addLimitFlags adds the flags of a command that serves OVSDB.
func addLimitFlags(c *cobra.Command) {
	for _, f := range limitFlags {
		c.Flags().String(f.name, "", f.usage)
	}
}

// limits reads them; what is not set is zero, and none is no limit.
func (s *settings) limits() (l ovsdb.Limits, err error) {
	for _, f := range limitFlags {
		text := s.str(f.name)
		switch {
		case text == "":
		case f.time != nil:
			d, e := time.ParseDuration(text)
			if e != nil || d <= 0 {
				err = errors.Join(err, fmt.Errorf("%w: %s: %q is no time such as 10s", errLimit, f.name, text))
			}
			*f.time(&l) = d
		default:
			n, e := parseLimit(text, f.bytes)
			if e != nil {
				err = errors.Join(err, fmt.Errorf("%w: %s: %w", errLimit, f.name, e))
			}
			if f.number == nil {
				l.MaxBuffers = int64(n)
			} else {
				*f.number(&l) = n
			}
		}
	}
	return l, err
}

func parseLimit(text string, bytes bool) (int, error) {
	if text == "none" {
		return -1, nil
	}
	digits, unit := text, 1
	if bytes {
		for i, suffix := range []string{"K", "M", "G"} {
			if rest, ok := strings.CutSuffix(text, suffix); ok {
				digits, unit = rest, 1<<(10*(i+1))
			}
		}
	}
	n, err := strconv.Atoi(digits)
	if err != nil || n <= 0 || n > 1<<40/unit {
		return 0, fmt.Errorf("%q is no positive number, nor \"none\"", text)
	}
	return n * unit, nil
}
