package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// settle is how long after the last reply memory is measured: servers give back
// what a burst took in the background.
const settle = 3 * time.Second

// memorySample is a server with a large database.
type memorySample struct {
	filled, restarted footprint
	fill, fillCPU     time.Duration
	start             time.Duration // from exec to the first answer
	all               time.Duration // until one client has everything
	cpu               time.Duration // of the start, until then
	disk              int64
}

// memories measures memory and start with large databases.
func (o *ovsdbOptions) memories(ctx context.Context, schemaFile string, table *bytes.Buffer) error {
	type contents struct {
		name string
		fill func(context.Context, *client) error
	}
	var list []contents
	if o.db != "" {
		db, err := readDB(o.db)
		if err != nil {
			return err
		}
		list = append(list, contents{fmt.Sprintf("%d switches, %d routers, %d ports", len(db["Logical_Switch"]), len(db["Logical_Router"]), len(db["Logical_Switch_Port"])), db.load})
	}
	if o.ports > 0 {
		list = append(list, contents{fmt.Sprintf("1 switch, %d ports", o.ports), func(ctx context.Context, c *client) error { return fill(ctx, c, 1, o.ports) }})
	}
	head := false
	for _, c := range list {
		if o.only != "" && !bytes.Contains([]byte("memory and start"), []byte(o.only)) {
			continue
		}
		if !head {
			head = true
			table.WriteString("\n| database | server | fill s | its CPU s | RSS MB | PSS MB | file MB | start s | everything s | CPU s | RSS MB after it | PSS MB |\n|---|---|---|---|---|---|---|---|---|---|---|---|\n")
		}
		var samples []memorySample
		for _, kind := range []ovsdbKind{stockKind, govnKind} {
			s, err := o.memory(ctx, kind, schemaFile, c.fill)
			if err != nil {
				return fmt.Errorf("%s: %s: %w", c.name, kind.name, err)
			}
			samples = append(samples, s)
			line := fmt.Sprintf("| %s | %s | %s |\n", c.name, kind.name, s)
			fmt.Fprint(os.Stderr, line)
			table.WriteString(line)
		}
		a, b := samples[1], samples[0]
		line := fmt.Sprintf("| %s | ratio | %s | %s | %s | %s | %s | %s | %s | %s | %s | %s |\n", c.name, ratio(ms(a.fill), ms(b.fill)), ratio(ms(a.fillCPU), ms(b.fillCPU)),
			ratio(float64(a.filled.rss), float64(b.filled.rss)), ratio(float64(a.filled.pss), float64(b.filled.pss)), ratio(float64(a.disk), float64(b.disk)),
			ratio(ms(a.start), ms(b.start)), ratio(ms(a.all), ms(b.all)), ratio(ms(a.cpu), ms(b.cpu)),
			ratio(float64(a.restarted.rss), float64(b.restarted.rss)), ratio(float64(a.restarted.pss), float64(b.restarted.pss)))
		fmt.Fprint(os.Stderr, line)
		table.WriteString(line)
	}
	return nil
}

func (s memorySample) String() string {
	mb := func(kib int) float64 { return float64(kib) / 1024 }
	return fmt.Sprintf("%s | %s | %s | %s | %s | %s | %s | %s | %s | %s", digits(s.fill.Seconds()), digits(s.fillCPU.Seconds()), digits(mb(s.filled.rss)), digits(mb(s.filled.pss)),
		digits(float64(s.disk)/(1<<20)), digits(s.start.Seconds()), digits(s.all.Seconds()), digits(s.cpu.Seconds()), digits(mb(s.restarted.rss)), digits(mb(s.restarted.pss)))
}

// memory fills a database, kills its server, starts it, and reads everything.
func (o *ovsdbOptions) memory(ctx context.Context, kind ovsdbKind, schemaFile string, fill func(context.Context, *client) error) (s memorySample, err error) {
	// Relaxed, since the fill does not ask for durability either.
	srv, err := startServer(ctx, o, kind, schemaFile, true)
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, srv.remove()) }()
	c, err := dial(ctx, srv.sock, "OVN_Northbound")
	if err != nil {
		return s, err
	}
	start := time.Now()
	err = fill(ctx, c)
	s.fill = time.Since(start)
	// It ends the reader, whose error is that it was ended.
	_ = c.close()
	if err != nil {
		return s, err
	}
	if s.fillCPU, err = cpu(srv.pid()); err != nil {
		return s, err
	}
	if err := pause(ctx, settle); err != nil {
		return s, err
	}
	if s.filled, err = srv.footprint(); err != nil {
		return s, err
	}
	if s.disk, err = srv.size(); err != nil {
		return s, err
	}
	if err := srv.kill(); err != nil {
		return s, err
	}
	start = time.Now()
	if err := srv.start(ctx); err != nil {
		return s, err
	}
	s.start = time.Since(start)
	if err := everything(srv); err != nil {
		return s, err
	}
	s.all = time.Since(start)
	if s.cpu, err = cpu(srv.pid()); err != nil {
		return s, err
	}
	if err := pause(ctx, settle); err != nil {
		return s, err
	}
	s.restarted, err = srv.footprint()
	return s, err
}

// everything monitors all tables that are worth it.
func everything(srv *ovsdbServer) error {
	request := []byte(`{"id":1,"method":"monitor_cond","params":["OVN_Northbound","all",{`)
	for i, t := range []string{"Logical_Switch", "Logical_Switch_Port", "Logical_Router", "Logical_Router_Port", "Logical_Router_Static_Route", "NAT", "ACL", "Address_Set",
		"Port_Group", "Load_Balancer", "DHCP_Options", "Gateway_Chassis"} {
		if i > 0 {
			request = append(request, ',')
		}
		request = fmt.Appendf(request, `%q:[{}]`, t)
	}
	_, err := once(srv, append(request, "}]}"...))
	return err
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
