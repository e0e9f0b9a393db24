package control

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"govn/pkg/ovsdb"
)

// Handler registers a command of a control socket (daemon.Daemon.Handle).
type Handler = func(name, usage string, min, max int, fn func(ctx context.Context, args []string) (string, error))

// Served are databases that are reached by the same remotes.
type Served struct {
	Databases []string
	Remotes   *ovsdb.Remotes
}

// Worded as ovsdb-server words them.
var (
	errNoDatabase = errors.New("no database by that name")
	//lint:ignore ST1005 the words of ovsdb-server
	errNotFound = errors.New("Failed to find the database.")
)

// commands are those of one process.
type commands struct {
	store  *ovsdb.Store
	served []Served
	names  []string // of all databases
}

// Commands registers the commands for a store and what is served of it.
func Commands(handle Handler, store *ovsdb.Store, served ...Served) {
	c := &commands{store: store, served: served}
	for _, s := range served {
		c.names = append(c.names, s.Databases...)
	}
	c.stored(handle)
	c.remotes(handle)
	same := func(text string) func(context.Context, []string) (string, error) {
		return func(context.Context, []string) (string, error) { return text, nil }
	}
	handle("ovsdb-server/sync-status", "", 0, 0, same("state: active\n"))
	handle("ovsdb-server/get-active-ovsdb-server", "", 0, 0, same(""))
	handle("ovsdb-server/get-sync-exclude-tables", "", 0, 0, same(""))
}

func (c *commands) known(args []string) error {
	if len(args) > 0 && !slices.Contains(c.names, args[0]) {
		return errNoDatabase
	}
	return nil
}

// stored are the commands about stored databases.
func (c *commands) stored(handle Handler) {
	handle("ovsdb-server/compact", "[DB]", 0, 1, func(ctx context.Context, args []string) (string, error) {
		if err := c.known(args); err != nil {
			return "", err
		}
		return "", c.store.Compact(ctx) // all databases have one log
	})
	handle("ovsdb-server/list-dbs", "", 0, 0, func(context.Context, []string) (string, error) {
		all := append([]string{"_Server"}, c.names...)
		slices.Sort(all)
		return strings.Join(all, "\n") + "\n", nil
	})
	handle("ovsdb-server/memory-trim-on-compaction", "on|off", 1, 1, func(_ context.Context, args []string) (string, error) {
		if args[0] != "on" && args[0] != "off" {
			return "", errors.New("invalid argument")
		}
		c.store.TrimOnCompaction(args[0] == "on")
		return "", nil
	})
	handle("ovsdb-server/get-db-storage-status", "DB", 1, 1, func(_ context.Context, args []string) (string, error) {
		if c.known(args) != nil {
			return "", errNotFound
		}
		if err := c.store.Err(); err != nil {
			return "status: " + err.Error() + "\n", nil
		}
		return "status: ok\n", nil
	})
}

// remotes are the commands about remotes.
func (c *commands) remotes(handle Handler) {
	// Where there is one server, there is nothing to choose.
	usage, more := "", 0
	if len(c.served) > 1 {
		usage, more = "[DB]", 1
	}
	of := func(args []string) ([]Served, error) {
		if len(args) == 0 {
			return c.served, nil
		}
		for _, s := range c.served {
			if slices.Contains(s.Databases, args[0]) {
				return []Served{s}, nil
			}
		}
		return nil, errNoDatabase
	}
	handle("ovsdb-server/list-remotes", usage, 0, more, func(_ context.Context, args []string) (string, error) {
		some, err := of(args)
		var all []string
		for _, s := range some {
			all = append(all, s.Remotes.Configured()...)
		}
		slices.Sort(all)
		return lines(all), err
	})
	handle("ovsdb-server/reconnect", usage, 0, more, func(_ context.Context, args []string) (string, error) {
		some, err := of(args)
		for _, s := range some {
			s.Remotes.Reconnect()
		}
		return "", err
	})
	usage = strings.TrimSpace("REMOTE " + usage)
	handle("ovsdb-server/add-remote", usage, 1, 1+more, func(ctx context.Context, args []string) (string, error) {
		some, err := of(args[1:])
		if rest, ok := strings.CutPrefix(args[0], "db:"); ok && len(args) == 1 && more > 0 {
			name, _, _ := strings.Cut(rest, ",")
			if some, err = of([]string{name}); err != nil {
				return "", fmt.Errorf("%q: no database named %s", args[0], name)
			}
		}
		switch {
		case err != nil:
			return "", err
		case len(some) > 1:
			return "", fmt.Errorf("%q: which database is it for? Add one of %s", args[0], strings.Join(c.names, ", "))
		}
		return "", some[0].Remotes.Add(ctx, args[0])
	})
	handle("ovsdb-server/remove-remote", usage, 1, 1+more, func(ctx context.Context, args []string) (string, error) {
		some, err := of(args[1:])
		if err != nil {
			return "", err
		}
		for _, s := range some {
			if err = s.Remotes.Remove(ctx, args[0]); !errors.Is(err, ovsdb.ErrNoRemote) {
				return "", err
			}
		}
		return "", err
	})
}

func lines(words []string) string {
	if len(words) == 0 {
		return ""
	}
	return strings.Join(words, "\n") + "\n"
}

// Failure returns the error of a store that has failed, or nil when ctx ends. A
// process without a store has nothing to say: whoever depends on it keeps what it
// has, and the next process opens the log as after a crash.
func Failure(ctx context.Context, store *ovsdb.Store) error {
	select {
	case <-ctx.Done():
		return nil
	case <-store.Failed():
		return store.Err()
	}
}

// Memory adds the figures of a store to memory/show.
func Memory(store *ovsdb.Store) func(add func(name string, n uint64)) {
	return func(add func(name string, n uint64)) {
		st := store.Stats()
		add("rows", uint64(st.Rows))
		add("txn_history", uint64(st.History))
		add("log_bytes", uint64(st.LogBytes))
		add("snapshot_bytes", uint64(st.SnapshotBytes))
		add("file_bytes", uint64(st.FileBytes))
	}
}
