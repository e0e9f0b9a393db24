package ovsdb

import "context"

// serverSchema is the _Server database of ovsdb-server(5), from which clients
// learn which databases there are.
const serverSchema = `{"cksum":"3009684573 744","name":"_Server","tables":{"Database":{"columns":{` +
	`"cid":{"type":{"key":"uuid","min":0}},` +
	`"connected":{"type":"boolean"},` +
	`"index":{"type":{"key":"integer","min":0}},` +
	`"leader":{"type":"boolean"},` +
	`"model":{"type":{"key":{"enum":["set",["clustered","relay","standalone"]],"type":"string"}}},` +
	`"name":{"type":"string"},` +
	`"schema":{"type":{"key":"string","min":0}},` +
	`"sid":{"type":{"key":"uuid","min":0}}}}},"version":"1.2.0"}`

// addServerDatabase adds _Server with a row for each database that is served.
// It is in memory only and clients cannot write it. Its first contents belong
// to the revision that was loaded.
func (s *Store) addServerDatabase() error {
	schema, err := ParseSchema([]byte(serverSchema))
	if err != nil {
		return err
	}
	snapshot := *s.current.Load()
	readOnly := func(*TableSchema) Owner { return OwnerNorthd }
	d := s.addDatabase(&snapshot, Database{Schema: schema, InsertDelete: readOnly, Owner: func(c *ColumnSchema) Owner { return readOnly(c.Table) }}, true)
	t := newTxn(&snapshot, d, OwnerNorthd)
	for _, db := range s.dbs {
		if db.Private {
			continue
		}
		t.Insert(schema.Table("Database"), s.serverRow(db), map[string]Value{
			"name": db.Schema.Name, "model": "standalone", "connected": true, "leader": true,
			"schema": string(db.now.Load().JSON()),
		})
	}
	state, _, err := t.build(snapshot.revision)
	if err != nil {
		return err
	}
	snapshot.dbs[len(snapshot.dbs)-1] = state
	s.current.Store(&snapshot)
	return nil
}

// serverRow is the UUID of a database's row in _Server, which is the same in
// every process of one store.
func (s *Store) serverRow(d *database) UUID {
	return UUID(hashOf(append(s.cluster[:], d.Schema.Name...))).asV4()
}

// announceSchema puts the schema that a database has now into its row in
// _Server. s.writing is held.
func (s *Store) announceSchema(d *database) error {
	if d.Private {
		return nil
	}
	server := s.dbs[len(s.dbs)-1]
	t := newTxn(s.current.Load(), server, OwnerNorthd)
	t.SetColumn(server.Schema.Table("Database"), s.serverRow(d), "schema", string(d.now.Load().JSON()))
	_, err := s.commit(t)
	return err
}

// Cluster is what _Server shows of a store whose log is replicated (_Server(5)).
type Cluster struct {
	// ID is that of the log, the same on every server; Server is this one's.
	ID, Server UUID
	// Leader tells that this server writes; Connected that it reaches a majority.
	Leader, Connected bool
}

// SetCluster makes _Server show the databases as clustered, with the present
// revision as their index, which never goes backwards. Call it when something
// changes, and now and then, so that clients that have seen a greater index on
// another server do not take this one for stale.
func (s *Store) SetCluster(ctx context.Context, c Cluster) error {
	server := s.dbs[len(s.dbs)-1]
	table := server.Schema.Table("Database")
	_, err := s.Update(ctx, server.Schema, OwnerNorthd, func(t *Txn) error {
		for _, d := range s.dbs {
			if d.Private || d.volatile {
				continue
			}
			u := s.serverRow(d)
			for column, v := range map[string]Value{
				"model": "clustered", "cid": c.ID, "sid": c.Server, "leader": c.Leader, "connected": c.Connected,
				"index": max(int64(t.Snapshot().Revision()), t.Row(table, u).Int(table.Column("index"))),
			} {
				t.SetColumn(table, u, column, v)
			}
		}
		return t.Err()
	})
	return err
}
