package openflow

import (
	"context"
	"fmt"
)

// multipart makes a request and hands the parts of the reply to fn.
func (c *Conn) multipart(ctx context.Context, req *MultipartRequest, fn func(*MultipartReply)) error {
	replies, err := c.Request(ctx, req)
	if err != nil {
		return err
	}
	for _, m := range replies {
		part, ok := m.(*MultipartReply)
		if !ok || part.Kind != req.Kind {
			return malformed("message type %d in answer to a multipart request", m.Type())
		}
		fn(part)
	}
	return nil
}

// DumpFlows returns all flows of the switch, their matches in canonical form.
func (c *Conn) DumpFlows(ctx context.Context) ([]FlowStats, error) {
	return c.DumpTable(ctx, TableAll, 0, 0)
}

// DumpTable returns the flows of a table whose cookie agrees with cookie in the
// bits of mask.
func (c *Conn) DumpTable(ctx context.Context, table uint8, cookie, mask uint64) ([]FlowStats, error) {
	var flows []FlowStats
	err := c.multipart(ctx, FlowDescRequest(table, cookie, mask), func(m *MultipartReply) { flows = append(flows, m.Flows...) })
	if err != nil {
		return nil, fmt.Errorf("dump flows: %w", err)
	}
	return flows, nil
}

// DumpGroups returns all groups of the switch.
func (c *Conn) DumpGroups(ctx context.Context) ([]GroupDesc, error) {
	var groups []GroupDesc
	err := c.multipart(ctx, GroupDescRequest(), func(m *MultipartReply) { groups = append(groups, m.Groups...) })
	if err != nil {
		return nil, fmt.Errorf("dump groups: %w", err)
	}
	return groups, nil
}

// DumpPorts returns all ports of the switch.
func (c *Conn) DumpPorts(ctx context.Context) ([]Port, error) {
	var ports []Port
	err := c.multipart(ctx, PortDescRequest(), func(m *MultipartReply) { ports = append(ports, m.Ports...) })
	if err != nil {
		return nil, fmt.Errorf("dump ports: %w", err)
	}
	return ports, nil
}

// DumpMeters returns all meters of the switch.
func (c *Conn) DumpMeters(ctx context.Context) ([]MeterMod, error) {
	var meters []MeterMod
	err := c.multipart(ctx, MeterDescRequest(), func(m *MultipartReply) { meters = append(meters, m.Meters...) })
	if err != nil {
		return nil, fmt.Errorf("dump meters: %w", err)
	}
	return meters, nil
}

// TLVTable returns the map of Geneve options.
func (c *Conn) TLVTable(ctx context.Context) (*TLVTableReply, error) {
	replies, err := c.Request(ctx, &TLVTableRequest{})
	if err != nil {
		return nil, fmt.Errorf("TLV table: %w", err)
	}
	m, ok := replies[0].(*TLVTableReply)
	if !ok {
		return nil, malformed("message type %d in answer to a TLV table request", replies[0].Type())
	}
	return m, nil
}

// AddTLVMap makes sure that the Geneve option of m is mapped and returns the
// index that it is mapped to: m.Index, or another one when the option is mapped
// already.
func (c *Conn) AddTLVMap(ctx context.Context, m TLVMap) (index uint16, err error) {
	table, err := c.TLVTable(ctx)
	if err != nil {
		return 0, err
	}
	for _, have := range table.Maps {
		if have.Class == m.Class && have.Option == m.Option && have.Length == m.Length {
			return have.Index, nil
		}
	}
	if err := c.Do(ctx, &TLVTableMod{Command: TLVAdd, Maps: []TLVMap{m}}); err != nil {
		return 0, fmt.Errorf("map Geneve option %v: %w", m, err)
	}
	return m.Index, nil
}
