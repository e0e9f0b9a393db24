package oracle

import (
	"context"
	"fmt"
	"strings"
)

// Open vSwitch chooses a bucket of a select group by a hash that the datapath
// computes: the packet recirculates, and ofproto/trace ends there. To see every
// way, the groups are cut down to one bucket, the first of each, then the second
// and so on, and restored in the end. No controller looks at groups that it has
// installed.

// selectGroup is a group of a chassis as ovs-ofctl prints it.
type selectGroup struct {
	chassis string
	head    string // "group_id=1"
	line    string // in full
	buckets []string
}

// groups lists the select groups of all chassis, and how many buckets the largest
// has, at least 1.
func (o *OFProto) groups(ctx context.Context) ([]selectGroup, int, error) {
	var list []selectGroup
	most := 1
	for name := range o.chassis {
		out, err := o.lab.Ofctl(ctx, name, "dump-groups")
		if err != nil {
			return nil, 0, err
		}
		for line := range strings.Lines(out) {
			line = strings.TrimSpace(line)
			head, rest, ok := strings.Cut(line, ",type=select,")
			if !ok {
				continue
			}
			parts := strings.Split(rest, "bucket=bucket_id:")
			if len(parts) < 2 {
				continue
			}
			g := selectGroup{chassis: name, head: head, line: line}
			for _, b := range parts[1:] {
				g.buckets = append(g.buckets, strings.TrimSuffix(b, ","))
			}
			list, most = append(list, g), max(most, len(g.buckets))
		}
	}
	return list, most, nil
}

// choose leaves bucket k of each group, or, of a group with fewer, one of them.
func (o *OFProto) choose(ctx context.Context, groups []selectGroup, k int) error {
	for _, g := range groups {
		// "N,weight:100,actions=..."
		_, actions, ok := strings.Cut(g.buckets[k%len(g.buckets)], "actions=")
		if !ok {
			return fmt.Errorf("chassis %q: %w: group %q", g.chassis, ErrSyntax, g.line)
		}
		if _, err := o.lab.Ofctl(ctx, g.chassis, "mod-group", g.head+",type=indirect,bucket=actions="+actions); err != nil {
			return err
		}
	}
	return nil
}

func (o *OFProto) restore(ctx context.Context, groups []selectGroup) error {
	for _, g := range groups {
		if _, err := o.lab.Ofctl(ctx, g.chassis, "mod-group", g.line); err != nil {
			return err
		}
	}
	return nil
}
