package ovsdb

import (
	"context"
	"fmt"
	"testing"
)

// insertPort is a transaction as "ovn-nbctl lsp-add" makes it.
func insertPort(b []byte, sw UUID, i int) []byte {
	return fmt.Appendf(b, `{"id":%d,"method":"transact","params":["OVN_Northbound",{"op":"insert","table":"Logical_Switch_Port","uuid-name":"p%d","row":{"name":"p%d","addresses":"0a:01:00:%02x:%02x:%02x 10.%d.%d.%d","port_security":"0a:01:00:%02x:%02x:%02x 10.%d.%d.%d"}},`+
		`{"op":"mutate","table":"Logical_Switch","where":[["_uuid","==",["uuid",%q]]],"mutations":[["ports","insert",["set",[["named-uuid","p%d"]]]]]}]}`,
		i, i, i, byte(i>>16), byte(i>>8), byte(i), byte(i>>16), byte(i>>8), byte(i), byte(i>>16), byte(i>>8), byte(i), byte(i>>16), byte(i>>8), byte(i), sw.String(), i)
}

func northboundStore(b *testing.B) (*Store, *DatabaseSchema) {
	d := ovnSchema(b, "ovn-nb")
	s, err := Open(context.Background(), discard{NewMemoryEngine()}, []Database{{Schema: d}}, Options{Logger: quiet(), CompactAt: 1 << 40})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	return s, d
}

// request parses and runs a transaction as a session does, without sockets.
func runRequest(b *testing.B, s *Store, d *DatabaseSchema, text string) outcome {
	values := freeValues.Get().(*requestValues)
	defer freeValues.Put(values)
	v, err := parseJSONIn(text, defaultJSONLimits, values[:])
	if err != nil {
		b.Fatal(err)
	}
	params, _ := v.member("params")
	tr := &transaction{store: s, db: s.database(d), ops: params.list[1:], who: OwnerClient}
	return tr.run(0)
}

// BenchmarkInsertPort is one transaction of an insert and a mutation of a
// switch, from the text of the request to the reply and the entry of the log.
func BenchmarkInsertPort(b *testing.B) {
	for _, switches := range []int{1, 100} {
		b.Run(fmt.Sprintf("switches=%d", switches), func(b *testing.B) {
			s, d := northboundStore(b)
			var uuids []UUID
			update(b, s, d, func(tx *Txn) {
				for i := range switches {
					uuids = append(uuids, tx.Insert(d.Table("Logical_Switch"), UUID{}, map[string]Value{"name": fmt.Sprint(i)}))
				}
			})
			var text []byte
			i := 0
			b.ReportAllocs()
			defer cpu(b)()
			for b.Loop() {
				text = insertPort(text[:0], uuids[i%switches], i)
				runRequest(b, s, d, string(text))
				i++
			}
		})
	}
}

// BenchmarkScan selects and updates one of 10,000 rows by a column without an
// index.
func BenchmarkScan(b *testing.B) {
	s, d := northboundStore(b)
	update(b, s, d, func(tx *Txn) {
		for i := range 10_000 {
			tx.Insert(d.Table("Logical_Switch"), UUID{}, map[string]Value{"name": fmt.Sprint("sw", i)})
		}
	})
	for _, op := range []string{`"select"`, `"update","row":{"external_ids":["map",[["n","%d"]]]}`} {
		b.Run(op[1:7], func(b *testing.B) {
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				i++
				text := fmt.Sprintf(`{"params":["OVN_Northbound",{"op":`+op+`,"table":"Logical_Switch","where":[["name","==","sw77"]]}]}`, append([]any{}, i)[:len(op)/30]...)
				runRequest(b, s, d, text)
			}
		})
	}
}
