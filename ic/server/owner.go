package server

import (
	"time"

	"govn/pkg/ovsdb"
)

// client is a connection of an OVSDB client.
type client struct {
	who   principal
	since time.Time
	zone  ovsdb.UUID // that it writes as; zero: none yet
}

// mayReturn tells whether a zone that nobody speaks for may come back without a
// word: its daemon is connected, and has nothing to write. r.mu is held.
func (r *registry) mayReturn(z *joined) bool { return false }
