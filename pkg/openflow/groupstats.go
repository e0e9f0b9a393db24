package openflow

import (
	"context"
	"fmt"
	"time"
)

// GroupStats is what the switch counts for a group.
type GroupStats struct {
	ID       uint32
	Refs     uint32 // flows that use it
	Packets  uint64
	Bytes    uint64
	Duration time.Duration // since it was added
	Buckets  []BucketStats // in the order of the buckets
}

// BucketStats is what the switch counts for a bucket.
type BucketStats struct{ Packets, Bytes uint64 }

// GroupStatsRequest asks for the counters of all groups.
func GroupStatsRequest() *MultipartRequest {
	return &MultipartRequest{Kind: MultipartGroupStats, Body: putZeros(put32(nil, GroupAny), 4)}
}

// append writes the structure of OpenFlow 1.3 and later, A.3.5.9.
func (g *GroupStats) append(b []byte) []byte {
	start := len(b)
	b = put32(putZeros(b, 4), g.ID)
	b = putZeros(put32(b, g.Refs), 4)
	b = put64(put64(b, g.Packets), g.Bytes)
	b = put32(put32(b, uint32(g.Duration/time.Second)), uint32(g.Duration%time.Second))
	for _, k := range g.Buckets {
		b = put64(put64(b, k.Packets), k.Bytes)
	}
	return setLen(b, start, 0)
}

// groupStats reads the counters of one group of a multipart reply.
func (r *reader) groupStats() (g GroupStats) {
	n := int(r.u16())
	d := reader{what: r.what}
	d.b, d.err = r.take(n-2), r.err
	d.skip(2)
	g.ID, g.Refs = d.u32(), d.u32()
	d.skip(4)
	g.Packets, g.Bytes = d.u64(), d.u64()
	g.Duration = time.Duration(d.u32())*time.Second + time.Duration(d.u32())
	for d.err == nil && len(d.b) > 0 {
		g.Buckets = append(g.Buckets, BucketStats{d.u64(), d.u64()})
	}
	r.err = d.err
	return g
}

// GroupStats returns the counters of all groups of the switch.
func (c *Conn) GroupStats(ctx context.Context) ([]GroupStats, error) {
	var groups []GroupStats
	err := c.multipart(ctx, GroupStatsRequest(), func(m *MultipartReply) { groups = append(groups, m.GroupStats...) })
	if err != nil {
		return nil, fmt.Errorf("group statistics: %w", err)
	}
	return groups, nil
}
