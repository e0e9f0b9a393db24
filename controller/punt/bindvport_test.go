package punt

import (
	"testing"
	"time"

	"govn/pkg/abi"
)

func TestBindVPort(t *testing.T) {
	d := New(func() time.Time { return time.Unix(1000, 0) })
	var got [][3]uint32
	v := VirtualPorts{Bind: func(dp, port, parent uint32) { got = append(got, [3]uint32{dp, port, parent}) }}
	d.Register(abi.PuntBindVPort, v.Handle)
	userdata := func(port byte) []byte { return []byte{0, abi.PuntBindVPort, 0, 0, 0, 0, 0, port} }
	for _, p := range []*Packet{
		{Userdata: userdata(5), Datapath: 2, Inport: 3},
		{Userdata: userdata(0), Datapath: 2, Inport: 3},
		{Userdata: userdata(5), Datapath: 2},
		{Userdata: userdata(5), Datapath: 2, Inport: 5}, // its own parent
		{Userdata: userdata(5)[:7], Datapath: 2, Inport: 3},
		{Userdata: []byte{0, abi.PuntBindVPort, 0, 0, 0, 0, 0x80, 0}, Datapath: 2, Inport: 3},
	} {
		d.Dispatch(p)
	}
	if len(got) != 1 || got[0] != [3]uint32{2, 5, 3} {
		t.Errorf("bound %v", got)
	}
	if c := d.Counters()[abi.PuntBindVPort]; c.Taken != 6 || c.Malformed != 5 {
		t.Errorf("counters %+v", c)
	}
}
