package ovsdb

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"
)

// grumbles keeps one peer from filling the log: the same about the same peer is
// told once in quietFor.
type grumbles struct {
	mu   sync.Mutex
	said map[string]*grumble
}

type grumble struct {
	at     time.Time
	missed int // not told since
}

const (
	quietFor    = time.Minute
	maxGrumbles = 1024
)

// told notes that something happens, and says whether it is to be logged, and how
// often it was not since it last was.
func (g *grumbles) told(key string, now time.Time) (skip bool, missed int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if e := g.said[key]; e != nil && now.Sub(e.at) < quietFor {
		e.missed++
		return true, 0
	} else if e != nil {
		missed = e.missed
	}
	if g.said == nil || len(g.said) >= maxGrumbles {
		g.said = make(map[string]*grumble)
	}
	g.said[key] = &grumble{at: now}
	return false, missed
}

// grumble logs what is wrong with a peer. Its port plays no role in whether that
// was told before. Peers on unix sockets have no name, and are told of each time.
func (srv *Server) grumble(log *slog.Logger, level slog.Level, msg string, conn net.Conn, err error) {
	name := peerName(conn)
	log = log.With("peer", name)
	host, _, split := net.SplitHostPort(name)
	if split != nil {
		log.Log(context.Background(), level, msg, "error", err)
		return
	}
	srv.say(log, level, msg, host, err)
}

// complain logs what is wrong with one of our own remotes.
func (srv *Server) complain(log *slog.Logger, msg, remote string, err error) {
	srv.say(log, slog.LevelWarn, msg, remote, err)
}

func (srv *Server) say(log *slog.Logger, level slog.Level, msg, who string, err error) {
	what := err.Error()
	if invalid := (x509.CertificateInvalidError{}); errors.As(err, &invalid) {
		what = fmt.Sprint("certificate ", invalid.Reason) // the text has the time of day
	}
	skip, missed := srv.grumbles.told(msg+"\x00"+who+"\x00"+what, time.Now())
	if skip {
		level = slog.LevelDebug
	} else if missed > 0 {
		log = log.With("repeated", missed)
	}
	log.Log(context.Background(), level, msg, "error", err)
}

// explainHandshake adds to the error of a handshake who the peer says it is, or
// what it seems to be.
func explainHandshake(err error) error {
	var unverified *tls.CertificateVerificationError
	if errors.As(err, &unverified) && len(unverified.UnverifiedCertificates) > 0 {
		return fmt.Errorf("the certificate of %q: %w", unverified.UnverifiedCertificates[0].Subject.CommonName, err)
	}
	var record tls.RecordHeaderError
	if errors.As(err, &record) && record.RecordHeader[0] == '{' {
		return fmt.Errorf("the peer speaks JSON-RPC without TLS; it has to use ssl:, not tcp: (%w)", err)
	}
	return err
}

// explainMessage adds to the error of a message what the peer seems to be.
func explainMessage(err error) error {
	var b badStart
	if errors.As(err, &b) && b == 0x16 {
		return fmt.Errorf("the peer speaks TLS; it has to use tcp:, not ssl: (%w)", err)
	}
	return err
}

// badStart is the first byte of what should be a message.
type badStart byte

func (b badStart) Error() string { return fmt.Sprintf("an object is expected, not %q", byte(b)) }
