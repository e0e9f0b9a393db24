package ipam

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"

	"govn/northd/topology"
	"govn/pkg/ovsdb"
)

// IPAM is the stage. It belongs to the goroutine that runs the compiler.
type IPAM struct {
	c        *topology.Columns
	nb       *ovsdb.DatabaseSchema
	log      *slog.Logger
	fallback topology.MAC // prefix when the options have none that can be used
	lrpName  int          // index of router ports by name

	macs    macs
	pools   map[ovsdb.UUID]*pool   // by switch, of those that give addresses
	members map[ovsdb.UUID]*member // by switch port or router port
	peers   map[string]claims      // switch ports by the router port they name

	// Problems are the settings that cannot be used and the wishes that cannot
	// come true.
	Problems topology.Problems
}

// lease is the addresses of a port.
type lease struct {
	mac    topology.MAC
	hasMAC bool
	v4     uint32 // 0: none
	v6     netip.Addr
}

// member is what a switch port or a router port has to do with addresses.
type member struct {
	name   string
	router bool              // a router port
	home   ovsdb.UUID        // its switch; zero: none
	peer   string            // router port that a switch port names
	peered bool              // it is there
	macs   []topology.MAC    // static
	static []uint32          // static, while the switch has a pool
	want   *topology.Dynamic // nil: it asks for nothing, or must not
	more   bool              // it asks twice
	text   string            // the column as it is, or will be after the write
	old    lease             // what text says
	now    lease             // what it has
	wish   uint32            // address that it wishes for and does not have
}

// Prefix is the prefix of MAC addresses of a zone whose options say none.
func Prefix(zone ovsdb.UUID) topology.MAC {
	h := sha256.Sum256(append([]byte("govn mac_prefix\x00"), zone[:]...))
	return topology.MAC{h[0]&^1 | 2, h[1], h[2]}
}

// New makes the stage for a zone. All begins.
func New(c *topology.Columns, nb *ovsdb.DatabaseSchema, zone ovsdb.UUID, log *slog.Logger) *IPAM {
	m := &IPAM{c: c, nb: nb, log: log, fallback: Prefix(zone)}
	for i, cols := range c.LRP.Table.Indexes {
		if len(cols) == 1 && cols[0] == c.LRP.Name {
			m.lrpName = i
		}
	}
	return m
}

// All makes the whole northbound database agree: what a start does once.
func (m *IPAM) All(ctx context.Context, s *ovsdb.Store, sn *ovsdb.Snapshot) (wrote bool, err error) {
	return m.write(ctx, s, m.all(sn))
}

// all begins anew.
func (m *IPAM) all(sn *ovsdb.Snapshot) map[ovsdb.UUID]string {
	m.Problems.Clear()
	m.macs = newMACs(m.prefix(sn))
	m.pools = make(map[ovsdb.UUID]*pool)
	m.members = make(map[ovsdb.UUID]*member)
	m.peers = make(map[string]claims)
	d := newDirt()
	for _, t := range []*ovsdb.TableSchema{m.c.LSP.Table, m.c.LRP.Table} {
		for row := range sn.Rows(t) {
			d.ports[row.UUID()] = true
		}
	}
	for row := range sn.Rows(m.c.LS.Table) {
		d.switches[row.UUID()] = true
	}
	return m.settle(sn, d)
}

// prefix is the prefix of MAC addresses that the options say.
func (m *IPAM) prefix(sn *ovsdb.Snapshot) topology.MAC {
	g := &m.c.NBGlobal
	for row := range sn.Rows(g.Table) {
		text, there := row.Map(g.Options).Get("mac_prefix")
		if !there {
			break
		}
		p, err := parseMACPrefix(text.(string))
		if err != nil {
			m.Problems.Report("prefix", &topology.FieldError{Table: "NB_Global", Column: "options", Object: row.Str(g.Name), UUID: row.UUID(), Err: err})
			break
		}
		m.Problems.Report("prefix", nil)
		return p
	}
	return m.fallback
}

// dirt is what has to be looked at again.
type dirt struct {
	all             bool
	switches, ports map[ovsdb.UUID]bool
}

func newDirt() *dirt {
	return &dirt{switches: make(map[ovsdb.UUID]bool), ports: make(map[ovsdb.UUID]bool)}
}

