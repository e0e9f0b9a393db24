package northd

import (
	"context"
	"errors"
	"slices"
	"strings"

	"govn/pkg/ovsdb"
)

// errNoDatabase is worded as ovsdb-server words it.
var errNoDatabase = errors.New("no database by that name")

// StoreCommands registers the commands of ovsdb-server(1), RUNTIME MANAGEMENT
// COMMANDS, that are about stored databases. names are those that are served.
func StoreCommands(handle Handler, store *ovsdb.Store, names []string) {
	served := func(args []string) error {
		if len(args) > 0 && !slices.Contains(names, args[0]) {
			return errNoDatabase
		}
		return nil
	}
	handle("ovsdb-server/compact", "[DB]", 0, 1, func(ctx context.Context, args []string) (string, error) {
		if err := served(args); err != nil {
			return "", err
		}
		return "", store.Compact(ctx) // all databases have one log
	})
	handle("ovsdb-server/list-dbs", "", 0, 0, func(context.Context, []string) (string, error) {
		all := append([]string{"_Server"}, names...)
		slices.Sort(all)
		return strings.Join(all, "\n") + "\n", nil
	})
	handle("ovsdb-server/memory-trim-on-compaction", "on|off", 1, 1, func(_ context.Context, args []string) (string, error) {
		if args[0] != "on" && args[0] != "off" {
			return "", errors.New("invalid argument")
		}
		store.TrimOnCompaction(args[0] == "on")
		return "", nil
	})
	handle("ovsdb-server/get-db-storage-status", "DB", 1, 1, func(_ context.Context, args []string) (string, error) {
		if err := served(args); err != nil {
			return "", err
		}
		if err := store.Err(); err != nil {
			return "status: " + err.Error() + "\n", nil
		}
		return "status: ok\n", nil
	})
}

// StoreFailure returns the error of a store that has failed, or nil when ctx
// ends. A process without a store has nothing to say: the chassis keep their flows,
// and the next one opens the log as after a crash.
func StoreFailure(ctx context.Context, store *ovsdb.Store) error {
	select {
	case <-ctx.Done():
		return nil
	case <-store.Failed():
		return store.Err()
	}
}

// StoreMemory adds the figures of a store to memory/show.
func StoreMemory(store *ovsdb.Store) func(add func(name string, n uint64)) {
	return func(add func(name string, n uint64)) {
		st := store.Stats()
		add("rows", uint64(st.Rows))
		add("txn_history", uint64(st.History))
		add("log_bytes", uint64(st.LogBytes))
		add("snapshot_bytes", uint64(st.SnapshotBytes))
		add("file_bytes", uint64(st.FileBytes))
	}
}
