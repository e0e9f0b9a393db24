package ovsclient

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/go-logr/logr"
	"github.com/ovn-org/libovsdb/cache"
	"github.com/ovn-org/libovsdb/client"
	"github.com/ovn-org/libovsdb/model"

	"govn/pkg/ovsdb"
)

// Times of the connection.
const (
	connectTimeout = 5 * time.Second
	retryFirst     = 50 * time.Millisecond
	retryMax       = 2 * time.Second
	repeat         = time.Minute // before the log says again why a server cannot be reached
)

// Options say what is followed. All but Guard and Events are required.
type Options struct {
	Database string // its name
	Remote   string // unix:PATH, tcp:HOST:PORT or ssl:HOST:PORT
	Models   map[string]model.Model
	Monitors []client.MonitorOption
	Events   cache.EventHandler // told of rows from before the first is there; not where Guard.Rows is
	Guard    ovsdb.GuardOptions
	Logger   *slog.Logger
	// Follow uses the connection until ended is closed or ctx ends. Its error says
	// why it returned.
	Follow func(ctx context.Context, conn client.Client, rows *cache.TableCache, ended <-chan struct{}) error
}

// Keep connects, and again when a connection has ended, until ctx ends. It returns
// nil then, and an error at once if the remote is none.
func Keep(ctx context.Context, o Options) error {
	if err := ovsdb.CheckRemote(o.Remote); err != nil {
		return err
	}
	delay := retryFirst
	var c complaints
	for {
		began := time.Now()
		err := o.session(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if time.Since(began) > retryMax {
			delay = retryFirst
		}
		level, message := c.about(err, time.Now())
		o.Logger.Log(ctx, level, message, "db", o.Database, "remote", o.Remote, "err", err, "retry", delay)
		t := time.NewTimer(delay)
		select {
		case <-ctx.Done():
			t.Stop()
			return nil
		case <-t.C:
		}
		delay = min(2*delay, retryMax)
	}
}

// errUnreachable is what became of an attempt that found no server.
type errUnreachable struct{ error }

func (e errUnreachable) Unwrap() error { return e.error }

// complaints keeps the log from saying the same every two seconds while a server is
// away.
type complaints struct {
	text string // the last that was told
	at   time.Time
}

// about is how the log tells the end of a session.
func (c *complaints) about(err error, now time.Time) (slog.Level, string) {
	if unreachable := (errUnreachable{}); !errors.As(err, &unreachable) {
		*c = complaints{}
		return slog.LevelWarn, "connection to a database lost"
	}
	const message = "a database cannot be reached"
	if text := err.Error(); text != c.text || now.Sub(c.at) >= repeat {
		c.text, c.at = text, now
		return slog.LevelWarn, message
	}
	return slog.LevelDebug, message
}

// session is one connection, from connect to disconnect.
func (o *Options) session(ctx context.Context) error {
	m, err := model.NewClientDBModel(o.Database, o.Models)
	if err != nil {
		return fmt.Errorf("model of %s: %w", o.Database, err)
	}
	dial, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	guard, err := ovsdb.NewGuard(dial, o.Remote, o.Guard)
	if err != nil {
		return errUnreachable{err}
	}
	defer guard.Close()
	err = o.follow(ctx, dial, m, guard)
	if why := guard.Err(); why != nil {
		return why
	}
	return err
}

// follow is a session on a connection that only carries what libovsdb can take.
func (o *Options) follow(ctx, dial context.Context, m model.ClientDBModel, guard *ovsdb.Guard) error {
	logger := logr.FromSlogHandler(o.Logger.With("component", "libovsdb").Handler())
	conn, err := client.NewOVSDBClient(m, client.WithEndpoint(guard.Endpoint()), client.WithLogger(&logger))
	if err != nil {
		return err
	}
	// The client tells its end once, and only who listens at that moment.
	ended, stop := make(chan struct{}), make(chan struct{})
	defer close(stop)
	go func() {
		select {
		case <-conn.DisconnectNotify():
			close(ended)
		case <-stop:
		}
	}()
	if err := conn.Connect(dial); err != nil {
		return err
	}
	defer func() { // its goroutines end with the connection
		conn.Close()
		guard.Close()
		select {
		case <-ended:
		case <-time.After(time.Second):
		}
	}()
	rows := conn.Cache()
	if rows == nil { // which it is after the end of the connection
		return client.ErrNotConnected
	}
	if o.Events != nil {
		rows.AddEventHandler(o.Events)
	}
	if _, err = conn.Monitor(dial, conn.NewMonitor(o.Monitors...)); err != nil {
		return fmt.Errorf("monitor %s: %w", o.Database, err)
	}
	o.Logger.Info("connected to a database", "db", o.Database, "remote", o.Remote)
	return o.Follow(ctx, conn, rows, guard.Done())
}
