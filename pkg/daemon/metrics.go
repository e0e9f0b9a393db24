package daemon

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics is the Prometheus endpoint.
type metrics struct {
	l    net.Listener
	srv  *http.Server
	done chan struct{}
}

// serveMetrics serves the registry at /metrics of HOST:PORT or unix:PATH.
func serveMetrics(listen string, reg *prometheus.Registry, lg *slog.Logger) (*metrics, error) {
	var l net.Listener
	var err error
	if path, ok := strings.CutPrefix(listen, "unix:"); ok {
		l, err = listenUnix(path)
	} else {
		l, err = net.Listen("tcp", listen)
	}
	if err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(reg, promhttp.HandlerOpts{MaxRequestsInFlight: 4}))
	m := &metrics{
		l: l,
		srv: &http.Server{
			Handler:           mux,
			ReadHeaderTimeout: 5 * time.Second,
			IdleTimeout:       time.Minute,
			MaxHeaderBytes:    16 << 10,
			ErrorLog:          slog.NewLogLogger(lg.Handler(), slog.LevelWarn),
		},
		done: make(chan struct{}),
	}
	go func() {
		defer close(m.done)
		if err := m.srv.Serve(l); err != nil && !errors.Is(err, http.ErrServerClosed) {
			lg.Error("metrics endpoint failed", "err", err)
		}
	}()
	lg.Info("serving metrics", "addr", m.addr())
	return m, nil
}

func (m *metrics) addr() string { return m.l.Addr().String() }

func (m *metrics) close() {
	m.srv.Close()
	<-m.done
}
