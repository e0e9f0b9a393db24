package topology

import (
	"govn/pkg/incr"
	"govn/pkg/logical"
	"govn/pkg/ovsdb"
)

// checkedRow is a row that is checked by itself: a route, a policy, a forwarding
// group.
type checkedRow struct {
	table *ovsdb.TableSchema
	row   ovsdb.UUID
}

func compareCheckedRows(a, b checkedRow) int { return a.row.Compare(b.row) }

// checksRow reports whether rows of a table are checked by themselves.
func (c *Columns) checksRow(t *ovsdb.TableSchema) bool {
	return t == c.Route.Table || t == c.Policy.Table || t == c.FwdGroup.Table
}

// checkRow says what of a row can never be used, whatever else there is.
func (r *Reader) checkRow(ctx *incr.Ctx, x checkedRow) error {
	switch x.table {
	case r.C.Route.Table:
		_, _, err := r.ReadRoute(ctx, x.row)
		return err
	case r.C.Policy.Table:
		p, _, ok, err := r.ReadPolicy(ctx, x.row)
		if err != nil || !ok {
			return err
		}
		if _, err := logical.ParseMatch(p.Match, logical.Default()); err != nil {
			return p.FieldError(r.C.Policy.Match, err)
		}
	case r.C.FwdGroup.Table:
		_, _, err := r.ReadFwdGroup(ctx, Member{Elem: x.row}, 1)
		return err
	}
	return nil
}
