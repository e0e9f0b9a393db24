package main

import (
	"fmt"
	"log/slog"
	"os"
	"strings"

	"google.golang.org/grpc/grpclog"
)

// logGRPC brings the log of gRPC to the daemon's. What gRPC calls information
// is for its developers, but for one kind: a peer that does not speak HTTP/2.
func logGRPC(log *slog.Logger) {
	grpclog.SetLoggerV2(grpcLogger{log.With("component", "grpc")})
}

type grpcLogger struct{ log *slog.Logger }

func (g grpcLogger) info(text string) {
	if strings.Contains(text, "failed to create ServerTransport") {
		g.log.Warn("a connection ended", "err", strings.TrimSpace(text))
		return
	}
	g.log.Debug(strings.TrimSpace(text))
}

func (g grpcLogger) Info(a ...any)               { g.info(fmt.Sprint(a...)) }
func (g grpcLogger) Infoln(a ...any)             { g.info(fmt.Sprintln(a...)) }
func (g grpcLogger) Infof(f string, a ...any)    { g.info(fmt.Sprintf(f, a...)) }
func (g grpcLogger) Warning(a ...any)            { g.log.Warn(fmt.Sprint(a...)) }
func (g grpcLogger) Warningln(a ...any)          { g.log.Warn(strings.TrimSpace(fmt.Sprintln(a...))) }
func (g grpcLogger) Warningf(f string, a ...any) { g.log.Warn(fmt.Sprintf(f, a...)) }
func (g grpcLogger) Error(a ...any)              { g.log.Error(fmt.Sprint(a...)) }
func (g grpcLogger) Errorln(a ...any)            { g.log.Error(strings.TrimSpace(fmt.Sprintln(a...))) }
func (g grpcLogger) Errorf(f string, a ...any)   { g.log.Error(fmt.Sprintf(f, a...)) }
func (g grpcLogger) Fatal(a ...any)              { g.Error(a...); os.Exit(1) }
func (g grpcLogger) Fatalln(a ...any)            { g.Errorln(a...); os.Exit(1) }
func (g grpcLogger) Fatalf(f string, a ...any)   { g.Errorf(f, a...); os.Exit(1) }
func (g grpcLogger) V(level int) bool            { return level <= 0 }
