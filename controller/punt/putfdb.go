package punt

// MaxLearned bounds the MAC addresses of one datapath that are learned here and
// not known to northd yet.
const MaxLearned = 4096

// MAC is a MAC address in a datapath; the address is in the low 48 bits.
type MAC struct {
	Datapath uint32
	Addr     uint64
}

// FDB handles PuntPutFDB: the source address of the packet is behind its
// ingress port.
//
//	packet: | dst (6) | src (6) | ...     metadata: datapath, reg14: port
type FDB struct {
	// Learn takes what was seen. Known tells the port that an address is known
	// on (0: none), and Count how many a datapath holds.
	Learn func(mac MAC, port uint32)
	Known func(mac MAC) uint32
	Count func(datapath uint32) int

	// Full counts addresses that were not learned because their datapath holds
	// MaxLearned.
	Full uint64
}

// Handle is the [Handler].
func (f *FDB) Handle(p *Packet) bool {
	if len(p.Data) < 12 || p.Inport == 0 || p.Inport > 0x7fff {
		return false
	}
	addr := number(p.Data[6:12])
	if addr == 0 || addr>>40&1 == 1 { // nobody sends from a group address
		return false
	}
	mac := MAC{Datapath: uint32(p.Datapath), Addr: addr}
	known := f.Known(mac)
	if known == p.Inport {
		return true
	}
	if known == 0 && f.Count(mac.Datapath) >= MaxLearned {
		f.Full++
		return true
	}
	f.Learn(mac, p.Inport)
	return true
}
