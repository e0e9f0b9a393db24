package topology

import (
	"govn/pkg/incr"
	"govn/pkg/ovsdb"
)

// StrictOption is the key in NB_Global:options that, set to true, makes northd
// refuse in the transaction what it could not use.
const StrictOption = "govn-strict"

// Strict reports whether what cannot be used is refused.
func (c *Columns) Strict(sn *ovsdb.Snapshot) bool {
	for row := range sn.Rows(c.NBGlobal.Table) {
		v, _ := row.Map(c.NBGlobal.Options).Get(StrictOption)
		return v == "true"
	}
	return false
}

// CheckChanges says, where the zone is strict, what of a client's changes could
// not be used; after is the state with them. It reads the ports that changed as
// the compiler does.
func (c *Columns) CheckChanges(after *ovsdb.Snapshot, changes []ovsdb.Change, who ovsdb.Owner) error {
	if who != ovsdb.OwnerClient || !c.Strict(after) {
		return nil
	}
	members, routers := make(map[Member]bool), make(map[Member]bool)
	var rows []checkedRow
	for i := range changes {
		ch := &changes[i]
		changedMembers(ch, after, c.LS.Ports, c.LSP.Table, members)
		changedMembers(ch, after, c.LR.Ports, c.LRP.Table, routers)
		if ch.New != nil && c.checksRow(ch.Table) {
			rows = append(rows, checkedRow{ch.Table, ch.UUID})
		}
	}
	if err := c.checkMembers(after, members, routers, rows); err != nil {
		return refusal(err)
	}
	for i := range changes {
		if err := checkValues(after, &changes[i]); err != nil {
			return refusal(err)
		}
	}
	return nil
}

// checkMembers reads ports and rows as the compiler does.
func (c *Columns) checkMembers(after *ovsdb.Snapshot, members, routers map[Member]bool, rows []checkedRow) error {
	if len(members)+len(routers)+len(rows) == 0 {
		return nil
	}
	e := incr.New(incr.Options{Workers: 1})
	r := NewReader(e, c, after)
	r.keyed = true
	check := incr.NewUnit(e, "check", func(ctx *incr.Ctx, m Member) error {
		_, _, err := r.ReadPort(ctx, m, 1)
		return err
	}, incr.Order(compareMembers))
	checkRouter := incr.NewUnit(e, "check-router", func(ctx *incr.Ctx, m Member) error {
		_, _, err := r.ReadRouterPort(ctx, m, 1)
		return err
	}, incr.Order(compareMembers))
	checkRow := incr.NewUnit(e, "check-row", r.checkRow, incr.Order(compareCheckedRows))
	for _, x := range rows {
		checkRow.Root(x)
	}
	for m := range routers {
		checkRouter.Root(m)
	}
	for m := range members {
		check.Root(m)
	}
	e.Run()
	for _, bad := range e.Errors() {
		return bad.Err
	}
	return nil
}

// refusal is the answer to a transaction.
func refusal(err error) error {
	return &ovsdb.Error{Kind: ovsdb.ErrConstraint, Details: err.Error() + " (" + StrictOption + " is set)"}
}

// changedMembers adds the ports that a change is about to out: of the datapaths
// whose set column ports has them.
func changedMembers(ch *ovsdb.Change, after *ovsdb.Snapshot, ports *ovsdb.ColumnSchema, table *ovsdb.TableSchema, out map[Member]bool) {
	switch {
	case ch.New == nil:
	case ch.Table == table:
		for owner := range after.Referrers(ports, ch.UUID) {
			out[Member{owner, ch.UUID}] = true
		}
	case ch.Table == ports.Table:
		var old ovsdb.Set
		if ch.Old != nil {
			old = ch.Old.Set(ports)
		}
		_, added := ovsdb.DiffSets(old, ch.New.Set(ports))
		for _, p := range added {
			out[Member{ch.UUID, p.(ovsdb.UUID)}] = true
		}
	}
}

func compareMembers(a, b Member) int {
	if c := a.Row.Compare(b.Row); c != 0 {
		return c
	}
	return a.Elem.Compare(b.Elem)
}
