package control

import (
	"fmt"
	"time"
)

// OFGroup is an OpenFlow group that flows hand packets to.
type OFGroup struct {
	ID       uint32        `json:"id"`
	Kind     string        `json:"kind"`             // type and selection method in the syntax of ovs-ofctl
	Buckets  []OFBucket    `json:"buckets"`          // one of them gets each packet, of a select group
	Shared   bool          `json:"shared,omitempty"` // other flows may use it, too; the counters are of all
	Duration time.Duration `json:"duration,omitempty"`
	Counters *Total        `json:"counters,omitempty"` // nil: Open vSwitch was not asked, or does not have the group
}

// OFBucket is a bucket of a group.
type OFBucket struct {
	Text     string `json:"text"` // in the syntax of ovs-ofctl
	Counters *Total `json:"counters,omitempty"`
}

// Total is what Open vSwitch counts for a group or a bucket.
type Total struct {
	Packets uint64 `json:"packets"`
	Bytes   uint64 `json:"bytes"`
}

func (t *Total) String() string {
	if t == nil {
		return ""
	}
	return fmt.Sprintf("n_packets=%d, n_bytes=%d, ", t.Packets, t.Bytes)
}

// write writes the group as a line, and one for each bucket.
func (g *OFGroup) write(e *errWriter, indent string) {
	shared := ""
	if g.Shared {
		shared = ", shared"
	}
	e.printf("%sgroup %d: %s%s%s\n", indent, g.ID, g.Counters.String(), g.Kind, shared)
	for i := range g.Buckets {
		e.printf("%s  %s%s\n", indent, g.Buckets[i].Counters.String(), g.Buckets[i].Text)
	}
}
