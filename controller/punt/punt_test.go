package punt

import (
	"testing"
	"time"

	"govn/pkg/abi"
)

func learner(table map[MAC]uint32) *FDB {
	return &FDB{
		Learn: func(m MAC, port uint32) { table[m] = port },
		Known: func(m MAC) uint32 { return table[m] },
		Count: func(dp uint32) (n int) {
			for m := range table {
				if m.Datapath == dp {
					n++
				}
			}
			return n
		},
	}
}

func frame(src uint64) []byte {
	b := make([]byte, 14)
	for i := range 6 {
		b[6+i] = byte(src >> (40 - 8*i))
	}
	return b
}

func TestPutFDB(t *testing.T) {
	now := time.Unix(1000, 0)
	d := New(func() time.Time { return now })
	table := map[MAC]uint32{}
	f := learner(table)
	d.Register(abi.PuntPutFDB, f.Handle)
	put := func(dp uint64, port uint32, data []byte) {
		give(d, &Packet{Userdata: []byte{0, abi.PuntPutFDB}, Data: data, Datapath: dp, Inport: port})
	}
	put(5, 1, frame(0x505400000001))
	put(5, 2, frame(0x505400000002))
	put(5, 3, frame(0x505400000001)) // moved
	put(5, 1, frame(0x015400000001)) // group address
	put(5, 1, frame(0))
	put(5, 1, nil)
	put(5, 0, frame(0x505400000009))
	put(0, 1, frame(0x505400000009))
	put(1<<40, 1, frame(0x505400000009))
	give(d, &Packet{})
	give(d, &Packet{Userdata: []byte{9, 9}})
	if len(table) != 2 || table[MAC{5, 0x505400000001}] != 3 || table[MAC{5, 0x505400000002}] != 2 {
		t.Errorf("learned %v", table)
	}
	c := d.Counters()
	if c[abi.PuntPutFDB] != (Counters{Taken: 9, Malformed: 6}) || c[other] != (Counters{Taken: 2, Malformed: 2}) {
		t.Errorf("counters %+v", c)
	}
}

// give is what a connection and the loop do with a packet.
func give(d *Dispatcher, p *Packet) {
	if d.Admit(p) {
		d.Dispatch(p)
	}
}

func TestFDBLimit(t *testing.T) {
	table := map[MAC]uint32{}
	f := learner(table)
	f.Count = func(uint32) int { return len(table) }
	for i := range uint64(10 * MaxLearned) {
		f.Handle(&Packet{Data: frame(0x500000000000 + i), Datapath: 1, Inport: 1})
	}
	if len(table) != MaxLearned || f.Full != 9*MaxLearned {
		t.Errorf("%d learned, %d over the limit", len(table), f.Full)
	}
}

func FuzzDispatch(f *testing.F) {
	f.Add([]byte{0, 1}, frame(0x505400000001), uint64(1), uint32(1))
	f.Add([]byte{0}, []byte{}, uint64(0), uint32(0))
	f.Fuzz(func(t *testing.T, userdata, data []byte, dp uint64, port uint32) {
		d := New(nil)
		fdb := learner(map[MAC]uint32{})
		fdb.Learn = func(m MAC, p uint32) {
			if p == 0 || p > abi.MaxPortKey || m.Datapath == 0 || m.Addr == 0 || m.Addr>>48 != 0 {
				t.Errorf("learned %+v on %d", m, p)
			}
		}
		d.Register(abi.PuntPutFDB, fdb.Handle)
		give(d, &Packet{Userdata: userdata, Data: data, Datapath: dp, Inport: port})
	})
}
