package topology

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"govn/pkg/abi"
	"govn/pkg/ovsdb"
)

// keyRequest is the key of options and of other_config by which a port, a
// switch or a router asks for its tunnel key (ovn-nb(5), "Tunnel Key").
const keyRequest = "requested-tnl-key"

// Why an object does not have the key that it asks for.
var (
	// ErrKeyTaken is the problem of an object that asks for a key that another
	// one asks for, too, and has.
	ErrKeyTaken = errors.New("another one asks for this tunnel key, too, and has it")
	// ErrKeyRests is the problem of an object that asks for a key that a chassis
	// may still use for what had it before. It passes.
	ErrKeyRests = errors.New("a chassis may still use this tunnel key for what had it before")
	// ErrKeyNeeded is the problem of an object that asks for a key whose owner
	// asks for none, and has no other key to go to.
	ErrKeyNeeded = errors.New("what has this tunnel key cannot get another one")
)

// request is the key that an object asks for, 0 if none.
func (a *Allocator) request(sn *ovsdb.Snapshot, id identity) uint32 {
	text, high := "", int64(abi.MaxPortKey)
	k, row := a.find(sn, id, !id.scope.IsZero())
	object := &FieldError{Table: k.ports.Name, Column: k.portConfig.Name, UUID: id.owner}
	name, config := k.portName, k.portConfig
	if id.scope.IsZero() {
		high = abi.MaxDatapathKey
		object.Table, object.Column = k.table.Name, k.config.Name
		name, config = k.name, k.config
	}
	if row != nil {
		text, object.Object = stringAt(row, config, keyRequest), row.Str(name)
	}
	if text == "" {
		a.Problems.Report(id.problem(), nil)
		return 0
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 1 || n > high {
		object.Err = fmt.Errorf("%s: %q is no number from 1 to %d", keyRequest, text, high)
		a.Problems.Report(id.problem(), object)
		return 0
	}
	return uint32(n)
}

func stringAt(row *ovsdb.Row, col *ovsdb.ColumnSchema, key string) string {
	v, ok := row.Map(col).Get(key)
	if !ok {
		return ""
	}
	return v.(string)
}

func (id identity) problem() string { return "key " + id.scope.String() + " " + id.owner.String() }

// ask notes what an object asks for. It returns the keys whose owner may change
// by that.
func (k *keys) ask(owner ovsdb.UUID, key uint32) (touched []uint32) {
	old := k.asked[owner]
	if old != 0 {
		touched = append(touched, old)
	}
	if old == key {
		return touched
	}
	if old != 0 {
		list := k.askers[old]
		if list = slices.DeleteFunc(list, func(u ovsdb.UUID) bool { return u == owner }); len(list) == 0 {
			delete(k.askers, old)
		} else {
			k.askers[old] = list
		}
		delete(k.asked, owner)
	}
	if key != 0 {
		if k.asked == nil {
			k.asked, k.askers = make(map[ovsdb.UUID]uint32), make(map[uint32][]ovsdb.UUID)
		}
		k.asked[owner] = key
		k.askers[key] = append(k.askers[key], owner)
		touched = append(touched, key)
	}
	return touched
}

// decide gives a key that is asked for to the first that asks, if it is free or
// has an owner that does not ask for it. What has it and asks for it keeps it.
func (a *Allocator) decide(tx *ovsdb.Txn, scope ovsdb.UUID, key uint32, rev uint64) {
	k := a.scope(scope)
	askers := k.askers[key]
	if len(askers) == 0 {
		return
	}
	if owner, used := k.used[key]; used && !slices.Contains(askers, owner) && !a.rests(scope, owner) {
		if other, ok := k.take(owner, kindOf(scope)); ok {
			a.rekey(tx, identity{scope, owner}, other, rev)
		}
	}
	if _, used := k.used[key]; !used {
		first := slices.MinFunc(askers, func(x, y ovsdb.UUID) int {
			return a.compareNamed(tx.Snapshot(), identity{scope, x}, identity{scope, y})
		})
		k.used[key] = first
		a.rekey(tx, identity{scope, first}, key, rev)
	}
	for _, u := range askers {
		a.judge(tx, identity{scope, u}, key)
	}
}

// judge says whether an object has the key that it asks for.
func (a *Allocator) judge(tx *ovsdb.Txn, id identity, key uint32) {
	k := a.scope(id.scope)
	delete(a.patient, id)
	owner := k.used[key]
	var err error
	switch {
	case owner == id.owner:
	case a.rests(id.scope, owner):
		err = ErrKeyRests
		a.patient[id] = true
	case slices.Contains(k.askers[key], owner):
		err = ErrKeyTaken
	default:
		err = ErrKeyNeeded
	}
	if err == nil {
		a.Problems.Report(id.problem(), nil)
		return
	}
	kind, _ := a.find(tx.Snapshot(), id, !id.scope.IsZero())
	object := &FieldError{Table: kind.ports.Name, Column: kind.portConfig.Name, UUID: id.owner, Object: a.nameOf(tx.Snapshot(), id),
		Err: fmt.Errorf("%s=%d: %w", keyRequest, key, err)}
	if id.scope.IsZero() {
		object.Table, object.Column = kind.table.Name, kind.config.Name
	}
	a.Problems.Report(id.problem(), object)
}

func (a *Allocator) rests(scope, owner ovsdb.UUID) bool {
	_, there := a.resting[identity{scope, owner}]
	return there
}

// rekey gives an object another key, which is marked as used by it already. The
// one that it had rests, as that of an object that is gone.
func (a *Allocator) rekey(tx *ovsdb.Txn, id identity, key uint32, rev uint64) {
	t, k, kind := &a.c.Allocation, a.scope(id.scope), kindOf(id.scope)
	if row := tx.Lookup(t.Table, 0, kind, scopeText(id.scope), id.owner); row != nil {
		old := uint32(row.Int(t.Key))
		gone := former(id.owner, old)
		tx.SetColumn(t.Table, row.UUID(), "owner", gone)
		tx.SetColumn(t.Table, row.UUID(), "retired", true)
		k.owners[gone], k.used[old] = old, gone
		a.resting[identity{id.scope, gone}] = rev
	} else {
		a.leaveQueue(tx, id)
	}
	k.owners[id.owner] = key
	a.insert(tx, kind, id, key)
}

// former stands for an object as the owner of a key that it had before.
func former(owner ovsdb.UUID, key uint32) ovsdb.UUID {
	h := sha256.Sum256(binary.BigEndian.AppendUint32(append([]byte("govn former owner\x00"), owner[:]...), key))
	u := ovsdb.UUID(h[:16])
	u[6] = u[6]&0x0f | 0x50
	u[8] = u[8]&0x3f | 0x80
	return u
}

func kindOf(scope ovsdb.UUID) string {
	if scope.IsZero() {
		return KindDatapath
	}
	return KindPort
}

// Patient reports whether something waits for a key that rests.
func (a *Allocator) Patient() bool { return len(a.patient) > 0 }

func (a *Allocator) nameOf(sn *ovsdb.Snapshot, id identity) string {
	if id.scope.IsZero() {
		if k, row := a.find(sn, id, false); row != nil {
			return row.Str(k.name)
		}
		return ""
	}
	return a.portName(sn, id.owner)
}

func (a *Allocator) compareNamed(sn *ovsdb.Snapshot, x, y identity) int {
	if c := CompareNatural(a.nameOf(sn, x), a.nameOf(sn, y)); c != 0 {
		return c
	}
	return x.owner.Compare(y.owner)
}
