# A client on Open vSwitch's Python IDL: argument is the remote. It prints what
# it sees; at a line "RESTART" it waits for a line of input.
import sys

import ovs.db.idl
import ovs.poller
import ovs.vlog

ovs.vlog.Vlog.init(None)
ovs.vlog.Vlog.set_level("any", "console", "off")
SCHEMA = "/usr/share/ovn/ovn-nb.ovsschema"


def helper():
    h = ovs.db.idl.SchemaHelper(location=SCHEMA)
    h.register_columns("Logical_Switch", ["name", "ports", "other_config"])
    h.register_columns("Logical_Switch_Port", ["name", "addresses", "tag", "up"])
    h.register_columns("Address_Set", ["name", "addresses"])
    return h


def connect():
    idl = ovs.db.idl.Idl(sys.argv[1], helper(), leader_only=False)
    return idl


def until(what, *idls):
    """Runs the IDLs until a condition holds."""
    while True:
        for idl in idls:
            idl.run()
        if what():
            return
        poller = ovs.poller.Poller()
        for idl in idls:
            idl.wait(poller)
        poller.timer_wait(10000)
        poller.block()


def synced(idl):
    return idl.state == ovs.db.idl.Idl.IDL_S_MONITORING


def show(title):
    print("==", title)
    for s in sorted(idl.tables["Logical_Switch"].rows.values(), key=lambda s: s.name):
        print("switch", s.name, sorted(s.other_config.items()), sorted(p.name for p in s.ports))
    for p in sorted(idl.tables["Logical_Switch_Port"].rows.values(), key=lambda p: p.name):
        print("port", p.name, sorted(p.addresses), p.tag, p.up)


def switch(name, of=None):
    for s in (of or idl).tables["Logical_Switch"].rows.values():
        if s.name == name:
            return s
    return None


def transact(title, fill, of=None, **kwargs):
    txn = ovs.db.idl.Transaction(of or idl, **kwargs)
    txn.add_comment(title)
    fill(txn)
    status = txn.commit_block()
    print(title, txn.status_to_string(status), txn.get_error() or "")
    return txn


idl = connect()
idl.cond_change("Logical_Switch", [["name", "==", "a"], ["name", "==", "b"]])
idl.set_lock("interop")
until(lambda: synced(idl) and idl.has_lock, idl)
print("has the lock", idl.has_lock, idl.is_lock_contended)


def fill(txn):
    for name in "abc":
        s = txn.insert(idl.tables["Logical_Switch"])
        s.name = name
        s.other_config = {"of": name}
    for i in range(3):
        p = txn.insert(idl.tables["Logical_Switch_Port"])
        p.name = "p%d" % i
        p.addresses = ["02:00:00:00:00:0%d" % i, "unknown"]
        s.addvalue("ports", p)  # of c


transact("insert", fill)
show("a and b, and the ports of c")


def mutate(txn):
    a = switch("a")
    a.setkey("other_config", "more", "1")
    a.delkey("other_config", "of")
    p = txn.insert(idl.tables["Logical_Switch_Port"])
    p.name = "pa"
    p.tag = 7
    a.addvalue("ports", p)


transact("mutate", mutate)
show("after the mutations")

# Verification fails when somebody else was faster.
other = connect()
other.cond_change("Logical_Switch", [True])
until(lambda: synced(other) and switch("a", other) is not None, other)
lock = ovs.db.idl.Idl(sys.argv[1], helper(), leader_only=False)
lock.set_lock("interop")
until(lambda: lock.is_lock_contended, lock)
print("another one waits for the lock", lock.has_lock, lock.is_lock_contended)


def stale(txn):
    a = switch("a")
    a.verify("other_config")
    a.other_config = {"stale": "yes"}


def fresh(txn):
    switch("a", other).other_config = {"fresh": "yes"}


txn = ovs.db.idl.Transaction(idl)
stale(txn)
transact("other", fresh, of=other)
print("stale", txn.status_to_string(txn.commit_block()))
until(lambda: switch("a").other_config == {"fresh": "yes"}, idl)
transact("verified", stale)
transact("nothing", lambda txn: None)
transact("address set", lambda txn: txn.insert(idl.tables["Address_Set"]).__setattr__("name", "as"))
transact("the same address set", lambda txn: txn.insert(idl.tables["Address_Set"]).__setattr__("name", "as"))
show("after verification")


def count(txn):
    b = switch("b")
    b.setkey("other_config", "n", "2")


# Other conditions: a row of the old ones leaves, one of the new ones comes.
idl.cond_change("Logical_Switch", [["name", "==", "c"], ["other_config", "includes", ["map", [["stale", "yes"]]]]])
until(lambda: switch("c") is not None and switch("b") is None, idl)
show("a and c")
idl.cond_change("Logical_Switch_Port", [["tag", "==", 7]])
until(lambda: len(idl.tables["Logical_Switch_Port"].rows) == 1, idl)
show("ports with tag 7")

other.close()
lock.close()
print("RESTART")
sys.stdout.flush()
sys.stdin.readline()


before = idl.change_seqno


def again():
    return idl.change_seqno != before and synced(idl) and idl.has_lock


# The connection breaks, and comes back with the same conditions.
until(again, idl)
show("after the restart")


def last(txn):
    c = switch("c")
    c.setkey("other_config", "after", "restart")
    for p in c.ports:
        p.tag = 7


transact("transact after the restart", last)
until(lambda: switch("c").other_config.get("after") == "restart", idl)
show("changed after the restart")
transact("delete", lambda txn: [switch(n).delete() for n in "ac"])
show("empty")
print("END")
