package vswitch

import (
	"maps"
	"slices"
	"time"
)

// station is an address of a VLAN, as NORMAL learns it.
type station struct {
	vlan uint16
	mac  [6]byte
}

// sighting says where a station was seen last.
type sighting struct {
	port uint16
	at   time.Time
}

// stationAge is how long a station is remembered (mac-aging-time), and
// maxStations how many are (mac-table-size).
const (
	stationAge  = 300 * time.Second
	maxStations = 8192
)

// normal forwards as a learning switch without VLAN modes does.
func (x *execution) normal() {
	k := &x.cur.Key
	in, dst := k.InPort(), k.EthDst()
	if dst[0] == 1 && dst[1] == 0x80 && dst[2] == 0xc2 && dst[3] == 0 && dst[4] == 0 && dst[5]&0xf0 == 0 {
		x.tr.note("link-local destination, dropped")
		return
	}
	vlan := k.VLANTCI() & 0xfff
	if src := k.EthSrc(); src[0]&1 == 0 && x.b.ports[in] != nil {
		s := station{vlan, src}
		if _, known := x.b.stations[s]; known || len(x.b.stations) < maxStations {
			x.b.stations[s] = sighting{in, x.now}
		}
	}
	if dst[0]&1 == 0 {
		if seen, ok := x.b.stations[station{vlan, dst}]; ok && x.now.Sub(seen.at) < stationAge {
			if seen.port != in {
				x.send(seen.port)
			} else {
				x.tr.note("learned on the ingress port, dropped")
			}
			return
		}
		x.tr.note("unknown destination, flooded")
	}
	x.flood(in)
}

func (b *Bridge) portNumbers() []uint16 { return slices.Sorted(maps.Keys(b.ports)) }