// Follow makes the northbound database agree with the commits, up to the
// snapshot. It reports whether it wrote.
func (m *IPAM) Follow(ctx context.Context, s *ovsdb.Store, commits []ovsdb.Commit, sn *ovsdb.Snapshot) (wrote bool, err error) {
	d := newDirt()
	for _, commit := range commits {
		if commit.DB != m.nb {
			continue
		}
		for i := range commit.Changes {
			m.note(d, &commit.Changes[i])
		}
	}
	if d.all && m.prefix(sn) != m.macs.prefix {
		return m.write(ctx, s, m.all(sn))
	}
	return m.write(ctx, s, m.settle(sn, d))
}

// note finds out what a change is about.
func (m *IPAM) note(d *dirt, ch *ovsdb.Change) {
	differs := func(cols ...*ovsdb.ColumnSchema) bool {
		return ch.Old == nil || ch.New == nil || slices.ContainsFunc(cols, func(c *ovsdb.ColumnSchema) bool {
			return !ovsdb.ValuesEqual(ch.Old.Get(c), ch.New.Get(c))
		})
	}
	ls, lsp, lrp, g := &m.c.LS, &m.c.LSP, &m.c.LRP, &m.c.NBGlobal
	switch ch.Table {
	case ls.Table:
		var old, new ovsdb.Set
		if ch.Old != nil {
			old = ch.Old.Set(ls.Ports)
		}
		if ch.New != nil {
			new = ch.New.Set(ls.Ports)
		}
		switch {
		case ch.Old == nil || ch.New == nil:
			d.switches[ch.UUID] = true
		case differs(ls.Name) && m.values(ch.New) != [len(configKeys)]string{}, differs(ls.OtherConfig) && m.values(ch.Old) != m.values(ch.New):
			d.switches[ch.UUID] = true
		}
		removed, added := ovsdb.DiffSets(old, new)
		for _, p := range append(removed, added...) {
			d.ports[p.(ovsdb.UUID)] = true
		}
	case lsp.Table:
		if differs(lsp.Name, lsp.Type, lsp.Options, lsp.Addresses) {
			d.ports[ch.UUID] = true
		} else if differs(lsp.DynamicAddresses) {
			// Most such changes are what this stage wrote itself.
			if mem := m.members[ch.UUID]; mem == nil || mem.text != optText(ch.New, lsp.DynamicAddresses) {
				d.ports[ch.UUID] = true
			}
		}
	case lrp.Table:
		if differs(lrp.Name, lrp.MAC, lrp.Networks) {
			d.ports[ch.UUID] = true
		}
	case g.Table:
		if differs(g.Name) || optionOf(ch.Old, g.Options, "mac_prefix") != optionOf(ch.New, g.Options, "mac_prefix") {
			d.all = true
		}
	}
}

// values are the settings of a switch.
func (m *IPAM) values(row *ovsdb.Row) (v [len(configKeys)]string) {
	for i, key := range configKeys {
		v[i] = optionOf(row, m.c.LS.OtherConfig, key)
	}
	return v
}

func optText(row *ovsdb.Row, col *ovsdb.ColumnSchema) string {
	if v, ok := row.Opt(col); ok {
		return v.(string)
	}
	return ""
}

func optionOf(row *ovsdb.Row, col *ovsdb.ColumnSchema, key string) string {
	if v, ok := row.Map(col).Get(key); ok {
		return v.(string)
	}
	return ""
}

// write stores dynamic_addresses of the ports.
func (m *IPAM) write(ctx context.Context, s *ovsdb.Store, texts map[ovsdb.UUID]string) (bool, error) {
	if len(texts) == 0 {
		return false, nil
	}
	t := m.c.LSP.Table
	_, err := s.Update(ctx, m.nb, ovsdb.OwnerNorthd, func(tx *ovsdb.Txn) error {
		for u, text := range texts {
			if tx.Row(t, u) == nil {
				continue // deleted meanwhile; that commit comes next
			}
			v := ovsdb.NewSet()
			if text != "" {
				v = ovsdb.NewSet(text)
			}
			tx.SetColumn(t, u, "dynamic_addresses", v)
		}
		return tx.Err()
	})
	if err != nil {
		return false, fmt.Errorf("writing dynamic addresses: %w", err)
	}
	return true, nil
}

// byName orders members as they are served.
func (m *IPAM) byName(a, b ovsdb.UUID) int {
	if c := topology.CompareNatural(m.members[a].name, m.members[b].name); c != 0 {
		return c
	}
	return a.Compare(b)
}

// names are the names of switch ports among the claims, sorted.
func (m *IPAM) names(c claims) []string {
	var list []string
	for _, u := range c {
		if mem := m.members[u]; mem != nil && !mem.router {
			list = append(list, mem.name)
		}
	}
	slices.SortFunc(list, strings.Compare)
	return slices.Compact(list)
}
