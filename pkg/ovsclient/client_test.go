package ovsclient

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"govn/pkg/ovsdb"
)

// What is no remote is an error at once, not one that is tried for ever.
func TestKeepRefusesWhatIsNoRemote(t *testing.T) {
	for _, remote := range []string{"", "foo", "tcp:", "ptcp:6640", "ssl:h:port", "unix:"} {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		err := Keep(ctx, Options{Database: "db", Remote: remote, Logger: slog.New(slog.DiscardHandler)})
		cancel()
		if !errors.Is(err, ovsdb.ErrAddress) {
			t.Errorf("%q: %v", remote, err)
		}
	}
}

// A server that is away is in the log once a minute for each reason; a connection
// that ends, always.
func TestComplaints(t *testing.T) {
	var c complaints
	at := time.Unix(0, 0)
	away, refused := errUnreachable{errors.New("no such file")}, fmt.Errorf("session: %w", errUnreachable{errors.New("refused")})
	for i, tt := range []struct {
		after time.Duration
		err   error
		level slog.Level
	}{
		{0, away, slog.LevelWarn},
		{time.Second, away, slog.LevelDebug},
		{2 * time.Second, refused, slog.LevelWarn},
		{3 * time.Second, refused, slog.LevelDebug},
		{2*time.Second + repeat, refused, slog.LevelWarn},
		{3*time.Second + repeat, errors.New("closed"), slog.LevelWarn},
		{4*time.Second + repeat, errors.New("closed"), slog.LevelWarn},
		{5*time.Second + repeat, refused, slog.LevelWarn},
		{6*time.Second + repeat, refused, slog.LevelDebug},
	} {
		if level, message := c.about(tt.err, at.Add(tt.after)); level != tt.level {
			t.Errorf("%d: %v %q, want %v", i, level, message, tt.level)
		}
	}
}
