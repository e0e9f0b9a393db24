package decode

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"github.com/ovn-org/libovsdb/cache"
	"github.com/ovn-org/libovsdb/client"
	"github.com/ovn-org/libovsdb/model"

	"govn/pkg/geneve"
	"govn/pkg/ovsdb"
)

// maxMessage is the greatest length of a message of the database: a zone's port
// bindings come in one, with about 250 bytes each.
const maxMessage = 256 << 20

// What is read of the southbound database: columns that every version has.
type (
	sbDatapath struct {
		UUID        string            `ovsdb:"_uuid"`
		TunnelKey   int               `ovsdb:"tunnel_key"`
		ExternalIDs map[string]string `ovsdb:"external_ids"`
	}
	sbPort struct {
		UUID        string `ovsdb:"_uuid"`
		LogicalPort string `ovsdb:"logical_port"`
		Datapath    string `ovsdb:"datapath"`
		TunnelKey   int    `ovsdb:"tunnel_key"`
	}
	sbGroup struct {
		UUID      string `ovsdb:"_uuid"`
		Name      string `ovsdb:"name"`
		Datapath  string `ovsdb:"datapath"`
		TunnelKey int    `ovsdb:"tunnel_key"`
	}
	sbEncap struct {
		UUID        string `ovsdb:"_uuid"`
		Type        string `ovsdb:"type"` // part of an index
		IP          string `ovsdb:"ip"`
		ChassisName string `ovsdb:"chassis_name"`
	}
)

// Southbound follows the southbound database of a zone, govn's or stock OVN's,
// so that what is captured after a change has the names after it.
type Southbound struct {
	name  string
	guard *ovsdb.Guard
	conn  client.Client

	mu    sync.Mutex
	stale bool
	zone  *Zone
}

// DialSouthbound connects to the southbound database at remote (unix:PATH or
// tcp:HOST:PORT) and reads it. ctx bounds that only; Close must be called. name
// is the zone's, where several are known.
func DialSouthbound(ctx context.Context, name, remote string) (*Southbound, error) {
	m, err := model.NewClientDBModel("OVN_Southbound", map[string]model.Model{
		"Datapath_Binding": &sbDatapath{}, "Port_Binding": &sbPort{}, "Multicast_Group": &sbGroup{}, "Encap": &sbEncap{},
	})
	if err != nil {
		return nil, fmt.Errorf("model of OVN_Southbound: %w", err)
	}
	guard, err := ovsdb.NewGuard(ctx, remote, ovsdb.GuardOptions{MaxMessage: maxMessage})
	if err != nil {
		return nil, fmt.Errorf("southbound database %q: %w", remote, err)
	}
	s := &Southbound{name: name, guard: guard, stale: true, zone: &Zone{Name: name}}
	if err := s.follow(ctx, m); err != nil {
		s.Close()
		if why := guard.Err(); why != nil {
			err = why
		}
		return nil, fmt.Errorf("southbound database %q: %w", remote, err)
	}
	return s, nil
}

// follow reads the database and whatever changes in it.
func (s *Southbound) follow(ctx context.Context, m model.ClientDBModel) error {
	quiet := logr.FromSlogHandler(slog.DiscardHandler)
	conn, err := client.NewOVSDBClient(m, client.WithEndpoint(s.guard.Endpoint()), client.WithLogger(&quiet))
	if err != nil {
		return err
	}
	if err := conn.Connect(ctx); err != nil {
		return err
	}
	s.conn = conn
	changed := func(string, model.Model) { s.touch() }
	rows := conn.Cache()
	if rows == nil { // which it is after the end of the connection
		return client.ErrNotConnected
	}
	rows.AddEventHandler(&cache.EventHandlerFuncs{AddFunc: changed, DeleteFunc: changed,
		UpdateFunc: func(string, model.Model, model.Model) { s.touch() }})
	dp, port, group, encap := &sbDatapath{}, &sbPort{}, &sbGroup{}, &sbEncap{}
	_, err = conn.Monitor(ctx, conn.NewMonitor(
		client.WithTable(dp, &dp.TunnelKey, &dp.ExternalIDs),
		client.WithTable(port, &port.LogicalPort, &port.Datapath, &port.TunnelKey),
		client.WithTable(group, &group.Name, &group.Datapath, &group.TunnelKey),
		client.WithTable(encap, &encap.Type, &encap.IP, &encap.ChassisName)))
	return err
}

// Close ends the connection.
func (s *Southbound) Close() {
	if s.conn == nil {
		s.guard.Close()
		return
	}
	ended := s.conn.DisconnectNotify()
	s.conn.Close()
	defer s.guard.Close()
	select {
	case <-ended:
	case <-time.After(time.Second):
	}
}

func (s *Southbound) touch() {
	s.mu.Lock()
	s.stale = true
	s.mu.Unlock()
}

// Zones returns the zone as the database says now, or said before the connection
// was lost.
func (s *Southbound) Zones() []*Zone {
	s.mu.Lock()
	defer s.mu.Unlock()
	if cache := s.conn.Cache(); cache != nil && s.stale {
		s.stale = false
		s.zone = s.read(cache)
	}
	return []*Zone{s.zone}
}

// read makes a zone of the rows.
func (s *Southbound) read(cache *cache.TableCache) *Zone {
	z := &Zone{Name: s.name, Chassis: map[netip.Addr]string{}, Datapaths: map[geneve.VNI]*Datapath{}}
	byID := map[string]*Datapath{}
	for id, row := range rows(cache, "Datapath_Binding") {
		r := row.(*sbDatapath)
		d := &Datapath{Name: r.ExternalIDs["name"], Kind: "switch", Ports: map[uint16]string{}, Groups: map[uint16]string{}}
		if r.ExternalIDs["logical-router"] != "" {
			d.Kind = "router"
		}
		byID[id], z.Datapaths[geneve.VNI(r.TunnelKey)] = d, d
	}
	for _, row := range rows(cache, "Port_Binding") {
		if r := row.(*sbPort); byID[r.Datapath] != nil {
			byID[r.Datapath].Ports[uint16(r.TunnelKey)] = r.LogicalPort
		}
	}
	for _, row := range rows(cache, "Multicast_Group") {
		if r := row.(*sbGroup); byID[r.Datapath] != nil {
			byID[r.Datapath].Groups[uint16(r.TunnelKey)] = r.Name
		}
	}
	for _, row := range rows(cache, "Encap") {
		r := row.(*sbEncap)
		if ip, err := netip.ParseAddr(r.IP); err == nil {
			z.Chassis[ip] = r.ChassisName
		}
	}
	return z
}

func rows(cache *cache.TableCache, table string) map[string]model.Model {
	t := cache.Table(table)
	if t == nil {
		return nil
	}
	return t.RowsShallow()
}

// Joined is the zones of several databases.
type Joined []Names

// Zones returns all zones.
func (j Joined) Zones() []*Zone {
	var all []*Zone
	for _, n := range j {
		all = append(all, n.Zones()...)
	}
	return all
}
