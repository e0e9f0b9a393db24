package ovsdb

// anyOf is the condition of a monitored table: one clause must match. Without
// clauses all rows do.
type anyOf []clause

func (a anyOf) matches(r *Row) bool {
	for i := range a {
		if a[i].matches(r) {
			return true
		}
	}
	return len(a) == 0
}

// isEquality tells whether the clause is that a column equals a value, by whichever
// function. A set or map of at most one element includes one if it is equal.
func (c *clause) isEquality() bool {
	if c.column == nil || c.column.Index == -2 {
		return false
	}
	return c.fn == condEQ || c.fn == condIncludes && c.column.Type.Max == 1 && valueLen(c.arg) == 1
}

// matcher is an anyOf that is made ready for many rows: a monitor of a chassis has
// thousands of equalities.
type matcher struct {
	all   bool                                    // without clauses
	equal map[*ColumnSchema]map[[16]byte]struct{} // values of which a column has one
	rest  anyOf
}

// fewClauses is up to how many equalities are compared one by one.
const fewClauses = 8

func (a anyOf) matcher() matcher {
	m := matcher{all: len(a) == 0}
	if len(a) <= fewClauses {
		m.rest = a
		return m
	}
	m.equal = make(map[*ColumnSchema]map[[16]byte]struct{})
	for i := range a {
		c := &a[i]
		if !c.isEquality() {
			m.rest = append(m.rest, *c)
			continue
		}
		if m.equal[c.column] == nil {
			m.equal[c.column] = make(map[[16]byte]struct{})
		}
		m.equal[c.column][hashValue(c.arg)] = struct{}{}
	}
	return m
}

func (m *matcher) matches(r *Row) bool {
	if m.all {
		return true
	}
	for column, values := range m.equal {
		if _, ok := values[hashValue(r.Get(column))]; ok {
			return true
		}
	}
	return len(m.rest) > 0 && m.rest.matches(r)
}

// cost is the work of looking at one row, as allOf.cost counts it.
func (m *matcher) cost() int { return 1 + len(m.equal) + allOf(m.rest).cost() }
