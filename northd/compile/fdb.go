package compile

import (
	"fmt"
	"strconv"

	"govn/northd/topology"
	"govn/pkg/incr"
	"govn/pkg/ovsdb"
	"govn/proto"
	"govn/proto/state"
)

// runFDB emits a learned Ethernet address, or says that its port is gone.
func (p *Program) runFDB(c *incr.Ctx, u ovsdb.UUID) error {
	f := &p.c.FDB
	if !p.Reader.Has(c, f.Table, u) {
		return nil
	}
	datapath, port := uint32(p.Reader.Int(c, f.DpKey, u)), uint32(p.Reader.Int(c, f.PortKey, u))
	ls, ok := p.Reader.Owner(c, topology.KindDatapath, ovsdb.UUID{}, datapath)
	if ok {
		_, ok = p.Reader.Owner(c, topology.KindPort, ls, port)
	}
	if !ok {
		incr.Emit(c, p.Stale, u, true)
		return nil
	}
	mac, err := topology.ParseMAC(p.Reader.Str(c, f.MAC, u))
	if err != nil {
		return &topology.FieldError{Table: "FDB", Column: "mac", Object: u.String(), UUID: u, Err: err}
	}
	incr.Emit(c, p.Items, state.Key{Kind: proto.Kind_KIND_FDB, Key: state.FdbKey(datapath, mac.Uint64())}, Item{
		Scope: Scope{Datapath: datapath},
		Value: marshal(&proto.Fdb{Port: port}),
	})
	return nil
}

const configFDBAge = "fdb_age_threshold"

// fdbAge is how many seconds a switch keeps what it learned; 0: for ever.
func (p *Program) fdbAge(c *incr.Ctx, ls ovsdb.UUID) uint32 {
	text, _ := p.Reader.Option(c, p.c.LS.OtherConfig, ls, configFDBAge)
	seconds, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		return 0 // runAge says why
	}
	return uint32(seconds)
}

// runAge emits how long addresses that a switch learned are kept.
func (p *Program) runAge(c *incr.Ctx, ls ovsdb.UUID) error {
	text, there := p.Reader.Option(c, p.c.LS.OtherConfig, ls, configFDBAge)
	if !there {
		return nil
	}
	seconds, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		return &topology.FieldError{Table: "Logical_Switch", Column: "other_config:" + configFDBAge, Object: p.Reader.Str(c, p.c.LS.Name, ls), UUID: ls,
			Err: fmt.Errorf("%q is no number of seconds", text)}
	}
	datapath, err := p.datapathKey.Get(c, ls)
	if err != nil || datapath == 0 || seconds == 0 {
		return err
	}
	incr.Emit(c, p.Ages, datapath, uint32(seconds))
	return nil
}
